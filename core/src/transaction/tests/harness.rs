//! A broker in miniature: one shard, its log, the logs of some data partitions, and a clock that moves only when told. It
//! keeps the calling contract, and after every step compares the live state with the one a restart would find.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ProducerEpoch, ProducerId, TopicPartition,
    protocol::ErrorCode,
    transaction::{
        AddPartitionsRequest, Decision, EndRequest, InitRequest, Markers, ProducerIdAndEpoch, TransactionConfig,
        TransactionError, TransactionMetadata, TransactionRecord, TransactionShard, TransactionState,
        TransactionVersion, TransactionalId, decode_record, encode_record,
    },
};

pub(super) const ID: &str = "t";
pub(super) const TIMEOUT_MS: i32 = 60_000;

/// One entry of a data partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Data { producer: ProducerIdAndEpoch, transaction: u64 },
    Marker { producer: ProducerIdAndEpoch, commit: bool },
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) shard: TransactionShard,
    pub(super) log: Vec<TransactionRecord>,
    pub(super) now_ms: i64,
    pub(super) partitions: BTreeMap<TopicPartition, Vec<Entry>>,
    /// Transactions whose end is durable and whose markers are not all written.
    pub(super) to_mark: BTreeSet<TransactionalId>,
    config: TransactionConfig,
    next_producer_id: i64,
}

pub(super) fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("topic", index)
}

pub(super) fn producer(id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}

pub(super) type Outcome<T> = Result<T, ErrorCode>;

impl Broker {
    pub(super) fn new() -> Self {
        let config = TransactionConfig::default();
        Self {
            shard: TransactionShard::new(config.clone()),
            log: Vec::new(),
            now_ms: 1_700_000_000_000,
            partitions: BTreeMap::new(),
            to_mark: BTreeSet::new(),
            config,
            next_producer_id: 1_000,
        }
    }

    /// Step 2 of the calling contract.
    pub(super) fn carry_out<T>(&mut self, decision: Decision<T>) -> T {
        for record in &decision.records {
            let encoded = encode_record(record).unwrap();
            let mut decoded = decode_record(&encoded.key, encoded.value.as_ref()).unwrap().unwrap();
            if let (Some(decoded), Some(value)) = (&mut decoded.value, &record.value) {
                decoded.last_producer_epoch = value.last_producer_epoch;
            }
            assert_eq!(&decoded, record, "the codec must not lose anything");
            self.shard.replay(record);
            self.log.push(record.clone());
            if self.shard.markers(record.transactional_id.as_str()).is_some() {
                self.to_mark.insert(record.transactional_id.clone());
            }
        }
        self.assert_restart_finds_the_same();
        decision.response
    }

    fn answer<T>(&mut self, decision: Decision<Result<T, TransactionError>>) -> Outcome<T> {
        self.carry_out(decision).map_err(|error| ErrorCode::from(&error))
    }

    pub(super) fn fresh(&mut self, needed: bool) -> Option<ProducerId> {
        needed.then(|| {
            self.next_producer_id += 1;
            ProducerId(self.next_producer_id)
        })
    }

    pub(super) fn init_with(&mut self, id: &str, expected: Option<ProducerIdAndEpoch>) -> Outcome<ProducerIdAndEpoch> {
        let request = InitRequest {
            transactional_id: id.into(),
            timeout_ms: TIMEOUT_MS,
            expected,
            two_phase_commit: false,
            keep_prepared: false,
        };
        self.init_as(&request)
    }

    pub(super) fn init_as(&mut self, request: &InitRequest) -> Outcome<ProducerIdAndEpoch> {
        let fresh = self.fresh(self.shard.needs_producer_id(request.transactional_id.as_str()));
        let decision = self.shard.init_producer_id(request, fresh, self.now_ms);
        self.answer(decision)
    }

    pub(super) fn init(&mut self) -> Outcome<ProducerIdAndEpoch> {
        self.init_with(ID, None)
    }

    pub(super) fn add(&mut self, producer: ProducerIdAndEpoch, version: TransactionVersion, index: i32) -> Outcome<()> {
        self.add_to(ID, producer, version, index)
    }

    pub(super) fn add_to(
        &mut self,
        id: &str,
        producer: ProducerIdAndEpoch,
        client_version: TransactionVersion,
        index: i32,
    ) -> Outcome<()> {
        let partitions = vec![partition(index)];
        let request = AddPartitionsRequest { transactional_id: id.into(), producer, partitions, client_version };
        let decision = self.shard.add_partitions(&request, self.now_ms);
        self.answer(decision)
    }

    pub(super) fn end(
        &mut self,
        producer: ProducerIdAndEpoch,
        client_version: TransactionVersion,
        commit: bool,
    ) -> Outcome<ProducerIdAndEpoch> {
        self.end_of(ID, producer, client_version, commit)
    }

    pub(super) fn end_of(
        &mut self,
        id: &str,
        producer: ProducerIdAndEpoch,
        client_version: TransactionVersion,
        commit: bool,
    ) -> Outcome<ProducerIdAndEpoch> {
        let fresh = self.fresh(self.shard.needs_producer_id(id));
        let request = EndRequest { transactional_id: id.into(), producer, commit, client_version };
        let decision = self.shard.end(&request, fresh, self.now_ms);
        self.answer(decision)
    }

    /// A transactional batch reaches a partition, whose leader asks the coordinator.
    pub(super) fn write(&mut self, id: &str, producer: ProducerIdAndEpoch, index: i32, transaction: u64) -> bool {
        let tp = partition(index);
        let admitted = self.shard.verify(&id.into(), producer, &tp).is_ok();
        if admitted {
            self.partitions.entry(tp).or_default().push(Entry::Data { producer, transaction });
        }
        admitted
    }

    /// Step 3: writes all markers that are due, and completes their transactions.
    pub(super) fn write_markers(&mut self) {
        while let Some(id) = self.to_mark.pop_first() {
            self.write_markers_of(&id, usize::MAX);
        }
    }

    /// Writes the first `count` markers of a transaction; completes it if these were all.
    pub(super) fn write_markers_of(&mut self, id: &TransactionalId, count: usize) {
        let Some(Markers { producer, commit, partitions, .. }) = self.shard.markers(id.as_str()) else { return };
        let all = count >= partitions.len();
        for tp in partitions.into_iter().take(count) {
            self.partitions.entry(tp).or_default().push(Entry::Marker { producer, commit });
        }
        if all {
            let decision = self.shard.complete(id, producer, self.now_ms);
            self.answer(decision).unwrap();
        }
    }

    /// Lets `delay_ms` pass, with all that comes due on the way.
    pub(super) fn pass(&mut self, delay_ms: i64) {
        let end_ms = self.now_ms + delay_ms;
        while let Some(due_ms) = self.shard.next_deadline().filter(|due_ms| *due_ms <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            let fresh = self.fresh(self.shard.deadline_needs_producer_id());
            let decision = self.shard.on_deadline(fresh, self.now_ms);
            self.carry_out(decision);
        }
        self.now_ms = end_ms;
    }

    /// A crash: what was written is read, and prepared transactions are marked again.
    pub(super) fn restart(&mut self) {
        self.shard = self.reloaded();
        self.to_mark = self.shard.prepared().map(|markers| markers.transactional_id).collect();
    }

    fn reloaded(&self) -> TransactionShard {
        let mut shard = TransactionShard::new(self.config.clone());
        for record in &self.log {
            let encoded = encode_record(record).unwrap();
            shard.replay(&decode_record(&encoded.key, encoded.value.as_ref()).unwrap().unwrap());
        }
        shard
    }

    fn assert_restart_finds_the_same(&self) {
        let reloaded = self.reloaded();
        assert_eq!(reloaded.charged(), self.shard.charged());
        assert_eq!(reloaded.deadlines, self.shard.deadlines);
        assert!(reloaded.transactions.keys().eq(self.shard.transactions.keys()));
        for (id, live) in &self.shard.transactions {
            let stored = TransactionMetadata { last_producer_epoch: None, ..live.clone() };
            assert_eq!(reloaded.transactions.get(id), Some(&stored), "{id}");
        }
    }

    pub(super) fn state(&self) -> TransactionState {
        self.shard.get(ID).map_or(TransactionState::Dead, |value| value.state)
    }

    /// Puts the producer's epoch where only very many transactions would bring it.
    pub(super) fn set_epoch(&mut self, epoch: i16) -> ProducerIdAndEpoch {
        let mut value = self.shard.get(ID).unwrap().clone();
        value.producer.epoch = ProducerEpoch(epoch);
        let producer = value.producer;
        let record = TransactionRecord { transactional_id: ID.into(), value: Some(value) };
        self.carry_out(Decision { records: vec![record], response: () });
        producer
    }
}
