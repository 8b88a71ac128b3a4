//! ListTransactions (API key 66): the transactional ids of this broker (KIP-664). v1: only transactions that began longer
//! ago (KIP-994); v2: only ids that match a pattern as a whole, in RE2's syntax (KIP-1152).

use std::collections::BTreeSet;

use regex::Regex;
use riverrun_core::{
    ProducerId,
    protocol::{
        ErrorCode,
        messages::{ListTransactionsRequest, ListTransactionsResponse, list_transactions::TransactionState},
    },
    transaction::{self, ListFilter},
};

use super::transactional;
use crate::node::Node;

/// Bytes a pattern may take when it is compiled.
const PATTERN_SIZE_MAX: usize = 1 << 20;

pub(super) fn handle(node: &Node, request: &ListTransactionsRequest) -> ListTransactionsResponse {
    let refused = |code: ErrorCode| ListTransactionsResponse { error_code: code.code(), ..Default::default() };
    let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
        return refused(ErrorCode::InvalidRegularExpression);
    };
    let mut unknown_state_filters = Vec::new();
    let mut states = BTreeSet::new();
    for name in &request.state_filters {
        match transaction::TransactionState::from_name(name) {
            Some(state) => drop(states.insert(state)),
            None => unknown_state_filters.push(name.clone()),
        }
    }
    let filter = ListFilter {
        // If none of those asked for exists, none passes.
        states: (!request.state_filters.is_empty()).then_some(states),
        producer_ids: request.producer_id_filters.iter().copied().map(ProducerId).collect(),
        longer_than_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
    };
    let matches = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id));
    let now_ms = node.clock.wall_ms();
    let mut transaction_states = Vec::new();
    for shard in node.transactions.shards().iter() {
        match shard.ask(|machine| machine.list(&filter, matches, now_ms)) {
            Ok(listed) => transaction_states.extend(listed.into_iter().map(|listed| TransactionState {
                transactional_id: listed.transactional_id.to_string(),
                producer_id: listed.producer_id.0,
                transaction_state: listed.state.name().to_owned(),
            })),
            Err(error) => return refused(transactional::code(&error)),
        }
    }
    ListTransactionsResponse { unknown_state_filters, transaction_states, ..Default::default() }
}

/// The pattern; none, and an empty one, match everything.
fn pattern(text: Option<&str>) -> Result<Option<Regex>, regex::Error> {
    let compile = |text: &str| {
        regex::RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(PATTERN_SIZE_MAX)
            .dfa_size_limit(PATTERN_SIZE_MAX)
            .build()
    };
    text.filter(|text| !text.is_empty()).map(compile).transpose()
}
