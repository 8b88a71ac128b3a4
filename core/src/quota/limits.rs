//! Which bound holds for a user and a client id: the most particular one that is set for the kind of quota in question.
//!
//! | set for | counted per |
//! |---|---|
//! | user and client id | user and client id |
//! | user, any client id | user and client id |
//! | user | user |
//! | any user, client id | user and client id |
//! | any user, any client id | user and client id |
//! | any user | user |
//! | client id | client id |
//! | any client id | client id |
//!
//! Source: Kafka `ClientQuotaManager.DefaultQuotaCallback`; KIP-55.

use std::collections::{BTreeMap, HashMap};

use crate::metadata::{QuotaEntity, Quotas};

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaKind {
    /// Bytes of Produce requests per second.
    Produce,
    /// Bytes of Fetch answers per second.
    Fetch,
    /// The share of time the broker's threads work for the client, in percent of one thread.
    Request,
    /// Partitions created and deleted per second.
    ControllerMutation,
}

impl QuotaKind {
    const ALL: [Self; 4] = [Self::Produce, Self::Fetch, Self::Request, Self::ControllerMutation];

    /// Kafka's key of the quota.
    pub fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
            Self::ControllerMutation => "controller_mutation_rate",
        }
    }
}

/// Who uses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The name of the principal.
    pub user: &'a str,
    /// The client id; empty if the client gives none.
    pub client_id: &'a str,
}

/// For what a counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    UserAndClient,
    User,
    Client,
}

/// The bounds of one user, or of any.
#[derive(Debug, Default)]
struct OfUser {
    own: Option<f64>,
    clients: HashMap<String, f64>,
    any_client: Option<f64>,
}

impl OfUser {
    fn find(&self, client_id: &str) -> Option<(f64, Scope)> {
        let both = self.clients.get(client_id).copied().or(self.any_client).map(|bound| (bound, Scope::UserAndClient));
        both.or(self.own.map(|bound| (bound, Scope::User)))
    }
}

/// The bounds of one kind.
#[derive(Debug, Default)]
struct OfKind {
    users: HashMap<String, OfUser>,
    any_user: OfUser,
    clients: HashMap<String, f64>,
    any_client: Option<f64>,
}

/// All bounds on users and client ids.
#[derive(Debug, Default)]
pub(super) struct Limits {
    kinds: BTreeMap<QuotaKind, OfKind>,
}

impl Limits {
    pub(super) fn new(quotas: &BTreeMap<QuotaEntity, Quotas>) -> Self {
        let mut limits = Self::default();
        for (entity, of_entity) in quotas {
            for kind in QuotaKind::ALL {
                if let Some(bound) = of_entity.get(kind.key()).filter(|bound| bound.0 > 0.0) {
                    limits.kinds.entry(kind).or_default().set(entity, bound.0);
                }
            }
        }
        limits
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The bound that holds, and for what it is counted.
    pub(super) fn find(&self, kind: QuotaKind, subject: Subject<'_>) -> Option<(f64, Scope)> {
        let of_kind = self.kinds.get(&kind)?;
        let of_user = of_kind.users.get(subject.user).and_then(|of_user| of_user.find(subject.client_id));
        of_user.or_else(|| of_kind.any_user.find(subject.client_id)).or_else(|| {
            let of_client = of_kind.clients.get(subject.client_id).copied().or(of_kind.any_client);
            of_client.map(|bound| (bound, Scope::Client))
        })
    }
}

impl OfKind {
    fn set(&mut self, entity: &QuotaEntity, bound: f64) {
        if let Some(user) = &entity.user {
            let of_user = match user {
                Some(user) => self.users.entry(user.clone()).or_default(),
                None => &mut self.any_user,
            };
            match &entity.client_id {
                Some(Some(client)) => drop(of_user.clients.insert(client.clone(), bound)),
                Some(None) => of_user.any_client = Some(bound),
                None => of_user.own = Some(bound),
            }
            return;
        }
        match &entity.client_id {
            Some(Some(client)) => drop(self.clients.insert(client.clone(), bound)),
            Some(None) => self.any_client = Some(bound),
            None => {}
        }
    }
}
