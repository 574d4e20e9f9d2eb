//! What the transaction coordinator answers.

use std::sync::Arc;

use vltava_core::id::{ProducerEpoch, ProducerId, TopicPartition};

use super::error::TransactionError;
use super::state::{Status, Transaction, TransactionalId};

/// The answer to a [`super::TransactionCommand`].
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionAnswer {
    /// A producer id that nobody has is needed: ask again with one. Nothing has changed.
    NeedsProducerId,
    /// To an InitProducerId: the producer's identity from now on.
    InitProducer(Result<(ProducerId, ProducerEpoch), TransactionError>),
    /// To an addition of partitions.
    AddPartitions(Result<(), TransactionError>),
    /// The last transaction is complete now: ask again.
    AskAgain,
    /// To a verification: each partition, or one error for all.
    VerifyPartitions(Result<Vec<(TopicPartition, bool)>, TransactionError>),
    /// To an end: the producer's identity from now on, when it may have changed.
    End(Result<Option<(ProducerId, ProducerEpoch)>, TransactionError>),
    /// To the news that all markers are written.
    MarkersWritten,
    /// To a description.
    Describe(Result<Arc<Transaction>, TransactionError>),
    /// To a listing.
    List(Vec<ListedTransaction>),
}

/// A transactional id in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The transactional id.
    pub id: TransactionalId,
    /// Its producer.
    pub producer: ProducerId,
    /// Where it stands.
    pub status: Status,
}
