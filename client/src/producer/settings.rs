//! A producer's settings and the builder that checks them. Names and defaults are those of Kafka's Java client, but for
//! `linger`, which is 0 here: see [`ProducerBuilder::linger`].

use std::{sync::Arc, time::Duration};

use riverrun_core::record::Compression;

use super::{KeyPartitioner, Partitioner, Producer, error::ProducerConfigError};
use crate::{Client, backoff::Backoff};

/// How many replicas must have a record before it counts as written (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Acks {
    /// All that are in sync. Idempotence needs it.
    #[default]
    All,
    /// The leader alone: an acknowledged record is lost if the leader fails before others have it.
    Leader,
    /// None: the broker does not answer, and offsets stay unknown.
    None,
}

impl Acks {
    pub(super) fn to_wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// Settings that go together.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) acks: Acks,
    pub(super) idempotent: bool,
    pub(super) linger: Duration,
    pub(super) batch_size: usize,
    pub(super) compression: Compression,
    pub(super) partitioner: Arc<dyn Partitioner>,
    pub(super) delivery_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_block: Duration,
    pub(super) max_in_flight: usize,
    pub(super) max_request_size: usize,
    pub(super) buffer_memory: usize,
    pub(super) backoff: Backoff,
}

/// Makes a [`Producer`].
///
/// ```no_run
/// # async fn example(client: riverrun_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use riverrun_client::{Compression, ProducerRecord};
///
/// let producer = client.producer().compression(Compression::Zstd).linger(Duration::from_millis(5)).build()?;
/// let delivery = producer.send(ProducerRecord::to("orders").value("3 apples")).await?;
/// println!("written at offset {}", delivery.await?.offset);
/// producer.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProducerBuilder {
    client: Client,
    settings: Settings,
    idempotent: Option<bool>,
    client_id: Option<String>,
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        let settings = Settings {
            acks: Acks::All,
            idempotent: true,
            linger: Duration::ZERO,
            batch_size: 16 << 10,
            compression: Compression::None,
            partitioner: Arc::new(KeyPartitioner),
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            max_block: Duration::from_secs(60),
            max_in_flight: 5,
            max_request_size: 1 << 20,
            buffer_memory: 32 << 20,
            backoff: Backoff::default(),
        };
        Self { client, settings, idempotent: None, client_id: None }
    }

    /// How many replicas must have a record (`acks`). Default [`Acks::All`]. Anything less turns idempotence off,
    /// unless it was asked for.
    #[must_use]
    pub fn acks(mut self, acks: Acks) -> Self {
        self.settings.acks = acks;
        self
    }

    /// How long a batch may wait for more records (`linger.ms`). Default 0, where the broker sets the pace: a batch is
    /// sent at once while nothing of its partition is in flight, and else fills until the answer comes.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Bytes at which a batch is full, before compression (`batch.size`). Default 16 KiB. A larger record gets a
    /// batch of its own.
    #[must_use]
    pub fn batch_size(mut self, bytes: usize) -> Self {
        self.settings.batch_size = bytes;
        self
    }

    /// How batches are compressed (`compression.type`). Default not at all.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// Whether the broker recognises repetitions, so that a batch sent again is not written twice
    /// (`enable.idempotence`). Default on with [`Acks::All`].
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// How records without a partition get one (`partitioner.class`). Default [`KeyPartitioner`].
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner) -> Self {
        self.settings.partitioner = Arc::new(partitioner);
        self
    }

    /// How long after it was begun a batch is given up (`delivery.timeout.ms`). Default 120 s.
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.settings.delivery_timeout = timeout;
        self
    }

    /// How long one request may take before it is sent again (`request.timeout.ms`). Default 30 s.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// How long a send may wait for metadata or for room (`max.block.ms`). Default 60 s.
    #[must_use]
    pub fn max_block(mut self, timeout: Duration) -> Self {
        self.settings.max_block = timeout;
        self
    }

    /// Requests per broker that may wait for an answer (`max.in.flight.requests.per.connection`). Default 5, which
    /// keeps order with idempotence; without it only 1 does.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.settings.max_in_flight = requests;
        self
    }

    /// Bytes that a request may have, and so the largest record (`max.request.size`). Default 1 MiB.
    #[must_use]
    pub fn max_request_size(mut self, bytes: usize) -> Self {
        self.settings.max_request_size = bytes;
        self
    }

    /// Bytes of records that may be on their way; a send waits for room beyond (`buffer.memory`). Default 32 MiB.
    #[must_use]
    pub fn buffer_memory(mut self, bytes: usize) -> Self {
        self.settings.buffer_memory = bytes;
        self
    }

    /// A name for this producer in traces (`client.id`). In requests the transport's name is used.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Makes the producer. Nothing is sent yet. Call it within a tokio runtime, which runs the sending task.
    ///
    /// # Errors
    /// If settings contradict each other.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn build(self) -> Result<Producer, ProducerConfigError> {
        let Self { client, mut settings, idempotent, client_id } = self;
        settings.idempotent = idempotent.unwrap_or(settings.acks == Acks::All);
        check(&settings)?;
        Ok(Producer::start(&client, settings, client_id.unwrap_or_else(|| "producer".to_owned())))
    }
}

fn check(settings: &Settings) -> Result<(), ProducerConfigError> {
    let max_in_flight = settings.max_in_flight;
    if settings.idempotent && settings.acks != Acks::All {
        return Err(ProducerConfigError::IdempotenceNeedsAcksAll);
    }
    if settings.idempotent && !(1..=5).contains(&max_in_flight) {
        return Err(ProducerConfigError::IdempotenceInFlight { max_in_flight });
    }
    if !settings.compression.is_available() {
        return Err(ProducerConfigError::CodecNotBuilt { codec: settings.compression });
    }
    let memory_max = tokio::sync::Semaphore::MAX_PERMITS.min(u32::MAX as usize);
    let ranges = [
        ("max_in_flight", max_in_flight, 1..=1024),
        ("batch_size", settings.batch_size, 1..=i32::MAX as usize / 2),
        ("max_request_size", settings.max_request_size, 1..=i32::MAX as usize / 2),
        ("buffer_memory", settings.buffer_memory, 1..=memory_max),
    ];
    for (setting, value, range) in ranges {
        if !range.contains(&value) {
            return Err(ProducerConfigError::OutOfRange { setting, value });
        }
    }
    Ok(())
}
