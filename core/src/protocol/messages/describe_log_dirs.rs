//! DescribeLogDirs: API key 35, versions 1-5, flexible from 2.
//!
//! Tells how much lies in which log directory; null topics stand for all.
//!
//! - v2: flexible form (KIP-482)
//! - v3: response gains `error_code`
//! - v4: response gains `total_bytes`, `usable_bytes`; KIP-827
//! - v5: response gains `is_cordoned`; cordoned directories (KIP-1066)

use riverrun_core_derive::Message;

/// The request of `DescribeLogDirs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 35, versions = "1-5", flexible = "2+")]
pub struct DescribeLogDirsRequest {
    #[kafka(nullable = "0+")]
    pub topics: Option<Vec<DescribableLogDirTopic>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribableLogDirTopic {
    pub topic: String,
    pub partitions: Vec<i32>,
}

/// The response of `DescribeLogDirs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 35, versions = "1-5", flexible = "2+")]
pub struct DescribeLogDirsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    #[kafka(versions = "3+", ignorable)]
    pub error_code: i16,
    pub results: Vec<DescribeLogDirsResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeLogDirsResult {
    pub error_code: i16,
    pub log_dir: String,
    pub topics: Vec<DescribeLogDirsTopic>,
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub total_bytes: i64,
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub usable_bytes: i64,
    #[kafka(versions = "5+", ignorable)]
    pub is_cordoned: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeLogDirsTopic {
    pub name: String,
    pub partitions: Vec<DescribeLogDirsPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeLogDirsPartition {
    pub partition_index: i32,
    pub partition_size: i64,
    /// How far the copy is behind the high watermark.
    pub offset_lag: i64,
    /// Whether this is a copy that will replace the current one when it has caught up.
    pub is_future_key: bool,
}
