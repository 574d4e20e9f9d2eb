//! In which log directories replicas are: a broker with several chooses, and says so (KIP-858).

use vltava_core::id::{BrokerEpoch, BrokerId, DirectoryId, TopicIdPartition};

use super::Cluster;
use super::brokers::BrokerError;
use super::command::AssignedDirectory;
use super::event::{Event, PartitionChange};
use super::topics::TopicError;

impl Cluster {
    /// Decides where replicas of a broker are, as it says.
    pub(super) fn assign_directories(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        directories: Vec<(TopicIdPartition, DirectoryId)>,
    ) -> (Vec<Event>, Result<Vec<AssignedDirectory>, BrokerError>) {
        if let Err(error) = self.check_broker_epoch(broker, epoch) {
            return (Vec::new(), Err(error));
        }
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(directories.len());
        for (at, directory) in directories {
            let result = self.assign_directory(broker, at, directory).map(|change| events.extend(change));
            results.push((at, result));
        }
        (events, Ok(results))
    }

    fn assign_directory(
        &self,
        broker: BrokerId,
        at: TopicIdPartition,
        directory: DirectoryId,
    ) -> Result<Option<Event>, TopicError> {
        let topic = self.image.topics.by_id(at.topic).ok_or(TopicError::UnknownId)?;
        let partition = topic.partition(at.partition).ok_or(TopicError::UnknownName)?;
        let replica = partition.replicas.iter().position(|replica| *replica == broker);
        let replica = replica.ok_or(TopicError::NotAReplica(broker))?;
        let mut directories = partition.directories.clone();
        directories.resize(partition.replicas.len(), DirectoryId::MIGRATING);
        match directories.get_mut(replica) {
            Some(known) if *known != directory => *known = directory,
            _ => return Ok(None),
        }
        Ok(Some(Event::PartitionChanged(PartitionChange {
            directories: Some(directories),
            ..PartitionChange::of(at.topic, at.partition)
        })))
    }
}
