//! Reading records.
pub mod assignor;
mod error;
mod record;
pub use error::*;
pub use record::*;
