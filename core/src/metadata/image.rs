//! The state of the metadata log: an immutable snapshot to its readers, changed by [`Image::replay`] only.
//!
//! Invariants: topic names and topic ids map to each other one to one; settings of a topic exist only as long as the
//! topic does.
//!
//! The maps are shared between clones until one of them changes; a change copies the map, not the topics in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Acl, AclSet, ConfigResource, MetadataRecord, QuotaEntity, QuotaValue, Quotas, ScramCredential, ScramMechanism,
    UnknownResourceType, WireAcl, name::collision_key,
};
use crate::{
    LeaderEpoch, NodeId, TopicPartition, Uuid,
    budget::{entry_bytes, heap_bytes, map_bytes, node_bytes},
    protocol::records::{
        AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord, PartitionChangeRecord, PartitionRecord,
    },
};

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id: another one if a topic of that name is deleted and made anew.
    pub id: Uuid,
    /// Its partitions by index; dense from 0.
    pub partitions: BTreeMap<i32, Partition>,
}

/// Where a partition lies and who leads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// The log directory of each replica, in the order of `replicas`; empty if not known.
    pub directories: Vec<Uuid>,
    /// Those of the replicas that are in sync.
    pub isr: Vec<NodeId>,
    /// The broker that serves it, if any.
    pub leader: Option<NodeId>,
    /// Counts the leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes.
    pub partition_epoch: i32,
    /// Replicas a reassignment adds.
    pub adding_replicas: Vec<NodeId>,
    /// Replicas a reassignment removes.
    pub removing_replicas: Vec<NodeId>,
}

/// A record that does not fit the records before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It speaks of a topic that does not exist.
    #[error("metadata record for topic id {topic_id}, which does not exist")]
    UnknownTopicId {
        /// The id.
        topic_id: Uuid,
    },
    /// It changes a partition that does not exist.
    #[error("metadata record for partition {topic_partition}, which does not exist")]
    UnknownPartition {
        /// The partition.
        topic_partition: TopicPartition,
    },
    /// It makes a topic whose name or id is taken.
    #[error("metadata record for a second topic {name} ({topic_id})")]
    DuplicateTopic {
        /// The name.
        name: String,
        /// The id.
        topic_id: Uuid,
    },
    /// It is of a SCRAM mechanism that does not exist.
    #[error("metadata record for SCRAM mechanism {number}, which does not exist")]
    UnknownScramMechanism {
        /// Its number.
        number: i8,
    },
    /// It removes an access rule that is not there.
    #[error("metadata record for access rule {id}, which does not exist")]
    UnknownAcl {
        /// The id.
        id: Uuid,
    },
    /// It is an access rule that says nothing.
    #[error(transparent)]
    InvalidAcl(#[from] super::InvalidAcl),
    /// It is a quota of nobody.
    #[error(transparent)]
    InvalidQuota(#[from] super::InvalidQuota),
    /// It sets something of a resource of unknown type.
    #[error(transparent)]
    UnknownResourceType(#[from] UnknownResourceType),
}

type Configs = BTreeMap<String, String>;

/// All metadata at one offset of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    topics: Arc<BTreeMap<Arc<str>, Arc<Topic>>>,
    names: Arc<BTreeMap<Uuid, Arc<str>>>,
    /// Names by what they would collide on.
    collisions: Arc<BTreeMap<String, BTreeSet<Arc<str>>>>,
    configs: Arc<BTreeMap<ConfigResource, Arc<Configs>>>,
    features: Arc<BTreeMap<String, i16>>,
    scram: Arc<BTreeMap<ScramMechanism, BTreeMap<String, ScramCredential>>>,
    acls: Arc<AclSet>,
    quotas: Arc<BTreeMap<QuotaEntity, Quotas>>,
    next_producer_id: i64,
    partition_count: usize,
    /// What settings, credentials, access rules and quotas weigh. Topics and partitions have a bound of their own.
    weight: usize,
}

/// What is set for one resource, without the settings.
const RESOURCE: usize = 2 * entry_bytes::<ConfigResource, Arc<Configs>>() + node_bytes::<String, String>();
/// An access rule: by id and by resource.
const ACL: usize = 2 * (entry_bytes::<Uuid, Acl>() + map_bytes::<String, Vec<Acl>>(1));
/// The quotas of an entity, without the quotas.
const ENTITY: usize = 2 * entry_bytes::<QuotaEntity, Quotas>() + node_bytes::<String, QuotaValue>();

fn setting_weight(name: &str, value: &str) -> usize {
    entry_bytes::<String, String>() + heap_bytes(name.len()) + heap_bytes(value.len())
}

fn configs_weight(resource: &ConfigResource, configs: &Configs) -> usize {
    let name = match resource {
        ConfigResource::Topic(name) | ConfigResource::ClientMetrics(name) | ConfigResource::Group(name) => name,
        // There are only so many, and one of them is the way to raise the limit.
        ConfigResource::Broker(_) | ConfigResource::AllBrokers => return 0,
    };
    let settings = configs.iter().map(|(name, value)| setting_weight(name, value));
    RESOURCE + heap_bytes(name.len()) + settings.sum::<usize>()
}

fn credential_weight(user: &str, credential: &ScramCredential) -> usize {
    let keys = credential.salt.len() + credential.stored_key.len() + credential.server_key.len();
    2 * entry_bytes::<String, ScramCredential>() + heap_bytes(user.len()) + 3 * heap_bytes(0) + keys
}

fn acl_weight(acl: &Acl) -> usize {
    let texts = [&acl.resource_name, &acl.principal, &acl.host];
    ACL + 3 * texts.into_iter().map(|text| heap_bytes(text.len())).sum::<usize>()
}

fn quotas_weight(entity: &QuotaEntity, quotas: &Quotas) -> usize {
    let names = [&entity.user, &entity.client_id, &entity.ip].into_iter().flatten().flatten();
    let names: usize = names.map(|name| heap_bytes(name.len())).sum();
    let quotas = quotas.keys().map(|key| entry_bytes::<String, QuotaValue>() + heap_bytes(key.len()));
    ENTITY + names + quotas.sum::<usize>()
}

impl Image {
    /// What clients have had it remember weighs so much, see [`budget`](crate::budget).
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// The same, added up: what is kept must be equal.
    #[cfg(test)]
    pub(super) fn weight_of_all(&self) -> usize {
        let configs = self.configs.iter().map(|(resource, configs)| configs_weight(resource, configs));
        let users = self.scram.values().flatten().map(|(user, credential)| credential_weight(user, credential));
        let acls = self.acls.iter().map(|(_, acl)| acl_weight(acl));
        let quotas = self.quotas.iter().map(|(entity, quotas)| quotas_weight(entity, quotas));
        configs.chain(users).chain(acls).chain(quotas).sum()
    }

    /// A part of it has grown or shrunk.
    fn reweigh(&mut self, before: usize, after: usize) {
        self.weight = self.weight + after - before;
    }

    /// All topics by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic with that id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// A partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(&partition)
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// What is set for `resource`; defaults are not in it.
    pub fn configs(&self, resource: &ConfigResource) -> Arc<Configs> {
        self.configs.get(resource).cloned().unwrap_or_default()
    }

    /// The resources for which something is set.
    pub fn configured_resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.configs.keys()
    }

    /// The level that was set for a feature; 0 if it was turned off.
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The credential of a user for a SCRAM mechanism.
    pub fn scram_credential(&self, user: &str, mechanism: ScramMechanism) -> Option<&ScramCredential> {
        self.scram.get(&mechanism)?.get(user)
    }

    /// All credentials for a SCRAM mechanism by user.
    pub fn scram_credentials(&self, mechanism: ScramMechanism) -> impl Iterator<Item = (&str, &ScramCredential)> {
        self.scram.get(&mechanism).into_iter().flatten().map(|(user, credential)| (user.as_str(), credential))
    }

    /// The access rules.
    pub fn acls(&self) -> &AclSet {
        &self.acls
    }

    /// The access rules, to be held on to.
    pub fn shared_acls(&self) -> &Arc<AclSet> {
        &self.acls
    }

    /// The client quotas.
    pub fn quotas(&self) -> &BTreeMap<QuotaEntity, Quotas> {
        &self.quotas
    }

    /// The client quotas, to be held on to: the same as long as none changes.
    pub fn shared_quotas(&self) -> &Arc<BTreeMap<QuotaEntity, Quotas>> {
        &self.quotas
    }

    /// The first producer id that was never given out.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// A topic whose name collides with `name`.
    pub(super) fn colliding_topic(&self, name: &str) -> Option<&Arc<str>> {
        self.collisions.get(&collision_key(name))?.iter().find(|other| ***other != *name)
    }

    /// Applies one record: the only way in which an image changes.
    ///
    /// # Errors
    /// If the record does not fit; then the image is as before.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic(record) => self.add_topic(&record.name, record.topic_id),
            MetadataRecord::RemoveTopic(record) => self.remove_topic(record.topic_id),
            MetadataRecord::Partition(record) => self.set_partition(record),
            MetadataRecord::PartitionChange(record) => self.change_partition(record),
            MetadataRecord::Config(record) => self.set_config(record),
            MetadataRecord::FeatureLevel(record) => {
                Arc::make_mut(&mut self.features).insert(record.name.clone(), record.feature_level);
                Ok(())
            }
            MetadataRecord::ProducerIds(record) => {
                self.next_producer_id = record.next_producer_id;
                Ok(())
            }
            MetadataRecord::UserScramCredential(record) => {
                let mechanism = ScramMechanism::from_wire(record.mechanism)
                    .ok_or(ReplayError::UnknownScramMechanism { number: record.mechanism })?;
                let credential = ScramCredential {
                    salt: record.salt.clone(),
                    stored_key: record.stored_key.clone(),
                    server_key: record.server_key.clone(),
                    iterations: record.iterations,
                };
                let after = credential_weight(&record.name, &credential);
                let scram = Arc::make_mut(&mut self.scram);
                let replaced = scram.entry(mechanism).or_default().insert(record.name.clone(), credential);
                self.reweigh(replaced.map_or(0, |replaced| credential_weight(&record.name, &replaced)), after);
                Ok(())
            }
            MetadataRecord::RemoveUserScramCredential(record) => {
                let mechanism = ScramMechanism::from_wire(record.mechanism)
                    .ok_or(ReplayError::UnknownScramMechanism { number: record.mechanism })?;
                let users = Arc::make_mut(&mut self.scram).get_mut(&mechanism);
                if let Some(removed) = users.and_then(|users| users.remove(&record.name)) {
                    self.reweigh(credential_weight(&record.name, &removed), 0);
                }
                Ok(())
            }
            MetadataRecord::AccessControlEntry(record) => self.add_acl(record),
            MetadataRecord::RemoveAccessControlEntry(record) => {
                let removed = Arc::make_mut(&mut self.acls).remove(record.id);
                let removed = removed.ok_or(ReplayError::UnknownAcl { id: record.id })?;
                self.reweigh(acl_weight(&removed), 0);
                Ok(())
            }
            MetadataRecord::ClientQuota(record) => self.set_quota(record),
        }
    }

    fn add_acl(&mut self, record: &AccessControlEntryRecord) -> Result<(), ReplayError> {
        let acl = Acl::try_from(WireAcl {
            resource_type: record.resource_type,
            pattern_type: record.pattern_type,
            resource_name: record.resource_name.clone(),
            principal: record.principal.clone(),
            host: record.host.clone(),
            operation: record.operation,
            permission: record.permission_type,
        })?;
        let after = acl_weight(&acl);
        let replaced = Arc::make_mut(&mut self.acls).insert(record.id, acl);
        self.reweigh(replaced.map_or(0, |replaced| acl_weight(&replaced)), after);
        Ok(())
    }

    fn set_quota(&mut self, record: &ClientQuotaRecord) -> Result<(), ReplayError> {
        let parts = record.entity.iter().map(|part| (part.entity_type.as_str(), part.entity_name.as_deref()));
        let entity = QuotaEntity::from_parts(parts)?;
        let before = self.quotas.get(&entity).map_or(0, |quotas| quotas_weight(&entity, quotas));
        let quotas = Arc::make_mut(&mut self.quotas);
        if record.remove {
            if let Some(of_entity) = quotas.get_mut(&entity) {
                of_entity.remove(&record.key);
                if of_entity.is_empty() {
                    quotas.remove(&entity);
                }
            }
        } else {
            quotas.entry(entity.clone()).or_default().insert(record.key.clone(), QuotaValue(record.value));
        }
        let after = quotas.get(&entity).map_or(0, |quotas| quotas_weight(&entity, quotas));
        self.reweigh(before, after);
        Ok(())
    }

    fn add_topic(&mut self, name: &str, id: Uuid) -> Result<(), ReplayError> {
        if self.topics.contains_key(name) || self.names.contains_key(&id) {
            return Err(ReplayError::DuplicateTopic { name: name.to_owned(), topic_id: id });
        }
        let name: Arc<str> = name.into();
        let topic = Arc::new(Topic { name: name.clone(), id, partitions: BTreeMap::new() });
        Arc::make_mut(&mut self.topics).insert(name.clone(), topic);
        Arc::make_mut(&mut self.names).insert(id, name.clone());
        Arc::make_mut(&mut self.collisions).entry(collision_key(&name)).or_default().insert(name);
        Ok(())
    }

    fn remove_topic(&mut self, id: Uuid) -> Result<(), ReplayError> {
        let unknown = ReplayError::UnknownTopicId { topic_id: id };
        let name = Arc::make_mut(&mut self.names).remove(&id).ok_or(unknown)?;
        if let Some(topic) = Arc::make_mut(&mut self.topics).remove(&name) {
            self.partition_count -= topic.partitions.len();
        }
        let key = collision_key(&name);
        let collisions = Arc::make_mut(&mut self.collisions);
        if let Some(names) = collisions.get_mut(&key) {
            names.remove(&name);
            if names.is_empty() {
                collisions.remove(&key);
            }
        }
        let resource = ConfigResource::Topic(name);
        if let Some(configs) = self.configs.get(&resource) {
            let before = configs_weight(&resource, configs);
            Arc::make_mut(&mut self.configs).remove(&resource);
            self.reweigh(before, 0);
        }
        Ok(())
    }

    fn topic_mut(&mut self, id: Uuid) -> Result<&mut Topic, ReplayError> {
        let unknown = ReplayError::UnknownTopicId { topic_id: id };
        let name = self.names.get(&id).ok_or_else(|| unknown.clone())?;
        Arc::make_mut(&mut self.topics).get_mut(name).map(Arc::make_mut).ok_or(unknown)
    }

    fn set_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let partition = Partition {
            replicas: nodes(&record.replicas),
            directories: record.directories.clone(),
            isr: nodes(&record.isr),
            leader: NodeId::from_wire(record.leader),
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
            adding_replicas: nodes(&record.adding_replicas),
            removing_replicas: nodes(&record.removing_replicas),
        };
        let is_new = self.topic_mut(record.topic_id)?.partitions.insert(record.partition_id, partition).is_none();
        self.partition_count += usize::from(is_new);
        Ok(())
    }

    fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        /// A leader is not changed by this number, and gone by any other negative one.
        const NO_CHANGE: i32 = -2;
        let topic = self.topic_mut(record.topic_id)?;
        let name = topic.name.clone();
        let partition = topic.partitions.get_mut(&record.partition_id).ok_or_else(|| {
            ReplayError::UnknownPartition { topic_partition: TopicPartition::new(name, record.partition_id) }
        })?;
        let set = |field: &mut Vec<NodeId>, change: &Option<Vec<i32>>| {
            if let Some(ids) = change {
                *field = nodes(ids);
            }
        };
        set(&mut partition.isr, &record.isr);
        set(&mut partition.replicas, &record.replicas);
        set(&mut partition.removing_replicas, &record.removing_replicas);
        set(&mut partition.adding_replicas, &record.adding_replicas);
        if let Some(directories) = &record.directories {
            partition.directories.clone_from(directories);
        }
        if record.leader != NO_CHANGE {
            partition.leader = NodeId::from_wire(record.leader);
            partition.leader_epoch.0 = partition.leader_epoch.0.saturating_add(1);
        }
        partition.partition_epoch = partition.partition_epoch.saturating_add(1);
        Ok(())
    }

    fn set_config(&mut self, record: &ConfigRecord) -> Result<(), ReplayError> {
        let resource = ConfigResource::from_wire(record.resource_type, &record.resource_name)?;
        let before = self.configs.get(&resource).map_or(0, |configs| configs_weight(&resource, configs));
        let configs = Arc::make_mut(&mut self.configs);
        let values = Arc::make_mut(configs.entry(resource.clone()).or_default());
        match &record.value {
            Some(value) => values.insert(record.name.clone(), value.clone()),
            None => values.remove(&record.name),
        };
        let is_empty = values.is_empty();
        let after = if is_empty { 0 } else { configs_weight(&resource, values) };
        if is_empty {
            configs.remove(&resource);
        }
        self.reweigh(before, after);
        Ok(())
    }
}

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}
