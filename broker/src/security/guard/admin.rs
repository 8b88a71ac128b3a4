//! Topics' and brokers' administration, access rules, users, quotas.

use riverrun_core::{
    metadata::{
        AclOperation::{self, Alter, AlterConfigs, Create, Delete, Describe, DescribeConfigs},
        ConfigResource,
    },
    protocol::{
        ErrorCode,
        messages::{
            AlterClientQuotasRequest, AlterClientQuotasResponse, AlterConfigsRequest, AlterConfigsResponse,
            AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, CreateAclsRequest, CreateAclsResponse,
            CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
            DeleteAclsRequest, DeleteAclsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeAclsRequest,
            DescribeAclsResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeConfigsRequest,
            DescribeConfigsResponse, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
            IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListConfigResourcesRequest,
            ListConfigResourcesResponse, UpdateFeaturesRequest, UpdateFeaturesResponse, alter_client_quotas,
            alter_configs, alter_user_scram_credentials::AlterUserScramCredentialsResult,
            create_acls::AclCreationResult, create_partitions::CreatePartitionsTopicResult,
            create_topics::CreatableTopicResult, delete_acls::DeleteAclsFilterResult,
            delete_topics::DeletableTopicResult, incremental_alter_configs,
        },
    },
};

use super::{CLUSTER_DENIED, Decision, GROUP_DENIED, Permissions, TOPIC_DENIED, part};

/// Create on the cluster, or on each topic. The configs of what was created are for whom may see them.
pub(super) fn create_topics(may: Permissions, mut request: CreateTopicsRequest) -> Decision {
    let any = may.cluster(Create);
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| any || may.topic(Create, &topic.name));
    request.topics = allowed;
    Decision::amend(request, move |response: &mut CreateTopicsResponse| {
        for topic in response.topics.iter_mut().filter(|topic| topic.error_code == 0) {
            if !may.topic(DescribeConfigs, &topic.name) {
                topic.topic_config_error_code = TOPIC_DENIED;
                topic.configs = None;
                topic.num_partitions = -1;
                topic.replication_factor = -1;
            }
        }
        response.topics.extend(denied.into_iter().map(|topic| CreatableTopicResult {
            name: topic.name,
            error_code: TOPIC_DENIED,
            error_message: Some("Authorization failed.".to_owned()),
            ..Default::default()
        }));
    })
}

/// Delete on each topic. The name of a topic given by id is told to whom may describe it.
pub(super) fn delete_topics(may: &Permissions, mut request: DeleteTopicsRequest) -> Decision {
    let mut denied = Vec::new();
    request.topics.retain(|topic| {
        let named = topic.name.as_deref().unwrap_or_default();
        let Some(name) = may.topic_name(named, topic.topic_id) else { return true };
        let allowed = may.topic(Delete, name);
        if !allowed {
            let visible = topic.name.is_some() || may.topic(Describe, name);
            denied.push(DeletableTopicResult {
                name: visible.then(|| name.to_owned()),
                topic_id: topic.topic_id,
                error_code: TOPIC_DENIED,
                ..Default::default()
            });
        }
        allowed
    });
    request.topic_names.retain(|name| {
        let allowed = may.topic(Delete, name);
        if !allowed {
            let name = Some(name.clone());
            denied.push(DeletableTopicResult { name, error_code: TOPIC_DENIED, ..Default::default() });
        }
        allowed
    });
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut DeleteTopicsResponse| response.responses.extend(denied))
}

/// Alter on each topic.
pub(super) fn create_partitions(may: &Permissions, mut request: CreatePartitionsRequest) -> Decision {
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Alter, &topic.name));
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut CreatePartitionsResponse| {
        response.results.extend(denied.into_iter().map(|topic| CreatePartitionsTopicResult {
            name: topic.name,
            error_code: TOPIC_DENIED,
            ..Default::default()
        }));
    })
}

/// The code, if the settings of a resource are not for this client; settings of brokers are the cluster's.
fn config_denied(may: &Permissions, operation: AclOperation, kind: i8, name: &str) -> Option<i16> {
    match ConfigResource::from_wire(kind, name) {
        Ok(ConfigResource::Topic(topic)) => (!may.topic(operation, &topic)).then_some(TOPIC_DENIED),
        Ok(ConfigResource::Group(_)) => (!may.group(operation, name)).then_some(GROUP_DENIED),
        // What is no resource at all says nothing of the cluster, but is none of this client's business either.
        _ => (!may.cluster(operation)).then_some(CLUSTER_DENIED),
    }
}

/// DescribeConfigs on each topic or group, or on the cluster.
pub(super) fn describe_configs(may: Permissions, request: DescribeConfigsRequest) -> Decision {
    Decision::amend(request, move |response: &mut DescribeConfigsResponse| {
        for result in &mut response.results {
            if let Some(code) = config_denied(&may, DescribeConfigs, result.resource_type, &result.resource_name) {
                result.error_code = code;
                result.error_message = Some(ErrorCode::from_code(code).message().to_owned());
                result.configs.clear();
            }
        }
    })
}

/// AlterConfigs on each topic or group, or on the cluster.
pub(super) fn alter_configs(may: &Permissions, mut request: AlterConfigsRequest) -> Decision {
    let mut denied = Vec::new();
    request.resources.retain(|resource| {
        let code = config_denied(may, AlterConfigs, resource.resource_type, &resource.resource_name);
        denied.extend(code.map(|error_code| alter_configs::AlterConfigsResourceResponse {
            error_code,
            error_message: Some(ErrorCode::from_code(error_code).message().to_owned()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
        }));
        code.is_none()
    });
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut AlterConfigsResponse| response.responses.extend(denied))
}

/// As [`alter_configs`].
pub(super) fn incremental_alter_configs(may: &Permissions, mut request: IncrementalAlterConfigsRequest) -> Decision {
    let mut denied = Vec::new();
    request.resources.retain(|resource| {
        let code = config_denied(may, AlterConfigs, resource.resource_type, &resource.resource_name);
        denied.extend(code.map(|error_code| incremental_alter_configs::AlterConfigsResourceResponse {
            error_code,
            error_message: Some(ErrorCode::from_code(error_code).message().to_owned()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
        }));
        code.is_none()
    });
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut IncrementalAlterConfigsResponse| response.responses.extend(denied))
}

/// DescribeConfigs on the cluster.
pub(super) fn list_config_resources(may: &Permissions, request: ListConfigResourcesRequest) -> Decision {
    if may.cluster(DescribeConfigs) {
        return Decision::Pass(request.into());
    }
    Decision::answer(ListConfigResourcesResponse { error_code: CLUSTER_DENIED, ..Default::default() })
}

/// Alter on the cluster.
pub(super) fn update_features(may: &Permissions, request: UpdateFeaturesRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    let error_message = cluster_words();
    Decision::answer(UpdateFeaturesResponse { error_code: CLUSTER_DENIED, error_message, ..Default::default() })
}

fn cluster_words() -> Option<String> {
    Some(ErrorCode::ClusterAuthorizationFailed.message().to_owned())
}

/// Alter on the cluster.
pub(super) fn create_acls(may: &Permissions, request: CreateAclsRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    let refused = |_| AclCreationResult { error_code: CLUSTER_DENIED, error_message: cluster_words() };
    let results = request.creations.iter().map(refused).collect();
    Decision::answer(CreateAclsResponse { results, ..Default::default() })
}

/// Alter on the cluster.
pub(super) fn delete_acls(may: &Permissions, request: DeleteAclsRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    let refused =
        |_| DeleteAclsFilterResult { error_code: CLUSTER_DENIED, error_message: cluster_words(), ..Default::default() };
    let filter_results = request.filters.iter().map(refused).collect();
    Decision::answer(DeleteAclsResponse { filter_results, ..Default::default() })
}

/// Describe on the cluster.
pub(super) fn describe_acls(may: &Permissions, request: DescribeAclsRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    let error_message = cluster_words();
    Decision::answer(DescribeAclsResponse { error_code: CLUSTER_DENIED, error_message, ..Default::default() })
}

/// DescribeConfigs on the cluster.
pub(super) fn describe_quotas(may: &Permissions, request: DescribeClientQuotasRequest) -> Decision {
    if may.cluster(DescribeConfigs) {
        return Decision::Pass(request.into());
    }
    let error_message = cluster_words();
    Decision::answer(DescribeClientQuotasResponse {
        error_code: CLUSTER_DENIED,
        error_message,
        entries: None,
        ..Default::default()
    })
}

/// AlterConfigs on the cluster.
pub(super) fn alter_quotas(may: &Permissions, request: AlterClientQuotasRequest) -> Decision {
    if may.cluster(AlterConfigs) {
        return Decision::Pass(request.into());
    }
    let refused = |entry: alter_client_quotas::EntryData| alter_client_quotas::EntryDataResponse {
        error_code: CLUSTER_DENIED,
        error_message: cluster_words(),
        entity: entry
            .entity
            .into_iter()
            .map(|part| alter_client_quotas::EntityDataResponse {
                entity_type: part.entity_type,
                entity_name: part.entity_name,
            })
            .collect(),
    };
    let entries = request.entries.into_iter().map(refused).collect();
    Decision::answer(AlterClientQuotasResponse { entries, ..Default::default() })
}

/// Describe on the cluster.
pub(super) fn describe_scram(may: &Permissions, request: DescribeUserScramCredentialsRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    let error_message = cluster_words();
    Decision::answer(DescribeUserScramCredentialsResponse {
        error_code: CLUSTER_DENIED,
        error_message,
        ..Default::default()
    })
}

/// Alter on the cluster.
pub(super) fn alter_scram(may: &Permissions, request: AlterUserScramCredentialsRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    let users = request.deletions.into_iter().map(|deletion| deletion.name);
    let users = users.chain(request.upsertions.into_iter().map(|upsertion| upsertion.name));
    let mut results: Vec<AlterUserScramCredentialsResult> = Vec::new();
    for user in users {
        if !results.iter().any(|result| result.user == user) {
            let error_message = cluster_words();
            results.push(AlterUserScramCredentialsResult { user, error_code: CLUSTER_DENIED, error_message });
        }
    }
    Decision::answer(AlterUserScramCredentialsResponse { results, ..Default::default() })
}
