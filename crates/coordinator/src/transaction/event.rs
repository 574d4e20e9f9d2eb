//! What happens to transactional ids, and what the broker has to do because of it.

use std::sync::Arc;

use vltava_core::id::ProducerEpoch;

use super::state::{Transaction, TransactionalId};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionEvent {
    /// A new state was stored (`TransactionLog`).
    Stored {
        /// The transactional id.
        id: TransactionalId,
        /// Its state.
        stored: Arc<Transaction>,
    },
    /// A transactional id has expired (the tombstone of `TransactionLog`).
    Forgotten {
        /// The transactional id.
        id: TransactionalId,
    },
    /// The epoch before the current one is another. Not logged: a failover forgets it.
    LastEpoch {
        /// The transactional id.
        id: TransactionalId,
        /// That epoch.
        epoch: ProducerEpoch,
    },
}

/// What the broker has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionEffect {
    /// Write the end markers of a prepared transaction to all of its partitions, until each has one, and then say
    /// [`super::TransactionCommand::MarkersWritten`].
    WriteMarkers {
        /// The transactional id.
        id: TransactionalId,
        /// The prepared state: producer, epoch, outcome, partitions.
        prepared: Arc<Transaction>,
    },
}

/// Names a timer or a parked answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransactionKey {
    /// The time that an open transaction has.
    Timeout(TransactionalId),
    /// Somebody waits until a prepared transaction is complete.
    Completed(TransactionalId),
    /// The search for transactional ids that nobody uses any more.
    Expiry,
}
