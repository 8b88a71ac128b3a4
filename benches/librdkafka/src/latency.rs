//! One record at a time through librdkafka, linger 0: from the call to its acknowledgement.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    time::Instant,
};

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig, ClientContext,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use riverrun_load::{Common, Report, payload};

/// Flags of `latency`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// Tells what became of the record under way, and when. It is told to the thread that polls: the end is taken there.
#[derive(Debug)]
struct Telling(SyncSender<(Instant, Result<(), KafkaError>)>);

impl ClientContext for Telling {}

impl ProducerContext for Telling {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // Nobody listens any more once the run has ended.
        let _ = self.0.send((Instant::now(), outcome));
    }
}

/// Runs until the window is over.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let common = &args.common;
    common.with_topic(1, || {
        let (tell, told) = sync_channel(1);
        let producer: ThreadedProducer<Telling> = ClientConfig::new()
            .set("bootstrap.servers", &common.broker)
            .set("acks", "1")
            .set("linger.ms", "0")
            .create_with_context(Telling(tell))?;
        let value = payload::value(common.record_bytes, 1);
        let mut meter = common.meter()?;
        while !meter.is_done() {
            let began = Instant::now();
            let record = BaseRecord::<(), [u8]>::to(&common.topic).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
            let (ended, outcome) = told.recv()?;
            outcome.context("a record could not be produced")?;
            meter.answered(began, ended, 1, value.len() as u64)?;
        }
        meter.report()
    })
}
