//! The Riverrun broker: the tokio shell around riverrun-core.
