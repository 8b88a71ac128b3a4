//! Riverrun: a stream-processing framework with its Kafka-compatible broker inside.
//!
//! This crate is the facade: it gathers the layers under one name and holds no logic of its own. Start a [`broker`] in
//! process or reach one with the [`client`], write a typed job with [`streams`], move data with [`connect`].
//!
//! ```
//! use riverrun::{broker::Broker, client::ProducerRecord};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().in_memory().start().await?;
//! let producer = broker.client().producer().build()?;
//! let delivery = producer.send(ProducerRecord::to("greetings").value("hello")).await?;
//! assert_eq!(delivery.await?.offset, 0);
//! producer.close().await;
//! broker.shutdown().await?;
//! # Ok(()) }
//! ```

pub use riverrun_broker as broker;
pub use riverrun_client as client;
pub use riverrun_connect as connect;
pub use riverrun_core as core;
pub use riverrun_streams as streams;
