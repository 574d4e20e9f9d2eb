//! EndTxn, the end of transactions whose time is over, and what follows once all markers are written.

use vltava_core::id::{ProducerEpoch, ProducerId};
use vltava_core::machine::{Context, Decision, Reply};

use super::answer::TransactionAnswer;
use super::command::End;
use super::error::TransactionError;
use super::event::TransactionKey;
use super::state::{Status, Transaction, TransactionVersion, TransactionalId};
use super::{Known, TransactionCoordinator};

/// What is to be done about a request to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// End the transaction, which may be one without partitions.
    End,
    /// The request was carried out before; its answer was lost.
    Done,
}

impl TransactionCoordinator {
    pub(super) fn end(&self, context: &Context<'_>, end: &End) -> Decision<Self> {
        let Some(known) = self.entries.get(&end.id) else { return refuse(TransactionError::UnknownProducer) };
        // A log that cannot hold the newer state takes no newer end.
        let level = TransactionVersion::of(context.image);
        let raises_epoch = end.version.raises_epoch() && level >= TransactionVersion::FLEXIBLE_RECORDS;
        let verdict = if raises_epoch { judge(end, &known.stored) } else { judge_old(end, &known.stored) };
        let stored = &known.stored;
        match verdict {
            Err(error) => refuse(error),
            Ok(Verdict::Done) => {
                let identity = raises_epoch.then_some((stored.producer, stored.epoch));
                Decision::answer(TransactionAnswer::End(Ok(identity)))
            }
            Ok(Verdict::End) if raises_epoch => self.end_and_raise(context, end, known),
            Ok(Verdict::End) => {
                let mut next = prepared(context, stored, end.commit);
                next.version = TransactionVersion::ZERO;
                let reply = Reply::Committed(TransactionAnswer::End(Ok(None)));
                self.store(context, &end.id, next.at(level), known.last_epoch, reply)
            }
        }
    }

    fn end_and_raise(&self, context: &Context<'_>, end: &End, known: &Known) -> Decision<Self> {
        let stored = &known.stored;
        let mut next = prepared(context, stored, end.commit);
        if stored.status != Status::Ongoing {
            next.started = context.wall;
        }
        if stored.is_exhausted() {
            match end.fresh {
                Some(fresh) => next.next_producer = fresh,
                None => return Decision::answer(TransactionAnswer::NeedsProducerId),
            }
        }
        next.epoch = stored.next_epoch();
        next.version = end.version;
        let completed = next.completed(context.wall);
        let identity = (completed.producer, completed.epoch);
        let reply = Reply::Committed(TransactionAnswer::End(Ok(Some(identity))));
        self.store(context, &end.id, next, stored.epoch, reply)
    }

    /// Aborts an open transaction against the will of its producer, which is fenced by that.
    pub(super) fn abort(
        &self,
        context: &Context<'_>,
        id: &TransactionalId,
        known: &Known,
        reply: Reply<Self>,
    ) -> Decision<Self> {
        let level = TransactionVersion::of(context.image);
        let mut next = prepared(context, &known.stored, false);
        next.epoch = known.stored.next_epoch();
        let last_epoch = if level.raises_epoch() {
            next.version = level;
            known.stored.epoch
        } else {
            next.version = TransactionVersion::ZERO;
            ProducerEpoch::NONE
        };
        self.store(context, id, next.at(level), last_epoch, reply)
    }

    /// The time of a transaction is over.
    pub(super) fn timed_out(&self, context: &Context<'_>, id: &TransactionalId) -> Decision<Self> {
        match self.entries.get(id) {
            Some(known) if known.stored.status == Status::Ongoing => {
                self.abort(context, id, known, Reply::Nobody)
            }
            _ => Decision::nothing(),
        }
    }

    /// Every partition has its marker: the transaction is complete. News of another transaction than the prepared one, as
    /// after a failover, means nothing.
    pub(super) fn markers_written(
        &self,
        context: &Context<'_>,
        id: &TransactionalId,
        producer: ProducerId,
        epoch: ProducerEpoch,
    ) -> Decision<Self> {
        let reply = Reply::Committed(TransactionAnswer::MarkersWritten);
        let prepared = self.entries.get(id).filter(|known| {
            let stored = &known.stored;
            stored.status.is_prepared() && stored.producer == producer && stored.epoch == epoch
        });
        let Some(known) = prepared else { return Decision::with(Vec::new(), reply) };
        let completed = known.stored.completed(context.wall).at(TransactionVersion::of(context.image));
        self.store(context, id, completed, known.last_epoch, reply)
            .release(TransactionKey::Completed(id.clone()), TransactionAnswer::AskAgain)
    }
}

fn refuse(error: TransactionError) -> Decision<TransactionCoordinator> {
    Decision::answer(TransactionAnswer::End(Err(error)))
}

/// The prepared state, in the same epoch.
fn prepared(context: &Context<'_>, stored: &Transaction, commit: bool) -> Transaction {
    Transaction {
        previous_producer: stored.producer,
        next_producer: ProducerId::NONE,
        status: if commit { Status::PrepareCommit } else { Status::PrepareAbort },
        updated: context.wall,
        ..stored.clone()
    }
}

/// Before version 2: a repeated request is told by the outcome alone.
fn judge_old(end: &End, stored: &Transaction) -> Result<Verdict, TransactionError> {
    if stored.producer != end.producer {
        return Err(TransactionError::UnknownProducer);
    }
    if stored.epoch != end.epoch {
        return Err(TransactionError::Fenced);
    }
    match stored.status {
        Status::Ongoing => Ok(Verdict::End),
        Status::PrepareCommit | Status::PrepareAbort => Err(TransactionError::Concurrent),
        Status::CompleteCommit if end.commit => Ok(Verdict::Done),
        Status::CompleteAbort if !end.commit => Ok(Verdict::Done),
        Status::Empty | Status::CompleteCommit | Status::CompleteAbort => Err(TransactionError::InvalidState),
    }
}

/// From version 2 on: a repeated request comes with the epoch before the current one, and one with the current epoch is
/// about the next transaction. That may be aborted before it has any partition, for its producer cannot know.
fn judge(end: &End, stored: &Transaction) -> Result<Verdict, TransactionError> {
    // First, because the producer may use the id already that it will have once this is complete.
    if stored.status.is_prepared() {
        return Err(TransactionError::Concurrent);
    }
    let over_new_id = stored.previous_producer == end.producer
        && end.epoch == Transaction::EPOCH_MAX
        && stored.epoch == ProducerEpoch(0);
    if stored.producer != end.producer && !over_new_id {
        return Err(TransactionError::UnknownProducer);
    }
    let complete = matches!(stored.status, Status::CompleteCommit | Status::CompleteAbort);
    let raised = i32::from(end.epoch.0) + 1 == i32::from(stored.epoch.0);
    if complete && (raised || over_new_id) {
        let same = end.commit == stored.commits();
        return if same { Ok(Verdict::Done) } else { Err(TransactionError::InvalidState) };
    }
    if end.epoch != stored.epoch || stored.producer != end.producer {
        return Err(TransactionError::Fenced);
    }
    match stored.status {
        Status::Ongoing => Ok(Verdict::End),
        _ if end.commit => Err(TransactionError::InvalidState),
        _ => Ok(Verdict::End),
    }
}
