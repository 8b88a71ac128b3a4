//! Consumer groups as a whole, in virtual time.

mod migration;
mod random;
mod stories;
mod world;
