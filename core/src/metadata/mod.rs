//! Topics, their partitions and configurations, dynamic broker configurations, users, access rules, quotas, finalized
//! features and producer ids, as
//! an [`Image`] folded from metadata-log records in Kafka's formats (KIP-500, KIP-631).
//!
//! # Calling contract
//! 1. *Load*: [`MetadataRecord::decode`] the log in order and [`Image::replay`] each record.
//! 2. *Change*: call a command of the image ([`Image::create_topic`] and its like). It changes nothing and returns the
//!    records that would. Append them as one batch, all or none; once they are durable, replay each.
//! 3. *Publish*: an [`Image`] is cheap to clone, and a clone never changes: what readers hold is a snapshot.
//!
//! # Not here
//! Who is alive and where partitions' data lies: the caller says so with a [`ClusterView`]. What settings there are and
//! what they may be: the caller says so with [`ConfigRules`], for topics with [`TopicConfigRules`]. Registrations of brokers: their records are skipped. Randomness: the id of a new topic comes in.
//!
//! Source: Kafka `MetadataImage`, `ReplicationControlManager`, `ConfigurationControlManager`,
//! `ProducerIdControlManager`, `MetadataRecordSerde`.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod acl;
mod acl_commands;
mod client_metrics;
mod cluster;
mod configs;
mod create_topic;
mod delete_topic;
mod features;
mod group_settings;
mod image;
mod name;
mod partitions;
mod placement;
mod producer_ids;
mod quotas;
mod record;
mod scram;
#[cfg(test)]
mod tests;
mod topic_rules;

pub use acl::{
    ACL_WILDCARD, Acl, AclOperation, AclSet, Asked, CLUSTER_NAME, PatternType, Permission, ResourceType, Verdict,
};
pub use acl_commands::{AclFilter, InvalidAcl, WireAcl};
pub use client_metrics::{
    CLIENT_METRICS_INTERVAL_MS_DEFAULT, ClientAttribute, ClientMetricsError, ClientMetricsSubscription,
};
pub use cluster::ClusterView;
pub use configs::{
    AlterConfigsError, ConfigAlteration, ConfigOperation, ConfigResource, ConfigRules, InvalidConfig,
    UnknownResourceType,
};
pub use create_topic::{CreateTopic, CreateTopicError, Creation, PARTITIONS_PER_REQUEST_MAX};
pub use delete_topic::DeleteTopicError;
pub use features::{FeatureUpdate, METADATA_VERSION, SupportedFeature, UpdateFeaturesError, UpgradeType};
pub use group_settings::{
    GroupSetting, GroupSettingBound, GroupSettingError, GroupSettingType, GroupSettings, ShareIsolation,
    ShareOffsetReset,
};
pub use image::{Image, Partition, ReplayError, Topic};
pub use name::{InvalidTopicName, TOPIC_NAME_BYTES_MAX, names_collide, validate_topic_name};
pub use partitions::{CreatePartitions, CreatePartitionsError};
pub use placement::InvalidAssignment;
pub use producer_ids::{PRODUCER_ID_BLOCK_LEN, ProducerIdBlock, ProducerIdsExhausted};
pub use quotas::{IP_QUOTA, InvalidQuota, QuotaEntity, QuotaValue, Quotas, USER_CLIENT_QUOTAS};
pub use record::{DecodeMetadataError, MetadataRecord};
pub use scram::{
    AlterScramError, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN, ScramAlteration, ScramCredential, ScramMechanism,
    ScramOutcome,
};
pub use topic_rules::TopicConfigRules;
