//! What a client must be able to do with any broker, each story a function of a [`Client`]. The files beside this
//! folder run them against Apache Kafka, against our broker in process and over TCP.
//!
//! Every story uses topics and groups of its own, named after it and the time, so that stories may run at once and
//! against a broker that is not empty.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, future::join_all};
use riverrun_client::{
    Acks, AlterConfig, Assignor, AutoOffsetReset, Client, CommitError, Compression, ConfigResource, ConsumeError,
    Consumer, ConsumerBuilder, ConsumerEvent, ConsumerRecord, CooperativeSticky, NewTopic, OffsetAndMetadata,
    OffsetSpec, ProducerRecord, Range, SendError, TopicPartition, producer::partition_for_key,
};
use tokio::time::{Instant, timeout};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

fn unique(name: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{name}-{}", since.as_nanos())
}

async fn topic(client: &Client, name: &str, partitions: i32) -> Arc<str> {
    let name = unique(name);
    let results = client.admin().create_topics(&[NewTopic::new(&name, partitions)]).await.expect("created");
    results[&name].as_ref().expect("created");
    name.into()
}

/// Sends values `0..count` to their partitions in turn.
async fn fill(client: &Client, topic: &Arc<str>, partitions: i32, count: i32) {
    let producer = client.producer().build().expect("settings");
    let mut deliveries = Vec::new();
    for index in 0..count {
        let record = ProducerRecord::to(Arc::clone(topic)).partition(index % partitions).value(index.to_string());
        deliveries.push(producer.send(record).await.expect("accepted"));
    }
    for delivery in join_all(deliveries).await {
        delivery.expect("written");
    }
    producer.close().await;
}

fn reader(client: &Client, group: &str) -> ConsumerBuilder {
    client.consumer().group(group).auto_offset_reset(AutoOffsetReset::Earliest).auto_commit(false)
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<ConsumerRecord> {
    let mut records = Vec::new();
    let deadline = Instant::now() + LIMIT;
    while records.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} records came", records.len());
        records.extend(consumer.poll(Duration::from_millis(500)).await.expect("polled"));
    }
    assert_eq!(records.len(), count, "no more than there are");
    records
}

fn value(record: &ConsumerRecord) -> i32 {
    let value = record.value.as_deref().expect("a value");
    std::str::from_utf8(value).expect("text").parse().expect("a number")
}

/// Every codec, headers with duplicates, null keys and values, and timestamps come back as they were.
pub(crate) async fn round_trip_through_every_codec(client: Client) {
    for codec in Compression::ALL.into_iter().filter(|codec| codec.is_available()) {
        let topic = topic(&client, &format!("codec-{codec}"), 1).await;
        let producer = client.producer().compression(codec).linger(Duration::from_millis(5)).build().expect("settings");
        let mut deliveries = Vec::new();
        for index in 0..300i64 {
            let mut record = ProducerRecord::to(Arc::clone(&topic)).timestamp(1_700_000_000_000 + index);
            if index % 3 != 0 {
                record = record.key(format!("key-{index}"));
            }
            if index % 5 != 0 {
                record = record.value(format!("value-{index}").repeat(20)).header("h", "1").header("h", "2");
            }
            deliveries.push(producer.send(record).await.expect("accepted"));
        }
        for (offset, delivery) in (0..).zip(join_all(deliveries).await) {
            assert_eq!(delivery.expect("written").offset, offset);
        }
        producer.close().await;
        let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build().expect("settings");
        consumer.assign(&[TopicPartition::new(topic, 0)]);
        for (index, record) in (0i64..).zip(read(&mut consumer, 300).await) {
            assert_eq!((record.offset, record.timestamp), (index, 1_700_000_000_000 + index));
            assert_eq!(record.key.is_none(), index % 3 == 0);
            assert_eq!(record.value.is_none(), index % 5 == 0);
            let headers: Vec<_> = record.headers.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
            let expected: &[_] =
                if index % 5 == 0 { &[] } else { &[("h", Some(b"1".as_slice())), ("h", Some(b"2".as_slice()))] };
            assert_eq!(headers, expected, "{codec}");
        }
    }
}

/// Keys decide partitions as Java's do; records of one key keep their order; acks of each kind.
pub(crate) async fn keys_acks_and_order(client: Client) {
    let topic = topic(&client, "keys", 5).await;
    for acks in [Acks::All, Acks::Leader, Acks::None] {
        let producer = client.producer().acks(acks).build().expect("settings");
        for index in 0..100 {
            let key = format!("key-{}", index % 10);
            let record = ProducerRecord::to(Arc::clone(&topic)).key(key.clone()).value(index.to_string());
            let delivery = producer.send(record).await.expect("accepted");
            assert_eq!(delivery.topic_partition().partition, partition_for_key(key.as_bytes(), 5));
        }
        producer.flush().await;
        producer.close().await;
        let refused = producer.send(ProducerRecord::to(Arc::clone(&topic))).await;
        assert!(matches!(refused, Err(SendError::Closed)));
    }
    let mut consumer = reader(&client, &unique("keys")).build().expect("settings");
    consumer.subscribe(&[&topic]);
    let mut by_key: HashMap<_, Vec<i32>> = HashMap::new();
    for record in read(&mut consumer, 300).await {
        by_key.entry(record.key.clone().expect("a key")).or_default().push(value(&record));
    }
    assert_eq!(by_key.len(), 10);
    for values in by_key.values() {
        assert!(values.chunks(10).all(|part| part.is_sorted()), "{values:?}");
    }
    consumer.close().await.expect("closed");
}

/// A record for a partition or of a size that cannot be is refused at once; a topic comes into being by its first use.
pub(crate) async fn bad_records_are_refused(client: Client) {
    let topic = topic(&client, "refused", 1).await;
    let producer = client.producer().max_request_size(1000).build().expect("settings");
    let missing = producer.send(ProducerRecord::to(Arc::clone(&topic)).partition(1)).await;
    assert!(matches!(missing, Err(SendError::NoPartition { partition: 1, partitions: 1, .. })));
    let large = producer.send(ProducerRecord::to(Arc::clone(&topic)).value(vec![0; 2000])).await;
    assert!(matches!(large, Err(SendError::TooLarge { .. })));
    let invalid = client.producer().max_block(Duration::from_secs(2)).build().expect("settings");
    let invalid = invalid.send(ProducerRecord::to("no such name!")).await;
    assert!(matches!(invalid, Err(SendError::Metadata { .. })), "{invalid:?}");
    let fresh = unique("auto-created");
    let delivery = producer.send(ProducerRecord::to(fresh).value("x")).await.expect("accepted");
    assert_eq!(delivery.await.expect("written").offset, 0);
}

/// A batch above the topic's limit is split until it fits.
pub(crate) async fn large_batches_are_split(client: Client) {
    let name = unique("split");
    let new = NewTopic::new(&name, 1).config("max.message.bytes", "4000");
    client.admin().create_topics(&[new]).await.expect("created")[&name].as_ref().expect("created");
    let producer = client.producer().batch_size(100_000).linger(Duration::from_millis(50)).build().expect("settings");
    let mut deliveries = Vec::new();
    for index in 0..100 {
        let record = ProducerRecord::to(name.as_str()).value(format!("{index:0500}"));
        deliveries.push(producer.send(record).await.expect("accepted"));
    }
    for (offset, delivery) in (0..).zip(join_all(deliveries).await) {
        assert_eq!(delivery.expect("written").offset, offset);
    }
    let alone = producer.send(ProducerRecord::to(name.as_str()).value(vec![0; 5000])).await.expect("accepted").await;
    let error = alone.expect_err("too large");
    assert!(!error.is_retriable(), "{error}");
    // The numbers of the refused record are missing; the producer goes on all the same.
    let after = producer.send(ProducerRecord::to(name.as_str()).value("x")).await.expect("accepted").await;
    assert_eq!(after.expect("written").offset, 100);
}

/// Committed offsets are where a group goes on after a restart.
pub(crate) async fn commit_and_restart(client: Client) {
    let topic = topic(&client, "restart", 3).await;
    let group = unique("restart");
    fill(&client, &topic, 3, 90).await;
    let mut first = reader(&client, &group).max_poll_records(30).build().expect("settings");
    first.subscribe(&[&topic]);
    let mut seen: BTreeSet<i32> = read(&mut first, 30).await.iter().map(value).collect();
    first.commit_consumed().await.expect("committed");
    let partitions = first.assignment();
    let committed = first.committed(&partitions).await.expect("committed offsets");
    assert_eq!(committed.values().map(|offset| offset.offset).sum::<i64>(), 30);
    first.close().await.expect("closed");
    let mut second = reader(&client, &group).build().expect("settings");
    second.subscribe(&[&topic]);
    for record in read(&mut second, 60).await {
        assert!(seen.insert(value(&record)), "{} came twice", value(&record));
    }
    assert_eq!(seen.len(), 90);
    let text = OffsetAndMetadata { offset: 7, leader_epoch: None, metadata: "a note".to_owned() };
    second.commit(HashMap::from([(partitions[0].clone(), text)])).await.expect("committed");
    let committed = second.committed(&partitions).await.expect("committed offsets");
    assert_eq!((committed[&partitions[0]].offset, &*committed[&partitions[0]].metadata), (7, "a note"));
    second.close().await.expect("closed");
}

/// Automatic commits cover what was handed out, on close too.
pub(crate) async fn automatic_commits(client: Client) {
    let topic = topic(&client, "automatic", 1).await;
    let group = unique("automatic");
    fill(&client, &topic, 1, 20).await;
    let mut first = reader(&client, &group).auto_commit(Duration::from_secs(3600)).build().expect("settings");
    first.subscribe(&[&topic]);
    read(&mut first, 20).await;
    first.close().await.expect("closed");
    fill(&client, &topic, 1, 5).await;
    let mut second = reader(&client, &group).build().expect("settings");
    second.subscribe(&[&topic]);
    assert_eq!(read(&mut second, 5).await[0].offset, 20);
    second.close().await.expect("closed");
}

/// Two members share; when one leaves the other has all. With every protocol.
pub(crate) async fn two_members_share(client: Client) {
    let assignors: [Vec<Arc<dyn Assignor>>; 2] = [vec![Arc::new(Range)], vec![Arc::new(CooperativeSticky)]];
    for assignors in assignors {
        let cooperative = assignors[0].name() == "cooperative-sticky";
        let topic = topic(&client, "share", 4).await;
        let group = unique("share");
        let member = || {
            let mut consumer = reader(&client, &group)
                .assignors(assignors.clone())
                .session_timeout(Duration::from_secs(6))
                .heartbeat_interval(Duration::from_millis(200))
                .build()
                .expect("settings");
            consumer.subscribe(&[&topic]);
            consumer
        };
        let (mut first, mut second) = (member(), member());
        let mut revoked = Vec::new();
        wait_for(&mut first, &mut revoked, 4).await;
        assert!(revoked.is_empty());
        let deadline = Instant::now() + LIMIT;
        let mut ignored = Vec::new();
        while (first.assignment().len(), second.assignment().len()) != (2, 2) {
            assert!(Instant::now() < deadline, "not shared: {:?}, {:?}", first.assignment(), second.assignment());
            tokio::join!(step(&mut first, &mut revoked), step(&mut second, &mut ignored));
        }
        assert_eq!(revoked.len(), if cooperative { 2 } else { 4 }, "{revoked:?}");
        let all: BTreeSet<_> = first.assignment().into_iter().chain(second.assignment()).collect();
        assert_eq!(all.len(), 4);
        fill(&client, &topic, 4, 40).await;
        let (from_first, from_second) = tokio::join!(read(&mut first, 20), read(&mut second, 20));
        let values: BTreeSet<_> = from_first.iter().chain(&from_second).map(value).collect();
        assert_eq!(values.len(), 40);
        let described = client.admin().describe_groups(&[&group]).await.expect("described");
        let described = described[&group].as_ref().expect("described");
        assert_eq!((described.state.as_str(), described.members.len()), ("Stable", 2));
        assert!(described.members.iter().all(|member| member.assignment.len() == 2));
        second.close().await.expect("closed");
        wait_for(&mut first, &mut Vec::new(), 4).await;
        first.close().await.expect("closed");
    }
}

async fn step(consumer: &mut Consumer, revoked: &mut Vec<TopicPartition>) {
    match consumer.poll_event(Duration::from_millis(50)).await.expect("polled") {
        ConsumerEvent::Revoked(partitions) => {
            // Until the next poll they are still here, so that they can be committed.
            assert!(partitions.iter().all(|partition| consumer.assignment().contains(partition)));
            revoked.extend(partitions);
        }
        ConsumerEvent::Lost(partitions) => panic!("lost {partitions:?}"),
        _ => {}
    }
}

async fn wait_for(consumer: &mut Consumer, revoked: &mut Vec<TopicPartition>, partitions: usize) {
    let deadline = Instant::now() + LIMIT;
    while consumer.assignment().len() != partitions {
        assert!(Instant::now() < deadline, "only {:?}", consumer.assignment());
        step(consumer, revoked).await;
    }
}

/// A static member that comes back in time has its partitions without a rebalance of the others.
pub(crate) async fn static_members_return(client: Client) {
    let topic = topic(&client, "static", 2).await;
    let group = unique("static");
    let member = |name: &str| {
        let mut consumer = reader(&client, &group)
            .group_instance_id(name)
            .session_timeout(Duration::from_secs(10))
            .heartbeat_interval(Duration::from_millis(200))
            .build()
            .expect("settings");
        consumer.subscribe(&[&topic]);
        consumer
    };
    let (mut first, mut second) = (member("first"), member("second"));
    let mut ignored = (Vec::new(), Vec::new());
    let deadline = Instant::now() + LIMIT;
    while (first.assignment().len(), second.assignment().len()) != (1, 1) {
        assert!(Instant::now() < deadline, "not shared");
        tokio::join!(step(&mut first, &mut ignored.0), step(&mut second, &mut ignored.1));
    }
    let before = second.assignment();
    let generation = first.group_metadata().expect("a group").generation_id;
    second.close().await.expect("closed");
    let mut second = member("second");
    wait_for(&mut second, &mut Vec::new(), 1).await;
    assert_eq!(second.assignment(), before);
    step(&mut first, &mut Vec::new()).await;
    assert_eq!(first.group_metadata().expect("a group").generation_id, generation);
}

/// Positions: seeking to offsets, ends and times, pausing, and the questions about offsets.
pub(crate) async fn seek_pause_and_offsets(client: Client) {
    let topic = topic(&client, "seek", 1).await;
    let partition = TopicPartition::new(Arc::clone(&topic), 0);
    let producer = client.producer().build().expect("settings");
    for index in 0..50i64 {
        let record = ProducerRecord::to(Arc::clone(&topic)).value(index.to_string()).timestamp(1_000_000 + index * 10);
        producer.send(record).await.expect("accepted").await.expect("written");
    }
    let mut consumer = client.consumer().build().expect("settings");
    assert!(matches!(consumer.poll(Duration::ZERO).await, Err(ConsumeError::NotSubscribed)));
    consumer.assign(std::slice::from_ref(&partition));
    consumer.seek(&partition, 45).expect("assigned");
    assert_eq!(read(&mut consumer, 5).await[0].offset, 45);
    assert_eq!(consumer.position(&partition), Some(50));
    consumer.seek_to_beginning(&[]).expect("assigned");
    assert_eq!(read(&mut consumer, 50).await[0].offset, 0);
    consumer.seek_to_end(&[]).expect("assigned");
    assert!(consumer.poll(Duration::from_millis(300)).await.expect("polled").is_empty());
    assert_eq!(consumer.position(&partition), Some(50));

    let only = std::slice::from_ref(&partition);
    assert_eq!(consumer.beginning_offsets(only).await.expect("offsets")[&partition], 0);
    assert_eq!(consumer.end_offsets(only).await.expect("offsets")[&partition], 50);
    let found = consumer.offsets_for_times(HashMap::from([(partition.clone(), 1_000_195)])).await.expect("offsets");
    let found = found[&partition].expect("a record");
    assert_eq!((found.offset, found.timestamp), (20, 1_000_200));
    let none = consumer.offsets_for_times(HashMap::from([(partition.clone(), 2_000_000)])).await.expect("offsets");
    assert_eq!(none[&partition], None);
    assert_eq!(consumer.partitions_for(&topic).await.expect("partitions").len(), 1);

    consumer.seek(&partition, 10).expect("assigned");
    consumer.pause(only).expect("assigned");
    assert!(consumer.poll(Duration::from_millis(300)).await.expect("polled").is_empty());
    assert_eq!(consumer.paused(), only);
    consumer.resume(only).expect("assigned");
    assert_eq!(read(&mut consumer, 40).await[0].offset, 10);

    let missing = TopicPartition::new(topic, 9);
    assert!(matches!(consumer.seek(&missing, 0), Err(ConsumeError::NotAssigned { .. })));
}

/// A position outside the partition is reset as told, or reported.
pub(crate) async fn out_of_range_is_reset(client: Client) {
    let topic = topic(&client, "range", 1).await;
    let partition = TopicPartition::new(Arc::clone(&topic), 0);
    fill(&client, &topic, 1, 10).await;
    let deleted = client.admin().delete_records(&HashMap::from([(partition.clone(), Some(4))])).await;
    assert_eq!(deleted.expect("asked")[&partition], Ok(4));
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build().expect("settings");
    consumer.assign(std::slice::from_ref(&partition));
    consumer.seek(&partition, 1).expect("assigned");
    assert_eq!(read(&mut consumer, 6).await[0].offset, 4);
    let mut strict = client.consumer().auto_offset_reset(AutoOffsetReset::None).build().expect("settings");
    strict.assign(std::slice::from_ref(&partition));
    let error = strict.poll(Duration::from_secs(5)).await.expect_err("nowhere to begin");
    assert!(matches!(error, ConsumeError::NoOffset { .. }), "{error}");
    strict.seek(&partition, 1000).expect("assigned");
    let error = strict.poll(Duration::from_secs(5)).await.expect_err("out of range");
    assert!(matches!(error, ConsumeError::OffsetOutOfRange { offset: 1000, .. }), "{error}");
}

/// A consumer as a stream; a long poll ends when a record comes.
pub(crate) async fn stream_wakes_on_new_records(client: Client) {
    let topic = topic(&client, "stream", 1).await;
    let mut consumer = client.consumer().fetch_max_wait(Duration::from_secs(5)).build().expect("settings");
    consumer.assign(&[TopicPartition::new(Arc::clone(&topic), 0)]);
    consumer.seek_to_beginning(&[]).expect("assigned");
    assert!(consumer.poll(Duration::from_millis(300)).await.expect("polled").is_empty());
    let mut stream = Box::pin(consumer.into_stream());
    let begun = Instant::now();
    let ((), first) = tokio::join!(fill(&client, &topic, 1, 1), stream.next());
    assert_eq!(value(&first.expect("open").expect("polled")), 0);
    assert!(begun.elapsed() < Duration::from_secs(4), "the broker answers when there is something");
}

/// Topics that match a predicate, those that come later included.
pub(crate) async fn subscribe_by_pattern(client: Client) {
    let prefix = unique("pattern");
    let name = |suffix: &str| format!("{prefix}-{suffix}");
    let new = [NewTopic::new(name("a"), 1), NewTopic::new(name("b"), 1)];
    client.admin().create_topics(&new).await.expect("created");
    let mut consumer = reader(&client, &unique("pattern")).build().expect("settings");
    let accepted = prefix.clone();
    consumer.subscribe_matching(move |topic| topic.starts_with(&accepted));
    wait_for(&mut consumer, &mut Vec::new(), 2).await;
    assert_eq!(consumer.subscription().len(), 2);
    consumer.unsubscribe().await.expect("unsubscribed");
    assert!(consumer.assignment().is_empty());
}

/// A subscribed topic that is created later is found.
pub(crate) async fn topic_created_after_subscribing(client: Client) {
    let name: Arc<str> = unique("later").into();
    let mut consumer = reader(&client, &unique("later")).allow_auto_create(false).build().expect("settings");
    consumer.subscribe(&[&name]);
    for _ in 0..3 {
        assert!(consumer.poll(Duration::from_millis(200)).await.expect("polled").is_empty());
    }
    let created = client.admin().create_topics(&[NewTopic::new(&*name, 2)]).await.expect("created");
    created[&*name].as_ref().expect("created");
    fill(&client, &name, 2, 10).await;
    assert_eq!(read(&mut consumer, 10).await.len(), 10);
    consumer.close().await.expect("closed");
}

/// A member that others have replaced cannot commit.
pub(crate) async fn fenced_commit(client: Client) {
    let topic = topic(&client, "fenced", 1).await;
    let group = unique("fenced");
    let member = || {
        let mut consumer = reader(&client, &group).group_instance_id("same").build().expect("settings");
        consumer.subscribe(&[&topic]);
        consumer
    };
    let mut first = member();
    wait_for(&mut first, &mut Vec::new(), 1).await;
    let mut second = member();
    wait_for(&mut second, &mut Vec::new(), 1).await;
    let offsets = HashMap::from([(TopicPartition::new(Arc::clone(&topic), 0), 0)]);
    let error = first.commit(offsets).await.expect_err("fenced");
    assert!(matches!(error, CommitError::Fenced { .. }), "{error}");
}

/// The admin calls about topics, configurations, offsets and the cluster.
pub(crate) async fn admin_topics_configs_and_cluster(client: Client) {
    let admin = client.admin();
    let name = unique("admin");
    let new = NewTopic::new(&name, 2).replication_factor(1).config("retention.ms", "12345");
    let created = admin.create_topics(std::slice::from_ref(&new)).await.expect("created");
    created[&name].as_ref().expect("created");
    let again = admin.create_topics(&[new]).await.expect("asked");
    assert_eq!(again[&name].as_ref().expect_err("exists").code.name(), "TOPIC_ALREADY_EXISTS");
    admin.create_partitions(&[(&name, 3)]).await.expect("asked")[&name].as_ref().expect("grown");
    // A cluster's brokers hear of a change a little after the controller has made it.
    let deadline = Instant::now() + LIMIT;
    let described = loop {
        let described = admin.describe_topics(&[name.as_str(), "no-such-topic"]).await.expect("described");
        if described[&name].as_ref().is_ok_and(|topic| topic.partitions.len() == 3) {
            break described;
        }
        assert!(Instant::now() < deadline, "the partitions do not arrive: {:?}", described[&name]);
    };
    assert!(described["no-such-topic"].is_err());
    assert!(admin.list_topics().await.expect("listed").iter().any(|topic| *topic.name == *name));

    let resource = ConfigResource::Topic(name.clone());
    let configs = admin.describe_configs(std::slice::from_ref(&resource)).await.expect("described");
    assert_eq!(configs[&resource].as_ref().expect("known")["retention.ms"].value.as_deref(), Some("12345"));
    let change = BTreeMap::from([
        ("retention.ms".to_owned(), AlterConfig::Delete),
        ("max.message.bytes".to_owned(), AlterConfig::Set("5000".to_owned())),
    ]);
    let altered = admin.alter_configs(&BTreeMap::from([(resource.clone(), change)])).await.expect("asked");
    assert_eq!(altered[&resource], Ok(()));
    let deadline = Instant::now() + LIMIT;
    let configs = loop {
        let configs = admin.describe_configs(std::slice::from_ref(&resource)).await.expect("described");
        let configs = configs[&resource].clone().expect("known");
        if configs["max.message.bytes"].value.as_deref() == Some("5000") {
            break configs;
        }
        assert!(Instant::now() < deadline, "the change does not arrive: {:?}", configs["max.message.bytes"]);
    };
    assert_ne!(configs["retention.ms"].value.as_deref(), Some("12345"));

    let topic: Arc<str> = name.as_str().into();
    fill(&client, &topic, 3, 9).await;
    let partition = TopicPartition::new(topic, 0);
    let ends = admin.list_offsets(&HashMap::from([(partition.clone(), OffsetSpec::Latest)])).await.expect("offsets");
    assert_eq!(ends[&partition].expect("an end").offset, 3);

    let cluster = admin.describe_cluster().await.expect("described");
    assert!(!cluster.nodes.is_empty() && cluster.cluster_id.is_some());
    assert_eq!(admin.delete_topics(&[&name]).await.expect("asked")[&name], Ok(()));
    assert!(admin.delete_topics(&["no-such-topic"]).await.expect("asked")["no-such-topic"].is_err());
}

/// The admin calls about groups and their offsets.
pub(crate) async fn admin_groups(client: Client) {
    let admin = client.admin();
    let topic = topic(&client, "groups", 1).await;
    let partition = TopicPartition::new(Arc::clone(&topic), 0);
    let group = unique("groups");
    let offsets = HashMap::from([(partition.clone(), OffsetAndMetadata::new(5))]);
    assert_eq!(admin.alter_group_offsets(&group, &offsets).await.expect("asked")[&partition], Ok(()));
    let listed = admin.list_group_offsets(&group, None).await.expect("asked");
    assert_eq!(listed[&partition].as_ref().expect("known").offset, 5);
    let listed = admin.list_group_offsets(&group, Some(std::slice::from_ref(&partition))).await.expect("asked");
    assert_eq!(listed.len(), 1);
    assert!(admin.list_groups().await.expect("listed").iter().any(|listing| listing.group_id == group));
    let mut consumer = reader(&client, &group).build().expect("settings");
    consumer.subscribe(&[&topic]);
    wait_for(&mut consumer, &mut Vec::new(), 1).await;
    let refused = admin.delete_groups(&[&group]).await.expect("asked");
    assert_eq!(refused[&group].as_ref().expect_err("has a member").code.name(), "NON_EMPTY_GROUP");
    consumer.close().await.expect("closed");
    assert_eq!(admin.delete_groups(&[&group]).await.expect("asked")[&group], Ok(()));
}

/// Handles that are dropped leave nothing hanging.
pub(crate) async fn dropping_never_blocks(client: Client) {
    let topic = topic(&client, "drop", 1).await;
    let producer = client.producer().linger(Duration::from_secs(3600)).build().expect("settings");
    let delivery = producer.send(ProducerRecord::to(Arc::clone(&topic)).value("x")).await.expect("accepted");
    drop(producer);
    let outcome = timeout(LIMIT, delivery).await.expect("told");
    assert!(outcome.is_err_and(|error| !error.may_have_side_effects()));
    let mut consumer = reader(&client, &unique("drop")).build().expect("settings");
    consumer.subscribe(&[&topic]);
    let polled = timeout(Duration::from_millis(20), consumer.poll(LIMIT)).await;
    assert!(polled.is_err() || polled.is_ok_and(|records| records.is_ok()));
    drop(consumer);
}

/// Runs every story of this file as a test of its own, against the client that `$client` makes.
macro_rules! run_all {
    ($client:path) => {
        $crate::scenarios::run_all!(@each $client;
            round_trip_through_every_codec, keys_acks_and_order, bad_records_are_refused, large_batches_are_split,
            commit_and_restart, automatic_commits, two_members_share, static_members_return, seek_pause_and_offsets,
            out_of_range_is_reset, stream_wakes_on_new_records, subscribe_by_pattern, topic_created_after_subscribing,
            fenced_commit, admin_topics_configs_and_cluster, admin_groups, dropping_never_blocks,
        );
    };
    (@each $client:path; $($story:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            if let Some((client, _keep)) = $client().await {
                scenarios::$story(client).await;
            }
        }
    )+};
}
pub(crate) use run_all;
