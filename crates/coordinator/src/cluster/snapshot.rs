//! The events that build the state from nothing, in the order in which Kafka writes a snapshot: features first, because
//! they say how to read the rest.

use vltava_core::image::{Partition, Topic};

use super::Cluster;
use super::event::{Event, Kept};
use super::features::METADATA_VERSION;

impl Cluster {
    /// The whole state as events.
    pub(super) fn state_events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.feature_events(&mut events);
        let image = &self.image;
        events.extend(image.brokers.values().map(|broker| Event::BrokerRegistered(broker.as_ref().clone())));
        events.extend(
            image.controllers.values().map(|known| Event::ControllerRegistered(known.as_ref().clone())),
        );
        image.topics.iter().for_each(|topic| topic_events(topic, &mut events));
        events.extend(self.early.iter().map(|((topic, index), partition)| Event::PartitionCreated {
            topic: *topic,
            index: *index,
            partition: partition.clone(),
        }));
        self.config_events(&mut events);
        events.extend(self.producer_ids.map(Event::ProducerIdsAllocated));
        events.extend(self.kept.iter().map(|(about, record)| {
            Event::Kept(Kept { about: about.clone(), removes: false, record: record.clone() })
        }));
        if let Some(open) = &self.open {
            events.push(Event::TransactionBegun { name: open.name.clone() });
            events.extend(open.events.iter().cloned());
        }
        events
    }

    fn feature_events(&self, events: &mut Vec<Event>) {
        let features = &self.image.features;
        let first = features.get_key_value(METADATA_VERSION);
        let rest = features.iter().filter(|(name, _)| *name != METADATA_VERSION);
        events.extend(
            first
                .into_iter()
                .chain(rest)
                .map(|(name, level)| Event::FeatureSet { name: name.clone(), level: *level }),
        );
    }

    fn config_events(&self, events: &mut Vec<Event>) {
        let mut resources: Vec<_> = self.image.configs.iter().collect();
        resources.sort();
        for (resource, values) in resources {
            events.extend(values.iter().map(|(key, value)| Event::ConfigSet {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            }));
        }
    }
}

fn topic_events(topic: &Topic, events: &mut Vec<Event>) {
    events.push(Event::TopicCreated { name: topic.name.clone(), id: topic.id });
    events.extend(topic.numbered().map(|(index, partition)| Event::PartitionCreated {
        topic: topic.id,
        index,
        partition: Partition::clone(partition),
    }));
}
