//! The cluster controller: which brokers, topics, partitions, settings and features the cluster has.
//!
//! A [`Cluster`] is the state machine over `__cluster_metadata`. It decides what Kafka's controller would decide, with
//! Kafka's words and codes, and its events are Kafka's metadata records, so that Kafka's tools read the log and a log of
//! Kafka's can be taken over. What it does not understand it keeps ([`Kept`]).
//!
//! The state is an [`Image`], which the broker publishes after each committed batch: cloning it copies a handful of
//! pointers. Beside it stands only what nobody but the controller needs.
//!
//! It knows no requests, no connections and no clock. Whether a broker is alive is not seen here: who sees it says so
//! with [`Command::MoveBroker`].

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use vltava_core::config::Properties;
use vltava_core::id::{BrokerId, PartitionIndex, TopicId};
use vltava_core::image::{FeatureRange, Image, Partition};
use vltava_core::machine::{Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine};

mod apply;
pub mod brokers;
pub mod command;
pub mod configs;
mod deletion;
mod directories;
mod eligible;
pub mod event;
pub mod features;
mod growth;
pub mod in_sync;
pub mod partitions;
pub mod placement;
pub mod producer_ids;
pub mod random;
mod record;
mod snapshot;
pub mod topics;

#[cfg(test)]
mod tests;

pub use command::{Answer, Command};
pub use event::{Event, Kept, KeptKey};
pub use features::{GROUP_VERSION, GROUP_VERSION_LATEST, KRAFT_VERSION, METADATA_VERSION, MetadataVersion};

use crate::transaction::{TRANSACTION_VERSION, TransactionVersion};
use apply::Namesakes;
use event::ProducerIds;
use random::Random;

/// The most records that one request may take, as in Kafka. A larger request is refused whole, so every decision about a
/// request fits one atomic batch.
pub const EVENTS_PER_REQUEST_MAX: usize = 10_000;

/// What a controller knows besides its log.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterOptions {
    /// This node.
    pub node: BrokerId,
    /// The identity of the cluster.
    pub cluster: String,
    /// How many partitions a topic has when its creator does not say (`num.partitions`).
    pub default_partitions: i32,
    /// How many replicas a partition has when its creator does not say (`default.replication.factor`).
    pub default_replication_factor: i16,
    /// Topics may be deleted (`delete.topic.enable`).
    pub delete_topics: bool,
    /// The feature levels this node supports.
    pub features: BTreeMap<String, FeatureRange>,
    /// The node's own settings, which topics and groups take defaults from.
    pub file: Properties,
}

impl ClusterOptions {
    /// Kafka's defaults, and the features this release completes.
    #[must_use]
    pub fn new(node: BrokerId, cluster: &str) -> ClusterOptions {
        ClusterOptions {
            node,
            cluster: cluster.to_owned(),
            default_partitions: 1,
            default_replication_factor: 1,
            delete_topics: true,
            features: supported_features(),
            file: Properties::new(),
        }
    }
}

/// The feature levels this release completes. What is not here has level 0.
#[must_use]
pub fn supported_features() -> BTreeMap<String, FeatureRange> {
    BTreeMap::from([
        (METADATA_VERSION.to_owned(), MetadataVersion::supported()),
        (TRANSACTION_VERSION.to_owned(), FeatureRange { min: 0, max: TransactionVersion::EPOCH_FOR_EACH.0 }),
        (GROUP_VERSION.to_owned(), FeatureRange { min: 0, max: GROUP_VERSION_LATEST }),
    ])
}

/// The controller's state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    options: ClusterOptions,
    image: Image,
    /// Partitions that came before those of lower numbers.
    early: BTreeMap<(TopicId, PartitionIndex), Partition>,
    namesakes: Namesakes,
    producer_ids: Option<ProducerIds>,
    kept: BTreeMap<KeptKey, Bytes>,
    open: Option<OpenTransaction>,
}

/// A metadata transaction that has not ended (KIP-868): its events are held back.
#[derive(Clone, Debug, PartialEq)]
struct OpenTransaction {
    name: Option<String>,
    events: Vec<Event>,
}

impl Cluster {
    /// An empty cluster.
    #[must_use]
    pub fn new(options: ClusterOptions) -> Cluster {
        Cluster {
            options,
            image: Image::default(),
            early: BTreeMap::new(),
            namesakes: Namesakes::new(),
            producer_ids: None,
            kept: BTreeMap::new(),
            open: None,
        }
    }

    /// The cluster as of the last applied record. Its `controller` and `epoch` are the quorum's to fill in.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What was set up.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// The records that are kept for others, by what they are about.
    #[must_use]
    pub fn kept(&self) -> &BTreeMap<KeptKey, Bytes> {
        &self.kept
    }

    fn answer(&self, command: Command, random: &mut Random) -> (Vec<Event>, Answer) {
        /// Turns what an area decided into the answer of its command.
        fn as_answer<T>(
            (events, answer): (Vec<Event>, T),
            wrap: impl Fn(T) -> Answer,
        ) -> (Vec<Event>, Answer) {
            (events, wrap(answer))
        }
        match command {
            Command::RegisterBroker(request) => {
                as_answer(self.register_broker(request), Answer::RegisterBroker)
            }
            Command::MoveBroker { broker, epoch, state } => {
                as_answer(self.move_broker(broker, epoch, state), Answer::MoveBroker)
            }
            Command::CordonDirectories { broker, epoch, cordoned } => {
                as_answer(self.cordon_directories(broker, epoch, cordoned), Answer::CordonDirectories)
            }
            Command::UnregisterBroker(broker) => {
                as_answer(self.unregister_broker(broker), Answer::UnregisterBroker)
            }
            Command::RegisterController(controller) => {
                as_answer(self.register_controller(controller), Answer::RegisterController)
            }
            Command::UnregisterController(controller) => {
                as_answer(self.unregister_controller(controller), Answer::UnregisterController)
            }
            Command::CreateTopics(request) => {
                as_answer(self.create_topics(request, random), Answer::CreateTopics)
            }
            Command::DeleteTopics(topics) => as_answer(self.delete_topics(topics), Answer::DeleteTopics),
            Command::CreatePartitions(request) => {
                as_answer(self.create_partitions(request, random), Answer::CreatePartitions)
            }
            Command::ReplaceConfigs(request) => {
                as_answer(self.replace_configs(request), Answer::ReplaceConfigs)
            }
            Command::ChangeConfigs(request) => as_answer(self.change_configs(request), Answer::ChangeConfigs),
            Command::UpdateFeatures(request) => {
                as_answer(self.update_features(&request), Answer::UpdateFeatures)
            }
            Command::AllocateProducerIds { broker, epoch } => {
                as_answer(self.allocate_producer_ids(broker, epoch), Answer::AllocateProducerIds)
            }
            Command::ElectLeaders(request) => as_answer(self.elect_leaders(request), Answer::ElectLeaders),
            Command::AlterIsr { broker, epoch, partitions } => {
                as_answer(self.alter_isr(broker, epoch, partitions), Answer::AlterIsr)
            }
            Command::AssignDirectories { broker, epoch, directories } => {
                as_answer(self.assign_directories(broker, epoch, directories), Answer::AssignDirectories)
            }
        }
    }

    /// What a new log begins with: the level of its records, then the newest level of every other feature.
    fn first_events(&self) -> Vec<Event> {
        if self.image.features.contains_key(METADATA_VERSION) {
            return Vec::new();
        }
        let first = Event::FeatureSet { name: METADATA_VERSION.to_owned(), level: MetadataVersion::LATEST.0 };
        let others = self.options.features.iter().filter(|(name, _)| *name != METADATA_VERSION);
        let others = others.map(|(name, levels)| Event::FeatureSet { name: name.clone(), level: levels.max });
        std::iter::once(first).chain(others).collect()
    }
}

impl StateMachine for Cluster {
    type Command = Command;
    type Answer = Answer;
    type Event = Event;
    type Key = Infallible;
    type Effect = Infallible;

    fn decide(&self, context: &Context<'_>, command: Command) -> Decision<Self> {
        let (events, answer) = self.answer(command, &mut Random::new(context.entropy));
        Decision::with(events, Reply::Committed(answer))
    }

    fn apply(&mut self, event: &Event, place: Place) {
        self.apply_at(event, place);
    }

    fn encode(&self, event: &Event, _: &Image) -> Encoded {
        // The level of the records is the one of this log, which is always ahead of the published image.
        record::encode(event, MetadataVersion::of(&self.image))
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<Event>, DecodeError> {
        match entry {
            Entry::Record { value: Some(value), .. } => record::decode(value).map(Some),
            Entry::Record { value: None, .. } | Entry::End(_) => Ok(None),
        }
    }

    /// A metadata transaction that its controller did not end never was; a new log gets its first records.
    fn loaded(&self, _: &Context<'_>) -> Decision<Self> {
        let reason = Some("Controller failover".to_owned());
        let abort = self.open.as_ref().map(|_| Event::TransactionAborted { reason });
        Decision::with(abort.into_iter().chain(self.first_events()).collect(), Reply::Nobody)
    }

    fn snapshot(&self) -> Vec<Event> {
        self.state_events()
    }
}
