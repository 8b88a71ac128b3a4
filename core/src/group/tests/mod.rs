//! Tests of the coordinator in virtual time. [`harness`] plays the broker; the other files are one topic each;
//! `random` drives whole groups through random schedules.

mod admin;
mod budget;
mod harness;
mod join;
mod offsets;
mod random;
mod rebalance;
mod static_members;
mod transactions;
