//! The partitions that this broker hosts, beside the image that says which those are.
//!
//! A [`View`] is one consistent picture: an image and the open partitions for it. Requests take the current view without
//! a lock; a change of the metadata makes the next one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicIdPartition, TopicName};
use vltava_core::image::{Image, Topic};
use vltava_core::log::LogStore;
use vltava_replication::partition::Partition;

use crate::metrics::TopicMeters;
use crate::schema_validation::Asked;

/// The cluster and the partitions of this broker, at one offset of the metadata log.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) image: Arc<Image>,
    by_name: HashMap<TopicName, Lookup>,
    by_id: HashMap<TopicId, Lookup>,
}

/// A topic of the cluster with its partitions on this broker. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Lookup(Arc<HostedTopic>);

#[derive(Debug)]
struct HostedTopic {
    topic: Arc<Topic>,
    partitions: Vec<Slot>,
}

/// What this broker has of a partition.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// No replica.
    Elsewhere,
    /// A replica.
    Here(Arc<Hosted>),
    /// A replica that could not be opened.
    Failed,
}

/// A partition that is open here.
#[derive(Debug)]
pub(crate) struct Hosted {
    pub(crate) partition: Arc<Partition>,
    /// What keeps its log.
    pub(crate) store: Arc<dyn LogStore>,
    pub(crate) meters: Arc<TopicMeters>,
    /// Which schemas its topic asks for.
    pub(crate) schemas: Asked,
}

impl View {
    /// The view of `image`: topics that have `changed` get the slots that were `opened`, the others keep theirs.
    pub(crate) fn next(
        before: &View,
        image: Arc<Image>,
        changed: &HashSet<TopicId>,
        mut opened: HashMap<TopicIdPartition, Slot>,
    ) -> View {
        let mut view = View { image: image.clone(), by_name: HashMap::new(), by_id: HashMap::new() };
        for topic in image.topics.iter() {
            let known = before.by_id(topic.id);
            let lookup = match known {
                Some(known) if !changed.contains(&topic.id) => known.clone(),
                _ => Lookup(Arc::new(HostedTopic::new(topic, known, &mut opened))),
            };
            view.by_id.insert(topic.id, lookup.clone());
            view.by_name.insert(topic.name.clone(), lookup);
        }
        view
    }

    /// The topic of this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Lookup> {
        self.by_name.get(name)
    }

    /// The topic of this identity.
    pub(crate) fn by_id(&self, id: TopicId) -> Option<&Lookup> {
        self.by_id.get(&id)
    }

    /// Every topic, in no order.
    pub(crate) fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.by_id.values()
    }

    /// Every partition that is open here, with the identity of its topic.
    pub(crate) fn hosted(&self) -> impl Iterator<Item = (TopicId, &Arc<Hosted>)> {
        self.by_id.iter().flat_map(|(id, lookup)| {
            lookup.slots().iter().filter_map(|slot| match slot {
                Slot::Here(hosted) => Some((*id, hosted)),
                Slot::Elsewhere | Slot::Failed => None,
            })
        })
    }
}

impl HostedTopic {
    fn new(
        topic: &Arc<Topic>,
        known: Option<&Lookup>,
        opened: &mut HashMap<TopicIdPartition, Slot>,
    ) -> HostedTopic {
        let slot = |(place, (index, _)): (usize, (PartitionIndex, _))| {
            let id = TopicIdPartition { topic: topic.id, partition: index };
            let kept = || known.and_then(|known| known.slots().get(place).cloned());
            opened.remove(&id).or_else(kept).unwrap_or(Slot::Elsewhere)
        };
        let partitions = topic.numbered().enumerate().map(slot).collect();
        HostedTopic { topic: topic.clone(), partitions }
    }
}

impl Lookup {
    /// The topic as the image has it.
    pub(crate) fn topic(&self) -> &Arc<Topic> {
        &self.0.topic
    }

    /// The topic's name.
    pub(crate) fn name(&self) -> &TopicName {
        &self.0.topic.name
    }

    /// Whether only brokers may write to it.
    pub(crate) fn is_internal(&self) -> bool {
        self.0.topic.name.is_internal()
    }

    /// What this broker has of each partition.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.0.partitions
    }

    /// The partition, open on this broker.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `NOT_LEADER_OR_FOLLOWER` when it is elsewhere, `KAFKA_STORAGE_ERROR` when it could
    /// not be opened.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Result<Arc<Hosted>, ErrorCode> {
        let slot = usize::try_from(index.0).ok().and_then(|index| self.0.partitions.get(index));
        match slot {
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Some(Slot::Elsewhere) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Some(Slot::Failed) => Err(ErrorCode::KAFKA_STORAGE_ERROR),
            Some(Slot::Here(hosted)) => Ok(hosted.clone()),
        }
    }

    /// Who leads a partition, for clients that asked the wrong broker.
    pub(crate) fn leader(&self, index: PartitionIndex) -> (BrokerId, LeaderEpoch) {
        self.0.topic.partition(index).map_or((BrokerId::NONE, LeaderEpoch::NONE), |partition| {
            (partition.leader, partition.leader_epoch)
        })
    }
}
