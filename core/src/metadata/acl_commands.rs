//! Adding, removing and listing access rules: what requests ask for becomes records, or a reason against it.
//!
//! Source: Kafka `AclControlManager`, `AclBindingFilter`, `ResourcePatternFilter`.

use super::{
    Image, MetadataRecord,
    acl::{ACL_WILDCARD, Acl, AclOperation, CLUSTER_NAME, PatternType, Permission, ResourceType},
};
use crate::{
    Uuid,
    protocol::records::{AccessControlEntryRecord, RemoveAccessControlEntryRecord},
};

/// The number that stands for anything in filters.
const ANY: i8 = 1;
/// The pattern type of filters that finds every rule that speaks of a name.
const MATCH: i8 = 2;

/// A rule or a filter that says something impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidAcl {
    /// What is wrong with it.
    pub reason: String,
}

fn invalid(reason: impl Into<String>) -> InvalidAcl {
    InvalidAcl { reason: reason.into() }
}

/// The fields of a rule as they are on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireAcl {
    /// See [`ResourceType`].
    pub resource_type: i8,
    /// See [`PatternType`].
    pub pattern_type: i8,
    /// The resource.
    pub resource_name: String,
    /// The principal.
    pub principal: String,
    /// The address.
    pub host: String,
    /// See [`AclOperation`].
    pub operation: i8,
    /// See [`Permission`].
    pub permission: i8,
}

impl TryFrom<WireAcl> for Acl {
    type Error = InvalidAcl;

    fn try_from(wire: WireAcl) -> Result<Self, InvalidAcl> {
        let resource_type =
            ResourceType::from_wire(wire.resource_type).ok_or_else(|| invalid("Invalid resource type"))?;
        let pattern_type = PatternType::from_wire(wire.pattern_type).ok_or_else(|| invalid("Invalid pattern type"))?;
        let operation = AclOperation::from_wire(wire.operation).ok_or_else(|| invalid("Invalid operation"))?;
        let permission = Permission::from_wire(wire.permission).ok_or_else(|| invalid("Invalid permission type"))?;
        if wire.resource_name.is_empty() {
            return Err(invalid("Invalid empty resource name"));
        }
        if resource_type == ResourceType::Cluster && wire.resource_name != CLUSTER_NAME {
            return Err(invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}")));
        }
        if wire.principal.split_once(':').is_none_or(|(kind, _)| kind.is_empty()) {
            return Err(invalid(format!(
                "expected a string in format principalType:principalName but got {}",
                wire.principal
            )));
        }
        Ok(Self {
            resource_type,
            pattern_type,
            resource_name: wire.resource_name,
            principal: wire.principal,
            host: wire.host,
            operation,
            permission,
        })
    }
}

/// Which rules are meant; what is absent or 1 (any) is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFilter {
    /// See [`ResourceType`].
    pub resource_type: i8,
    /// The resource.
    pub resource_name: Option<String>,
    /// See [`PatternType`]; 2 finds every rule that speaks of the name.
    pub pattern_type: i8,
    /// The principal.
    pub principal: Option<String>,
    /// The address.
    pub host: Option<String>,
    /// See [`AclOperation`].
    pub operation: i8,
    /// See [`Permission`].
    pub permission: i8,
}

impl AclFilter {
    /// Refuses numbers that mean nothing.
    ///
    /// # Errors
    /// The first of them.
    pub fn validate(&self) -> Result<(), InvalidAcl> {
        if self.resource_type != ANY && ResourceType::from_wire(self.resource_type).is_none() {
            return Err(invalid("Unknown resource type in filter"));
        }
        if ![ANY, MATCH].contains(&self.pattern_type) && PatternType::from_wire(self.pattern_type).is_none() {
            return Err(invalid("Unknown pattern type in filter"));
        }
        if self.operation != ANY && AclOperation::from_wire(self.operation).is_none() {
            return Err(invalid("Unknown operation in filter"));
        }
        if self.permission != ANY && Permission::from_wire(self.permission).is_none() {
            return Err(invalid("Unknown permission type in filter"));
        }
        Ok(())
    }

    /// Whether it means this rule.
    pub fn matches(&self, acl: &Acl) -> bool {
        let same = |wanted: i8, is: i8| wanted == ANY || wanted == is;
        let equal = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        same(self.resource_type, acl.resource_type.wire())
            && same(self.operation, acl.operation.wire())
            && same(self.permission, acl.permission.wire())
            && equal(&self.principal, &acl.principal)
            && equal(&self.host, &acl.host)
            && self.matches_name(acl)
    }

    fn matches_name(&self, acl: &Acl) -> bool {
        let by_type = |wanted: i8| wanted == ANY || wanted == MATCH || wanted == acl.pattern_type.wire();
        if !by_type(self.pattern_type) {
            return false;
        }
        let Some(name) = &self.resource_name else { return true };
        if self.pattern_type != MATCH {
            return *name == acl.resource_name;
        }
        match acl.pattern_type {
            PatternType::Literal => *name == acl.resource_name || acl.resource_name == ACL_WILDCARD,
            PatternType::Prefixed => name.starts_with(&acl.resource_name),
        }
    }
}

impl Image {
    /// The record that adds a rule; none if it is there.
    pub fn create_acl(&self, acl: &Acl, id: Uuid) -> Option<MetadataRecord> {
        (!self.acls().contains(acl)).then(|| {
            MetadataRecord::AccessControlEntry(AccessControlEntryRecord {
                id,
                resource_type: acl.resource_type.wire(),
                resource_name: acl.resource_name.clone(),
                pattern_type: acl.pattern_type.wire(),
                principal: acl.principal.clone(),
                host: acl.host.clone(),
                operation: acl.operation.wire(),
                permission_type: acl.permission.wire(),
            })
        })
    }

    /// The rules a filter means, with the records that remove them.
    pub fn delete_acls(&self, filter: &AclFilter) -> Vec<(Acl, MetadataRecord)> {
        let found = self.acls().iter().filter(|(_, acl)| filter.matches(acl));
        found
            .map(|(id, acl)| {
                let record = RemoveAccessControlEntryRecord { id };
                (acl.clone(), MetadataRecord::RemoveAccessControlEntry(record))
            })
            .collect()
    }
}
