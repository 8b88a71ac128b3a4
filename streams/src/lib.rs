//! Typed stream processing with Kafka Streams' semantics: describe a topology with [`StreamsBuilder`], test it in
//! microseconds with [`TestDriver`], run it against any Kafka-compatible cluster with [`Streams`].
//!
//! ```
//! use riverrun_streams::prelude::*;
//!
//! let b = StreamsBuilder::new("word-count");
//! b.stream("lines", (Raw, Utf8))
//!     .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!     .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
//!     .count("counts")
//!     .to_stream()
//!     .to("word-counts", (Utf8, I64.nullable()));
//! let topology = b.build()?;
//!
//! let mut t = TestDriver::new(&topology)?;
//! t.input("lines", (Raw, Utf8)).at(0).send(None, "to be or not to be".into())?;
//! let counts = t.output("word-counts", (Utf8, I64)).drain()?;
//! assert_eq!(counts.len(), 6);
//! assert_eq!((counts[5].key.as_str(), counts[5].value), ("be", 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How it is built, and the rules that hold throughout:
//!
//! - **Typed push, batched.** An operator hands a whole batch to a child whose types the compiler has checked: one
//!   virtual call per batch and hop, nothing boxed per record, no `dyn Any`.
//! - **Serdes are values at boundaries** (source, sink, repartition, store). Types in between need no serde.
//! - **Stores hold typed values.** What changed is encoded once per commit, into the store's changelog topic, in the
//!   formats of Kafka Streams.
//! - **Time is the records' time.** Windows close by the largest timestamp an operator has seen, never by a clock.
//!
//! What is deliberately absent: exactly-once commits, joins, session windows, disk stores. None of them is
//! half-present.
#![deny(missing_docs)]

mod driver;
mod dsl;
mod engine;
mod error;
mod metrics;
mod record;
mod runtime;
pub mod serde;
mod store;
mod topology;
mod window;

pub use driver::{TestBatch, TestDriver, TestInput, TestInputAt, TestOutput, TestRecord, TestStore};
pub use dsl::{
    EmitStrategy, KGroupedStream, KStream, KTable, OnError, Split, StreamsBuilder, TimeWindowedStream, Topics,
};
pub use error::{DriverError, Part, ProcessError, StoreError, TopologyError};
pub use metrics::{DropReason, Metrics};
pub use record::Headers;
pub use runtime::{Streams, StreamsError};
pub use topology::{Description, NodeDescription, NodeRole, SubtopologyDescription, Topology};
pub use window::{Late, TimeWindows, Window, Windowed};

/// Everything a topology and its test usually name.
pub mod prelude {
    pub use crate::serde::{Binary, F64, I32, I64, Json, Nullable, Raw, Serde, TimeWindowed, Utf8};
    pub use crate::{
        EmitStrategy, KGroupedStream, KStream, KTable, Late, OnError, StreamsBuilder, TestDriver, TestRecord,
        TimeWindows, Topology, Window, Windowed,
    };
}
