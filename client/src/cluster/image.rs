//! What is known of the cluster: brokers, topics, leaders. A value; how it is asked for is in `mod.rs`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use riverrun_core::{
    Uuid,
    protocol::{ErrorCode, messages::MetadataResponse, messages::metadata::MetadataResponseTopic},
};
use tokio::time::Instant;

use crate::transport::BrokerAddress;

/// Brokers and the topics that were asked about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) cluster_id: Option<String>,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: BTreeMap<i32, Broker>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
    ids: HashMap<Uuid, Arc<str>>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) address: BrokerAddress,
    pub(crate) rack: Option<String>,
}

/// A topic, or why there is none.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Option<Uuid>,
    pub(crate) error: Option<ErrorCode>,
    pub(crate) is_internal: bool,
    /// By index.
    pub(crate) partitions: Vec<Partition>,
    pub(crate) learned: Instant,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }

    pub(crate) fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    fn from_response(topic: MetadataResponseTopic, name: Arc<str>, before: Option<&Self>, learned: Instant) -> Self {
        let id = Some(topic.topic_id).filter(|id| !id.is_zero());
        let before = before.filter(|before| before.id == id && id.is_some());
        let mut partitions = topic.partitions;
        partitions.sort_by_key(|partition| partition.partition_index);
        let partitions = partitions.into_iter().map(|partition| {
            let error = ErrorCode::from_code(partition.error_code);
            let leader = Some(partition.leader_id).filter(|leader| *leader >= 0);
            let new = Partition {
                leader: leader.filter(|_| error != ErrorCode::LeaderNotAvailable),
                leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
                replicas: partition.replica_nodes,
                in_sync: partition.isr_nodes,
            };
            // A broker that lags behind may still name an older leader (KIP-320).
            let known = before.and_then(|topic| topic.partition(partition.partition_index));
            match known {
                Some(known) if known.leader_epoch > new.leader_epoch && new.leader_epoch.is_some() => known.clone(),
                _ => new,
            }
        });
        let error = Some(ErrorCode::from_code(topic.error_code)).filter(|code| *code != ErrorCode::None);
        Self { name, id, error, is_internal: topic.is_internal, partitions: partitions.collect(), learned }
    }
}

impl Image {
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.ids.get(&id).and_then(|name| self.topics.get(name))
    }

    pub(crate) fn address(&self, node: i32) -> Option<&BrokerAddress> {
        self.brokers.get(&node).map(|broker| &broker.address)
    }

    /// The image after an answer. With `all_topics` the answer names every topic there is.
    pub(crate) fn merge(&self, response: MetadataResponse, all_topics: bool, now: Instant) -> Self {
        let mut topics = if all_topics { HashMap::new() } else { self.topics.clone() };
        for topic in response.topics {
            let Some(name) = topic.name.as_deref() else { continue };
            let before = self.topics.get(name);
            let name = before.map_or_else(|| Arc::from(name), |topic| Arc::clone(&topic.name));
            let topic = Topic::from_response(topic, Arc::clone(&name), before.map(|topic| &**topic), now);
            topics.insert(name, Arc::new(topic));
        }
        let ids = topics.values().filter_map(|topic| Some((topic.id?, Arc::clone(&topic.name)))).collect();
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let address = BrokerAddress::new(broker.host, u16::try_from(broker.port).ok()?);
            Some((broker.node_id, Broker { address, rack: broker.rack }))
        });
        Self {
            cluster_id: response.cluster_id.or_else(|| self.cluster_id.clone()),
            controller: Some(response.controller_id).filter(|id| *id >= 0),
            brokers: brokers.collect(),
            topics,
            ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use riverrun_core::protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn response(leader_id: i32, leader_epoch: i32) -> MetadataResponse {
        let partition = MetadataResponsePartition { leader_id, leader_epoch, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some("t".to_owned()),
            topic_id: Uuid([1; 16]),
            partitions: vec![partition],
            ..Default::default()
        };
        let broker = MetadataResponseBroker { node_id: 4, host: "h".to_owned(), port: 9, ..Default::default() };
        MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
    }

    #[tokio::test]
    async fn an_older_epoch_changes_no_leader() {
        let now = Instant::now();
        let image = Image::default().merge(response(4, 7), false, now);
        let leader = |image: &Image| image.topic("t").unwrap().partition(0).unwrap().leader;
        assert_eq!(leader(&image), Some(4));
        assert_eq!(image.address(4), Some(&BrokerAddress::new("h", 9)));
        assert_eq!(leader(&image.merge(response(5, 6), false, now)), Some(4));
        assert_eq!(leader(&image.merge(response(5, 8), false, now)), Some(5));
        assert_eq!(leader(&image.merge(response(-1, 8), false, now)), None);
        assert!(image.merge(MetadataResponse::default(), true, now).topic("t").is_none());
        assert!(image.topic_by_id(Uuid([1; 16])).is_some());
    }
}
