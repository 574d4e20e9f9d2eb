//! Producer ids: handed out one by one from blocks that the controller allots to this broker.

use tokio::sync::Mutex;
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::id::ProducerId;

use crate::node::Node;

/// What is left of the current block.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    left: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    /// A producer id that nobody has.
    ///
    /// # Errors
    /// Kafka's code when the controller gives no further block.
    pub(crate) async fn next(&self, node: &Node) -> Result<ProducerId, ErrorCode> {
        // The lock is held while a block is fetched: whoever comes meanwhile waits for the same block.
        let mut left = self.left.lock().await;
        if left.is_empty() {
            *left = next_block(node).await?;
        }
        left.next().map(ProducerId).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }
}

async fn next_block(node: &Node) -> Result<std::ops::Range<i64>, ErrorCode> {
    let image = node.view.load().image.clone();
    let epoch = image
        .brokers
        .get(&node.id)
        .map(|broker| broker.epoch)
        .ok_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)?;
    match node.ask_controller(Command::AllocateProducerIds { broker: node.id, epoch }).await? {
        Answer::AllocateProducerIds(Ok(block)) => {
            Ok(block.first.0..block.first.0.saturating_add(i64::from(block.length)))
        }
        Answer::AllocateProducerIds(Err(error)) => Err(error.code()),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
