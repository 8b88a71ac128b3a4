//! Every message the codec knows, for checks that go over all of them: round trips, the comparison with Kafka's own
//! definitions, fuzzing.

use std::fmt::Debug;

use super::{
    api::visit_apis,
    consumer::{ConsumerProtocolAssignment, ConsumerProtocolSubscription},
    message::RootMessage,
    records::{
        BrokerRegistrationChangeRecord, ConfigRecord, EndTxnMarker, FeatureLevelRecord, GroupMetadataKey,
        GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, PartitionChangeRecord, PartitionRecord,
        ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord, TransactionLogKey,
        TransactionLogValue, UnregisterBrokerRecord,
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
}
