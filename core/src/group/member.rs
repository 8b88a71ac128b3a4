//! One member of a group: who it is, what it supports, what it was assigned, and the call of it that is parked.

use bytes::Bytes;

use super::{InstanceId, JoinRequest, JoinedMember, MemberId, MemberMetadata, Protocol, Ticket};

/// A member of a [`Group`](super::classic::Group).
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) instance_id: Option<InstanceId>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    /// What it supports, best first. After a restart only the chosen protocol is known.
    pub(super) protocols: Vec<Protocol>,
    /// Its share of the current generation.
    pub(super) assignment: Bytes,
    /// Its JoinGroup call, while parked.
    pub(super) join: Option<Ticket>,
    /// Its SyncGroup call, while parked.
    pub(super) sync: Option<Ticket>,
    /// It has never had an answer that tells its id, so it cannot heartbeat.
    pub(super) is_new: bool,
}

impl Member {
    /// A member that joins for the first time.
    pub(super) fn joining(id: MemberId, request: &JoinRequest) -> Self {
        Self {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            join: None,
            sync: None,
            is_new: true,
        }
    }

    /// A member as a restart finds it.
    pub(super) fn replayed(stored: &MemberMetadata, protocol_name: Option<&str>) -> Self {
        let protocol = |name: &str| Protocol { name: name.to_owned(), metadata: stored.subscription.clone() };
        Self {
            id: stored.member_id.clone(),
            instance_id: stored.group_instance_id.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            session_timeout_ms: stored.session_timeout_ms,
            rebalance_timeout_ms: stored.rebalance_timeout_ms,
            protocols: protocol_name.map(protocol).into_iter().collect(),
            assignment: stored.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
        }
    }

    /// Takes over what a repeated join says.
    pub(super) fn update(&mut self, request: &JoinRequest) {
        self.client_id.clone_from(&request.client_id);
        self.client_host.clone_from(&request.client_host);
        self.session_timeout_ms = request.session_timeout_ms;
        self.rebalance_timeout_ms = request.rebalance_timeout_ms;
        self.protocols.clone_from(&request.protocols);
    }

    /// The subscription under the protocol `name`; empty if it does not support it.
    pub(super) fn metadata(&self, name: Option<&str>) -> Bytes {
        let protocol = self.protocols.iter().find(|p| Some(p.name.as_str()) == name);
        protocol.map_or_else(Bytes::new, |p| p.metadata.clone())
    }

    /// Whether it supports the protocol `name`.
    pub(super) fn supports(&self, name: &str) -> bool {
        self.protocols.iter().any(|p| p.name == name)
    }

    /// Whether silence may be taken for death: not while a call of it is parked, except that a new member cannot
    /// heartbeat at all and has a deadline of its own.
    pub(super) fn may_expire(&self) -> bool {
        self.is_new || (self.join.is_none() && self.sync.is_none())
    }

    /// As its leader sees it.
    pub(super) fn as_joined(&self, protocol_name: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol_name),
        }
    }

    /// As it is stored with `assignment`.
    pub(super) fn as_stored(&self, protocol_name: Option<&str>, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol_name),
            assignment,
        }
    }
}
