//! Records of the internal topics and of the metadata log, in Kafka's formats.
//!
//! Coordinator records (`__consumer_offsets`, `__transaction_state`): the key begins with the record's type as a 16-bit
//! integer, the value with its version; see [`encode_key`](super::encode_key) and
//! [`encode_versioned`](super::encode_versioned). Metadata records are framed in `metadata`.

pub mod access_control;
pub mod broker_registration;
pub mod client_quota;
pub mod config;
pub mod consumer_group;
pub mod control;
pub mod feature_level;
pub mod group_metadata;
pub mod offset_commit;
pub mod partition;
pub mod producer_ids;
pub mod scram;
pub mod share_group;
pub mod share_state;
pub mod streams_group;
pub mod topic;
pub mod transaction_log;

pub use access_control::{AccessControlEntryRecord, RemoveAccessControlEntryRecord};
pub use broker_registration::{BrokerRegistrationChangeRecord, RegisterBrokerRecord, UnregisterBrokerRecord};
pub use client_quota::ClientQuotaRecord;
pub use config::ConfigRecord;
pub use consumer_group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey, ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
};
pub use control::EndTxnMarker;
pub use feature_level::FeatureLevelRecord;
pub use group_metadata::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
pub use offset_commit::{OffsetCommitKey, OffsetCommitValue};
pub use partition::{PartitionChangeRecord, PartitionRecord};
pub use producer_ids::ProducerIdsRecord;
pub use scram::{RemoveUserScramCredentialRecord, UserScramCredentialRecord};
pub use share_group::{
    ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataKey,
    ShareGroupMemberMetadataValue, ShareGroupMetadataKey, ShareGroupMetadataValue, ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue, ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
    ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue,
};
pub use share_state::{ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue};
pub use streams_group::{
    StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataKey,
    StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey, StreamsGroupMetadataValue,
    StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue,
    StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue, StreamsGroupTopologyKey,
    StreamsGroupTopologyValue,
};
pub use topic::{RemoveTopicRecord, TopicRecord};
pub use transaction_log::{TransactionLogKey, TransactionLogValue};
