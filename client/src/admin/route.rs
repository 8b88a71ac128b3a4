//! Which broker a request goes to, and what happens when it turns out to be the wrong one.
//!
//! A call deals with many items (topics, groups, partitions). It goes in rounds: each round finds out who is in charge
//! of the items still open, asks those brokers side by side, and settles every item that got a final answer. Items
//! whose broker has moved, is loading or is out of reach stay open for the next round, after a back-off, until the
//! time allowed has passed. Settled items are never sent again.
//!
//! Source: Kafka's `AdminApiDriver` and its lookup strategies.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use riverrun_core::{TopicPartition, protocol::ErrorCode};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Admin, Refused, Results};
use crate::{
    backoff::Backoff,
    cluster::{Coordinator, Wanted},
    error::ClientError,
    transport::BrokerAddress,
};

/// Whether an item that was refused stays open; given the number of rounds before.
pub(super) type Again = fn(ErrorCode, u32) -> bool;

/// What a round says of the items it was given.
#[derive(Debug)]
pub(super) struct Round<K, V> {
    pub(super) answers: Vec<(K, Result<V, Refused>)>,
    /// Why the items without an answer have none, if that is because a broker was out of reach.
    pub(super) failure: Option<ClientError>,
}

impl<K, V> Round<K, V> {
    pub(super) fn of(answers: impl IntoIterator<Item = (K, Result<V, Refused>)>) -> Self {
        Self { answers: answers.into_iter().collect(), failure: None }
    }
}

/// How many rounds a topic may be unknown to the broker asked, which may lag behind the controller that created it.
const UNKNOWN_TOPIC_ROUNDS: u32 = 4;

/// How many coordinators are looked up side by side.
const LOOKUPS: usize = 16;

/// For what the controller carries out.
pub(super) fn controller_moved(code: ErrorCode, _rounds: u32) -> bool {
    matches!(code, ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded)
}

/// For what a group's coordinator carries out.
pub(super) fn coordinator_moved(code: ErrorCode, _rounds: u32) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator
    )
}

/// The same for offsets, which it takes for topics that it knows of only.
pub(super) fn coordinator_moved_or_lags(code: ErrorCode, rounds: u32) -> bool {
    coordinator_moved(code, rounds) || (code == ErrorCode::UnknownTopicOrPartition && rounds < UNKNOWN_TOPIC_ROUNDS)
}

/// For what a partition's leader carries out.
pub(super) fn leader_moved(code: ErrorCode, rounds: u32) -> bool {
    match code {
        ErrorCode::UnknownTopicOrPartition => rounds < UNKNOWN_TOPIC_ROUNDS,
        code => code.is_retriable(),
    }
}

/// Rounds of `attempt`, which is given the items still open and the number of rounds before it.
///
/// # Errors
/// If brokers were out of reach and not one item could be settled. Once some are, the others say so as their result.
pub(super) async fn settle<K, V, F>(
    limit: Duration,
    items: impl IntoIterator<Item = K>,
    again: Again,
    mut attempt: impl FnMut(Vec<K>, u32) -> F,
) -> Result<Results<K, V>, ClientError>
where
    K: Clone + Ord,
    F: Future<Output = Result<Round<K, V>, ClientError>>,
{
    let deadline = Instant::now() + limit;
    let mut settled = Results::new();
    // Each open item, and why it was refused last.
    let mut open: BTreeMap<K, Option<Refused>> = items.into_iter().map(|item| (item, None)).collect();
    let mut rounds = 0;
    let mut failure = None;
    while !open.is_empty() {
        let keys = open.keys().cloned().collect();
        let outcome = timeout_at(deadline, attempt(keys, rounds)).await;
        let Ok(outcome) = outcome else { break };
        let round = outcome.unwrap_or_else(|error| Round { answers: Vec::new(), failure: Some(error) });
        for (item, result) in round.answers {
            if !open.contains_key(&item) {
                continue;
            }
            match result {
                Err(refused) if again(refused.code, rounds) => drop(open.insert(item, Some(refused))),
                result => {
                    open.remove(&item);
                    settled.insert(item, result);
                }
            }
        }
        match round.failure {
            Some(error) if !error.is_retriable() => return unsettled(settled, open, error),
            Some(error) => failure = Some(error),
            // Nobody was out of reach: a broker has passed over what was neither settled nor refused.
            None => {
                let passed_over: Vec<K> =
                    open.iter().filter(|(_, last)| last.is_none()).map(|(k, _)| k.clone()).collect();
                for item in passed_over {
                    open.remove(&item);
                    settled.insert(item, Err(no_answer()));
                }
            }
        }
        rounds += 1;
        let wait = Backoff::default().after(rounds, rand::random());
        if open.is_empty() {
            break;
        }
        if Instant::now() + wait >= deadline {
            break;
        }
        sleep(wait).await;
    }
    unsettled(settled, open, ClientError::TimedOut { after: limit, source: failure.map(Box::new) })
}

/// The end of a call that leaves items open.
fn unsettled<K: Ord, V>(
    mut settled: Results<K, V>,
    open: BTreeMap<K, Option<Refused>>,
    failure: ClientError,
) -> Result<Results<K, V>, ClientError> {
    if settled.is_empty() && !open.is_empty() && open.values().all(Option::is_none) {
        return Err(failure);
    }
    // The codes that Kafka's own clients give to what they got no answer about.
    let code = if failure.is_retriable() { ErrorCode::NetworkException } else { ErrorCode::UnknownServerError };
    let out_of_reach = || Refused { code, message: Some(failure.to_string()) };
    settled.extend(open.into_iter().map(|(item, last)| (item, Err(last.unwrap_or_else(out_of_reach)))));
    Ok(settled)
}

fn no_answer() -> Refused {
    Refused { code: ErrorCode::UnknownServerError, message: Some("the broker's answer does not mention it".to_owned()) }
}

/// The items of a round by the broker in charge of them.
#[derive(Debug)]
pub(super) struct Routed<K, V> {
    by_broker: BTreeMap<(i32, BrokerAddress), Vec<K>>,
    /// What is known without asking: nobody is in charge of these, or nobody knows who is.
    round: Round<K, V>,
}

impl<K, V> Routed<K, V> {
    fn new() -> Self {
        Self { by_broker: BTreeMap::new(), round: Round { answers: Vec::new(), failure: None } }
    }

    /// Asks all brokers side by side. Items of a broker that does not answer stay without answer.
    pub(super) async fn ask<A, F>(self, ask: impl Fn(Coordinator, Vec<K>) -> F) -> Round<K, V>
    where
        A: IntoIterator<Item = (K, Result<V, Refused>)>,
        F: Future<Output = Result<A, ClientError>>,
    {
        let mut round = self.round;
        let calls =
            self.by_broker.into_iter().map(|((node, address), items)| ask(Coordinator { node, address }, items));
        for outcome in join_all(calls).await {
            match outcome {
                Ok(answers) => round.answers.extend(answers),
                Err(error) => round.failure = Some(error),
            }
        }
        round
    }
}

impl Admin {
    /// The broker to send changes of topics to. Where metadata names no controller any broker passes them on.
    pub(super) async fn controller(&self, rounds: u32) -> Result<BrokerAddress, ClientError> {
        let mut image = self.cluster().image();
        if rounds > 0 || image.brokers.is_empty() {
            image = self.cluster().refresh(Wanted::Topics { names: &[], allow_auto_create: false }).await?;
        }
        let controller = image.controller.and_then(|id| image.address(id));
        let anyone = || image.brokers.values().next().map(|broker| &broker.address);
        controller.or_else(anyone).cloned().ok_or(ClientError::NoBroker { tried: Vec::new(), source: None })
    }

    /// Groups by their coordinator.
    pub(super) async fn by_coordinator<V>(&self, groups: Vec<String>) -> Routed<String, V> {
        let lookups = groups.into_iter().map(|group| async move {
            let found = self.cluster().find_coordinator(&Arc::from(group.as_str())).await;
            (group, found)
        });
        let mut routed = Routed::new();
        let mut lookups = stream::iter(lookups).buffer_unordered(LOOKUPS);
        while let Some((group, found)) = lookups.next().await {
            match found {
                Ok(Coordinator { node, address }) => routed.by_broker.entry((node, address)).or_default().push(group),
                Err(ClientError::Coordinator { code, .. }) => {
                    routed.round.answers.push((group, Err(Refused { code, message: None })));
                }
                Err(error) => routed.round.failure = Some(error),
            }
        }
        routed
    }

    /// Partitions by their leader, as the cluster has it now.
    pub(super) async fn by_leader<V>(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Routed<TopicPartition, V>, ClientError> {
        let mut names: Vec<Arc<str>> = partitions.iter().map(|partition| Arc::clone(&partition.topic)).collect();
        names.sort_unstable();
        names.dedup();
        let image = self.cluster().refresh(Wanted::Topics { names: &names, allow_auto_create: false }).await?;
        let mut routed = Routed::new();
        for item in partitions {
            let topic = image.topic(&item.topic);
            let error = topic.map_or(Some(ErrorCode::UnknownTopicOrPartition), |topic| topic.error);
            let partition = topic.and_then(|topic| topic.partition(item.partition));
            let leader = partition.and_then(|partition| partition.leader);
            let code = match (error, partition) {
                (Some(code), _) => code,
                (None, None) => ErrorCode::UnknownTopicOrPartition,
                (None, Some(_)) => ErrorCode::LeaderNotAvailable,
            };
            match leader.and_then(|node| Some((node, image.address(node)?.clone()))).filter(|_| error.is_none()) {
                Some(leader) => routed.by_broker.entry(leader).or_default().push(item),
                None => routed.round.answers.push((item, Err(Refused { code, message: None }))),
            }
        }
        Ok(routed)
    }
}
