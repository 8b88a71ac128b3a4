//! The broker's settings that have an effect, in one table: field, type, default, Kafka's name, check, importance, mode,
//! documentation. The table yields the struct, its parser, the rows of DescribeConfigs and the reference page.
//!
//! Not here: topic settings (`riverrun_core::log::LogConfig` has their table) and Kafka's settings without an effect
//! (`kafka_names`). Names and defaults are those of Kafka's `KafkaConfig`; `riverrun.*` are ours.

use super::value::{
    ConfigType, ConfigValue, Durability, Importance, Secret, UpdateMode, any, at_least, counted_hosts, fraction,
    list_of, one_of, one_of_ignoring_case, within,
};

/// One row of the table, without its value.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its value.
    pub config_type: ConfigType,
    /// How much a user should care.
    pub importance: Importance,
    /// When it can change.
    pub mode: UpdateMode,
    /// What it does.
    pub doc: &'static str,
}

/// A value that a setting cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value `{value}` for {name}: {reason}")]
pub struct InvalidValue {
    /// The setting.
    pub name: String,
    /// The value given.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, $name:literal, $check:expr, $importance:ident, $mode:ident, $doc:literal;)*) => {
        /// The values of the broker's settings.
        #[derive(Debug, Clone, PartialEq)]
        pub struct BrokerConfig {
            $(#[doc = $doc] pub(crate) $field: $type,)*
        }

        impl Default for BrokerConfig {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl BrokerConfig {
            /// Every setting that has an effect, by name.
            pub const SETTINGS: &'static [Setting] = &[$(Setting {
                name: $name,
                config_type: <$type as ConfigValue>::TYPE,
                importance: Importance::$importance,
                mode: UpdateMode::$mode,
                doc: $doc,
            },)*];

            /// Sets one value from text; `false` if there is no setting of this name.
            pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<bool, InvalidValue> {
                let invalid = |reason| InvalidValue { name: name.to_owned(), value: text.to_owned(), reason };
                match name {
                    $($name => {
                        let value = <$type as ConfigValue>::parse(text).map_err(invalid)?;
                        check(&value, $check).map_err(invalid)?;
                        self.$field = value;
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// The value as Kafka shows it; `None` for Kafka's null, or for a name that is not in the table.
            pub(crate) fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($name => self.$field.render(),)*
                    _ => None,
                }
            }
        }
    };
}

fn check<T>(value: &T, check: impl Fn(&T) -> Result<(), String>) -> Result<(), String> {
    check(value)
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const POLICIES: &[&str] = &["compact", "delete"];
const AUTHORIZERS: &[&str] = &["", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"];
const CONSUMER_ASSIGNORS: &[&str] = &[
    "uniform",
    "range",
    "org.apache.kafka.coordinator.group.assignor.UniformAssignor",
    "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
];
const SHARE_ASSIGNORS: &[&str] = &["simple"];
const MIGRATION_POLICIES: &[&str] = &["bidirectional", "upgrade", "downgrade", "disabled"];
const CLIENT_AUTH: &[&str] = &["required", "requested", "none"];
const TLS_VERSIONS: &[&str] = &["TLSv1.2", "TLSv1.3"];
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

fn default_protocol_map() -> Vec<String> {
    ["SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"].iter().map(|name| format!("{name}:{name}")).collect()
}

settings! {
    advertised_listeners: Vec<String> = Vec::new(), "advertised.listeners", any, High, ReadOnly,
        "The addresses clients are told to connect to, one per listener and in their order; as bound if empty.";
    allow_everyone_if_no_acl_found: bool = false, "allow.everyone.if.no.acl.found", any, Medium, ReadOnly,
        "Whether everybody may use what no ACL speaks of; counts with an authorizer only.";
    authorizer_class_name: String = String::new(), "authorizer.class.name", one_of(AUTHORIZERS), Low, ReadOnly,
        "What decides who may do what: empty for nothing, or the name of Kafka's StandardAuthorizer for ACLs.";
    auto_create_topics_enable: bool = true, "auto.create.topics.enable", any, High, ReadOnly,
        "Whether a topic that a client asks metadata of is created if it does not exist.";
    broker_rack: Option<String> = None, "broker.rack", any, Medium, ReadOnly,
        "The rack told to clients in metadata.";
    compression_type: String = "producer".to_owned(), "compression.type", one_of(CODECS), High, Dynamic,
        "The codec batches are stored in, for topics that set none; `producer` keeps what each producer chose.";
    connection_failed_authentication_delay_ms: i32 = 100, "connection.failed.authentication.delay.ms", at_least(0), Low, ReadOnly,
        "Milliseconds a connection whose authentication failed is kept waiting before it hears so and is closed.";
    connections_max_idle_ms: i64 = 600_000, "connections.max.idle.ms", any, Medium, ReadOnly,
        "Milliseconds after which a connection on which nothing happens is closed; negative for never.";
    connections_max_reauth_ms: i64 = 0, "connections.max.reauth.ms", any, Medium, ReadOnly,
        "Milliseconds after which a client must authenticate again by SASL (KIP-368); 0 for never. May be set per listener and mechanism.";
    controller_listener_names: Vec<String> = Vec::new(), "controller.listener.names", any, High, ReadOnly,
        "Listeners of Kafka's controller. There is no separate controller here: they are not opened.";
    controller_quota_window_num: i32 = 11, "controller.quota.window.num", at_least(1), Low, ReadOnly,
        "Windows over which changed partitions are counted for controller_mutation_rate.";
    controller_quota_window_size_seconds: i32 = 1, "controller.quota.window.size.seconds", at_least(1), Low, ReadOnly,
        "Seconds of each of these windows.";
    default_replication_factor: i32 = 1, "default.replication.factor", at_least(1), Medium, ReadOnly,
        "Replicas of a topic created without saying how many. A single node can hold one.";
    delete_topic_enable: bool = true, "delete.topic.enable", any, High, ReadOnly,
        "Whether topics can be deleted.";
    fetch_max_bytes: i32 = 57_671_680, "fetch.max.bytes", at_least(1024), Medium, ReadOnly,
        "Upper bound of the record bytes in one fetch response, whatever the client asks for.";
    group_consumer_assignment_interval_ms: i32 = 1_000, "group.consumer.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "Milliseconds between two assignments of a group of the consumer protocol; a group may set its own.";
    group_consumer_assignors: Vec<String> = vec!["uniform".to_owned(), "range".to_owned()], "group.consumer.assignors", list_of(CONSUMER_ASSIGNORS), Medium, ReadOnly,
        "The assignors that members of the consumer protocol may wish for; the first is the default.";
    group_consumer_heartbeat_interval_ms: i32 = 5_000, "group.consumer.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds between two heartbeats of a member of the consumer protocol; a group may set its own.";
    group_consumer_max_assignment_interval_ms: i32 = 15_000, "group.consumer.max.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The longest time between two assignments a group of the consumer protocol may have.";
    group_consumer_max_heartbeat_interval_ms: i32 = 15_000, "group.consumer.max.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The longest heartbeat interval a group of the consumer protocol may have.";
    group_consumer_max_session_timeout_ms: i32 = 60_000, "group.consumer.max.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The longest session timeout a group of the consumer protocol may have.";
    group_consumer_max_size: i32 = i32::MAX, "group.consumer.max.size", at_least(1), Medium, ReadOnly,
        "Members a group of the consumer protocol may have.";
    group_consumer_migration_policy: String = "bidirectional".to_owned(), "group.consumer.migration.policy", one_of_ignoring_case(MIGRATION_POLICIES), Medium, ReadOnly,
        "Which groups change between the classic and the consumer protocol while they have members: bidirectional, upgrade, downgrade or disabled.";
    group_consumer_min_assignment_interval_ms: i32 = 0, "group.consumer.min.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The shortest time between two assignments a group of the consumer protocol may have.";
    group_consumer_min_heartbeat_interval_ms: i32 = 5_000, "group.consumer.min.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The shortest heartbeat interval a group of the consumer protocol may have.";
    group_consumer_min_session_timeout_ms: i32 = 45_000, "group.consumer.min.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The shortest session timeout a group of the consumer protocol may have.";
    group_consumer_session_timeout_ms: i32 = 45_000, "group.consumer.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds of silence after which a member of the consumer protocol is taken for dead; a group may set its own.";
    group_initial_rebalance_delay_ms: i32 = 3_000, "group.initial.rebalance.delay.ms", at_least(0), Medium, ReadOnly,
        "Milliseconds an empty group waits for more members after the first; 0 starts single consumers at once.";
    group_max_session_timeout_ms: i32 = 1_800_000, "group.max.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The longest session timeout in milliseconds a group member may ask for.";
    group_max_size: i32 = i32::MAX, "group.max.size", at_least(1), Medium, ReadOnly,
        "Members a group may have.";
    group_min_session_timeout_ms: i32 = 6_000, "group.min.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The shortest session timeout in milliseconds a group member may ask for.";
    group_share_assignment_interval_ms: i32 = 1_000, "group.share.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "Milliseconds between two assignments of a share group; a group may set its own.";
    group_share_assignors: Vec<String> = vec!["simple".to_owned()], "group.share.assignors", list_of(SHARE_ASSIGNORS), Medium, ReadOnly,
        "The assignor of share groups.";
    group_share_delivery_count_limit: i32 = 5, "group.share.delivery.count.limit", at_least(2), Medium, ReadOnly,
        "How often a record is delivered to a share group before it is given up.";
    group_share_heartbeat_interval_ms: i32 = 5_000, "group.share.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds between two heartbeats of a share group's member.";
    group_share_max_assignment_interval_ms: i32 = 15_000, "group.share.max.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The longest time between two assignments a share group may have.";
    group_share_max_delivery_count_limit: i32 = 10, "group.share.max.delivery.count.limit", at_least(2), Medium, ReadOnly,
        "The greatest delivery count limit a share group may have.";
    group_share_max_heartbeat_interval_ms: i32 = 15_000, "group.share.max.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The longest heartbeat interval a share group may have.";
    group_share_max_partition_max_record_locks: i32 = 4_000, "group.share.max.partition.max.record.locks", at_least(100), Medium, ReadOnly,
        "The most record locks on one partition a share group may have.";
    group_share_max_record_lock_duration_ms: i32 = 60_000, "group.share.max.record.lock.duration.ms", at_least(1_000), Medium, ReadOnly,
        "The longest record lock a share group may have.";
    group_share_max_session_timeout_ms: i32 = 60_000, "group.share.max.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The longest session timeout a share group may have.";
    group_share_max_share_sessions: i32 = 2_000, "group.share.max.share.sessions", at_least(1), Medium, ReadOnly,
        "Share sessions of the broker; one more is refused.";
    group_share_max_size: i32 = 200, "group.share.max.size", at_least(1), Medium, ReadOnly,
        "Members of one share group; one more is refused.";
    group_share_min_assignment_interval_ms: i32 = 0, "group.share.min.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The shortest time between two assignments a share group may have.";
    group_share_min_delivery_count_limit: i32 = 2, "group.share.min.delivery.count.limit", at_least(2), Medium, ReadOnly,
        "The least delivery count limit a share group may have.";
    group_share_min_heartbeat_interval_ms: i32 = 5_000, "group.share.min.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The shortest heartbeat interval a share group may have.";
    group_share_min_partition_max_record_locks: i32 = 100, "group.share.min.partition.max.record.locks", at_least(100), Medium, ReadOnly,
        "The fewest record locks on one partition a share group may have.";
    group_share_min_record_lock_duration_ms: i32 = 15_000, "group.share.min.record.lock.duration.ms", at_least(1_000), Medium, ReadOnly,
        "The shortest record lock a share group may have.";
    group_share_min_session_timeout_ms: i32 = 45_000, "group.share.min.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The shortest session timeout a share group may have.";
    group_share_partition_max_record_locks: i32 = 2_000, "group.share.partition.max.record.locks", at_least(100), Medium, ReadOnly,
        "Records of one partition that a share group has in flight at most.";
    group_share_record_lock_duration_ms: i32 = 30_000, "group.share.record.lock.duration.ms", at_least(1_000), Medium, ReadOnly,
        "Milliseconds a member of a share group holds a record.";
    group_share_session_timeout_ms: i32 = 45_000, "group.share.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds of silence after which a share group's member is taken for dead.";
    group_streams_assignment_interval_ms: i32 = 1_000, "group.streams.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "Milliseconds between two assignments of a streams group; a group may set its own.";
    group_streams_heartbeat_interval_ms: i32 = 5_000, "group.streams.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds between two heartbeats of a member of a streams group; a group may set its own.";
    group_streams_initial_rebalance_delay_ms: i32 = 3_000, "group.streams.initial.rebalance.delay.ms", at_least(0), Medium, ReadOnly,
        "Milliseconds a streams group without members waits for more after the first; a group may set its own.";
    group_streams_max_assignment_interval_ms: i32 = 15_000, "group.streams.max.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The longest time between two assignments a streams group may have.";
    group_streams_max_heartbeat_interval_ms: i32 = 15_000, "group.streams.max.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The longest heartbeat interval a streams group may have.";
    group_streams_max_session_timeout_ms: i32 = 60_000, "group.streams.max.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The longest session timeout a streams group may have.";
    group_streams_max_size: i32 = i32::MAX, "group.streams.max.size", at_least(1), Medium, ReadOnly,
        "Members a streams group may have.";
    group_streams_max_standby_replicas: i32 = 2, "group.streams.max.standby.replicas", at_least(0), Medium, ReadOnly,
        "The most standby replicas of each task a streams group may have.";
    group_streams_min_assignment_interval_ms: i32 = 0, "group.streams.min.assignment.interval.ms", at_least(0), Medium, ReadOnly,
        "The shortest time between two assignments a streams group may have.";
    group_streams_min_heartbeat_interval_ms: i32 = 5_000, "group.streams.min.heartbeat.interval.ms", at_least(1), Medium, ReadOnly,
        "The shortest heartbeat interval a streams group may have.";
    group_streams_min_session_timeout_ms: i32 = 45_000, "group.streams.min.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "The shortest session timeout a streams group may have.";
    group_streams_num_standby_replicas: i32 = 0, "group.streams.num.standby.replicas", at_least(0), Medium, ReadOnly,
        "Standby replicas of each task of a streams group; a group may set its own.";
    group_streams_session_timeout_ms: i32 = 45_000, "group.streams.session.timeout.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds of silence after which a member of a streams group is taken for dead; a group may set its own.";
    inter_broker_listener_name: Option<String> = None, "inter.broker.listener.name", any, Medium, ReadOnly,
        "The listener for other brokers; must name one of the listeners.";
    listener_security_protocol_map: Vec<String> = default_protocol_map(), "listener.security.protocol.map", any, Low, ReadOnly,
        "The security protocol of each listener name: NAME:PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.";
    listeners: Vec<String> = Vec::new(), "listeners", any, High, ReadOnly,
        "The addresses to listen on: PLAINTEXT://host:port, several with commas; port 0 lets the system choose.";
    log_cleaner_backoff_ms: i64 = 15_000, "log.cleaner.backoff.ms", at_least(0), Medium, Dynamic,
        "Milliseconds between two looks for logs to compact, when there was none.";
    log_cleaner_dedupe_buffer_size: i64 = 134_217_728, "log.cleaner.dedupe.buffer.size", at_least(1_048_576), Medium, Dynamic,
        "Memory in bytes for the keys of one compaction: the more it holds, the fewer times a long log is gone over.";
    log_cleaner_delete_retention_ms: i64 = 86_400_000, "log.cleaner.delete.retention.ms", at_least(0), Medium, Dynamic,
        "Milliseconds a tombstone outlives its compaction, in topics that do not say.";
    log_cleaner_enable: bool = true, "log.cleaner.enable", any, Medium, ReadOnly,
        "Whether topics with cleanup.policy=compact are compacted. Without it __consumer_offsets only grows.";
    log_cleaner_io_buffer_load_factor: f64 = 0.9, "log.cleaner.io.buffer.load.factor", fraction, Medium, Dynamic,
        "The share of the memory for keys that is filled before the rest is left for the next time.";
    log_cleaner_io_buffer_size: i32 = 524_288, "log.cleaner.io.buffer.size", at_least(0), Medium, Dynamic,
        "Bytes for reading and writing while a log is compacted; more if a batch is larger.";
    log_cleaner_io_max_bytes_per_second: f64 = f64::MAX, "log.cleaner.io.max.bytes.per.second", at_least(1), Medium, Dynamic,
        "Bytes a second that compaction reads and writes, so that it leaves the disk to producers and consumers.";
    log_cleaner_max_compaction_lag_ms: i64 = i64::MAX, "log.cleaner.max.compaction.lag.ms", at_least(1), Medium, Dynamic,
        "Milliseconds after which a record must be open to compaction, in topics that do not say.";
    log_cleaner_min_cleanable_ratio: f64 = 0.5, "log.cleaner.min.cleanable.ratio", fraction, Medium, Dynamic,
        "The share of a log that must be dirty before it is compacted, in topics that do not say.";
    log_cleaner_min_compaction_lag_ms: i64 = 0, "log.cleaner.min.compaction.lag.ms", at_least(0), Medium, Dynamic,
        "Milliseconds a record is safe from compaction, in topics that do not say.";
    log_cleaner_threads: i32 = 1, "log.cleaner.threads", at_least(1), Medium, Dynamic,
        "Accepted; one thread compacts, whatever the number.";
    log_cleanup_policy: Vec<String> = vec!["delete".to_owned()], "log.cleanup.policy", list_of(POLICIES), Medium, Dynamic,
        "What becomes of old records in topics that do not say: `delete`, `compact` or both.";
    log_dir: Option<String> = None, "log.dir", any, High, ReadOnly,
        "The data directory, if log.dirs is not set.";
    log_dirs: Vec<String> = Vec::new(), "log.dirs", any, High, ReadOnly,
        "The data directory. Exactly one is supported.";
    log_flush_interval_messages: i64 = i64::MAX, "log.flush.interval.messages", at_least(1), High, Dynamic,
        "Records of a partition after which it is synced with riverrun.durability=os; those that wait for acks=all wait for it.";
    log_flush_interval_ms: Option<i64> = None, "log.flush.interval.ms", at_least(0), High, Dynamic,
        "Milliseconds after which what was written is synced with riverrun.durability=os, though nobody waits for it.";
    log_index_interval_bytes: i32 = 4_096, "log.index.interval.bytes", at_least(0), Medium, Dynamic,
        "Bytes of log between two entries of the offset index.";
    log_index_size_max_bytes: i32 = 10_485_760, "log.index.size.max.bytes", at_least(4), Medium, Dynamic,
        "Bytes an index file may have; a full one begins a new segment.";
    log_message_timestamp_after_max_ms: i64 = 3_600_000, "log.message.timestamp.after.max.ms", at_least(0), Medium, Dynamic,
        "Largest lead in milliseconds a record's own timestamp may have over the broker's clock.";
    log_message_timestamp_before_max_ms: i64 = i64::MAX, "log.message.timestamp.before.max.ms", at_least(0), Medium, Dynamic,
        "Largest lag in milliseconds a record's own timestamp may have behind the broker's clock.";
    log_message_timestamp_type: String = "CreateTime".to_owned(), "log.message.timestamp.type", one_of(TIMESTAMP_TYPES), Medium, Dynamic,
        "Whose clock gives the timestamp: `CreateTime` the producer's, `LogAppendTime` the broker's.";
    log_retention_bytes: i64 = -1, "log.retention.bytes", at_least(-1), High, Dynamic,
        "Bytes of a partition beyond which old segments are deleted; -1 for no limit.";
    log_retention_check_interval_ms: i64 = 300_000, "log.retention.check.interval.ms", at_least(1), Medium, ReadOnly,
        "Milliseconds between two looks for segments to delete or to roll.";
    log_retention_hours: i32 = 168, "log.retention.hours", any, High, ReadOnly,
        "Hours after which a segment is deleted, if neither log.retention.ms nor log.retention.minutes is set.";
    log_retention_minutes: Option<i32> = None, "log.retention.minutes", any, High, ReadOnly,
        "Minutes after which a segment is deleted, if log.retention.ms is not set.";
    log_retention_ms: Option<i64> = None, "log.retention.ms", at_least(-1), High, Dynamic,
        "Milliseconds after which a segment is deleted; -1 for no limit.";
    log_roll_hours: i32 = 168, "log.roll.hours", at_least(1), High, ReadOnly,
        "Hours after which a new segment begins even if the last is not full, if log.roll.ms is not set.";
    log_roll_ms: Option<i64> = None, "log.roll.ms", at_least(1), High, Dynamic,
        "Milliseconds after which a new segment begins even if the last is not full.";
    log_segment_bytes: i32 = 1_073_741_824, "log.segment.bytes", at_least(1_048_576), High, Dynamic,
        "Bytes of a segment's file, after which a new segment begins.";
    log_segment_delete_delay_ms: i64 = 60_000, "log.segment.delete.delay.ms", at_least(0), Low, Dynamic,
        "Milliseconds a deleted segment's files stay before they are removed.";
    max_connection_creation_rate: i32 = i32::MAX, "max.connection.creation.rate", at_least(0), Medium, Dynamic,
        "Connections a second that are accepted over all listeners; more wait. May be set per listener; quotas bound single addresses.";
    max_connections: i32 = i32::MAX, "max.connections", at_least(0), Medium, Dynamic,
        "Open connections over all listeners; the next one waits until one goes. May be set per listener.";
    max_connections_per_ip: i32 = i32::MAX, "max.connections.per.ip", at_least(0), Medium, Dynamic,
        "Open connections from one IP address, above which new ones are closed at once.";
    max_connections_per_ip_overrides: Vec<String> = Vec::new(), "max.connections.per.ip.overrides", counted_hosts(), Medium, Dynamic,
        "Exceptions to max.connections.per.ip: host:count. The addresses of a name are looked up when this is set.";
    max_incremental_fetch_session_cache_slots: i32 = 1000, "max.incremental.fetch.session.cache.slots", at_least(0), Medium, ReadOnly,
        "Fetch sessions that are remembered; clients beyond that name all their partitions in every request.";
    max_request_partition_size_limit: i32 = 2_000, "max.request.partition.size.limit", at_least(1), Medium, ReadOnly,
        "Partitions in one answer to DescribeTopicPartitions.";
    message_max_bytes: i32 = 1_048_588, "message.max.bytes", at_least(0), High, Dynamic,
        "Largest batch in bytes that is accepted, after compression, by topics that do not say.";
    min_insync_replicas: i32 = 1, "min.insync.replicas", at_least(1), High, Dynamic,
        "Replicas that must have a record before acks=all is answered. A single node can satisfy 1.";
    node_id: i32 = 1, "node.id", at_least(0), High, ReadOnly,
        "The id of this broker; fixed when the data directory is first used.";
    num_partitions: i32 = 1, "num.partitions", at_least(1), Medium, ReadOnly,
        "Partitions of a topic created without saying how many.";
    offset_metadata_max_bytes: i32 = 4_096, "offset.metadata.max.bytes", at_least(0), High, ReadOnly,
        "The longest text that may be stored with a committed offset.";
    offsets_retention_check_interval_ms: i64 = 600_000, "offsets.retention.check.interval.ms", at_least(1), High, ReadOnly,
        "Milliseconds between two looks for committed offsets that have expired.";
    offsets_retention_minutes: i32 = 10_080, "offsets.retention.minutes", at_least(1), High, ReadOnly,
        "Minutes committed offsets are kept once their group is empty.";
    offsets_topic_num_partitions: i32 = 50, "offsets.topic.num.partitions", at_least(1), High, ReadOnly,
        "Partitions of __consumer_offsets; counts when the topic is created, on first use.";
    offsets_topic_segment_bytes: i32 = 104_857_600, "offsets.topic.segment.bytes", at_least(1_048_576), High, ReadOnly,
        "Bytes of a segment of __consumer_offsets; counts when the topic is created.";
    producer_id_expiration_check_interval_ms: i32 = 600_000, "producer.id.expiration.check.interval.ms", at_least(1), Low, ReadOnly,
        "Milliseconds between two looks for producers that are to be forgotten.";
    producer_id_expiration_ms: i32 = 86_400_000, "producer.id.expiration.ms", at_least(1), Low, Dynamic,
        "Milliseconds of silence after which a partition forgets a producer, but for one with an open transaction. Shorter than a producer goes on trying (`delivery.timeout.ms`), a retry may be written twice.";
    queued_max_request_bytes: i64 = 1_073_741_824, "queued.max.request.bytes", any, Medium, ReadOnly,
        "Bytes of requests that all connections together hold in memory; when it is used up nothing more is read until some are handled. One request may exceed it. Not positive for no bound, as is Kafka's default.";
    quota_window_num: i32 = 11, "quota.window.num", at_least(1), Low, ReadOnly,
        "Windows over which bytes, request time and connections are counted for client quotas.";
    quota_window_size_seconds: i32 = 1, "quota.window.size.seconds", at_least(1), Low, ReadOnly,
        "Seconds of each of these windows.";
    riverrun_authentication_timeout_ms: i32 = 30_000, "riverrun.authentication.timeout.ms", at_least(1), Low, ReadOnly,
        "Milliseconds a connection has for its TLS handshake and SASL authentication together.";
    riverrun_busy_poll_us: i32 = 100, "riverrun.busy.poll.us", within(0, 1_000), Low, ReadOnly,
        "Microseconds for which the broker waits awake for the next request of a client whose small requests follow each other quickly; one connection at a time, and never on a host with one processor. 0: it always sleeps; 1000 is the most.";
    riverrun_connection_inflight_max: i32 = 100, "riverrun.connection.inflight.max", at_least(1), Low, ReadOnly,
        "Requests of one connection that may be under way; then nothing more is read from it until one is answered.";
    riverrun_connection_inflight_max_bytes: i32 = 67_108_864, "riverrun.connection.inflight.max.bytes", at_least(1), Low, ReadOnly,
        "Bytes of requests that one connection may have under way; then nothing more is read from it.";
    riverrun_durability: Durability = Durability::Fsync, "riverrun.durability", any, High, ReadOnly,
        "When acks=all is answered: `fsync` after an fdatasync that all waiting appends share, `os` after the write.";
    riverrun_groups_per_partition_max: i32 = 100_000, "riverrun.groups.per.partition.max", at_least(1), Low, ReadOnly,
        "Groups that one partition of __consumer_offsets coordinates, and as many share groups; one more is refused.";
    riverrun_log_client_interval_ms: i32 = 1_000, "riverrun.log.client.interval.ms", at_least(0), Low, ReadOnly,
        "Milliseconds between two log lines of one kind that clients cause, such as malformed requests; those in between are counted. 0 writes all.";
    riverrun_partitions_max: i32 = 100_000, "riverrun.partitions.max", at_least(1), Medium, ReadOnly,
        "Partitions of all topics together; a topic that would exceed it is refused.";
    riverrun_producers_per_partition_max: i32 = 100_000, "riverrun.producers.per.partition.max", at_least(1), Low, ReadOnly,
        "Producers a partition remembers; beyond it the one is forgotten that has been silent longest and has no transaction open. Each takes 300 to 400 bytes of memory.";
    riverrun_request_max_decoded_bytes: i32 = 67_108_864, "riverrun.request.max.decoded.bytes", at_least(1024), Low, ReadOnly,
        "Memory one request may take when decoded, record bytes not counted.";
    riverrun_request_receive_timeout_ms: i32 = 30_000, "riverrun.request.receive.timeout.ms", at_least(1), Low, ReadOnly,
        "Milliseconds a request may take to arrive while others wait for memory (queued.max.request.bytes); then its connection is closed.";
    riverrun_responses_max_bytes: i32 = 268_435_456, "riverrun.responses.max.bytes", at_least(0), Low, ReadOnly,
        "Record bytes that wait to be sent, over all connections; above it a fetch gets one batch, whatever it asks for.";
    riverrun_sasl_plain_allow_plaintext: bool = false, "riverrun.sasl.plain.allow.plaintext", any, Low, ReadOnly,
        "Whether SASL/PLAIN, which sends passwords as they are, is served on a listener without TLS.";
    riverrun_state_max_bytes: i64 = 1_073_741_824, "riverrun.state.max.bytes", at_least(1), Medium, Dynamic,
        "Memory for all that clients make the broker remember, by estimate: groups and their positions, transactions, producers, states of share groups, sessions, settings, credentials, access rules and quotas. What would exceed it is refused, or, of producers, the longest silent is forgotten; members, positions and topics that are there already go on.";
    riverrun_tail_cache_bytes: i32 = 8_388_608, "riverrun.tail.cache.bytes", at_least(0), Low, ReadOnly,
        "Memory for the latest batches of all partitions together: who reads at the end of a log touches no file. The oldest batch goes first; 0 keeps none.";
    riverrun_transactional_ids_per_partition_max: i32 = 100_000, "riverrun.transactional.ids.per.partition.max", at_least(1), Low, ReadOnly,
        "Transactional ids, and with them open transactions, that one partition of __transaction_state coordinates; one more is refused.";
    sasl_enabled_mechanisms: Vec<String> = vec!["GSSAPI".to_owned()], "sasl.enabled.mechanisms", any, Medium, ReadOnly,
        "SASL mechanisms of SASL listeners: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER. GSSAPI is not served.";
    sasl_jaas_config: Option<Secret> = None, "sasl.jaas.config", any, Medium, ReadOnly,
        "Users of PLAIN, in JAAS form; set as `listener.name.<listener>.<mechanism>.sasl.jaas.config`.";
    sasl_oauthbearer_clock_skew_seconds: i32 = 30, "sasl.oauthbearer.clock.skew.seconds", at_least(0), Low, ReadOnly,
        "Seconds by which the clocks of the token's issuer and this broker may differ.";
    sasl_oauthbearer_expected_audience: Vec<String> = Vec::new(), "sasl.oauthbearer.expected.audience", any, Low, ReadOnly,
        "A token must be meant for one of these. Required for OAUTHBEARER.";
    sasl_oauthbearer_expected_issuer: Option<String> = None, "sasl.oauthbearer.expected.issuer", any, Low, ReadOnly,
        "A token must come from this issuer. Required for OAUTHBEARER.";
    sasl_oauthbearer_jwks_endpoint_refresh_ms: i64 = 3_600_000, "sasl.oauthbearer.jwks.endpoint.refresh.ms", at_least(1), Low, ReadOnly,
        "Milliseconds between two looks at the JWKS for new keys.";
    sasl_oauthbearer_jwks_endpoint_url: Option<String> = None, "sasl.oauthbearer.jwks.endpoint.url", any, Medium, ReadOnly,
        "Where the public keys of the issuer are: a file://, https:// or http:// URL of a JWKS. Required for OAUTHBEARER.";
    sasl_oauthbearer_sub_claim_name: String = "sub".to_owned(), "sasl.oauthbearer.sub.claim.name", any, Low, ReadOnly,
        "The claim that names the principal of a token.";
    sasl_server_max_receive_size: i32 = 524_288, "sasl.server.max.receive.size", at_least(1), Medium, ReadOnly,
        "Bytes of one request before a SASL connection is authenticated.";
    share_coordinator_snapshot_update_records_per_snapshot: i32 = 500, "share.coordinator.snapshot.update.records.per.snapshot", at_least(0), Medium, ReadOnly,
        "Updates of a share partition's state after which it is written whole.";
    share_coordinator_state_topic_num_partitions: i32 = 50, "share.coordinator.state.topic.num.partitions", at_least(1), High, ReadOnly,
        "Partitions of __share_group_state; counts when the topic is created, on first use.";
    share_coordinator_state_topic_segment_bytes: i32 = 104_857_600, "share.coordinator.state.topic.segment.bytes", at_least(1_048_576), High, ReadOnly,
        "Bytes of a segment of __share_group_state; counts when the topic is created.";
    socket_listen_backlog_size: i32 = 50, "socket.listen.backlog.size", at_least(1), Medium, ReadOnly,
        "Connections the system queues before they are accepted.";
    socket_request_max_bytes: i32 = 104_857_600, "socket.request.max.bytes", at_least(1), Medium, ReadOnly,
        "Bytes of one request; a larger one closes its connection.";
    ssl_cipher_suites: Vec<String> = Vec::new(), "ssl.cipher.suites", any, Low, ReadOnly,
        "The cipher suites offered, by their names in RFCs; all safe ones if empty.";
    ssl_client_auth: String = "none".to_owned(), "ssl.client.auth", one_of_ignoring_case(CLIENT_AUTH), Medium, ReadOnly,
        "Whether TLS clients must show a certificate: `required`, `requested`, `none`.";
    ssl_enabled_protocols: Vec<String> = vec!["TLSv1.2".to_owned(), "TLSv1.3".to_owned()], "ssl.enabled.protocols", list_of(TLS_VERSIONS), Medium, ReadOnly,
        "The versions of TLS that are served.";
    ssl_key_password: Option<Secret> = None, "ssl.key.password", any, High, Dynamic,
        "The password of the private key, if it is encrypted.";
    ssl_keystore_certificate_chain: Option<Secret> = None, "ssl.keystore.certificate.chain", any, High, Dynamic,
        "The certificate chain in PEM form, if it is given here instead of in a file.";
    ssl_keystore_key: Option<Secret> = None, "ssl.keystore.key", any, High, Dynamic,
        "The private key in PEM form (PKCS#8), if it is given here instead of in a file.";
    ssl_keystore_location: Option<String> = None, "ssl.keystore.location", any, High, Dynamic,
        "A PEM file with the private key and the certificate chain. Read again when it changes.";
    ssl_keystore_password: Option<Secret> = None, "ssl.keystore.password", any, High, Dynamic,
        "Kafka's password for a JKS or PKCS12 store; a PEM store has none.";
    ssl_keystore_type: String = "JKS".to_owned(), "ssl.keystore.type", any, Medium, Dynamic,
        "The form of the key store. PEM is the one that is served.";
    ssl_principal_mapping_rules: String = "DEFAULT".to_owned(), "ssl.principal.mapping.rules", any, Medium, ReadOnly,
        "How the name in a client's certificate becomes its principal: RULE:pattern/replacement/[LU], or DEFAULT.";
    ssl_truststore_certificates: Option<Secret> = None, "ssl.truststore.certificates", any, High, Dynamic,
        "The certificates clients' certificates are checked against, in PEM form.";
    ssl_truststore_location: Option<String> = None, "ssl.truststore.location", any, High, Dynamic,
        "A PEM file with these certificates. Read again when it changes.";
    ssl_truststore_password: Option<Secret> = None, "ssl.truststore.password", any, High, Dynamic,
        "Kafka's password for a JKS or PKCS12 store; a PEM store has none.";
    ssl_truststore_type: String = "JKS".to_owned(), "ssl.truststore.type", any, Medium, Dynamic,
        "The form of the trust store. PEM is the one that is served.";
    super_users: String = String::new(), "super.users", any, Medium, ReadOnly,
        "Principals that may do everything, separated by semicolons: User:admin;User:CN=ops.";
    transaction_max_timeout_ms: i32 = 900_000, "transaction.max.timeout.ms", at_least(1), High, ReadOnly,
        "Milliseconds a transaction may be open at most; a producer that asks for more is refused.";
    transaction_state_log_num_partitions: i32 = 50, "transaction.state.log.num.partitions", at_least(1), High, ReadOnly,
        "Partitions of __transaction_state; counts when the topic is created, on first use.";
    transaction_state_log_segment_bytes: i32 = 104_857_600, "transaction.state.log.segment.bytes", at_least(1_048_576), High, ReadOnly,
        "Bytes of a segment of __transaction_state; counts when the topic is created.";
    transactional_id_expiration_ms: i32 = 604_800_000, "transactional.id.expiration.ms", at_least(1), High, ReadOnly,
        "Milliseconds after which an unused transactional id is forgotten.";
}

impl BrokerConfig {
    /// Retention in milliseconds as the three settings give it together; -1 for no limit.
    pub(crate) fn effective_retention_ms(&self) -> i64 {
        let minutes = |count: i32| if count < 0 { -1 } else { i64::from(count) * 60_000 };
        self.log_retention_ms.or(self.log_retention_minutes.map(minutes)).unwrap_or(if self.log_retention_hours < 0 {
            -1
        } else {
            i64::from(self.log_retention_hours) * 3_600_000
        })
    }

    /// Roll time in milliseconds as the two settings give it together.
    pub(crate) fn effective_roll_ms(&self) -> i64 {
        self.log_roll_ms.unwrap_or(i64::from(self.log_roll_hours) * 3_600_000)
    }

    /// The row of a setting.
    pub fn setting(name: &str) -> Option<&'static Setting> {
        Self::SETTINGS.iter().find(|setting| setting.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_reads_back() {
        let defaults = BrokerConfig::default();
        let mut again = defaults.clone();
        for setting in BrokerConfig::SETTINGS {
            if let Some(text) = defaults.get(setting.name) {
                assert_eq!(again.set(setting.name, &text), Ok(true), "{}", setting.name);
            }
        }
        assert_eq!(again, defaults);
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(BrokerConfig::SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn the_finest_unit_wins() {
        let mut config = BrokerConfig::default();
        assert_eq!(config.effective_retention_ms(), 604_800_000);
        config.set("log.retention.minutes", "2").unwrap();
        assert_eq!(config.effective_retention_ms(), 120_000);
        config.set("log.retention.ms", "-1").unwrap();
        assert_eq!(config.effective_retention_ms(), -1);
    }

    #[test]
    fn bad_values_say_what_is_expected() {
        let mut config = BrokerConfig::default();
        let error = config.set("num.partitions", "0").unwrap_err();
        assert_eq!(error.to_string(), "invalid value `0` for num.partitions: must be at least 1");
        let error = config.set("delete.topic.enable", "yes").unwrap_err();
        assert_eq!(error.to_string(), "invalid value `yes` for delete.topic.enable: expected true or false");
        let error = config.set("riverrun.busy.poll.us", "1001").unwrap_err();
        assert_eq!(error.to_string(), "invalid value `1001` for riverrun.busy.poll.us: must be from 0 to 1000");
        config.set("riverrun.busy.poll.us", "1000").unwrap();
    }
}
