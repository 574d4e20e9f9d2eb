//! Transactions as a broker sees them: the way to their coordinators, the verification of what clients append, and the
//! markers that end them.

pub(crate) mod markers;
pub(crate) mod verification;

use vltava_coordinator::transaction::{TransactionAnswer, TransactionCommand, TransactionError};
use vltava_core::error::ErrorCode;
use vltava_core::id::{ProducerId, TRANSACTION_STATE_TOPIC};

use crate::node::Node;

/// How often a coordinator may ask for a producer id that it did not get with the command. Twice would be a race with
/// another request for the same transactional id; more is a mistake.
const PRODUCER_ID_ASKS_MAX: usize = 3;

impl Node {
    /// Asks the coordinator of a transactional id, when it is here.
    ///
    /// # Errors
    /// Kafka's code when it is not here, is loading, or cannot write.
    pub(crate) async fn ask_transaction(
        &self,
        id: &str,
        command: TransactionCommand,
    ) -> Result<TransactionAnswer, ErrorCode> {
        let partition = self.coordinator_partition(TRANSACTION_STATE_TOPIC, id)?;
        self.transactions.ask(partition, command).await.map_err(|error| error.code())
    }

    /// Asks the coordinator of a transactional id, with a new producer id when that is needed.
    ///
    /// # Errors
    /// Those of [`Node::ask_transaction`], and those of the controller, which hands out producer ids.
    pub(crate) async fn ask_transaction_with_producer_id(
        &self,
        id: &str,
        command: impl Fn(Option<ProducerId>) -> TransactionCommand,
    ) -> Result<TransactionAnswer, ErrorCode> {
        let mut fresh = None;
        for _ in 0..PRODUCER_ID_ASKS_MAX {
            match self.ask_transaction(id, command(fresh)).await? {
                TransactionAnswer::NeedsProducerId => fresh = Some(self.producer_ids.next(self).await?),
                answer => return Ok(answer),
            }
        }
        Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }
}

/// The code of a refusal, for a client that may be too old to know PRODUCER_FENCED.
pub(crate) fn fencing_code(error: TransactionError, knows_fenced: bool) -> ErrorCode {
    match error.code() {
        ErrorCode::PRODUCER_FENCED if !knows_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    }
}
