//! Runs a topology against a cluster.
mod assignor;
mod plan;
