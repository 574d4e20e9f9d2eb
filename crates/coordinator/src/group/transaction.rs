//! Offsets that are committed within a transaction (TxnOffsetCommit), and the end of such transactions.
//!
//! Until the transaction ends its offsets are *pending*: OffsetFetch does not show them, and says UNSTABLE_OFFSET_COMMIT to
//! whoever wants to know what will be. Whether the producer may write at all, in this epoch and this transaction, is for
//! the partition to say, which is asked when the decision is admitted.

use vltava_core::id::Generation;
use vltava_core::machine::{Context, Decision, Reply, TransactionWrite};

use super::GroupCoordinator;
use super::answer::GroupAnswer;
use super::command::{CommitInTransaction, CommitOffsets, EndTransaction};
use super::commit::refuse;
use super::consumer::CommitCheck;
use super::error::GroupError;
use super::event::GroupEvent;

impl GroupCoordinator {
    pub(super) fn commit_in_transaction(
        &self,
        context: &Context<'_>,
        commit: CommitInTransaction,
    ) -> Decision<Self> {
        let CommitInTransaction { offsets, producer, epoch, verification, knows_stale_epoch } = commit;
        let consumer = self.consumers.get(&offsets.group);
        let consumer = consumer.map(|group| group.admit_commit_in_transaction(&offsets, knows_stale_epoch));
        let admitted =
            consumer.unwrap_or_else(|| self.admit_commit_in_transaction(&offsets).map(|()| CommitCheck::Any));
        let check = match admitted {
            Ok(check) => check,
            Err(error) => return Decision::answer(refuse(offsets.topics, error)),
        };
        let (events, outcomes) = self.to_store_all(context, &offsets, &check);
        let mut decision = Decision::with(events, Reply::Committed(GroupAnswer::CommitOffsets(outcomes)));
        decision.transaction = Some(TransactionWrite::Within { producer, epoch, verification });
        decision
    }

    /// Whether the offsets may be committed. The first versions of the request name no member, so that one that names none
    /// is always right; the state of the group does not matter.
    fn admit_commit_in_transaction(&self, commit: &CommitOffsets) -> Result<(), GroupError> {
        let anonymous = commit.generation < Generation(0);
        let nameless = commit.member.is_empty() && commit.instance.is_none();
        let Some(group) = self.classic(&commit.group) else {
            return match self.offsets.has_group(&commit.group) {
                _ if anonymous => Ok(()),
                true => Err(GroupError::UnknownMember),
                false => Err(GroupError::IllegalGeneration),
            };
        };
        if anonymous && (nameless || group.members.is_empty()) {
            return Ok(());
        }
        group.validate(&commit.member, commit.instance.as_ref())?;
        if commit.generation == group.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
    }

    /// Ends a transaction: its offsets count from here on, or never did.
    pub(super) fn end_transaction(&self, end: EndTransaction) -> Decision<Self> {
        let EndTransaction { end, marker_epoch } = end;
        let events = vec![GroupEvent::TransactionEnded(end)];
        let mut decision = Decision::with(events, Reply::Committed(GroupAnswer::TransactionEnded));
        decision.transaction = Some(TransactionWrite::End { end, marker_epoch });
        decision
    }
}
