//! What the transaction coordinator is asked: the requests of clients and brokers in the words of the domain, and the
//! timers it has set. What differs between API versions arrives here as a named fact.

use std::collections::BTreeSet;

use vltava_core::id::{ProducerEpoch, ProducerId, TopicPartition};

use super::state::{Status, TransactionVersion, TransactionalId};

/// A command to the coordinator of the transactional ids of one partition of `__transaction_state`.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionCommand {
    /// InitProducerId with a transactional id.
    InitProducer(InitProducer),
    /// AddPartitionsToTxn and AddOffsetsToTxn.
    AddPartitions(AddPartitions),
    /// AddPartitionsToTxn of a broker that only wants to know (KIP-890).
    VerifyPartitions(VerifyPartitions),
    /// EndTxn.
    End(End),
    /// Every partition of a prepared transaction has its marker.
    MarkersWritten {
        /// The transactional id.
        id: TransactionalId,
        /// The producer of the markers.
        producer: ProducerId,
        /// Their epoch.
        epoch: ProducerEpoch,
    },
    /// DescribeTransactions, for one transactional id.
    Describe(TransactionalId),
    /// ListTransactions, for this partition.
    List(ListFilter),
    /// A timer that the coordinator has set has fired.
    TimerFired(TransactionTimer),
}

/// What a timer of the coordinator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionTimer {
    /// The time of an open transaction is over.
    Timeout(TransactionalId),
    /// It is time to look for transactional ids that nobody uses any more.
    Expiry,
}

/// InitProducerId with a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducer {
    /// The transactional id; not empty.
    pub id: TransactionalId,
    /// How long a transaction may be open, in milliseconds.
    pub timeout_ms: i32,
    /// The identity that the producer has and wants to go on with (KIP-360).
    pub expected: Option<(ProducerId, ProducerEpoch)>,
    /// Transactions of this producer take part in a two-phase commit (KIP-939).
    pub two_phase: bool,
    /// A prepared transaction shall not be aborted (KIP-939).
    pub keep_prepared: bool,
    /// A producer id that nobody has, when the coordinator has asked for one.
    pub fresh: Option<ProducerId>,
}

/// AddPartitionsToTxn and AddOffsetsToTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitions {
    /// The transactional id.
    pub id: TransactionalId,
    /// The producer.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The partitions.
    pub partitions: BTreeSet<TopicPartition>,
    /// The version that the producer uses.
    pub version: TransactionVersion,
    /// While the last transaction is being ended, wait for its end instead of being refused. One waits under each
    /// transactional id; who waited before is refused.
    pub waits: bool,
}

/// A broker wants to know whether these partitions are in the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyPartitions {
    /// The transactional id.
    pub id: TransactionalId,
    /// The producer.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
}

/// EndTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The transactional id.
    pub id: TransactionalId,
    /// The producer.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Whether the transaction shall count.
    pub commit: bool,
    /// The version that the producer uses.
    pub version: TransactionVersion,
    /// A producer id that nobody has, when the coordinator has asked for one.
    pub fresh: Option<ProducerId>,
}

/// Which transactional ids to list; each part that is empty lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Their producers.
    pub producers: BTreeSet<ProducerId>,
    /// Where they stand. `None` lets all through; an empty set nothing.
    pub statuses: Option<BTreeSet<Status>>,
    /// Only transactions that began more than so many milliseconds ago.
    pub longer_than_ms: Option<i64>,
}
