//! The transaction coordinator under virtual time: every transition with a restart after it, and a random schedule that
//! checks the invariants of transactions.

mod budget;
mod harness;
mod random;
mod transitions;
