//! The producer in virtual time against a broker that is a model: it keeps the rules of idempotence, and fails as a
//! test says or as a seed decides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use riverrun_core::{
    protocol::{
        ErrorCode, RequestBody,
        messages::{
            ProduceRequest, ProduceResponse,
            produce::{PartitionProduceResponse, TopicProduceResponse},
        },
    },
    record::{DecompressLimits, RecordBatch},
};
use tokio::time::{Instant, sleep};

use super::*;
use crate::transport::fake::{Fake, Reply};

/// What a broker remembers of a producer in one partition.
#[derive(Debug, Default)]
struct ProducerState {
    epoch: i16,
    next_sequence: i32,
    /// First sequence and offset of the last five batches.
    last: Vec<(i32, i64)>,
}

/// One partition.
#[derive(Debug, Default)]
struct Partition {
    log: Vec<String>,
    producers: HashMap<i64, ProducerState>,
}

impl Partition {
    fn has(&self, batch: &RecordBatch) -> bool {
        let header = batch.header();
        let known = self.producers.get(&header.producer_id).filter(|state| state.epoch == header.producer_epoch);
        known.is_some_and(|state| state.last.iter().any(|(sequence, _)| *sequence == header.base_sequence))
    }

    fn append(&mut self, batch: &RecordBatch) -> (ErrorCode, i64) {
        batch.verify_crc().unwrap();
        let header = batch.header();
        if header.has_producer_id() {
            let state = self.producers.entry(header.producer_id).or_insert(ProducerState {
                epoch: header.producer_epoch,
                next_sequence: header.base_sequence,
                last: Vec::new(),
            });
            if header.producer_epoch < state.epoch {
                return (ErrorCode::InvalidProducerEpoch, -1);
            }
            if header.producer_epoch > state.epoch {
                if header.base_sequence != 0 {
                    return (ErrorCode::OutOfOrderSequenceNumber, -1);
                }
                *state = ProducerState { epoch: header.producer_epoch, ..Default::default() };
            }
            if let Some((_, offset)) = state.last.iter().find(|(sequence, _)| *sequence == header.base_sequence) {
                return (ErrorCode::None, *offset);
            }
            if header.base_sequence != state.next_sequence {
                return (ErrorCode::OutOfOrderSequenceNumber, -1);
            }
            state.next_sequence += header.record_count;
            state.last.push((header.base_sequence, i64::try_from(self.log.len()).unwrap()));
            if state.last.len() > 5 {
                state.last.remove(0);
            }
        }
        let offset = i64::try_from(self.log.len()).unwrap();
        for record in &batch.decode(&DecompressLimits::default()).unwrap() {
            self.log.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
        (ErrorCode::None, offset)
    }
}

type Model = Arc<Mutex<HashMap<i32, Partition>>>;

/// Answers a request; `judge` may refuse a batch before it is appended.
fn answer(
    model: &Model,
    request: &ProduceRequest,
    judge: &mut dyn FnMut(&RecordBatch) -> ErrorCode,
) -> ProduceResponse {
    let mut model = model.lock().unwrap();
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            let batch = RecordBatch::parse(data.records.clone().unwrap()).unwrap();
            let partition = model.entry(data.index).or_default();
            // What has been accepted once is not too large the second time.
            let refused = if partition.has(&batch) { ErrorCode::None } else { judge(&batch) };
            let (code, base_offset) = match refused {
                ErrorCode::None => partition.append(&batch),
                code => (code, -1),
            };
            PartitionProduceResponse { index: data.index, error_code: code.code(), base_offset, ..Default::default() }
        });
        let partition_responses = partitions.collect();
        TopicProduceResponse { name: topic.name.clone(), topic_id: topic.topic_id, partition_responses }
    });
    ProduceResponse { responses: topics.collect(), ..Default::default() }
}

fn produce(request: RequestBody) -> ProduceRequest {
    match request {
        RequestBody::Produce(request) => request,
        other => panic!("unexpected {other:?}"),
    }
}

fn record(value: impl ToString) -> ProducerRecord {
    ProducerRecord::to("t").partition(0).value(value.to_string())
}

/// Every record arrives once and in order, whatever fails on the way.
#[tokio::test(start_paused = true)]
async fn once_and_in_order_under_random_failures() {
    for seed in 0..60 {
        println!("seed {seed}");
        let model = Model::default();
        let mut random = StdRng::seed_from_u64(seed);
        let broker = {
            let model = Arc::clone(&model);
            let mut random = StdRng::seed_from_u64(random.next_u64());
            Fake::new(move |request| {
                let request = produce(request);
                let late = Duration::from_millis(random.random_range(0..40));
                match random.random_range(0..10) {
                    0 => Reply::Break(late),
                    1 => {
                        answer(&model, &request, &mut |_| ErrorCode::None);
                        Reply::Break(late)
                    }
                    2 => {
                        let refused = answer(&model, &request, &mut |_| ErrorCode::NotLeaderOrFollower);
                        Reply::Late(late, refused.into())
                    }
                    3 => {
                        let large = &mut |batch: &RecordBatch| match batch.header().record_count {
                            0..=4 => ErrorCode::None,
                            _ => ErrorCode::MessageTooLarge,
                        };
                        Reply::Late(late, answer(&model, &request, large).into())
                    }
                    _ => Reply::Late(late, answer(&model, &request, &mut |_| ErrorCode::None).into()),
                }
            })
        };
        let producer = Client::new(broker).producer().batch_size(400).build().unwrap();
        let mut deliveries = Vec::new();
        for index in 0..200 {
            let sent = producer.send(record(index).partition(index % 3)).await.unwrap();
            deliveries.push((index, sent));
            if random.random_range(0..8) == 0 {
                sleep(Duration::from_millis(random.random_range(0..60))).await;
            }
        }
        producer.flush().await;
        let mut offsets = Vec::new();
        for (index, delivery) in deliveries {
            offsets.push((index, delivery.await.unwrap().offset));
        }
        let model = model.lock().unwrap();
        for partition in 0..3 {
            let sent: Vec<_> = (0..200).filter(|index| index % 3 == partition).map(|i| i.to_string()).collect();
            assert_eq!(model[&partition].log, sent, "seed {seed}");
        }
        for (index, offset) in offsets {
            assert_eq!(offset, i64::from(index / 3), "seed {seed}");
        }
    }
}

/// A refused record leaves a gap in the numbering; a new epoch closes it and the rest follows in order.
#[tokio::test(start_paused = true)]
async fn a_gap_begins_a_new_epoch() {
    let model = Model::default();
    let epochs = Arc::new(Mutex::new(Vec::new()));
    let broker = {
        let (model, epochs) = (Arc::clone(&model), Arc::clone(&epochs));
        Fake::new(move |request| {
            let request = produce(request);
            let mut judge = |batch: &RecordBatch| {
                epochs.lock().unwrap().push((batch.header().producer_epoch, batch.header().base_sequence));
                let size = batch.bytes().len();
                if size > 1000 { ErrorCode::MessageTooLarge } else { ErrorCode::None }
            };
            Reply::Late(Duration::from_millis(10), answer(&model, &request, &mut judge).into())
        })
    };
    let producer = Client::new(broker).producer().batch_size(1).build().unwrap();
    let first = producer.send(record("a")).await.unwrap();
    let refused = producer.send(record("x".repeat(2000))).await.unwrap();
    let last = producer.send(record("b")).await.unwrap();
    assert_eq!(first.await.unwrap().offset, 0);
    let error = refused.await.unwrap_err();
    assert!(matches!(error, ProduceError::Broker { code: ErrorCode::MessageTooLarge, .. }), "{error}");
    assert_eq!(last.await.unwrap().offset, 1);
    assert_eq!(model.lock().unwrap()[&0].log, ["a", "b"]);
    assert_eq!(epochs.lock().unwrap().last(), Some(&(1, 0)));
}

/// A broker that is silent costs `delivery_timeout`, and the error says that the record may be there.
#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_delivery_timeout() {
    let broker = Fake::new(|_| Reply::Never);
    let producer = Client::new(broker).producer().build().unwrap();
    let begun = Instant::now();
    let error = producer.send(record("a")).await.unwrap().await.unwrap_err();
    let took = begun.elapsed();
    assert!((Duration::from_secs(120)..Duration::from_secs(151)).contains(&took), "{took:?}");
    assert!(matches!(error, ProduceError::TimedOut { attempts: 4.., .. }), "{error}");
    assert!(error.is_retriable() && error.may_have_side_effects());
}

/// When each batch came, and how many records it had.
type Batches = Arc<Mutex<Vec<(Instant, i32)>>>;

fn counting(late: Duration) -> (Client, Batches) {
    let batches = Batches::default();
    let (seen, model) = (Arc::clone(&batches), Model::default());
    let broker = Fake::new(move |request| {
        let mut judge = |batch: &RecordBatch| {
            seen.lock().unwrap().push((Instant::now(), batch.header().record_count));
            ErrorCode::None
        };
        Reply::Late(late, answer(&model, &produce(request), &mut judge).into())
    });
    (Client::new(broker), batches)
}

/// With linger a batch waits that long, and no longer than until it is full or flushed.
#[tokio::test(start_paused = true)]
async fn linger_is_kept() {
    let (client, batches) = counting(Duration::ZERO);
    let producer = client.producer().linger(Duration::from_millis(100)).build().unwrap();
    let begun = Instant::now();
    let first = producer.send(record(1)).await.unwrap();
    sleep(Duration::from_millis(60)).await;
    let second = producer.send(record(2)).await.unwrap();
    let _ = (first.await.unwrap(), second.await.unwrap());
    let (sent, count) = batches.lock().unwrap()[0];
    assert_eq!(count, 2);
    assert!((100..=102).contains(&(sent - begun).as_millis()), "{:?}", sent - begun);
    let begun = Instant::now();
    let _unawaited = producer.send(record(3)).await.unwrap();
    producer.flush().await;
    assert!(begun.elapsed() < Duration::from_millis(5));
}

/// Without linger the first record leaves at once, and those sent meanwhile together when its answer comes.
#[tokio::test(start_paused = true)]
async fn answers_pace_batches_without_linger() {
    let (client, batches) = counting(Duration::from_millis(50));
    let producer = client.producer().build().unwrap();
    let mut deliveries = vec![producer.send(record(0)).await.unwrap()];
    sleep(Duration::from_millis(10)).await;
    for index in 1..=10 {
        deliveries.push(producer.send(record(index)).await.unwrap());
        sleep(Duration::from_millis(1)).await;
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let counts: Vec<_> = batches.lock().unwrap().iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [1, 10]);
}

/// A send waits for room, hurries what is there along, and gives up after `max_block`.
#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_sends_wait() {
    let (client, batches) = counting(Duration::from_millis(50));
    let builder = client.producer().linger(Duration::from_secs(3600)).buffer_memory(1500);
    let producer = builder.max_block(Duration::from_secs(1)).build().unwrap();
    for _ in 0..4 {
        let _unawaited = producer.send(record("x".repeat(600))).await.unwrap();
    }
    assert!(!batches.lock().unwrap().is_empty());

    let silent = Client::new(Fake::new(|_| Reply::Never));
    let builder = silent.producer().buffer_memory(1000);
    let producer = builder.max_block(Duration::from_secs(1)).build().unwrap();
    let _unawaited = producer.send(record("x".repeat(600))).await.unwrap();
    let error = producer.send(record("x".repeat(600))).await.unwrap_err();
    assert!(matches!(error, SendError::BufferFull { .. }), "{error}");
    // What a cancelled send had reserved is free again.
    let waiting = tokio::time::timeout(Duration::from_millis(10), producer.send(record("x".repeat(600)))).await;
    assert!(waiting.is_err());
    let small = producer.send(record("x")).await;
    assert!(small.is_ok(), "{small:?}");
}

/// Records without a key stay with one partition until a batch's worth of bytes is there, then go to another.
#[tokio::test(start_paused = true)]
async fn keyless_records_stay_together() {
    let (client, _) = counting(Duration::ZERO);
    let producer = client.producer().batch_size(1000).linger(Duration::from_millis(5)).build().unwrap();
    let mut partitions = Vec::new();
    for _ in 0..100 {
        let sent = producer.send(ProducerRecord::to("t").value(vec![b'x'; 100])).await.unwrap();
        partitions.push(sent.topic_partition().partition);
    }
    let changes = partitions.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((1..20).contains(&changes), "{partitions:?}");
    producer.flush().await;
}

/// An id that the broker has forgotten, or fenced, is replaced and nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_forgotten_producer_goes_on() {
    for code in [ErrorCode::UnknownProducerId, ErrorCode::InvalidProducerEpoch, ErrorCode::OutOfOrderSequenceNumber] {
        let model = Model::default();
        let mut refusals = 1;
        let broker = {
            let model = Arc::clone(&model);
            Fake::new(move |request| {
                let mut judge = |batch: &RecordBatch| {
                    if batch.header().base_sequence > 0 && refusals > 0 {
                        refusals -= 1;
                        return code;
                    }
                    ErrorCode::None
                };
                answer(&model, &produce(request), &mut judge).into()
            })
        };
        let producer = Client::new(broker).producer().build().unwrap();
        for value in ["a", "b", "c"] {
            producer.send(record(value)).await.unwrap().await.unwrap();
        }
        assert_eq!(model.lock().unwrap()[&0].log, ["a", "b", "c"], "{code:?}");
    }
}
