//! What events do to the state: the only place that changes it.
//!
//! A log may have been written by another controller, so nothing here trusts what it is told: an event about something
//! that does not exist changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use vltava_core::id::{
    BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicName,
};
use vltava_core::image::{Broker, ConfigKind, ConfigResource, Partition, Topic};
use vltava_core::machine::Place;

use super::event::{BrokerChange, Event, Kept, PartitionChange, ProducerIds};
use super::{Cluster, OpenTransaction};

impl Cluster {
    /// Applies an event, or holds it back while a metadata transaction is open.
    pub(super) fn apply_at(&mut self, event: &Event, place: Place) {
        match (event, self.open.take()) {
            (Event::TransactionBegun { name }, None) => {
                self.open = Some(OpenTransaction { name: name.clone(), events: Vec::new() });
                return;
            }
            (Event::TransactionEnded, Some(open)) => {
                for held in &open.events {
                    self.change(held);
                }
            }
            (Event::TransactionAborted { .. }, _) => {}
            (_, Some(mut open)) => {
                if *event != Event::Nothing {
                    open.events.push(event.clone());
                }
                self.open = Some(open);
                return;
            }
            (_, None) => self.change(event),
        }
        self.image.offset = self.image.offset.max(place.offset);
    }

    fn change(&mut self, event: &Event) {
        let image = &mut self.image;
        match event {
            Event::BrokerRegistered(broker) => {
                Arc::make_mut(&mut image.brokers).insert(broker.id, Arc::new(broker.clone()));
            }
            Event::BrokerUnregistered { broker, epoch } => self.forget_broker(*broker, epoch.0),
            Event::BrokerChanged(change) => self.change_broker(change),
            Event::ControllerRegistered(controller) => {
                Arc::make_mut(&mut image.controllers).insert(controller.id, Arc::new(controller.clone()));
            }
            Event::ControllerUnregistered(controller) => {
                Arc::make_mut(&mut image.controllers).remove(controller);
            }
            Event::TopicCreated { name, id } => self.create(name, *id),
            Event::TopicRemoved(id) => self.remove_topic(*id),
            Event::PartitionCreated { topic, index, partition } => {
                self.put_partition(*topic, *index, partition);
            }
            Event::PartitionChanged(change) => self.merge_partition(change),
            Event::EligibleLeadersCleared { topic } => self.clear_eligible(topic.as_ref()),
            Event::ConfigSet { resource, key, value } => image.set_config(resource, key, value.as_deref()),
            Event::FeatureSet { name, level: 0 } => {
                Arc::make_mut(&mut image.features).remove(name);
            }
            Event::FeatureSet { name, level } => {
                Arc::make_mut(&mut image.features).insert(name.clone(), *level);
            }
            Event::ProducerIdsAllocated(ids) => self.take_producer_ids(*ids),
            Event::Kept(kept) => self.keep(kept),
            Event::Nothing
            | Event::TransactionBegun { .. }
            | Event::TransactionEnded
            | Event::TransactionAborted { .. } => {}
        }
    }

    fn forget_broker(&mut self, broker: BrokerId, epoch: i64) {
        if self.image.brokers.get(&broker).is_some_and(|known| known.epoch.0 == epoch) {
            Arc::make_mut(&mut self.image.brokers).remove(&broker);
        }
    }

    fn change_broker(&mut self, change: &BrokerChange) {
        let known = self.image.brokers.get(&change.broker).is_some_and(|known| known.epoch == change.epoch);
        let brokers = &mut self.image.brokers;
        if let Some(broker) = known.then(|| Arc::make_mut(brokers).get_mut(&change.broker)).flatten() {
            merge_broker(Arc::make_mut(broker), change);
        }
    }

    fn create(&mut self, name: &TopicName, id: TopicId) {
        if self.image.topics.by_id(id).is_some() {
            return;
        }
        if let Some(namesake) = self.image.topics.by_name(name).map(|topic| topic.id) {
            self.remove_topic(namesake);
        }
        self.image.topics.insert(Topic { name: name.clone(), id, partitions: Vec::new() });
        if may_collide(name) {
            self.namesakes.entry(name.metric_name()).or_default().insert(name.clone());
        }
    }

    fn remove_topic(&mut self, id: TopicId) {
        let Some(topic) = self.image.topics.remove(id) else { return };
        self.early.retain(|(of, _), _| *of != id);
        let resource = ConfigResource { kind: ConfigKind::Topic, name: topic.name.to_string() };
        if self.image.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.image.configs).remove(&resource);
        }
        let metric_name = topic.name.metric_name();
        if let Some(namesakes) = self.namesakes.get_mut(&metric_name) {
            namesakes.remove(&topic.name);
            if namesakes.is_empty() {
                self.namesakes.remove(&metric_name);
            }
        }
    }

    /// Partitions are in a list without gaps; one whose predecessor has not come yet waits beside it.
    fn put_partition(&mut self, topic: TopicId, index: PartitionIndex, partition: &Partition) {
        let Ok(position) = usize::try_from(index.0) else { return };
        let Some(partitions) = self.image.topics.partitions_mut(topic) else { return };
        if let Some(known) = partitions.get_mut(position) {
            known.clone_from(partition);
        } else if position > partitions.len() {
            self.early.insert((topic, index), partition.clone());
        } else {
            partitions.push(partition.clone());
            let following = (index.0..i32::MAX).map(|before| (topic, PartitionIndex(before + 1)));
            let waiting = following.map_while(|next| self.early.remove(&next));
            partitions.extend(waiting);
        }
    }

    fn merge_partition(&mut self, change: &PartitionChange) {
        if let Some(waiting) = self.early.get_mut(&(change.topic, change.index)) {
            return merge_partition(waiting, change);
        }
        let Ok(position) = usize::try_from(change.index.0) else { return };
        let known = self.image.topics.partitions_mut(change.topic).and_then(|all| all.get_mut(position));
        if let Some(partition) = known {
            merge_partition(partition, change);
        }
    }

    fn clear_eligible(&mut self, topic: Option<&TopicName>) {
        let ids: Vec<TopicId> = match topic {
            Some(name) => self.image.topics.by_name(name).map(|topic| topic.id).into_iter().collect(),
            None => self.image.topics.iter().map(|topic| topic.id).collect(),
        };
        for id in ids {
            for partition in self.image.topics.partitions_mut(id).into_iter().flatten() {
                if !(partition.eligible.is_empty() && partition.last_known_eligible.is_empty()) {
                    partition.eligible.clear();
                    partition.last_known_eligible.clear();
                    partition.partition_epoch = PartitionEpoch(partition.partition_epoch.0.wrapping_add(1));
                }
            }
        }
    }

    fn take_producer_ids(&mut self, ids: ProducerIds) {
        if ids.next > self.image.next_producer_id {
            self.image.next_producer_id = ids.next;
            self.producer_ids = Some(ids);
        }
    }

    fn keep(&mut self, kept: &Kept) {
        if kept.removes {
            self.kept.remove(&kept.about);
        } else {
            self.kept.insert(kept.about.clone(), kept.record.clone());
        }
    }
}

/// True for names that another name could share its metrics with.
pub(super) fn may_collide(name: &TopicName) -> bool {
    name.contains(['.', '_'])
}

fn merge_broker(broker: &mut Broker, change: &BrokerChange) {
    broker.fenced = change.fenced.unwrap_or(broker.fenced);
    broker.in_controlled_shutdown |= change.in_controlled_shutdown;
    if let Some(directories) = &change.directories {
        broker.directories.clone_from(directories);
    }
    if let Some(cordoned) = &change.cordoned {
        broker.cordoned.clone_from(cordoned);
    }
}

fn merge_partition(partition: &mut Partition, change: &PartitionChange) {
    merge(&mut partition.isr, change.isr.as_ref());
    merge(&mut partition.removing, change.removing.as_ref());
    merge(&mut partition.adding, change.adding.as_ref());
    merge(&mut partition.eligible, change.eligible.as_ref());
    merge(&mut partition.last_known_eligible, change.last_known_eligible.as_ref());
    match (&change.directories, &change.replicas) {
        (Some(directories), _) => partition.directories.clone_from(directories),
        (None, Some(replicas)) => partition.directories = moved_directories(partition, replicas),
        (None, None) => {}
    }
    merge(&mut partition.replicas, change.replicas.as_ref());
    partition.recovering = change.recovering.unwrap_or(partition.recovering);
    if let Some(leader) = change.leader {
        partition.leader = leader;
        partition.leader_epoch = LeaderEpoch(partition.leader_epoch.0.wrapping_add(1));
    }
    partition.partition_epoch = PartitionEpoch(partition.partition_epoch.0.wrapping_add(1));
}

fn merge(ids: &mut Vec<BrokerId>, change: Option<&Vec<BrokerId>>) {
    if let Some(change) = change {
        ids.clone_from(change);
    }
}

/// Replicas that stay keep their directories; new ones have none that is known.
fn moved_directories(partition: &Partition, replicas: &[BrokerId]) -> Vec<DirectoryId> {
    let directory_of = |id: &BrokerId| {
        let position = partition.replicas.iter().position(|known| known == id);
        position.and_then(|position| partition.directories.get(position)).copied()
    };
    replicas.iter().map(|id| directory_of(id).unwrap_or(DirectoryId::UNASSIGNED)).collect()
}

/// The names that [`may_collide`], by what their metrics are called.
pub(super) type Namesakes = std::collections::BTreeMap<String, BTreeSet<TopicName>>;
