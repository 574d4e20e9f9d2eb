//! AddPartitionsToTxn: which partitions a transaction has, added by clients and brokers, and verified by brokers.

use vltava_core::id::ProducerId;
use vltava_core::machine::{Context, Decision, Reply};

use super::answer::TransactionAnswer;
use super::command::{AddPartitions, VerifyPartitions};
use super::error::TransactionError;
use super::event::TransactionKey;
use super::state::{Status, Transaction, TransactionVersion, TransactionalId};
use super::{Known, TransactionCoordinator};

impl TransactionCoordinator {
    pub(super) fn add_partitions(&self, context: &Context<'_>, add: AddPartitions) -> Decision<Self> {
        let known = match self.admit_add(&add) {
            Ok(known) => known,
            Err(TransactionError::Concurrent) if add.waits => return wait_for_completion(add.id),
            Err(error) => return answer(Err(error)),
        };
        let stored = &known.stored;
        if stored.status == Status::Ongoing && add.partitions.is_subset(&stored.partitions) {
            return answer(Ok(()));
        }
        let open = stored.status == Status::Ongoing;
        let mut partitions = stored.partitions.clone();
        partitions.extend(add.partitions);
        let next = Transaction {
            previous_producer: stored.producer,
            next_producer: ProducerId::NONE,
            status: Status::Ongoing,
            partitions,
            updated: context.wall,
            started: if open { stored.started } else { context.wall },
            version: add.version,
            ..(**stored).clone()
        };
        let next = next.at(TransactionVersion::of(context.image));
        let reply = Reply::Committed(TransactionAnswer::AddPartitions(Ok(())));
        self.store(context, &add.id, next, known.last_epoch, reply)
    }

    fn admit_add(&self, add: &AddPartitions) -> Result<&Known, TransactionError> {
        let known = self.entries.get(&add.id).ok_or(TransactionError::UnknownProducer)?;
        // First, because the producer may use the id already that it will have once this is complete.
        if known.stored.status.is_prepared() {
            return Err(TransactionError::Concurrent);
        }
        if known.stored.producer != add.producer {
            return Err(TransactionError::UnknownProducer);
        }
        if known.stored.epoch != add.epoch {
            return Err(TransactionError::Fenced);
        }
        Ok(known)
    }

    pub(super) fn verify_partitions(&self, verify: &VerifyPartitions) -> Decision<Self> {
        let verified = self.admit_verification(verify).map(|stored| {
            let verified = |partition| (stored.partitions.contains(partition), partition);
            let verified = verify.partitions.iter().map(verified);
            verified.map(|(known, partition)| (partition.clone(), known)).collect()
        });
        Decision::answer(TransactionAnswer::VerifyPartitions(verified))
    }

    fn admit_verification(&self, verify: &VerifyPartitions) -> Result<&Transaction, TransactionError> {
        let known = self.entries.get(&verify.id).ok_or(TransactionError::UnknownProducer)?;
        if known.stored.producer != verify.producer {
            return Err(TransactionError::UnknownProducer);
        }
        if known.stored.epoch != verify.epoch {
            return Err(TransactionError::Fenced);
        }
        if known.stored.status.is_prepared() {
            return Err(TransactionError::Concurrent);
        }
        Ok(&known.stored)
    }
}

fn answer(result: Result<(), TransactionError>) -> Decision<TransactionCoordinator> {
    Decision::answer(TransactionAnswer::AddPartitions(result))
}

/// Only one request waits: the newest of a producer is the one that counts.
fn wait_for_completion(id: TransactionalId) -> Decision<TransactionCoordinator> {
    let key = TransactionKey::Completed(id);
    let refused = TransactionAnswer::AddPartitions(Err(TransactionError::Concurrent));
    Decision::with(Vec::new(), Reply::Parked(key.clone())).release(key, refused)
}
