//! Blocks of producer ids: each id is handed out once in the life of the cluster (KIP-730).

use vltava_core::id::{BrokerEpoch, BrokerId, ProducerId};

use super::Cluster;
use super::brokers::BrokerError;
use super::command::ProducerIdBlock;
use super::event::{Event, ProducerIds};

/// How many producer ids a broker gets at once.
pub const PRODUCER_IDS_PER_BLOCK: i32 = 1000;

impl Cluster {
    /// Decides which producer ids a broker gets.
    pub(super) fn allocate_producer_ids(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> (Vec<Event>, Result<ProducerIdBlock, BrokerError>) {
        match self.next_producer_ids(broker, epoch) {
            Ok((block, next)) => {
                (vec![Event::ProducerIdsAllocated(ProducerIds { broker, epoch, next })], Ok(block))
            }
            Err(error) => (Vec::new(), Err(error)),
        }
    }

    fn next_producer_ids(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<(ProducerIdBlock, ProducerId), BrokerError> {
        self.check_broker_epoch(broker, epoch)?;
        let first = self.image.next_producer_id;
        let next = first
            .0
            .checked_add(i64::from(PRODUCER_IDS_PER_BLOCK))
            .ok_or(BrokerError::ProducerIdsExhausted)?;
        Ok((ProducerIdBlock { first, length: PRODUCER_IDS_PER_BLOCK }, ProducerId(next)))
    }
}
