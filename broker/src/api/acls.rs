//! DescribeAcls, CreateAcls, DeleteAcls (API keys 29, 30, 31): the access rules (KIP-140, KIP-290). Without an
//! authorizer: SECURITY_DISABLED (54), as in Kafka.

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    metadata::{Acl, AclFilter, MetadataRecord, WireAcl},
    protocol::{
        ErrorCode,
        messages::{
            CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
            DescribeAclsResponse,
            create_acls::{AclCreation, AclCreationResult},
            delete_acls::{DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl},
            describe_acls::{AclDescription, DescribeAclsResource},
        },
    },
};

use crate::{Reply, node::Node};

const DISABLED: i16 = ErrorCode::SecurityDisabled.code();

fn disabled() -> Option<String> {
    Some("No Authorizer is configured.".to_owned())
}

pub(super) fn describe(node: &Node, request: DescribeAclsRequest) -> DescribeAclsResponse {
    if !node.authorizer.is_enabled() {
        let words = "No Authorizer is configured on the broker".to_owned();
        return DescribeAclsResponse { error_code: DISABLED, error_message: Some(words), ..Default::default() };
    }
    let filter = AclFilter {
        resource_type: request.resource_type_filter,
        resource_name: request.resource_name_filter,
        pattern_type: request.pattern_type_filter,
        principal: request.principal_filter,
        host: request.host_filter,
        operation: request.operation,
        permission: request.permission_type,
    };
    if let Err(error) = filter.validate() {
        let (error_code, error_message) = (ErrorCode::InvalidRequest.code(), Some(error.to_string()));
        return DescribeAclsResponse { error_code, error_message, ..Default::default() };
    }
    let image = node.image();
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for (_, acl) in image.acls().iter().filter(|(_, acl)| filter.matches(acl)) {
        let resource = (acl.resource_type, acl.resource_name.clone(), acl.pattern_type);
        resources.entry(resource).or_default().push(AclDescription {
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.wire(),
            permission_type: acl.permission.wire(),
        });
    }
    let resources = resources.into_iter().map(|((kind, resource_name, pattern), acls)| DescribeAclsResource {
        resource_type: kind.wire(),
        resource_name,
        pattern_type: pattern.wire(),
        acls,
    });
    DescribeAclsResponse { resources: resources.collect(), ..Default::default() }
}

pub(super) fn create(node: &Arc<Node>, request: CreateAclsRequest) -> Reply {
    if !node.authorizer.is_enabled() {
        let refused = |_| AclCreationResult { error_code: DISABLED, error_message: disabled() };
        let results = request.creations.iter().map(refused).collect();
        return Reply::now(CreateAclsResponse { results, ..Default::default() });
    }
    let wanted: Vec<_> = request.creations.into_iter().map(read).collect();
    let changed = node.metadata.change(
        |image| {
            let mut records: Vec<MetadataRecord> = Vec::new();
            for (index, acl) in wanted.iter().enumerate() {
                let earlier = wanted.iter().take(index).any(|other| other == acl);
                if let Ok(acl) = acl
                    && !earlier
                {
                    records.extend(image.create_acl(acl, node.random_uuid()));
                }
            }
            Ok::<_, std::convert::Infallible>((records, ()))
        },
        |_, ()| Ok(()),
    );
    let (committed, failed) = match changed {
        Ok(((), committed)) => (Some(committed), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Reply::later(async move {
        let mut failed = failed;
        if let Some(committed) = committed
            && let Err(error) = committed.await
        {
            failed = Some(error.to_string());
        }
        let result = |acl: Result<Acl, String>| {
            let (code, error_message) = match (acl, &failed) {
                (Err(reason), _) => (ErrorCode::InvalidRequest, Some(reason)),
                (Ok(_), Some(problem)) => (ErrorCode::KafkaStorageError, Some(problem.clone())),
                (Ok(_), None) => (ErrorCode::None, None),
            };
            AclCreationResult { error_code: code.code(), error_message }
        };
        CreateAclsResponse { results: wanted.into_iter().map(result).collect(), ..Default::default() }
    })
}

fn read(creation: AclCreation) -> Result<Acl, String> {
    let wire = WireAcl {
        resource_type: creation.resource_type,
        pattern_type: creation.resource_pattern_type,
        resource_name: creation.resource_name,
        principal: creation.principal,
        host: creation.host,
        operation: creation.operation,
        permission: creation.permission_type,
    };
    Acl::try_from(wire).map_err(|error| error.to_string())
}

pub(super) fn delete(node: &Arc<Node>, request: DeleteAclsRequest) -> Reply {
    if !node.authorizer.is_enabled() {
        let refused =
            |_| DeleteAclsFilterResult { error_code: DISABLED, error_message: disabled(), ..Default::default() };
        let filter_results = request.filters.iter().map(refused).collect();
        return Reply::now(DeleteAclsResponse { filter_results, ..Default::default() });
    }
    let filters: Vec<_> = request.filters.into_iter().map(read_filter).collect();
    let changed = node.metadata.change(
        |image| {
            let mut records = Vec::new();
            let matches = filters.iter().map(|filter| {
                let Ok(filter) = filter else { return Vec::new() };
                let found = image.delete_acls(filter);
                found
                    .into_iter()
                    .map(|(acl, record)| {
                        // Two filters may mean the same rule; it is removed once.
                        if !records.contains(&record) {
                            records.push(record);
                        }
                        acl
                    })
                    .collect()
            });
            let matches: Vec<Vec<Acl>> = matches.collect();
            Ok::<_, std::convert::Infallible>((records, matches))
        },
        |_, _| Ok(()),
    );
    let (matches, committed, failed) = match changed {
        Ok((matches, committed)) => (matches, Some(committed), None),
        Err(error) => (Vec::new(), None, Some(error.to_string())),
    };
    Reply::later(async move {
        let mut failed = failed;
        if let Some(committed) = committed
            && let Err(error) = committed.await
        {
            failed = Some(error.to_string());
        }
        let mut matches = matches.into_iter();
        let result = |filter: Result<AclFilter, String>| {
            let matching = matches.next().unwrap_or_default();
            let (code, error_message) = match (filter, &failed) {
                (Err(reason), _) => (ErrorCode::InvalidRequest, Some(reason)),
                (Ok(_), Some(problem)) => (ErrorCode::KafkaStorageError, Some(problem.clone())),
                (Ok(_), None) => (ErrorCode::None, None),
            };
            let matching_acls = matching.into_iter().map(matched).collect();
            DeleteAclsFilterResult { error_code: code.code(), error_message, matching_acls }
        };
        DeleteAclsResponse { filter_results: filters.into_iter().map(result).collect(), ..Default::default() }
    })
}

fn read_filter(filter: DeleteAclsFilter) -> Result<AclFilter, String> {
    let filter = AclFilter {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter,
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: filter.operation,
        permission: filter.permission_type,
    };
    filter.validate().map(|()| filter).map_err(|error| error.to_string())
}

fn matched(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_code: 0,
        error_message: None,
        resource_type: acl.resource_type.wire(),
        resource_name: acl.resource_name,
        pattern_type: acl.pattern_type.wire(),
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation.wire(),
        permission_type: acl.permission.wire(),
    }
}
