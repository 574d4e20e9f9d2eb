//! Transactional ids that nobody has used for `transactional.id.expiration.ms`.

use vltava_core::machine::{Context, Decision, Reply};

use super::TransactionCoordinator;
use super::command::{TransactionCommand, TransactionTimer};
use super::event::{TransactionEvent, TransactionKey};
use super::settings::TOMBSTONES_BYTES_MAX;
use super::state::TransactionalId;

/// What a tombstone takes besides the name: lengths, type, and what a record has around its key.
const TOMBSTONE_REST: usize = 40;

impl TransactionCoordinator {
    /// Sets the timer of the next search.
    pub(super) fn await_expiry(&self, context: &Context<'_>, decision: Decision<Self>) -> Decision<Self> {
        let at = context.now + self.settings.expiry_check_interval;
        decision.set_timer(
            TransactionKey::Expiry,
            at,
            TransactionCommand::TimerFired(TransactionTimer::Expiry),
        )
    }

    /// Forgets what has expired, so much at a time.
    pub(super) fn expire(&self, context: &Context<'_>) -> Decision<Self> {
        let expiration = i64::try_from(self.settings.id_expiration.as_millis()).unwrap_or(i64::MAX);
        let mut expired: Vec<&TransactionalId> = self
            .entries
            .iter()
            .filter(|(_, known)| known.stored.status.is_idle())
            .filter(|(_, known)| context.wall.since(known.stored.updated) >= expiration)
            .map(|(id, _)| id)
            .collect();
        expired.sort_unstable();
        let mut bytes = 0;
        let taken = expired.iter().take_while(|id| {
            let fits = bytes < TOMBSTONES_BYTES_MAX;
            bytes += id.len() + TOMBSTONE_REST;
            fits
        });
        let events: Vec<_> = taken.map(|id| TransactionEvent::Forgotten { id: (*id).clone() }).collect();
        let more = events.len() < expired.len();
        let decision = Decision::with(events, Reply::Nobody);
        if !more {
            return self.await_expiry(context, decision);
        }
        let again = TransactionCommand::TimerFired(TransactionTimer::Expiry);
        decision.set_timer(TransactionKey::Expiry, context.now, again)
    }
}
