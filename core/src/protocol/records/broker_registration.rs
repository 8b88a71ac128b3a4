//! Metadata-log records of a broker's registration: type 0 registers, type 1 removes, type 17 changes (KIP-631).

use riverrun_core_derive::Message;

use crate::Uuid;

/// Registers a broker, or registers it anew.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "0-4", flexible = "0+")]
pub struct RegisterBrokerRecord {
    pub broker_id: i32,
    #[kafka(versions = "2+")]
    pub is_migrating_zk_broker: bool,
    pub incarnation_id: Uuid,
    pub broker_epoch: i64,
    pub end_points: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    #[kafka(nullable = "0+")]
    pub rack: Option<String>,
    #[kafka(default = "true")]
    pub fenced: bool,
    #[kafka(versions = "1+")]
    pub in_controlled_shutdown: bool,
    #[kafka(versions = "3+", tagged = "3+", tag = 0)]
    pub log_dirs: Vec<Uuid>,
    #[kafka(versions = "4+", nullable = "4+", tagged = "4+", tag = 1, default = "null")]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct BrokerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct BrokerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

/// Removes a broker's registration.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "0", flexible = "0+")]
pub struct UnregisterBrokerRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
}

/// Changes those fields of a registration that are present.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 17, versions = "0-3", flexible = "0+")]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    #[kafka(tagged = "0+", tag = 0)]
    pub fenced: i8,
    #[kafka(versions = "1+", tagged = "1+", tag = 1)]
    pub in_controlled_shutdown: i8,
    #[kafka(versions = "2+", tagged = "2+", tag = 2)]
    pub log_dirs: Vec<Uuid>,
    #[kafka(versions = "3+", nullable = "3+", tagged = "3+", tag = 3, default = "null")]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}
