//! The transaction coordinator: which producer owns a transactional id, and what becomes of its transaction, as a state
//! machine that touches no socket, disk, clock or random source.
//!
//! [`TransactionShard`] coordinates all transactional ids of one partition of `__transaction_state`;
//! [`partition_for_transactional_id`] tells which partition that is. States and transitions are drawn at
//! [`TransactionState`].
//!
//! # Calling contract
//! The caller owns the log of the partition and the clock, and calls one method at a time, under one lock:
//!
//! 1. *Load*: [`decode`](decode_record) the partition's records in order and [`replay`](TransactionShard::replay) each;
//!    then write the markers of every transaction in [`prepared`](TransactionShard::prepared), as in 3.
//! 2. *Command*: call it, and get a [`Decision`]. [`encode`](encode_record) and append its `records`, then `replay`
//!    each, **before the next call**. Send `response` as soon as that append **and every earlier one** of the shard is
//!    durable. If the append fails, do not `replay`, and answer [`TransactionError::LogUnavailable`].
//! 3. *Markers*: when a record that [`markers`](TransactionShard::markers) knows of is durable, write a marker to each
//!    of its partitions; when all of them are durable, call [`complete`](TransactionShard::complete) as a command. A
//!    partition that is gone needs none. Markers may be written again and again: an end is idempotent.
//! 4. *Time*: when the wall clock reaches [`next_deadline`](TransactionShard::next_deadline) (which every call may
//!    change) call [`on_deadline`](TransactionShard::on_deadline) and handle its decision, until the next one lies ahead.
//!
//! # What is durable
//! Everything but one field, [`TransactionMetadata::last_producer_epoch`], which Kafka's record has no room for either.
//! Only `replay` changes anything, so a restart finds what was there: deadlines are drawn from the records too.
//!
//! Kafka keeps a *pending* state beside the durable one while an append is under way, and answers
//! CONCURRENT_TRANSACTIONS meanwhile. Here an append and its replay are one step under the caller's lock; what is pending
//! is only the end of a transaction, from PrepareCommit or PrepareAbort until its markers are durable, and that is
//! answered likewise.
//!
//! # Not here
//! Two-phase commit (KIP-939), which Kafka 4.3 refuses too. Authorization, and the writing of markers, are the broker's.
//!
//! Source: Kafka `TransactionCoordinator`, `TransactionStateManager`, `TransactionMetadata`; KIP-98, 360, 588, 664, 890.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod admin;
mod codec;
mod config;
mod deadlines;
mod end;
mod error;
mod id;
mod init;
mod metadata;
mod partitions;
mod shard;
mod state;
#[cfg(test)]
mod tests;

pub use admin::{DescribedTransaction, ListFilter, ListedTransaction};
pub use codec::{DecodeRecordError, EncodedRecord, TransactionRecord, decode_record, encode_record};
pub use config::TransactionConfig;
pub use end::EndRequest;
pub use error::TransactionError;
pub use id::{ProducerIdAndEpoch, TransactionalId, partition_for_transactional_id};
pub use init::InitRequest;
pub use metadata::TransactionMetadata;
pub use partitions::AddPartitionsRequest;
pub use shard::{Decision, Markers, TransactionShard};
pub use state::{TransactionState, TransactionVersion};
