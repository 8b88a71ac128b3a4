//! Transactions end to end, in both versions of their protocol: what readers see, fencing, time-outs, positions of groups,
//! retries, and what a restart finds; in process and over TCP.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod common;

use common::{BOTH, PATIENCE, Peer, Way, batch_of, builder, fetch_request, produce_request, values};
use riverrun_broker::Broker;
use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{
            AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsRequest, DescribeTransactionsRequest,
            EndTxnRequest, EndTxnResponse, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest,
            ListTransactionsRequest, OffsetFetchRequest, ProduceRequest, TxnOffsetCommitRequest,
            add_partitions_to_txn::AddPartitionsToTxnTopic,
            describe_transactions::TransactionState,
            fetch::PartitionData,
            offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartitions},
            txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
        },
    },
    record::{BatchOptions, DecompressLimits, batches},
};

const ID: &str = "id";
const CONCURRENT: i16 = 51;

/// Which protocol a producer follows: the versions its client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    First,
    Second,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::First, Protocol::Second];

impl Protocol {
    fn produce(self) -> i16 {
        if self == Self::First { 9 } else { 12 }
    }

    fn end(self) -> i16 {
        if self == Self::First { 3 } else { 5 }
    }

    fn commit_offsets(self) -> i16 {
        if self == Self::First { 3 } else { 5 }
    }
}

/// A transactional producer that does what it is told.
struct Producer<'a> {
    peer: &'a Peer,
    protocol: Protocol,
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl<'a> Producer<'a> {
    async fn init(peer: &'a Peer, protocol: Protocol) -> Self {
        Self::init_with(peer, protocol, 60_000).await
    }

    async fn init_with(peer: &'a Peer, protocol: Protocol, transaction_timeout_ms: i32) -> Self {
        let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![ID.into()], ..Default::default() };
        let found = peer.call(find).await;
        assert_eq!(found.coordinators[0].error_code, 0, "{found:?}");
        let request =
            InitProducerIdRequest { transactional_id: Some(ID.into()), transaction_timeout_ms, ..Default::default() };
        let given = until_free(async || peer.call(request.clone()).await, |answer| answer.error_code).await;
        assert_eq!(given.error_code, 0, "{given:?}");
        Self { peer, protocol, id: given.producer_id, epoch: given.producer_epoch, sequence: 0 }
    }

    async fn add(&self, topic: &str) -> i16 {
        let topic = AddPartitionsToTxnTopic { name: topic.into(), partitions: vec![0] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: ID.into(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let added = until_free(
            async || self.peer.call_in(3, request.clone()).await,
            |answer| answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
        );
        added.await.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    fn batch(&mut self, topic: &str, value: &str) -> ProduceRequest {
        let options = BatchOptions {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: self.sequence,
            transactional: true,
            ..Default::default()
        };
        self.sequence += 1;
        let request = produce_request(topic, batch_of(options, &[value]), -1);
        ProduceRequest { transactional_id: Some(ID.into()), ..request }
    }

    async fn send(&self, request: ProduceRequest) -> i16 {
        common::single(self.peer.call_in(self.protocol.produce(), request).await).error_code
    }

    /// Writes a value as clients of the protocol do.
    async fn write(&mut self, topic: &str, value: &str) -> i16 {
        if self.protocol == Protocol::First {
            let added = self.add(topic).await;
            if added != 0 {
                return added;
            }
        }
        let request = self.batch(topic, value);
        until_free(async || self.send(request.clone()).await, |code| *code).await
    }

    fn end_request(&self, committed: bool) -> EndTxnRequest {
        let (producer_id, producer_epoch) = (self.id, self.epoch);
        EndTxnRequest { transactional_id: ID.into(), producer_id, producer_epoch, committed }
    }

    async fn end(&mut self, committed: bool) -> EndTxnResponse {
        let request = self.end_request(committed);
        let ended = self.peer.call_in(self.protocol.end(), request).await;
        if self.protocol == Protocol::Second && ended.error_code == 0 {
            assert_eq!((ended.producer_id, ended.producer_epoch), (self.id, self.epoch + 1));
            self.epoch += 1;
            self.sequence = 0;
        }
        ended
    }

    async fn commit_offset(&self, group: &str, offset: i64) -> i16 {
        if self.protocol == Protocol::First {
            let request = AddOffsetsToTxnRequest {
                transactional_id: ID.into(),
                producer_id: self.id,
                producer_epoch: self.epoch,
                group_id: group.into(),
            };
            let added = until_free(async || self.peer.call(request.clone()).await, |answer| answer.error_code).await;
            assert_eq!(added.error_code, 0);
        }
        let partition = TxnOffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: None,
        };
        let topic = TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] };
        let request = TxnOffsetCommitRequest {
            transactional_id: ID.into(),
            group_id: group.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let version = self.protocol.commit_offsets();
        let code = |answer: &riverrun_core::protocol::messages::TxnOffsetCommitResponse| {
            answer.topics[0].partitions[0].error_code
        };
        code(&until_free(async || self.peer.call_in(version, request.clone()).await, code).await)
    }
}

/// Asks again as long as the transaction before is still being ended, as produce requests before version 12 are told with
/// `NOT_ENOUGH_REPLICAS`.
async fn until_free<T>(ask: impl AsyncFn() -> T, code: impl Fn(&T) -> i16) -> T {
    tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = ask().await;
            if ![CONCURRENT, ErrorCode::NotEnoughReplicas.code()].contains(&code(&answer)) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the transaction before is ended in time")
}

/// Fetches with `read_committed`, waiting until the last stable offset is `stable`.
async fn read_committed(peer: &Peer, topic: &str, stable: i64) -> PartitionData {
    let wait = async {
        loop {
            let request = FetchRequest { isolation_level: 1, ..fetch_request(topic, 0, 10) };
            let mut fetched = peer.call_in(12, request).await;
            let partition = fetched.responses.remove(0).partitions.remove(0);
            if partition.last_stable_offset == stable {
                return partition;
            }
            assert!(partition.last_stable_offset < stable, "{partition:?}");
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the transaction ends in time")
}

async fn committed_offset(peer: &Peer, group: &str) -> OffsetFetchResponsePartitions {
    let topics =
        Some(vec![OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() }]);
    let group = OffsetFetchRequestGroup { group_id: group.into(), member_epoch: -1, topics, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    peer.call_in(9, request).await.groups.remove(0).topics.remove(0).partitions.remove(0)
}

/// Waits until the position is stable.
async fn stable_offset(peer: &Peer, group: &str) -> i64 {
    let wait = async {
        loop {
            let offset = committed_offset(peer, group).await;
            if offset.error_code == 0 {
                return offset.committed_offset;
            }
            assert_eq!(offset.error_code, ErrorCode::UnstableOffsetCommit.code());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the position becomes stable in time")
}

async fn describe(peer: &Peer) -> TransactionState {
    let request = DescribeTransactionsRequest { transactional_ids: vec![ID.into()] };
    peer.call(request).await.transaction_states.remove(0)
}

async fn in_every_way(scenario: impl AsyncFn(Broker, Way, Protocol)) {
    for way in BOTH {
        for protocol in PROTOCOLS {
            let broker = builder().in_memory().start().await.unwrap();
            scenario(broker.clone(), way, protocol).await;
            broker.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_what_is_committed() {
    in_every_way(async |broker, way, protocol| {
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init(&peer, protocol).await;
        assert_eq!(producer.write("t", "a").await, 0);
        assert_eq!(producer.write("t", "b").await, 0);
        let open = read_committed(&peer, "t", 0).await;
        assert_eq!(values(open.records), [""; 0], "{way:?} {protocol:?}");
        assert_eq!(producer.end(true).await.error_code, 0);
        let done = read_committed(&peer, "t", 3).await;
        assert_eq!((done.aborted_transactions, done.high_watermark), (Some(vec![]), 3));

        assert_eq!(producer.write("t", "lost").await, 0);
        assert_eq!(producer.end(false).await.error_code, 0);
        let done = read_committed(&peer, "t", 5).await;
        let aborted = done.aborted_transactions.unwrap();
        assert_eq!((aborted.len(), aborted[0].producer_id, aborted[0].first_offset), (1, producer.id, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_producer_fences_the_old_one() {
    in_every_way(async |broker, way, protocol| {
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut old = Producer::init(&peer, protocol).await;
        assert_eq!(old.write("t", "old").await, 0);
        let mut new = Producer::init(&peer, protocol).await;
        assert_eq!((new.id, new.epoch), (old.id, old.epoch + 2));
        assert_eq!(read_committed(&peer, "t", 2).await.aborted_transactions.unwrap().len(), 1);
        assert_eq!(new.write("t", "new").await, 0);
        // T4: neither its records nor its end have an effect.
        let late = old.batch("t", "late");
        assert_eq!(old.send(late).await, ErrorCode::InvalidProducerEpoch.code());
        assert_eq!(old.end(true).await.error_code, ErrorCode::ProducerFenced.code());
        assert_eq!(new.end(true).await.error_code, 0);
        read_committed(&peer, "t", 4).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_whose_time_is_up_is_aborted() {
    in_every_way(async |broker, way, protocol| {
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init_with(&peer, protocol, 50).await;
        assert_eq!(producer.write("t", "a").await, 0);
        let done = read_committed(&peer, "t", 2).await;
        assert_eq!(done.aborted_transactions.unwrap().len(), 1);
        let late = producer.batch("t", "late");
        assert_eq!(producer.send(late).await, ErrorCode::InvalidProducerEpoch.code());
        let end = || producer.peer.call_in(protocol.end(), producer.end_request(true));
        let mut ended = end().await.error_code;
        // The marker is there before the coordinator has written that it is; a client asks again.
        while ended == ErrorCode::ConcurrentTransactions.code() {
            tokio::task::yield_now().await;
            ended = end().await.error_code;
        }
        let expected = if protocol == Protocol::First { ErrorCode::ProducerFenced } else { ErrorCode::InvalidTxnState };
        assert_eq!(ended, expected.code());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_outside_of_the_transaction_are_refused() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init(&peer, Protocol::First).await;
        let early = producer.batch("t", "a");
        assert_eq!(producer.send(early.clone()).await, ErrorCode::InvalidTxnState.code());
        let told = common::single(peer.call_in(11, early.clone()).await).error_code;
        assert_eq!(told, ErrorCode::TransactionAbortable.code());
        let nameless = ProduceRequest { transactional_id: None, ..early };
        assert_eq!(producer.send(nameless.clone()).await, ErrorCode::TransactionalIdAuthorizationFailed.code());
        // T5: a batch that comes after the end of its transaction.
        producer.sequence = 0;
        assert_eq!(producer.write("t", "a").await, 0);
        assert_eq!(producer.send(nameless).await, ErrorCode::TransactionalIdAuthorizationFailed.code());
        let late = producer.batch("t", "late");
        assert_eq!(producer.end(true).await.error_code, 0);
        read_committed(&peer, "t", 2).await;
        let told = until_free(async || producer.send(late.clone()).await, |code| *code).await;
        assert_eq!(told, ErrorCode::InvalidTxnState.code());
        read_committed(&peer, "t", 2).await;
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_together_keep_their_order() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init(&peer, Protocol::Second).await;
        for round in 0..20 {
            let requests: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|value| producer.batch("t", value)).collect();
            let sent = requests.into_iter().map(|request| producer.send(request));
            let codes = futures::future::join_all(sent).await;
            // The first of a round may have to wait for the end of the round before, and the others with it.
            if codes[0] == CONCURRENT {
                producer.sequence = 0;
                continue;
            }
            assert_eq!(codes, [0; 5], "{way:?} round {round}");
            assert_eq!(producer.end(true).await.error_code, 0);
        }
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_count_with_their_transaction() {
    in_every_way(async |broker, way, protocol| {
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        assert_eq!(peer.call(find).await.coordinators[0].error_code, 0);
        let mut producer = Producer::init(&peer, protocol).await;
        assert_eq!(producer.commit_offset("g", 5).await, 0);
        let pending = committed_offset(&peer, "g").await;
        assert_eq!(pending.error_code, ErrorCode::UnstableOffsetCommit.code());
        assert_eq!(producer.end(true).await.error_code, 0);
        assert_eq!(stable_offset(&peer, "g").await, 5);
        assert_eq!(producer.commit_offset("g", 9).await, 0);
        assert_eq!(producer.end(false).await.error_code, 0);
        assert_eq!(stable_offset(&peer, "g").await, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_end_is_answered_again() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init(&peer, Protocol::Second).await;
        assert_eq!(producer.write("t", "a").await, 0);
        let lost = producer.end_request(true);
        assert_eq!(producer.end(true).await.error_code, 0);
        let again = until_free(async || peer.call_in(5, lost.clone()).await, |answer| answer.error_code).await;
        assert_eq!((again.error_code, again.producer_epoch), (0, producer.epoch));
        let otherwise = EndTxnRequest { committed: false, ..lost };
        assert_eq!(peer.call_in(5, otherwise).await.error_code, ErrorCode::InvalidTxnState.code());
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_transactions_and_positions() {
    for protocol in PROTOCOLS {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, Way::InProcess).await;
        peer.create_topic("t", 1).await;
        let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        assert_eq!(peer.call(find).await.coordinators[0].error_code, 0);
        let mut producer = Producer::init(&peer, protocol).await;
        assert_eq!(producer.write("t", "a").await, 0);
        assert_eq!(producer.commit_offset("g", 5).await, 0);
        assert_eq!(producer.end(true).await.error_code, 0);
        read_committed(&peer, "t", 2).await;
        assert_eq!(producer.write("t", "b").await, 0);
        assert_eq!(producer.commit_offset("g", 7).await, 0);
        let (id, epoch, sequence) = (producer.id, producer.epoch, producer.sequence);
        broker.shutdown().await.unwrap();

        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, Way::Tcp).await;
        let mut producer = Producer { peer: &peer, protocol, id, epoch, sequence };
        let wait = async {
            loop {
                let described = describe(&peer).await;
                if described.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
                    return described;
                }
                tokio::task::yield_now().await;
            }
        };
        let described = tokio::time::timeout(PATIENCE, wait).await.unwrap();
        assert_eq!((described.transaction_state.as_str(), described.producer_epoch), ("Ongoing", epoch));
        assert_eq!(described.topics.len(), 2, "{described:?}");
        assert_eq!(committed_offset(&peer, "g").await.error_code, ErrorCode::UnstableOffsetCommit.code());
        assert_eq!(producer.write("t", "c").await, 0);
        assert_eq!(producer.end(true).await.error_code, 0);
        assert_eq!(stable_offset(&peer, "g").await, 7);
        let done = read_committed(&peer, "t", 5).await;
        assert_eq!(done.aborted_transactions, Some(vec![]));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_see_transactions() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let features =
            peer.call(ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() });
        let features = features.await.finalized_features;
        let level = features.iter().find(|feature| feature.name == "transaction.version");
        assert_eq!(level.map(|feature| feature.max_version_level), Some(2));
        let mut producer = Producer::init(&peer, Protocol::Second).await;
        assert_eq!(describe(&peer).await.transaction_state, "Empty");
        assert_eq!(producer.write("t", "a").await, 0);
        let described = describe(&peer).await;
        assert_eq!((described.topics[0].topic.as_str(), described.transaction_timeout_ms), ("t", 60_000));
        let list = async |request: ListTransactionsRequest| {
            let listed = peer.call(request).await;
            (listed.error_code, listed.transaction_states.len(), listed.unknown_state_filters)
        };
        let all = ListTransactionsRequest { duration_filter: -1, ..Default::default() };
        assert_eq!(list(all.clone()).await, (0, 1, vec![]));
        let by_state = |state: &str| ListTransactionsRequest { state_filters: vec![state.into()], ..all.clone() };
        assert_eq!(list(by_state("Ongoing")).await.1, 1);
        assert_eq!(list(by_state("Empty")).await.1, 0);
        assert_eq!(list(by_state("Odd")).await, (0, 0, vec!["Odd".to_owned()]));
        let by_pattern =
            |pattern: &str| ListTransactionsRequest { transactional_id_pattern: Some(pattern.into()), ..all.clone() };
        assert_eq!(list(by_pattern("i.")).await.1, 1);
        assert_eq!(list(by_pattern("i")).await.1, 0);
        assert_eq!(list(by_pattern("(")).await.0, ErrorCode::InvalidRegularExpression.code());
        broker.shutdown().await.unwrap();
    }
}

/// What a consumer with `read_committed` makes of the log: the values that are not of aborted transactions, and how many
/// records it was sent.
async fn committed_values(peer: &Peer, topic: &str) -> (Vec<String>, usize) {
    let (mut found, mut sent, mut next) = (Vec::new(), 0, 0);
    loop {
        let request = FetchRequest { isolation_level: 1, ..fetch_request(topic, next, 0) };
        let fetched = peer.call_in(12, request).await.responses.remove(0).partitions.remove(0);
        assert_eq!(fetched.error_code, 0, "{fetched:?}");
        let mut aborted = fetched.aborted_transactions.unwrap_or_default();
        let records = fetched.records.unwrap_or_default();
        if records.is_empty() {
            return (found, sent);
        }
        let mut void = std::collections::HashSet::new();
        for batch in batches(records) {
            let batch = batch.unwrap();
            let header = *batch.header();
            next = header.next_offset();
            aborted.retain(|each| {
                let begun = each.first_offset <= header.last_offset();
                if begun {
                    void.insert(each.producer_id);
                }
                !begun
            });
            for record in &batch.decode(&DecompressLimits::default()).unwrap() {
                let record = record.unwrap();
                if header.attributes.is_control() {
                    // The second number of the key is 0 for an abort.
                    if record.key.unwrap()[2..4] == [0, 0] {
                        void.remove(&header.producer_id);
                    }
                    continue;
                }
                sent += 1;
                if !void.contains(&header.producer_id) {
                    found.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_shows_no_reader_what_was_aborted() {
    const ROUNDS: usize = 60;
    for way in BOTH {
        let settings = [
            ("log.cleaner.backoff.ms", "1"),
            ("log.cleaner.min.cleanable.ratio", "0"),
            ("log.cleaner.delete.retention.ms", "0"),
            ("log.cleanup.policy", "compact"),
            ("log.roll.ms", "1"),
            ("transaction.state.log.num.partitions", "1"),
        ];
        let broker = settings.iter().fold(builder(), |builder, (name, value)| builder.set(name, value).unwrap());
        let broker = broker.in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let mut producer = Producer::init(&peer, Protocol::Second).await;
        let reader = Peer::connect(&broker, way).await;
        let done = std::sync::atomic::AtomicBool::new(false);
        let write = async {
            for round in 0..ROUNDS {
                assert_eq!(producer.write("t", "void").await, 0);
                assert_eq!(producer.end(false).await.error_code, 0);
                assert_eq!(producer.write("t", &format!("kept {round}")).await, 0);
                assert_eq!(producer.end(true).await.error_code, 0);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let last = format!("kept {}", ROUNDS - 1);
        let read = async {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let is_done = done.load(std::sync::atomic::Ordering::Relaxed);
                let (seen, sent) = committed_values(&reader, "t").await;
                assert!(seen.iter().all(|value| value != "void"), "{way:?}: {seen:?}");
                if is_done && sent < ROUNDS / 2 && seen.last() == Some(&last) {
                    break;
                }
                assert!(tokio::time::Instant::now() < deadline, "{way:?}: still {sent} records");
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(write, read);
        // The coordinator's own log shrinks as well, and it goes on.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (_, states) = committed_values(&reader, "__transaction_state").await;
            if states < ROUNDS {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{states} of at least {} records", 2 * ROUNDS);
            // Only what comes next closes the segment that grows.
            assert_eq!(producer.write("t", "more").await, 0);
            assert_eq!(producer.end(true).await.error_code, 0);
        }
        assert_eq!(producer.write("t", "more").await, 0);
        assert_eq!(producer.end(true).await.error_code, 0);
        broker.shutdown().await.unwrap();
    }
}
