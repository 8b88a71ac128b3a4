//! Access rules, and whether they let a principal do something.
//!
//! | rule | |
//! |---|---|
//! | deny over allow | one rule that denies is stronger than any that allow |
//! | implied operations | who may read, write, delete or alter may describe; who may alter configs may describe them; a denial implies nothing |
//! | patterns | a literal name, the literal `*` for all, or a prefix |
//! | principals, hosts | `User:*` and `*` stand for all |
//! | default | what no rule speaks of is denied, unless the caller says otherwise |
//!
//! Source: Kafka `StandardAuthorizerData`, `AclEntry`; KIP-11, KIP-290, KIP-801.

use std::collections::BTreeMap;

use crate::Uuid;

/// The name of the resource that stands for all.
pub const ACL_WILDCARD: &str = "*";
/// The name of the one resource of type cluster.
pub const CLUSTER_NAME: &str = "kafka-cluster";
/// The principal that stands for all users.
const ANY_USER: &str = "User:*";

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i8)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant = $number,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number on the wire.
            pub const fn wire(self) -> i8 {
                self as i8
            }

            /// Reads the number on the wire.
            pub fn from_wire(number: i8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Kafka's word for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

wire_enum! {
    /// What can be protected.
    ResourceType {
        Topic = 2, "TOPIC";
        Group = 3, "GROUP";
        Cluster = 4, "CLUSTER";
        TransactionalId = 5, "TRANSACTIONAL_ID";
        DelegationToken = 6, "DELEGATION_TOKEN";
        User = 7, "USER";
    }
}

wire_enum! {
    /// What can be done.
    AclOperation {
        All = 2, "ALL";
        Read = 3, "READ";
        Write = 4, "WRITE";
        Create = 5, "CREATE";
        Delete = 6, "DELETE";
        Alter = 7, "ALTER";
        Describe = 8, "DESCRIBE";
        ClusterAction = 9, "CLUSTER_ACTION";
        DescribeConfigs = 10, "DESCRIBE_CONFIGS";
        AlterConfigs = 11, "ALTER_CONFIGS";
        IdempotentWrite = 12, "IDEMPOTENT_WRITE";
        CreateTokens = 13, "CREATE_TOKENS";
        DescribeTokens = 14, "DESCRIBE_TOKENS";
        TwoPhaseCommit = 15, "TWO_PHASE_COMMIT";
    }
}

wire_enum! {
    /// Whether a rule allows or denies.
    Permission {
        Deny = 2, "DENY";
        Allow = 3, "ALLOW";
    }
}

wire_enum! {
    /// How the name of a resource in a rule is meant.
    PatternType {
        Literal = 3, "LITERAL";
        Prefixed = 4, "PREFIXED";
    }
}

impl ResourceType {
    /// The operations there are on resources of this type, `ALL` left out.
    pub const fn operations(self) -> &'static [AclOperation] {
        use AclOperation::*;
        match self {
            Self::Topic => &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs],
            Self::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite],
            Self::TransactionalId => &[Write, Describe, TwoPhaseCommit],
            Self::DelegationToken => &[Describe],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// What it protects.
    pub resource_type: ResourceType,
    /// How `resource_name` is meant.
    pub pattern_type: PatternType,
    /// The name, `*` or the prefix.
    pub resource_name: String,
    /// Whom it concerns: `User:alice`.
    pub principal: String,
    /// From where: an address, or `*`.
    pub host: String,
    /// To do what.
    pub operation: AclOperation,
    /// Whether that is allowed or denied.
    pub permission: Permission,
}

impl Acl {
    /// Whether the rule speaks of this principal at this address doing this.
    fn concerns(&self, asked: &Asked<'_>, operation: AclOperation) -> bool {
        let principal = self.principal == asked.principal || self.principal == ANY_USER;
        let host = self.host == ACL_WILDCARD || self.host == asked.host;
        principal && host && self.covers(operation)
    }

    fn covers(&self, operation: AclOperation) -> bool {
        use AclOperation::*;
        if self.operation == All || self.operation == operation {
            return true;
        }
        self.permission == Permission::Allow
            && match operation {
                Describe => matches!(self.operation, Read | Write | Delete | Alter),
                DescribeConfigs => self.operation == AlterConfigs,
                _ => false,
            }
    }
}

/// Who asks, from where.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The principal with its type: `User:alice`.
    pub principal: &'a str,
    /// The address, as rules write it.
    pub host: &'a str,
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rule allows it, and none denies it.
    Allowed,
    /// A rule denies it, or there are rules for the resource and none allows it.
    Denied,
    /// No rule speaks of the resource.
    NoRule,
}

type ByName = BTreeMap<String, Vec<Acl>>;

/// All rules, found by id and by resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AclSet {
    by_id: BTreeMap<Uuid, Acl>,
    literal: BTreeMap<ResourceType, ByName>,
    prefixed: BTreeMap<ResourceType, ByName>,
}

impl AclSet {
    /// All rules with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Uuid, &Acl)> {
        self.by_id.iter().map(|(id, acl)| (*id, acl))
    }

    /// Whether this very rule is there.
    pub fn contains(&self, acl: &Acl) -> bool {
        let by_name = self.by_pattern(acl.pattern_type).get(&acl.resource_type);
        by_name.and_then(|names| names.get(&acl.resource_name)).is_some_and(|acls| acls.contains(acl))
    }

    fn by_pattern(&self, pattern: PatternType) -> &BTreeMap<ResourceType, ByName> {
        match pattern {
            PatternType::Literal => &self.literal,
            PatternType::Prefixed => &self.prefixed,
        }
    }

    /// Takes a rule in. Gives the one that had the id before, if one did.
    pub(super) fn insert(&mut self, id: Uuid, acl: Acl) -> Option<Acl> {
        let replaced = self.remove(id);
        let by_pattern = match acl.pattern_type {
            PatternType::Literal => &mut self.literal,
            PatternType::Prefixed => &mut self.prefixed,
        };
        let names = by_pattern.entry(acl.resource_type).or_default();
        names.entry(acl.resource_name.clone()).or_default().push(acl.clone());
        self.by_id.insert(id, acl);
        replaced
    }

    /// Takes a rule away. Gives it, if it was there.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<Acl> {
        let acl = self.by_id.remove(&id)?;
        let by_pattern = match acl.pattern_type {
            PatternType::Literal => &mut self.literal,
            PatternType::Prefixed => &mut self.prefixed,
        };
        if let Some(names) = by_pattern.get_mut(&acl.resource_type)
            && let Some(acls) = names.get_mut(&acl.resource_name)
        {
            if let Some(position) = acls.iter().position(|other| *other == acl) {
                acls.remove(position);
            }
            if acls.is_empty() {
                names.remove(&acl.resource_name);
            }
        }
        Some(acl)
    }

    /// The rules that speak of a resource.
    fn of_resource(&self, resource_type: ResourceType, name: &str) -> impl Iterator<Item = &Acl> {
        let literal = self.literal.get(&resource_type);
        let exact = literal.and_then(|names| names.get(name));
        let wildcard = literal.filter(|_| name != ACL_WILDCARD).and_then(|names| names.get(ACL_WILDCARD));
        let prefixed = self.prefixed.get(&resource_type).into_iter().flat_map(move |names| {
            let ends = name.char_indices().map(|(start, c)| start + c.len_utf8());
            ends.filter_map(move |end| names.get(name.get(..end)?))
        });
        exact.into_iter().chain(wildcard).chain(prefixed).flatten()
    }

    /// What the rules say of an operation on a resource.
    pub fn verdict(
        &self,
        asked: &Asked<'_>,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> Verdict {
        let mut verdict = Verdict::NoRule;
        for acl in self.of_resource(resource_type, name) {
            if verdict == Verdict::NoRule {
                verdict = Verdict::Denied;
            }
            if acl.concerns(asked, operation) {
                match acl.permission {
                    Permission::Deny => return Verdict::Denied,
                    Permission::Allow => verdict = Verdict::Allowed,
                }
            }
        }
        verdict
    }

    /// Whether there is any resource of a type on which the operation is allowed.
    pub fn allows_some(&self, asked: &Asked<'_>, operation: AclOperation, resource_type: ResourceType) -> bool {
        let relevant = |acl: &&Acl| acl.resource_type == resource_type && acl.concerns(asked, operation);
        let of = |permission: Permission| {
            self.by_id.values().filter(relevant).filter(move |acl| acl.permission == permission)
        };
        let is_all = |acl: &Acl| acl.pattern_type == PatternType::Literal && acl.resource_name == ACL_WILDCARD;
        if of(Permission::Deny).any(is_all) {
            return false;
        }
        of(Permission::Allow).any(|allow| {
            let dominates = |deny: &Acl| match deny.pattern_type {
                PatternType::Prefixed => !is_all(allow) && allow.resource_name.starts_with(&deny.resource_name),
                PatternType::Literal => {
                    allow.pattern_type == PatternType::Literal && allow.resource_name == deny.resource_name
                }
            };
            !of(Permission::Deny).any(dominates)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AclOperation::*, *};

    fn acl(pattern_type: PatternType, name: &str, operation: AclOperation, permission: Permission) -> Acl {
        Acl {
            resource_type: ResourceType::Topic,
            pattern_type,
            resource_name: name.to_owned(),
            principal: "User:alice".to_owned(),
            host: "*".to_owned(),
            operation,
            permission,
        }
    }

    fn set(acls: &[Acl]) -> AclSet {
        let mut set = AclSet::default();
        for (index, acl) in acls.iter().enumerate() {
            set.insert(Uuid([u8::try_from(index).unwrap(); 16]), acl.clone());
        }
        set
    }

    fn ask(set: &AclSet, principal: &str, host: &str, operation: AclOperation, name: &str) -> Verdict {
        set.verdict(&Asked { principal, host }, operation, ResourceType::Topic, name)
    }

    #[test]
    fn deny_beats_allow_whatever_the_pattern() {
        use PatternType::{Literal, Prefixed};
        use Permission::{Allow, Deny};
        for allow in
            [acl(Literal, "logs-a", Read, Allow), acl(Prefixed, "logs", All, Allow), acl(Literal, "*", Read, Allow)]
        {
            let alice = |set: &AclSet| ask(set, "User:alice", "h", Read, "logs-a");
            assert_eq!(alice(&set(std::slice::from_ref(&allow))), Verdict::Allowed);
            for deny in
                [acl(Literal, "logs-a", Read, Deny), acl(Prefixed, "l", Read, Deny), acl(Literal, "*", All, Deny)]
            {
                assert_eq!(alice(&set(&[allow.clone(), deny])), Verdict::Denied);
            }
        }
    }

    #[test]
    fn what_is_implied() {
        let allowed = |granted, asked| {
            let set = set(&[acl(PatternType::Literal, "t", granted, Permission::Allow)]);
            ask(&set, "User:alice", "h", asked, "t") == Verdict::Allowed
        };
        for granted in [Read, Write, Delete, Alter, Describe, All] {
            assert!(allowed(granted, Describe), "{granted:?}");
        }
        assert!(!allowed(Create, Describe) && !allowed(AlterConfigs, Describe) && !allowed(Describe, Read));
        assert!(allowed(AlterConfigs, DescribeConfigs) && !allowed(DescribeConfigs, AlterConfigs));
        let denied = set(&[
            acl(PatternType::Literal, "t", Read, Permission::Deny),
            acl(PatternType::Literal, "t", Describe, Permission::Allow),
        ]);
        assert_eq!(ask(&denied, "User:alice", "h", Describe, "t"), Verdict::Allowed, "a denial implies nothing");
    }

    #[test]
    fn principals_hosts_and_names_are_matched() {
        let mut rule = acl(PatternType::Literal, "t", Read, Permission::Allow);
        rule.host = "10.0.0.1".to_owned();
        let one = set(&[rule.clone()]);
        assert_eq!(ask(&one, "User:alice", "10.0.0.1", Read, "t"), Verdict::Allowed);
        assert_eq!(ask(&one, "User:alice", "10.0.0.2", Read, "t"), Verdict::Denied);
        assert_eq!(ask(&one, "User:bob", "10.0.0.1", Read, "t"), Verdict::Denied);
        assert_eq!(ask(&one, "User:alice", "10.0.0.1", Read, "t2"), Verdict::NoRule);
        rule.principal = "User:*".to_owned();
        assert_eq!(ask(&set(&[rule]), "User:bob", "10.0.0.1", Read, "t"), Verdict::Allowed);
    }

    #[test]
    fn removed_rules_are_gone() {
        let mut rules = set(&[acl(PatternType::Prefixed, "t", Read, Permission::Allow)]);
        assert!(rules.remove(Uuid([0; 16])).is_some() && rules.remove(Uuid([0; 16])).is_none());
        assert_eq!(ask(&rules, "User:alice", "h", Read, "t"), Verdict::NoRule);
    }

    #[test]
    fn some_resource_of_a_type() {
        use PatternType::{Literal, Prefixed};
        use Permission::{Allow, Deny};
        let some = |acls: &[Acl]| {
            set(acls).allows_some(&Asked { principal: "User:alice", host: "h" }, Write, ResourceType::Topic)
        };
        assert!(!some(&[]) && !some(&[acl(Literal, "t", Read, Allow)]));
        assert!(some(&[acl(Literal, "t", Write, Allow)]));
        assert!(!some(&[acl(Literal, "t", Write, Allow), acl(Literal, "*", Write, Deny)]));
        assert!(!some(&[acl(Literal, "tab", Write, Allow), acl(Prefixed, "ta", Write, Deny)]));
        assert!(some(&[acl(Prefixed, "ta", Write, Allow), acl(Literal, "tab", Write, Deny)]));
        assert!(some(&[acl(Literal, "*", Write, Allow), acl(Prefixed, "ta", Write, Deny)]));
    }
}
