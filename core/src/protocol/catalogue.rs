//! Every message the codec knows, for checks that go over all of them: round trips, the comparison with Kafka's own
//! definitions, fuzzing.

use std::fmt::Debug;

use super::{
    api::visit_apis,
    consumer::{ConsumerProtocolAssignment, ConsumerProtocolSubscription},
    message::RootMessage,
    records::{
        AccessControlEntryRecord, BrokerRegistrationChangeRecord, ClientQuotaRecord, ConfigRecord,
        ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
        ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue,
        ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
        ConsumerGroupTargetAssignmentMetadataValue, EndTxnMarker, FeatureLevelRecord, GroupMetadataKey,
        GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, PartitionChangeRecord, PartitionRecord,
        ProducerIdsRecord, RegisterBrokerRecord, RemoveAccessControlEntryRecord, RemoveTopicRecord,
        RemoveUserScramCredentialRecord, ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue,
        ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue, ShareGroupMetadataKey, ShareGroupMetadataValue,
        ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue,
        ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
        ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue, ShareSnapshotKey,
        ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue, StreamsGroupCurrentMemberAssignmentKey,
        StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue,
        StreamsGroupMetadataKey, StreamsGroupMetadataValue, StreamsGroupTargetAssignmentMemberKey,
        StreamsGroupTargetAssignmentMemberValue, StreamsGroupTargetAssignmentMetadataKey,
        StreamsGroupTargetAssignmentMetadataValue, StreamsGroupTopologyKey, StreamsGroupTopologyValue, TopicRecord,
        TransactionLogKey, TransactionLogValue, UnregisterBrokerRecord, UserScramCredentialRecord,
    },
};

/// Something to be done with the type of each message.
pub trait MessageVisitor {
    /// Called once for each message.
    fn visit<M: RootMessage + Clone + Debug + PartialEq>(&mut self);
}

/// Shows `visitor` all requests and responses, by ascending API key, and then the records and embedded messages.
pub fn visit_messages(visitor: &mut impl MessageVisitor) {
    visit_apis(visitor);
    visitor.visit::<ConsumerProtocolSubscription>();
    visitor.visit::<ConsumerProtocolAssignment>();
    visitor.visit::<EndTxnMarker>();
    visitor.visit::<OffsetCommitKey>();
    visitor.visit::<OffsetCommitValue>();
    visitor.visit::<GroupMetadataKey>();
    visitor.visit::<GroupMetadataValue>();
    visitor.visit::<TransactionLogKey>();
    visitor.visit::<TransactionLogValue>();
    visitor.visit::<ConsumerGroupMetadataKey>();
    visitor.visit::<ConsumerGroupMetadataValue>();
    visitor.visit::<ConsumerGroupPartitionMetadataKey>();
    visitor.visit::<ConsumerGroupPartitionMetadataValue>();
    visitor.visit::<ConsumerGroupMemberMetadataKey>();
    visitor.visit::<ConsumerGroupMemberMetadataValue>();
    visitor.visit::<ConsumerGroupTargetAssignmentMetadataKey>();
    visitor.visit::<ConsumerGroupTargetAssignmentMetadataValue>();
    visitor.visit::<ConsumerGroupTargetAssignmentMemberKey>();
    visitor.visit::<ConsumerGroupTargetAssignmentMemberValue>();
    visitor.visit::<ConsumerGroupCurrentMemberAssignmentKey>();
    visitor.visit::<ConsumerGroupCurrentMemberAssignmentValue>();
    visitor.visit::<ConsumerGroupRegularExpressionKey>();
    visitor.visit::<ConsumerGroupRegularExpressionValue>();
    visitor.visit::<ShareGroupMemberMetadataKey>();
    visitor.visit::<ShareGroupMemberMetadataValue>();
    visitor.visit::<ShareGroupMetadataKey>();
    visitor.visit::<ShareGroupMetadataValue>();
    visitor.visit::<ShareGroupTargetAssignmentMetadataKey>();
    visitor.visit::<ShareGroupTargetAssignmentMetadataValue>();
    visitor.visit::<ShareGroupTargetAssignmentMemberKey>();
    visitor.visit::<ShareGroupTargetAssignmentMemberValue>();
    visitor.visit::<ShareGroupCurrentMemberAssignmentKey>();
    visitor.visit::<ShareGroupCurrentMemberAssignmentValue>();
    visitor.visit::<ShareGroupStatePartitionMetadataKey>();
    visitor.visit::<ShareGroupStatePartitionMetadataValue>();
    visitor.visit::<StreamsGroupMetadataKey>();
    visitor.visit::<StreamsGroupMetadataValue>();
    visitor.visit::<StreamsGroupMemberMetadataKey>();
    visitor.visit::<StreamsGroupMemberMetadataValue>();
    visitor.visit::<StreamsGroupTargetAssignmentMetadataKey>();
    visitor.visit::<StreamsGroupTargetAssignmentMetadataValue>();
    visitor.visit::<StreamsGroupTargetAssignmentMemberKey>();
    visitor.visit::<StreamsGroupTargetAssignmentMemberValue>();
    visitor.visit::<StreamsGroupCurrentMemberAssignmentKey>();
    visitor.visit::<StreamsGroupCurrentMemberAssignmentValue>();
    visitor.visit::<StreamsGroupTopologyKey>();
    visitor.visit::<StreamsGroupTopologyValue>();
    visitor.visit::<ShareSnapshotKey>();
    visitor.visit::<ShareSnapshotValue>();
    visitor.visit::<ShareUpdateKey>();
    visitor.visit::<ShareUpdateValue>();
    visitor.visit::<RegisterBrokerRecord>();
    visitor.visit::<UnregisterBrokerRecord>();
    visitor.visit::<TopicRecord>();
    visitor.visit::<PartitionRecord>();
    visitor.visit::<ConfigRecord>();
    visitor.visit::<PartitionChangeRecord>();
    visitor.visit::<RemoveTopicRecord>();
    visitor.visit::<FeatureLevelRecord>();
    visitor.visit::<ProducerIdsRecord>();
    visitor.visit::<BrokerRegistrationChangeRecord>();
    visitor.visit::<AccessControlEntryRecord>();
    visitor.visit::<RemoveAccessControlEntryRecord>();
    visitor.visit::<ClientQuotaRecord>();
    visitor.visit::<UserScramCredentialRecord>();
    visitor.visit::<RemoveUserScramCredentialRecord>();
}
