//! DescribeTransactions and ListTransactions.

use vltava_core::machine::{Context, Decision};

use super::TransactionCoordinator;
use super::answer::{ListedTransaction, TransactionAnswer};
use super::command::ListFilter;
use super::error::TransactionError;
use super::state::{Transaction, TransactionalId};

impl TransactionCoordinator {
    pub(super) fn describe(&self, id: &TransactionalId) -> Decision<Self> {
        let known = self.entries.get(id).map(|known| known.stored.clone());
        Decision::answer(TransactionAnswer::Describe(known.ok_or(TransactionError::NotFound)))
    }

    /// The transactional ids in the order of their names.
    pub(super) fn list(&self, context: &Context<'_>, filter: &ListFilter) -> Decision<Self> {
        let passes = |stored: &Transaction| {
            let producer = filter.producers.is_empty() || filter.producers.contains(&stored.producer);
            let status = filter.statuses.as_ref().is_none_or(|wanted| wanted.contains(&stored.status));
            let age = context.wall.since(stored.started);
            producer && status && filter.longer_than_ms.is_none_or(|least| age > least)
        };
        let mut listed: Vec<ListedTransaction> = self
            .entries
            .iter()
            .filter(|(_, known)| passes(&known.stored))
            .map(|(id, known)| ListedTransaction {
                id: id.clone(),
                producer: known.stored.producer,
                status: known.stored.status,
            })
            .collect();
        listed.sort_by(|one, other| one.id.cmp(&other.id));
        Decision::answer(TransactionAnswer::List(listed))
    }
}
