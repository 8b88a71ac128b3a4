//! Records of the internal topics and of the metadata log, in Kafka's formats.
//!
//! Coordinator records (`__consumer_offsets`, `__transaction_state`): the key begins with the record's type as a 16-bit
//! integer, the value with its version; see [`encode_key`](super::encode_key) and
//! [`encode_versioned`](super::encode_versioned). Metadata records are framed in `metadata`.

pub mod broker_registration;
pub mod config;
pub mod control;
pub mod feature_level;
pub mod group_metadata;
pub mod offset_commit;
pub mod partition;
pub mod producer_ids;
pub mod topic;
pub mod transaction_log;

pub use broker_registration::{BrokerRegistrationChangeRecord, RegisterBrokerRecord, UnregisterBrokerRecord};
pub use config::ConfigRecord;
pub use control::EndTxnMarker;
pub use feature_level::FeatureLevelRecord;
pub use group_metadata::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
pub use offset_commit::{OffsetCommitKey, OffsetCommitValue};
pub use partition::{PartitionChangeRecord, PartitionRecord};
pub use producer_ids::ProducerIdsRecord;
pub use topic::{RemoveTopicRecord, TopicRecord};
pub use transaction_log::{TransactionLogKey, TransactionLogValue};
