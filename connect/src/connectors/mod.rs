//! The connectors that come along.
//!
//! | name | kind | what it does |
//! |---|---|---|
//! | `host-metrics` | source | measures this host: CPU, memory, swap, disks, network, load |
//! | `file-tail` | source | follows log files through growth, rotation and truncation |
//! | `datagen` | source | makes up records, reproducibly |
//! | `file-sink` | sink | appends JSON lines to a file, durably |
//! | `console` | sink | prints records |

mod console;
mod datagen;
mod file_sink;
mod file_tail;
mod host_metrics;

pub use console::{Console, ConsoleConfig, ConsoleFormat};
pub use datagen::{Datagen, DatagenConfig, Template};
pub use file_sink::{FileSink, FileSinkConfig, LineFormat};
pub use file_tail::{FileTail, FileTailConfig, InvalidUtf8, LogLevel, TailFormat};
pub use host_metrics::{HostMetrics, HostMetricsConfig, MetricGroup, MetricGroups};
