//! The transaction coordinator: the transactional ids of one partition of `__transaction_state`, as a state machine.
//!
//! It owns which producer writes under a transactional id, in which epoch, and which partitions its open transaction has.
//! It refuses to know connections, other brokers and the wire: a handler of the broker translates a request into a
//! [`TransactionCommand`] and an answer back, and the broker carries out the one [`TransactionEffect`]: writing markers.
//!
//! Invariants, tested by tables and by schedules of random commands:
//!
//! 1. Under a transactional id one producer id and epoch may write; whoever brings an older epoch changes nothing.
//! 2. A transaction is `Ongoing`, then *prepared* (`PrepareCommit`, `PrepareAbort`), then *complete*. Once it is prepared
//!    its outcome is in the log and nothing changes it; until it is complete nothing else happens under its id.
//! 3. Markers are asked for only when the prepared state is committed, and the complete state is written only when every
//!    partition of the transaction has its marker. A replay asks again for the markers of every prepared transaction.
//! 4. The producer id and epoch of the markers are the largest that the transaction has used, so that whatever comes later
//!    under the old epoch is refused by the partitions.
//! 5. From transaction version 2 on every end raises the epoch (KIP-890): two transactions never share an epoch, and a
//!    request of the first that comes late is refused.
//! 6. An epoch is never used twice for the same producer id. Epochs end one below the largest, which is left for fencing;
//!    then the transactional id goes on with another producer id.
//! 7. An open transaction is aborted when its timeout is over, by the clock that does not jump.
//!
//! Why there is no "transition in progress", as Kafka has it: a decision is applied the moment the log has admitted it, so
//! the next command sees it. Its answer still waits for the commit.
//!
//! Why a new producer id comes with the command: decisions are pure, and producer ids are handed out by the controller.
//! Whoever asks without one when one is needed is told so, gets one, and asks again.

mod add;
pub mod answer;
pub mod command;
mod end;
pub mod error;
pub mod event;
mod expiry;
mod init;
mod list;
mod record;
pub mod settings;
pub mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{ProducerEpoch, Timestamp};
use vltava_core::image::Image;
use vltava_core::machine::{
    Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine, Timer,
};

pub use answer::TransactionAnswer;
pub use command::{TransactionCommand, TransactionTimer};
pub use error::TransactionError;
pub use event::{TransactionEffect, TransactionEvent, TransactionKey};
pub use settings::TransactionSettings;
pub use state::{Status, TRANSACTION_VERSION, Transaction, TransactionVersion, TransactionalId};

/// The coordinator of the transactional ids of one partition of `__transaction_state`.
#[derive(Debug, Default, PartialEq)]
pub struct TransactionCoordinator {
    settings: TransactionSettings,
    entries: HashMap<TransactionalId, Known>,
}

/// What is known under a transactional id.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    /// What the log says.
    stored: Arc<Transaction>,
    /// The epoch before the current one, when the producer itself has asked for that: it may repeat its request. A failover
    /// forgets it, as with Kafka.
    last_epoch: ProducerEpoch,
}

impl TransactionCoordinator {
    /// A coordinator that knows no transactional ids yet.
    #[must_use]
    pub fn new(settings: TransactionSettings) -> Self {
        TransactionCoordinator { settings, ..TransactionCoordinator::default() }
    }

    /// What is stored under a transactional id.
    #[must_use]
    pub fn transaction(&self, id: &TransactionalId) -> Option<&Transaction> {
        self.entries.get(id).map(|known| &*known.stored)
    }

    fn fired(&self, context: &Context<'_>, timer: &TransactionTimer) -> Decision<Self> {
        match timer {
            TransactionTimer::Timeout(id) => self.timed_out(context, id),
            TransactionTimer::Expiry => self.expire(context),
        }
    }

    /// Stores the next state of a transaction, and sees to its timer.
    fn store(
        &self,
        context: &Context<'_>,
        id: &TransactionalId,
        next: Transaction,
        last_epoch: ProducerEpoch,
        reply: Reply<Self>,
    ) -> Decision<Self> {
        let known = self.entries.get(id);
        let was_open = known.is_some_and(|known| known.stored.status == Status::Ongoing);
        let timer = match (was_open, next.status == Status::Ongoing) {
            (false, true) => timeout(context, id, &next, context.wall),
            (true, false) => Some(Timer::Cancel(TransactionKey::Timeout(id.clone()))),
            _ => None,
        };
        let last_epoch_before = known.map_or(ProducerEpoch::NONE, |known| known.last_epoch);
        let stored = Arc::new(next);
        let mut decision =
            Decision::with(vec![TransactionEvent::Stored { id: id.clone(), stored: stored.clone() }], reply);
        if last_epoch != last_epoch_before {
            decision.events.push(TransactionEvent::LastEpoch { id: id.clone(), epoch: last_epoch });
        }
        decision.timers.extend(timer);
        if stored.status.is_prepared() && stored.partitions.is_empty() {
            let completed = Arc::new(stored.completed(context.wall));
            decision.events.push(TransactionEvent::Stored { id: id.clone(), stored: completed });
        } else if stored.status.is_prepared() {
            decision.effects.push(TransactionEffect::WriteMarkers { id: id.clone(), prepared: stored });
        }
        decision
    }
}

/// The timer of an open transaction, which began at `started`. A two-phase transaction has none.
fn timeout(
    context: &Context<'_>,
    id: &TransactionalId,
    open: &Transaction,
    started: Timestamp,
) -> Option<Timer<TransactionCoordinator>> {
    if open.timeout_ms == i32::MAX {
        return None;
    }
    // The wall clock may have jumped since: the rest is never more than the whole.
    let whole = i64::from(open.timeout_ms.max(0));
    let left = whole.saturating_sub(context.wall.since(started)).clamp(0, whole);
    let at = context.now + Duration::from_millis(u64::try_from(left).unwrap_or_default());
    let command = TransactionCommand::TimerFired(TransactionTimer::Timeout(id.clone()));
    Some(Timer::Set { key: TransactionKey::Timeout(id.clone()), at, command })
}

impl StateMachine for TransactionCoordinator {
    type Command = TransactionCommand;
    type Answer = TransactionAnswer;
    type Event = TransactionEvent;
    type Key = TransactionKey;
    type Effect = TransactionEffect;

    fn decide(&self, context: &Context<'_>, command: TransactionCommand) -> Decision<Self> {
        match command {
            TransactionCommand::InitProducer(init) => self.init_producer(context, &init),
            TransactionCommand::AddPartitions(add) => self.add_partitions(context, add),
            TransactionCommand::VerifyPartitions(verify) => self.verify_partitions(&verify),
            TransactionCommand::End(end) => self.end(context, &end),
            TransactionCommand::MarkersWritten { id, producer, epoch } => {
                self.markers_written(context, &id, producer, epoch)
            }
            TransactionCommand::Describe(id) => self.describe(&id),
            TransactionCommand::List(filter) => self.list(context, &filter),
            TransactionCommand::TimerFired(timer) => self.fired(context, &timer),
        }
    }

    fn apply(&mut self, event: &TransactionEvent, _place: Place) {
        match event {
            TransactionEvent::Stored { id, stored } => {
                let new = || Known { stored: stored.clone(), last_epoch: ProducerEpoch::NONE };
                self.entries.entry(id.clone()).or_insert_with(new).stored = stored.clone();
            }
            TransactionEvent::Forgotten { id } => {
                self.entries.remove(id);
            }
            TransactionEvent::LastEpoch { id, epoch } => {
                if let Some(known) = self.entries.get_mut(id) {
                    known.last_epoch = *epoch;
                }
            }
        }
    }

    fn encode(&self, event: &TransactionEvent, image: &Image) -> Encoded {
        record::encode(event, TransactionVersion::of(image))
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<TransactionEvent>, DecodeError> {
        record::decode(entry)
    }

    /// Asks for the markers of prepared transactions, and sets the timers of open ones.
    fn loaded(&self, context: &Context<'_>) -> Decision<Self> {
        let mut loaded = Decision::with(Vec::new(), Reply::Nobody);
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by(|one, other| one.0.cmp(other.0));
        for (id, known) in entries {
            let stored = &known.stored;
            if stored.status == Status::Ongoing {
                loaded.timers.extend(timeout(context, id, stored, stored.started));
            } else if stored.status.is_prepared() {
                let (id, prepared) = (id.clone(), stored.clone());
                loaded.effects.push(TransactionEffect::WriteMarkers { id, prepared });
            }
        }
        self.await_expiry(context, loaded)
    }

    fn snapshot(&self) -> Vec<TransactionEvent> {
        let stored = |(id, known): (&TransactionalId, &Known)| TransactionEvent::Stored {
            id: id.clone(),
            stored: known.stored.clone(),
        };
        let mut events: Vec<(TransactionalId, TransactionEvent)> =
            self.entries.iter().map(|entry| (entry.0.clone(), stored(entry))).collect();
        events.sort_by(|one, other| one.0.cmp(&other.0));
        events.into_iter().map(|(_, event)| event).collect()
    }
}
