//! Whether a principal may do something: the access rules of the metadata, super users, and what holds without rules.
//!
//! Without `authorizer.class.name` everybody may do everything. In-process clients always may: they are part of the
//! program that owns the broker.
//!
//! Source: Kafka `StandardAuthorizer`.

use std::{collections::BTreeSet, sync::Arc};

use riverrun_core::{
    NodeId,
    metadata::{AclOperation, Asked, CLUSTER_NAME, Image, ResourceType, Verdict},
};

use crate::{Principal, RequestContext, StartError, config::BrokerConfig};

/// The settings of the authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorizer {
    enabled: bool,
    super_users: BTreeSet<String>,
    allow_everyone: bool,
}

impl Authorizer {
    /// Reads the settings.
    pub(crate) fn new(config: &BrokerConfig) -> Result<Arc<Self>, StartError> {
        let mut super_users = BTreeSet::new();
        for text in config.super_users.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let principal: Principal = text.parse().map_err(|error: super::principal::InvalidPrincipal| {
                StartError::Security { setting: "super.users".to_owned(), reason: error.to_string() }
            })?;
            super_users.insert(principal.to_string());
        }
        Ok(Arc::new(Self {
            enabled: !config.authorizer_class_name.is_empty(),
            super_users,
            allow_everyone: config.allow_everyone_if_no_acl_found,
        }))
    }

    /// Whether there are access rules at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }
}

/// What one client may do, by one state of the rules.
#[derive(Debug, Clone)]
pub(crate) struct Permissions {
    authorizer: Arc<Authorizer>,
    pub(super) image: Arc<Image>,
    principal: String,
    host: String,
    unchecked: bool,
}

impl Permissions {
    /// Those of the client that asks in `context`.
    pub(crate) fn new(authorizer: &Arc<Authorizer>, image: Arc<Image>, context: &RequestContext) -> Self {
        let principal = context.principal.to_string();
        let unchecked =
            !authorizer.enabled || context.listener.is_none() || authorizer.super_users.contains(&principal);
        let host = context.client_host.trim_start_matches('/').to_owned();
        Self { authorizer: Arc::clone(authorizer), image, principal, host, unchecked }
    }

    fn asked(&self) -> Asked<'_> {
        Asked { principal: &self.principal, host: &self.host }
    }

    /// Whether this client is checked at all.
    pub(crate) fn is_checked(&self) -> bool {
        !self.unchecked
    }

    /// Whether the client may do this with that.
    pub(crate) fn allow(&self, operation: AclOperation, resource_type: ResourceType, name: &str) -> bool {
        if self.unchecked {
            return true;
        }
        let allowed = match self.image.acls().verdict(&self.asked(), operation, resource_type, name) {
            Verdict::Allowed => true,
            Verdict::Denied => false,
            Verdict::NoRule => self.authorizer.allow_everyone,
        };
        if !allowed {
            tracing::debug!(
                target: "riverrun_broker::audit",
                principal = self.principal,
                host = self.host,
                operation = operation.name(),
                resource_type = resource_type.name(),
                name,
                "denied"
            );
        }
        allowed
    }

    /// Whether the client may do this with any resource of a type.
    pub(crate) fn allow_some(&self, operation: AclOperation, resource_type: ResourceType) -> bool {
        self.unchecked || self.image.acls().allows_some(&self.asked(), operation, resource_type)
    }

    pub(crate) fn topic(&self, operation: AclOperation, name: &str) -> bool {
        self.allow(operation, ResourceType::Topic, name)
    }

    pub(crate) fn group(&self, operation: AclOperation, name: &str) -> bool {
        self.allow(operation, ResourceType::Group, name)
    }

    pub(crate) fn cluster(&self, operation: AclOperation) -> bool {
        self.allow(operation, ResourceType::Cluster, CLUSTER_NAME)
    }

    pub(crate) fn transactional_id(&self, operation: AclOperation, name: &str) -> bool {
        self.allow(operation, ResourceType::TransactionalId, name)
    }

    /// All that the client may do with a resource, as a bit set (KIP-430).
    pub(crate) fn operations(&self, resource_type: ResourceType, name: &str) -> i32 {
        let allowed =
            resource_type.operations().iter().filter(|operation| self.allow(**operation, resource_type, name));
        allowed.fold(0, |bits, operation| bits | 1 << operation.wire())
    }

    /// The name of a topic that a request names by name or by id.
    pub(crate) fn topic_name<'a>(&'a self, name: &'a str, id: riverrun_core::Uuid) -> Option<&'a str> {
        if name.is_empty() { self.image.topic_by_id(id).map(|topic| &*topic.name) } else { Some(name) }
    }

    /// Whether a node id is a client's: brokers have one that is not negative.
    pub(crate) fn is_broker(replica_id: i32) -> bool {
        NodeId::from_wire(replica_id).is_some()
    }
}
