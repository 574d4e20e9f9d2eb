//! InitProducerId: an identity for the producer of a transactional id, which fences the one before.

use std::collections::BTreeSet;

use vltava_core::id::{ProducerEpoch, ProducerId, Timestamp};
use vltava_core::machine::{Context, Decision, Reply};

use super::answer::TransactionAnswer;
use super::command::InitProducer;
use super::error::TransactionError;
use super::state::{Status, Transaction, TransactionVersion};
use super::{Known, TransactionCoordinator};

/// An identity, and the epoch before it that the producer may repeat its request with.
struct Identity {
    producer: ProducerId,
    epoch: ProducerEpoch,
    last_epoch: ProducerEpoch,
}

impl TransactionCoordinator {
    pub(super) fn init_producer(&self, context: &Context<'_>, init: &InitProducer) -> Decision<Self> {
        if let Err(error) = self.admit_init(init) {
            return refuse(error);
        }
        let known = self.entries.get(&init.id);
        let identity = match known {
            None => new_identity(init),
            Some(known) if !expects(init, known) => return refuse(TransactionError::Fenced),
            Some(known) => match known.stored.status {
                Status::Ongoing => return self.fence(context, init, known),
                Status::PrepareCommit | Status::PrepareAbort => return refuse(TransactionError::Concurrent),
                Status::Empty | Status::CompleteCommit | Status::CompleteAbort => next_identity(init, known),
            },
        };
        let Identity { producer, epoch, last_epoch } = match identity {
            Ok(Some(identity)) => identity,
            Ok(None) => return Decision::answer(TransactionAnswer::NeedsProducerId),
            Err(error) => return refuse(error),
        };
        let next = Transaction {
            producer,
            previous_producer: known.map_or(producer, |known| known.stored.producer),
            next_producer: ProducerId::NONE,
            epoch,
            timeout_ms: if init.two_phase { i32::MAX } else { init.timeout_ms },
            status: Status::Empty,
            partitions: BTreeSet::new(),
            updated: context.wall,
            started: Timestamp::NONE,
            version: known.map_or(TransactionVersion::ZERO, |known| known.stored.version),
        };
        let next = next.at(TransactionVersion::of(context.image));
        let answer = TransactionAnswer::InitProducer(Ok((producer, epoch)));
        self.store(context, &init.id, next, last_epoch, Reply::Committed(answer))
    }

    fn admit_init(&self, init: &InitProducer) -> Result<(), TransactionError> {
        if init.two_phase && !self.settings.two_phase_commit {
            return Err(TransactionError::TwoPhaseOff);
        }
        if init.keep_prepared {
            return Err(TransactionError::KeepUnsupported);
        }
        let in_range = init.timeout_ms > 0 && init.timeout_ms <= self.settings.timeout_ms_max;
        if init.two_phase || in_range { Ok(()) } else { Err(TransactionError::InvalidTimeout) }
    }

    /// Aborts the open transaction. The producer that asks comes again: only then it gets an identity, so that the epoch of
    /// the abort is nobody's.
    fn fence(&self, context: &Context<'_>, init: &InitProducer, known: &Known) -> Decision<Self> {
        let answer = TransactionAnswer::InitProducer(Err(TransactionError::Concurrent));
        self.abort(context, &init.id, known, Reply::Committed(answer))
    }
}

fn refuse(error: TransactionError) -> Decision<TransactionCoordinator> {
    Decision::answer(TransactionAnswer::InitProducer(Err(error)))
}

/// Whether the producer that asks may be the current one: it need not say who it is. One whose epochs were used up may not
/// have learnt of its new producer id.
fn expects(init: &InitProducer, known: &Known) -> bool {
    let Some((producer, epoch)) = init.expected else { return true };
    let stored = &known.stored;
    producer == stored.producer || (producer == stored.previous_producer && epoch >= Transaction::EPOCH_MAX)
}

fn new_identity(init: &InitProducer) -> Result<Option<Identity>, TransactionError> {
    let identity = |producer| Identity { producer, epoch: ProducerEpoch(0), last_epoch: ProducerEpoch::NONE };
    Ok(init.fresh.map(identity))
}

/// The next identity of a producer that has no open transaction; `None` when it needs another producer id.
fn next_identity(init: &InitProducer, known: &Known) -> Result<Option<Identity>, TransactionError> {
    let stored = &known.stored;
    let expected = init.expected.map(|(_, epoch)| epoch);
    if stored.is_exhausted() && expected.is_none_or(|expected| expected == stored.epoch) {
        let last_epoch = expected.map_or(ProducerEpoch::NONE, |_| stored.epoch);
        return Ok(init.fresh.map(|producer| Identity { producer, epoch: ProducerEpoch(0), last_epoch }));
    }
    let (epoch, last_epoch) = match expected {
        None => (stored.next_epoch(), ProducerEpoch::NONE),
        Some(expected) if stored.is_exhausted() && expected != known.last_epoch => {
            return Err(TransactionError::Fenced);
        }
        Some(expected) if expected == stored.epoch => (stored.next_epoch(), stored.epoch),
        // The answer to the same request was lost. Any other producer would have set the last epoch to none.
        Some(expected) if expected == known.last_epoch => (stored.epoch, known.last_epoch),
        Some(_) => return Err(TransactionError::Fenced),
    };
    Ok(Some(Identity { producer: stored.producer, epoch, last_epoch }))
}
