//! Groups: listing, describing, deleting.
//!
//! A group of the newer consumer protocol is unknown to DescribeGroups; it is asked for by ConsumerGroupDescribe then.
//!
//! Source: ListGroups (filters of KIP-518 and KIP-848), DescribeGroups, ConsumerGroupDescribe, DeleteGroups (KIP-229).

use std::sync::Arc;

use futures::future::try_join_all;
use riverrun_core::{
    TopicPartition,
    protocol::{
        ApiKey, ErrorCode,
        messages::{
            ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
            consumer_group_describe::{self, Assignment},
            describe_groups::{DescribedGroup, DescribedGroupMember},
        },
    },
};

use super::{
    Admin, Refused, Results, item,
    route::{coordinator_moved, settle},
};
use crate::{
    CallError, ClientError,
    cluster::{Coordinator, Wanted, retrying},
    consumer::{assigned, check},
};

/// Which groups to list. The default is all.
///
/// ```
/// # use riverrun_client::admin::GroupFilter;
/// let idle = GroupFilter::default().state("Empty").group_type("classic");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilter {
    states: Vec<String>,
    types: Vec<String>,
}

impl GroupFilter {
    /// Groups in this state, such as `Stable` or `Empty`, or in another one given.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.states.push(state.into());
        self
    }

    /// Groups of this type, such as `classic` or `consumer`, or of another one given.
    #[must_use]
    pub fn group_type(mut self, group_type: impl Into<String>) -> Self {
        self.types.push(group_type.into());
        self
    }
}

/// A group by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// `consumer`, `connect`, or empty for a group that only keeps offsets.
    pub protocol_type: String,
    /// Such as `Stable` or `Empty`; empty if the broker does not tell.
    pub state: String,
    /// Such as `classic` or `consumer`; empty if the broker does not tell.
    pub group_type: String,
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// Such as `Stable`, `Empty` or `Dead`.
    pub state: String,
    /// `consumer`, `connect`, or empty.
    pub protocol_type: String,
    /// The assignor in use, if there is one.
    pub assignor: String,
    /// The node that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<GroupMemberDescription>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its static name, if it has one.
    pub group_instance_id: Option<String>,
    /// How its client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its partitions; empty too for members of groups that are no consumers.
    pub assignment: Vec<TopicPartition>,
}

impl Admin {
    /// All groups of the cluster, by id.
    ///
    /// # Errors
    /// If one of the brokers does not answer.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        self.list_groups_matching(&GroupFilter::default()).await
    }

    /// Groups in certain states and of certain types, by id.
    ///
    /// # Errors
    /// If one of the brokers does not answer, or is too old to filter.
    pub async fn list_groups_matching(&self, filter: &GroupFilter) -> Result<Vec<GroupListing>, ClientError> {
        let listed = retrying(self.timeout, || async {
            let brokers_only = Wanted::Topics { names: &[], allow_auto_create: false };
            let image = self.cluster().refresh(brokers_only).await?;
            let calls = image.brokers.values().map(|broker| async {
                let request =
                    ListGroupsRequest { states_filter: filter.states.clone(), types_filter: filter.types.clone() };
                let response = self.pool.call(&broker.address, |_| request).await?;
                check(ApiKey::ListGroups, response.error_code)?;
                Ok::<_, ClientError>(response.groups)
            });
            try_join_all(calls).await
        });
        let groups = listed.await?.into_iter().flatten().map(|group| GroupListing {
            group_id: group.group_id,
            protocol_type: group.protocol_type,
            state: group.group_state,
            group_type: group.group_type,
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        // While a group moves between coordinators two of them may name it.
        groups.dedup_by(|a, b| a.group_id == b.group_id);
        Ok(groups)
    }

    /// Groups with their members.
    ///
    /// # Errors
    /// If the coordinators cannot be asked; refusals are in the results.
    pub async fn describe_groups<T: AsRef<str>>(
        &self,
        groups: &[T],
    ) -> Result<Results<String, GroupDescription>, ClientError> {
        let groups = groups.iter().map(|group| group.as_ref().to_owned());
        settle(self.timeout, groups, coordinator_moved, |open, _| async move {
            let routed = self.by_coordinator(open).await;
            Ok(routed.ask(|coordinator, groups| self.describe_at(coordinator, groups)).await)
        })
        .await
    }

    async fn describe_at(
        &self,
        coordinator: Coordinator,
        groups: Vec<String>,
    ) -> Result<Results<String, GroupDescription>, ClientError> {
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        let response = self.pool.call(&coordinator.address, |_| request).await?;
        let described = response.groups.into_iter().map(|group| described(coordinator.node, group));
        let mut described: Results<_, _> = described.collect();
        let others: Vec<_> =
            described.iter().filter(|(_, result)| is_unknown(result)).map(|(id, _)| id.clone()).collect();
        if !others.is_empty() {
            described.extend(self.describe_newer_at(&coordinator, others).await?);
        }
        Ok(described)
    }

    /// Those of the groups that are of the newer protocol.
    async fn describe_newer_at(
        &self,
        coordinator: &Coordinator,
        group_ids: Vec<String>,
    ) -> Result<Results<String, GroupDescription>, ClientError> {
        let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
        let response = match self.pool.call(&coordinator.address, |_| request).await {
            Err(ClientError::Call(CallError::Unsupported { .. })) => return Ok(Results::new()),
            response => response?,
        };
        let described = response.groups.into_iter().map(|group| described_newer(coordinator.node, group));
        Ok(described.filter(|(_, result)| !is_unknown(result)).collect())
    }

    /// Deletes groups without members, and their offsets.
    ///
    /// # Errors
    /// If the coordinators cannot be asked; refusals are in the results.
    pub async fn delete_groups<T: AsRef<str>>(&self, groups: &[T]) -> Result<Results<String, ()>, ClientError> {
        let groups = groups.iter().map(|group| group.as_ref().to_owned());
        settle(self.timeout, groups, coordinator_moved, |open, _| async move {
            let ask = |coordinator: Coordinator, groups_names| async move {
                let request = DeleteGroupsRequest { groups_names };
                let response = self.pool.call(&coordinator.address, |_| request).await?;
                let results = response.results.into_iter();
                Ok(results.map(|result| (result.group_id, item(result.error_code, None, ()))).collect::<Vec<_>>())
            };
            Ok(self.by_coordinator(open).await.ask(ask).await)
        })
        .await
    }
}

/// Whether the coordinator has no such group, or none that this API may show. Older versions call it dead.
fn is_unknown(result: &Result<GroupDescription, Refused>) -> bool {
    match result {
        Ok(group) => group.state == "Dead",
        Err(refused) => matches!(refused.code, ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion),
    }
}

fn described(coordinator: i32, group: DescribedGroup) -> (String, Result<GroupDescription, Refused>) {
    let is_consumer = group.protocol_type == "consumer";
    let member = |member: DescribedGroupMember| GroupMemberDescription {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        assignment: if is_consumer { assigned(&member.member_assignment).unwrap_or_default() } else { Vec::new() },
    };
    let description = GroupDescription {
        group_id: group.group_id.clone(),
        state: group.group_state,
        protocol_type: group.protocol_type,
        assignor: group.protocol_data,
        coordinator,
        members: group.members.into_iter().map(member).collect(),
    };
    (group.group_id, item(group.error_code, group.error_message, description))
}

fn described_newer(
    coordinator: i32,
    group: consumer_group_describe::DescribedGroup,
) -> (String, Result<GroupDescription, Refused>) {
    let member = |member: consumer_group_describe::Member| GroupMemberDescription {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        assignment: partitions(member.assignment),
    };
    let description = GroupDescription {
        group_id: group.group_id.clone(),
        state: group.group_state,
        protocol_type: "consumer".to_owned(),
        assignor: group.assignor_name,
        coordinator,
        members: group.members.into_iter().map(member).collect(),
    };
    (group.group_id, item(group.error_code, group.error_message, description))
}

fn partitions(assignment: Assignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic_name.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition { topic: Arc::clone(&name), partition })
    });
    topics.collect()
}
