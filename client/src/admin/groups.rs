//! Groups: listing, describing, deleting.

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    protocol::{
        ApiKey,
        messages::{
            DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
            describe_groups::{DescribedGroup, DescribedGroupMember},
        },
    },
};

use super::{Admin, Results, TIMEOUT, item};
use crate::{
    ClientError,
    cluster::{Wanted, retrying},
    consumer::{assigned, check},
};

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
        let brokers_only = Wanted::Topics { names: &[], allow_auto_create: false };
        let image = retrying(TIMEOUT, || self.cluster().refresh(brokers_only)).await?;
        let mut groups = Vec::new();
        for broker in image.brokers.values() {
            let listed = retrying(TIMEOUT, || async {
                let response = self.cluster().pool().call(&broker.address, |_| ListGroupsRequest::default()).await?;
                check(ApiKey::ListGroups, response.error_code)?;
                Ok(response.groups)
            });
            groups.extend(listed.await?.into_iter().map(|group| GroupListing {
                group_id: group.group_id,
                protocol_type: group.protocol_type,
                state: group.group_state,
                group_type: group.group_type,
            }));
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    /// Groups with their members.
    ///
    /// # Errors
    /// If a coordinator cannot be asked; refusals are in the results.
    pub async fn describe_groups<T: AsRef<str>>(
        &self,
        groups: &[T],
    ) -> Result<Results<String, GroupDescription>, ClientError> {
        let mut results = Results::new();
        for group in groups {
            let id: Arc<str> = Arc::from(group.as_ref());
            let described = retrying(TIMEOUT, || async {
                let coordinator = self.cluster().find_coordinator(&id).await?;
                let request = DescribeGroupsRequest { groups: vec![id.to_string()], ..Default::default() };
                let response = self.cluster().pool().call(&coordinator.address, |_| request).await?;
                Ok((coordinator.node, response.groups))
            });
            let (coordinator, described) = described.await?;
            for group in described {
                let (code, message) = (group.error_code, group.error_message.clone());
                results.insert(group.group_id.clone(), item(code, message, description(coordinator, group)));
            }
        }
        Ok(results)
    }

    /// Deletes groups without members, and their offsets.
    ///
    /// # Errors
    /// If a coordinator cannot be asked; refusals are in the results.
    pub async fn delete_groups<T: AsRef<str>>(&self, groups: &[T]) -> Result<Results<String, ()>, ClientError> {
        let mut results = Results::new();
        for group in groups {
            let id: Arc<str> = Arc::from(group.as_ref());
            let deleted = retrying(TIMEOUT, || async {
                let coordinator = self.cluster().find_coordinator(&id).await?;
                let request = DeleteGroupsRequest { groups_names: vec![id.to_string()] };
                self.cluster().pool().call(&coordinator.address, |_| request).await
            });
            for result in deleted.await?.results {
                results.insert(result.group_id, item(result.error_code, None, ()));
            }
        }
        Ok(results)
    }
}

fn description(coordinator: i32, group: DescribedGroup) -> GroupDescription {
    let is_consumer = group.protocol_type == "consumer";
    let member = |member: DescribedGroupMember| GroupMemberDescription {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        assignment: if is_consumer { assigned(&member.member_assignment).unwrap_or_default() } else { Vec::new() },
    };
    GroupDescription {
        group_id: group.group_id,
        state: group.group_state,
        protocol_type: group.protocol_type,
        assignor: group.protocol_data,
        coordinator,
        members: group.members.into_iter().map(member).collect(),
    }
}
