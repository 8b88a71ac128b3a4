//! The broker's memory stays within what it is allowed, whatever clients do: one that is allowed little is attacked in many
//! ways at once, with many times as much, and its resident memory is read. Who was there before goes on meanwhile, and when
//! the attackers' groups are deleted there is room again.
#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use riverrun::core::{
    protocol::{
        DecodeLimits, ErrorCode, Request, decode_response, encode_request,
        messages::{
            ConsumerGroupHeartbeatRequest, CreateTopicsRequest, DeleteGroupsRequest, FetchRequest,
            FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest,
            OffsetCommitRequest, ProduceRequest,
            create_topics::CreatableTopic,
            fetch::{FetchPartition, FetchTopic},
            incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
            join_group::JoinGroupRequestProtocol,
            offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            produce::{PartitionProduceData, TopicProduceData},
        },
    },
    record::{BatchBuilder, BatchOptions},
};

const MIB: usize = 1 << 20;
/// What the broker is allowed, apart from what it needs for itself.
const STATE: usize = 24 * MIB;
const REQUESTS: usize = 16 * MIB;
const RESPONSES: usize = 8 * MIB;
const TAIL: usize = 4 * MIB;
/// One request in its memory and decoded, for each thread that handles one.
const AT_WORK: usize = 2 * (8 + 8) * MIB;
/// What an allocator keeps for later, and the connections themselves.
const SLACK: usize = 24 * MIB;

const PARTITIONS: i32 = 100;
/// Attempts of each kind: 100 MB of each.
const ROUNDS: usize = 200;

struct Broker {
    process: Child,
    address: String,
}

impl Broker {
    fn start(folder: &Path) -> Self {
        let settings = [
            format!("riverrun.state.max.bytes={STATE}"),
            format!("queued.max.request.bytes={REQUESTS}"),
            format!("riverrun.responses.max.bytes={RESPONSES}"),
            format!("riverrun.tail.cache.bytes={TAIL}"),
            format!("riverrun.request.max.decoded.bytes={}", 8 * MIB),
            format!("socket.request.max.bytes={}", 8 * MIB),
            "group.initial.rebalance.delay.ms=0".to_owned(),
            "offsets.topic.num.partitions=4".to_owned(),
            "transaction.state.log.num.partitions=4".to_owned(),
            "riverrun.durability=os".to_owned(),
            "riverrun.request.receive.timeout.ms=500".to_owned(),
        ];
        let mut process = Command::new(env!("CARGO_BIN_EXE_riverrun"))
            .env("RUST_LOG", "error")
            .args(["broker", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let mut lines = BufReader::new(process.stdout.as_mut().expect("piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("text");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        Self { process, address }
    }

    fn memory(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells");
        line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Client(stream)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client(TcpStream);

impl Client {
    fn send<R: Request>(&mut self, request: R, version: i16) {
        let frame = encode_request(&request.into(), version, 1, Some("attacker")).expect("it can be written");
        self.0.write_all(&frame.to_bytes()).expect("it is read");
    }

    fn call<R: Request>(&mut self, request: R, version: i16) -> R::Response {
        self.send(request, version);
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("an answer");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).expect("an answer");
        let limits = DecodeLimits::default().with_decoded_bytes_max(64 * MIB);
        let (_, body) = decode_response(R::KEY, version, &Bytes::from(frame), &limits).expect("it can be read");
        body.try_into().expect("the answer to the request")
    }

    /// Asks until the coordinator is ready.
    fn settled(&mut self, ask: impl Fn(&mut Self) -> i16) -> i16 {
        loop {
            let code = ask(self);
            let not_ready =
                [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
            if !not_ready.iter().any(|not_ready| not_ready.code() == code) {
                return code;
            }
            std::thread::yield_now();
        }
    }

    fn find(&mut self, key_type: i8) {
        let find = |client: &mut Self| {
            let request =
                FindCoordinatorRequest { key_type, coordinator_keys: vec!["x".to_owned()], ..Default::default() };
            client.call(request, 4).coordinators[0].error_code
        };
        assert_eq!(self.settled(find), 0);
    }

    fn join(&mut self, group: &str, metadata: usize) -> i16 {
        let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), metadata: Bytes::from(vec![0; metadata]) };
        let join = |client: &mut Self| {
            let request = JoinGroupRequest {
                group_id: group.to_owned(),
                session_timeout_ms: 1_800_000,
                rebalance_timeout_ms: 1_000,
                protocol_type: "consumer".to_owned(),
                protocols: vec![protocol.clone()],
                ..JoinGroupRequest::default()
            };
            client.call(request, 3).error_code
        };
        self.settled(join)
    }

    fn beat(&mut self, group: &str, epoch: i32, topics: Option<Vec<String>>) -> i16 {
        self.settled(|client| {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: group.to_owned(),
                member_id: "m".to_owned(),
                member_epoch: epoch,
                rebalance_timeout_ms: 1_000,
                subscribed_topic_names: topics.clone(),
                topic_partitions: (epoch == 0).then(Vec::new),
                ..ConsumerGroupHeartbeatRequest::default()
            };
            client.call(request, 0).error_code
        })
    }

    /// Commits a position in each partition, with so much text. The code of the last one.
    fn commit(&mut self, group: &str, text: usize) -> i16 {
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 0,
            committed_metadata: Some("x".repeat(text)),
            ..OffsetCommitRequestPartition::default()
        };
        self.settled(|client| {
            let request = OffsetCommitRequest {
                group_id: group.to_owned(),
                generation_id_or_member_epoch: -1,
                topics: vec![OffsetCommitRequestTopic {
                    name: "t".to_owned(),
                    partitions: (0..PARTITIONS).map(partition).collect(),
                    ..OffsetCommitRequestTopic::default()
                }],
                ..OffsetCommitRequest::default()
            };
            client.call(request, 8).topics[0].partitions.last().expect("one").error_code
        })
    }

    fn init_producer(&mut self, id: String) -> i16 {
        self.settled(|client| {
            let transactional_id = Some(id.clone());
            let request =
                InitProducerIdRequest { transactional_id, transaction_timeout_ms: 1_000, ..Default::default() };
            client.call(request, 2).error_code
        })
    }

    fn set_for_group(&mut self, group: String) -> i16 {
        let config = AlterableConfig {
            name: "consumer.session.timeout.ms".to_owned(),
            config_operation: 0,
            value: Some("50000".to_owned()),
        };
        let resource = AlterConfigsResource { resource_type: 32, resource_name: group, configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        self.call(request, 1).responses[0].error_code
    }

    fn produce(&mut self, topic: &str, bytes: usize) -> i16 {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(0, None, Some(&vec![0; bytes]), []).expect("it fits");
        let partition = PartitionProduceData { index: 0, records: Some(builder.build().expect("a batch")) };
        let request = ProduceRequest {
            acks: 1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: vec![partition],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        self.call(request, 9).responses[0].partition_responses[0].error_code
    }
}

/// A fetch of these partitions; with a session if `epoch` is 0.
fn fetch(partitions: i32, epoch: i32) -> FetchRequest {
    let partition = |partition| FetchPartition { partition, partition_max_bytes: 1 << 30, ..FetchPartition::default() };
    FetchRequest {
        max_bytes: 1 << 30,
        session_epoch: epoch,
        topics: vec![FetchTopic {
            topic: "t".to_owned(),
            partitions: (0..partitions).map(partition).collect(),
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

/// The answers to one kind of attempt.
#[derive(Debug)]
struct Attempts {
    what: &'static str,
    /// What it is refused with.
    code: i16,
    let_in: usize,
    refused: usize,
}

impl Attempts {
    fn new(what: &'static str, code: ErrorCode) -> Self {
        Self { what, code: code.code(), let_in: 0, refused: 0 }
    }

    /// Takes note of an answer; nothing but success and the one code may come, and no success after the budget is used up
    /// but for what others gave back.
    fn note(&mut self, answer: i16) {
        if answer == 0 {
            self.let_in += 1;
        } else {
            assert_eq!(answer, self.code, "{}", self.what);
            self.refused += 1;
        }
    }
}

#[test]
fn memory_stays_within_its_bounds_whatever_clients_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let mut client = broker.connect();
    for (name, num_partitions) in [("t", PARTITIONS), ("large", 1)] {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..CreateTopicsRequest::default() };
        assert_eq!(client.call(request, 4).topics[0].error_code, 0);
    }
    client.find(0);
    client.find(1);
    assert_eq!(client.init_producer("early".to_owned()), 0);
    assert_eq!(client.commit("early", 100), 0);
    assert_eq!(client.beat("early-member", 0, Some(vec!["t".to_owned()])), 0);
    for _ in 0..10 {
        assert_eq!(client.produce("t", 1_000_000), 0);
    }
    let base = broker.memory("VmRSS");

    // Requests that are announced and begun, answers that nobody takes: each asks for several times what all may have.
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stuck = broker.connect();
        let announced = u32::try_from(8 * MIB - 4).expect("small").to_be_bytes();
        stuck.0.write_all(&announced).expect("it is read");
        stuck.0.write_all(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 0]).expect("it is read");
        stuck.0.set_nonblocking(true).expect("a socket");
        // What it reads of the rest is its own affair.
        let _ = stuck.0.write(&vec![0; 2 * MIB]);
        let mut deaf = broker.connect();
        deaf.send(fetch(1, -1), 11);
        held.extend([stuck, deaf]);
    }
    // What is to be remembered: of each kind several times what there is room for, in turns.
    let mut other = broker.connect();
    let mut classic = Attempts::new("members of classic groups", ErrorCode::GroupMaxSizeReached);
    let mut consumers = Attempts::new("members of consumer groups", ErrorCode::GroupMaxSizeReached);
    let mut positions = Attempts::new("positions", ErrorCode::GroupMaxSizeReached);
    let mut settings = Attempts::new("settings of groups", ErrorCode::PolicyViolation);
    let mut transactions = Attempts::new("transactional ids", ErrorCode::PolicyViolation);
    for round in 0..ROUNDS {
        classic.note(other.join(&format!("c{round}"), 500_000));
        let topics = (0..2_000).map(|topic| format!("{topic:0200}")).collect();
        consumers.note(other.beat(&format!("n{round}"), 0, Some(topics)));
        positions.note(other.commit(&format!("p{round}"), 4_000));
        for i in 0..10 {
            settings.note(other.set_for_group(format!("s{:0200}", round * 10 + i)));
            transactions.note(other.init_producer(format!("x{:0200}", round * 10 + i)));
        }
    }
    let attempts = [classic, consumers, positions, settings, transactions];
    for Attempts { what, let_in, refused, .. } in &attempts {
        assert!(*let_in > 0 && *refused > 0, "{what}: {let_in} were let in, {refused} refused");
    }
    for _ in 0..500 {
        // A session is refused by not being given one.
        let answer = other.call(fetch(PARTITIONS, 0), 11);
        assert_eq!(answer.error_code, 0);
    }
    // Who was there before goes on.
    assert_eq!(client.commit("early", 100), 0, "a position that is there is stored anew");
    assert_eq!(client.beat("early-member", 0, Some(vec!["t".to_owned()])), 0, "a member begins anew");
    assert_eq!(client.init_producer("early".to_owned()), 0, "a transactional id is taken over");
    assert_eq!(client.produce("t", 1_000), 0);
    drop(held);

    let (now, peak) = (broker.memory("VmRSS"), broker.memory("VmHWM"));
    println!("resident: {} MiB before, {} MiB now, {} MiB at most; {attempts:?}", base / MIB, now / MIB, peak / MIB);
    let allowed = base + STATE + REQUESTS + RESPONSES + TAIL + AT_WORK + SLACK;
    assert!(peak <= allowed, "{} MiB at most, {} MiB allowed", peak / MIB, allowed / MIB);

    // When they are gone, so is what they held.
    let names = (0..ROUNDS).map(|round| format!("p{round}")).collect();
    let deleted = client.call(DeleteGroupsRequest { groups_names: names }, 1);
    let count = deleted.results.iter().filter(|result| result.error_code == 0).count();
    assert_eq!(count, attempts[2].let_in, "those that were let in");
    assert_eq!(client.commit("late", 10), 0, "there is room again");
}
