//! ListTransactions: the transactional ids that this broker coordinates (KIP-664, KIP-994, KIP-1152).

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use vltava_coordinator::transaction::command::ListFilter;
use vltava_coordinator::transaction::{Status, TransactionAnswer, TransactionCommand};
use vltava_core::error::ErrorCode;
use vltava_core::id::ProducerId;
use vltava_core::wire::WireStr;
use vltava_protocol::list_transactions_response::TransactionState;
use vltava_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use vltava_replication::runtime::AskError;

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

/// The most memory that a compiled pattern may take, in bytes. Matching takes time in proportion to the text, whatever the
/// pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(crate) async fn handle(call: Call<ListTransactionsRequest>) -> ListTransactionsResponse {
    match list(&call).await {
        Ok(response) => response,
        Err(code) => {
            ListTransactionsResponse { error_code: code.code(), ..ListTransactionsResponse::default() }
        }
    }
}

async fn list(call: &Call<ListTransactionsRequest>) -> Result<ListTransactionsResponse, ErrorCode> {
    let pattern = pattern(call.request.transactional_id_pattern.as_deref())?;
    let (filter, unknown_state_filters) = filter(&call.request);
    let mut transaction_states = Vec::new();
    for partition in call.node.transactions.partitions() {
        let command = TransactionCommand::List(filter.clone());
        let listed = match call.node.transactions.ask(partition, command).await {
            Ok(TransactionAnswer::List(listed)) => listed,
            Ok(_) => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            // Another broker has it by now.
            Err(AskError::NotLeader) => continue,
            Err(error) => return Err(error.code()),
        };
        let shown = listed.into_iter().filter(|known| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(&known.id))
                && call.allows(Operation::Describe, Resource::TransactionalId(&known.id))
        });
        transaction_states.extend(shown.map(|known| TransactionState {
            transactional_id: wire(&known.id),
            producer_id: known.producer.0,
            transaction_state: WireStr::from(known.status.name()),
        }));
    }
    Ok(ListTransactionsResponse {
        unknown_state_filters,
        transaction_states,
        ..ListTransactionsResponse::default()
    })
}

/// The whole of a transactional id has to match.
fn pattern(pattern: Option<&str>) -> Result<Option<Regex>, ErrorCode> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(None) };
    let whole = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build();
    // By itself too, so that no bracket of the pattern closes ours.
    let alone = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    match (whole, alone) {
        (Ok(whole), Ok(_)) => Ok(Some(whole)),
        _ => Err(ErrorCode::INVALID_REGULAR_EXPRESSION),
    }
}

/// What to list, and the names of states that are none.
fn filter(request: &ListTransactionsRequest) -> (ListFilter, Vec<WireStr>) {
    // States that no transaction is ever found in here, but that have a name.
    const PASSING: [&str; 2] = ["Dead", "PrepareEpochFence"];
    let status = |name: &WireStr| Status::ALL.into_iter().find(|status| *status.name() == **name);
    let is_unknown = |name: &&WireStr| status(name).is_none() && !PASSING.contains(&&***name);
    let statuses: BTreeSet<Status> = request.state_filters.iter().filter_map(status).collect();
    let filter = ListFilter {
        producers: request.producer_id_filters.iter().copied().map(ProducerId).collect(),
        statuses: (!request.state_filters.is_empty()).then_some(statuses),
        longer_than_ms: Some(request.duration_filter).filter(|least| *least >= 0),
    };
    (filter, request.state_filters.iter().filter(is_unknown).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_ids() {
        for (given, id, expected) in [
            ("till-.*", "till-1", Ok(true)),
            ("till", "till-1", Ok(false)),
            ("a|b", "ab", Ok(false)),
            ("a|b", "b", Ok(true)),
            ("", "anything", Ok(true)),
            ("a)(b", "ab", Err(ErrorCode::INVALID_REGULAR_EXPRESSION)),
            ("(", "", Err(ErrorCode::INVALID_REGULAR_EXPRESSION)),
            ("(x{1000}){1000}", "", Err(ErrorCode::INVALID_REGULAR_EXPRESSION)),
        ] {
            let found = pattern(Some(given)).map(|pattern| pattern.is_none_or(|it| it.is_match(id)));
            assert_eq!(found, expected, "{given:?} and {id:?}");
        }
    }

    #[test]
    fn unknown_states_are_named_and_match_nothing() {
        let request = ListTransactionsRequest {
            state_filters: vec!["Ongoing".into(), "Dead".into(), "Ready".into()],
            duration_filter: -1,
            ..ListTransactionsRequest::default()
        };
        let (filter, unknown) = filter(&request);
        assert_eq!(filter.statuses, Some(BTreeSet::from([Status::Ongoing])));
        assert_eq!(unknown, ["Ready"]);
    }
}
