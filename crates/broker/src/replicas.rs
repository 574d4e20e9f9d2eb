//! Follows the metadata: opens, leads and closes the partitions that an image gives to this broker.
//!
//! A new image becomes visible to requests only when the partitions that it brings are open, so that whoever learns of a
//! topic can use it at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};
use vltava_connect::schema::registry::SCHEMAS_TOPIC;
use vltava_coordinator::cluster::Command;
use vltava_coordinator::group::GroupCommand;
use vltava_coordinator::group::command::DeletedTopic;
use vltava_core::config::{BrokerConfig, BrokerLayers, ConfigValue, Properties, TopicConfig};
use vltava_core::id::{
    BrokerId, DirectoryId, GROUP_OFFSETS_TOPIC, LeaderEpoch, PartitionIndex, TRANSACTION_STATE_TOPIC,
    TopicId, TopicIdPartition, TopicPartition,
};
use vltava_core::image::{ConfigKind, ConfigResource, Image, ImageDelta, Partition as Replicas, Topic};
use vltava_core::log::{LogId, LogSettings};
use vltava_core::machine::StateMachine;
use vltava_replication::partition::{
    Background, CompactionSettings, Job, Partition, PartitionParts, PartitionSettings, Retention,
};
use vltava_replication::runtime::Shards;

use crate::net::connections::ConnectionLimits;
use crate::node::Node;
use crate::partitions::{Hosted, Slot, View};
use crate::schema_validation::{Asked, Validation};

/// Applies images to the node, one after another, until there are no more.
pub(crate) async fn follow(node: Arc<Node>, mut images: watch::Receiver<Arc<Image>>) {
    loop {
        let image = images.borrow_and_update().clone();
        let applier = node.clone();
        if let Err(error) = spawn_blocking(move || apply(&applier, image)).await {
            error!(%error, "an image of the cluster could not be applied");
        }
        if images.changed().await.is_err() {
            return;
        }
    }
}

/// Makes `image` the one that requests see. *Blocks.*
fn apply(node: &Arc<Node>, image: Arc<Image>) {
    let before = node.view.load_full();
    let delta = ImageDelta::between(&before.image, &image);
    node.metrics.cluster.changed(&delta, node.id);
    let layers = node.layers(&image);
    let reset = delta.configs.iter().any(|resource| resource.kind == ConfigKind::Broker);
    if reset || delta.brokers.contains(&node.id) {
        adapt(node, &layers, &image);
    }
    let changed: HashSet<TopicId> = delta.partitions.iter().map(|partition| partition.topic.id).collect();
    for topic in image.topics.iter().filter(|topic| !changed.contains(&topic.id)) {
        if touches(&delta, &topic.name) {
            configure(node, &before, topic, &image, &layers);
        }
    }
    let opened = open_changed(node, &before, &delta, &image, &layers);
    let view = View::next(&before, image.clone(), &changed, opened);
    node.view.store(Arc::new(view));
    lead_coordinators(node, &delta);
    node.images.send_replace(image);
    close_deleted(node, &before, &delta);
    forget_offsets(node, &delta);
}

/// Applies what can be changed on a running broker and is no default of topics.
fn adapt(node: &Arc<Node>, layers: &BrokerLayers, image: &Image) {
    match BrokerConfig::resolve(layers.clone()) {
        Ok(config) => {
            node.connections.limit(ConnectionLimits::from(&config.network));
            cordon(node, cordoned(node, &config), image);
        }
        Err(problem) => error!(%problem, "the dynamic settings cannot be used; the old ones stay"),
    }
}

/// The log directories that take no new replicas, as the settings have it.
fn cordoned(node: &Node, config: &BrokerConfig) -> Vec<DirectoryId> {
    let directories = node.stores.main().directories().into_iter();
    let cordoned = directories.filter(|known| config.is_cordoned(&known.path.display().to_string()));
    cordoned.map(|known| known.id).collect()
}

/// Keeps new replicas out of directories, and tells the controller where it does not know.
fn cordon(node: &Arc<Node>, cordoned: Vec<DirectoryId>, image: &Image) {
    let Some(own) = image.brokers.get(&node.id).filter(|own| own.cordoned != cordoned) else { return };
    node.stores.main().cordon(cordoned.clone());
    let (node, epoch) = (node.clone(), own.epoch);
    tokio::runtime::Handle::current().spawn(async move {
        let command = Command::CordonDirectories { broker: node.id, epoch, cordoned };
        if let Err(code) = node.ask_controller(command).await {
            warn!(%code, "the controller does not know that cordoned.log.dirs has changed; restart this broker");
        }
    });
}

/// Whether a change of settings concerns a topic.
fn touches(delta: &ImageDelta, topic: &str) -> bool {
    delta.configs.iter().any(|resource| match resource.kind {
        ConfigKind::Topic => resource.name == topic,
        ConfigKind::Broker => true,
        _ => false,
    })
}

fn configure(node: &Node, before: &View, topic: &Topic, image: &Image, layers: &BrokerLayers) {
    let Some(lookup) = before.by_id(topic.id) else { return };
    let settings = match settings(topic, image, layers) {
        Ok(settings) => settings,
        Err(problem) => {
            error!(topic = %topic.name, %problem, "the settings of a topic cannot be used; the old ones stay");
            return;
        }
    };
    for slot in lookup.slots() {
        if let Slot::Here(hosted) = slot {
            hosted.partition.configure(settings.partition.clone());
            node.registry.ask_schemas(&hosted.schemas, settings.schemas);
        }
    }
}

fn open_changed(
    node: &Arc<Node>,
    before: &View,
    delta: &ImageDelta,
    image: &Image,
    layers: &BrokerLayers,
) -> HashMap<TopicIdPartition, Slot> {
    let mut settings_of: HashMap<TopicId, Result<TopicSettings, String>> = HashMap::new();
    let mut slots = HashMap::with_capacity(delta.partitions.len());
    let opening = &node.metrics.opening;
    opening.store(delta.replicas_of(node.id).count(), Ordering::Relaxed);
    for change in delta.replicas_of(node.id) {
        let topic = &change.topic;
        let settings = settings_of.entry(topic.id).or_insert_with(|| settings(topic, image, layers)).clone();
        let known = before.by_id(topic.id).and_then(|lookup| lookup.partition(change.index).ok());
        let slot = match (known, settings) {
            (Some(hosted), Ok(settings)) => {
                hosted.partition.configure(settings.partition);
                node.registry.ask_schemas(&hosted.schemas, settings.schemas);
                Slot::Here(hosted)
            }
            (Some(hosted), Err(_)) => Slot::Here(hosted),
            (None, Ok(settings)) => open(node, topic, change.index, &change.after, settings),
            (None, Err(problem)) => {
                error!(topic = %topic.name, %problem, "the settings of a topic cannot be used");
                Slot::Failed
            }
        };
        if let Slot::Here(hosted) = &slot {
            follow_leadership(node.id, &hosted.partition, &change.after);
        }
        slots.insert(TopicIdPartition { topic: topic.id, partition: change.index }, slot);
        opening.fetch_sub(1, Ordering::Relaxed);
    }
    slots
}

fn open(
    node: &Arc<Node>,
    topic: &Topic,
    index: PartitionIndex,
    replicas: &Replicas,
    settings: TopicSettings,
) -> Slot {
    let id = TopicPartition { topic: topic.name.clone(), partition: index };
    let log_id = LogId { topic: topic.id, partition: id.clone() };
    let directory = assigned_directory(node.id, replicas);
    let high_watermark = node.high_watermarks.lock().remove(&log_id).unwrap_or_default();
    let store = node.stores.named(&settings.storage).clone();
    let (settings, asked) = (settings.partition, settings.schemas);
    let opened = store.open(&log_id, settings.log, directory).and_then(|log| {
        Partition::open(PartitionParts {
            id: id.clone(),
            log,
            high_watermark,
            settings,
            clock: node.clock.clone(),
            background: background(),
        })
    });
    match opened {
        Ok(partition) => {
            let schemas = Asked::default();
            node.registry.ask_schemas(&schemas, asked);
            Slot::Here(Arc::new(Hosted {
                partition,
                store,
                meters: node.metrics.topic(&topic.name),
                schemas,
            }))
        }
        Err(problem) => {
            error!(partition = %id, %problem, "a partition cannot be opened");
            Slot::Failed
        }
    }
}

/// Where the metadata says that the replica is; nothing when that is open.
fn assigned_directory(broker: BrokerId, replicas: &Replicas) -> Option<DirectoryId> {
    let place = replicas.replicas.iter().position(|replica| *replica == broker)?;
    let directory = *replicas.directories.get(place)?;
    let open = [DirectoryId::UNASSIGNED, DirectoryId::LOST, DirectoryId::MIGRATING];
    (!open.contains(&directory)).then_some(directory)
}

fn follow_leadership(broker: BrokerId, partition: &Partition, replicas: &Replicas) {
    if replicas.leader != broker {
        partition.resign(replicas.leader_epoch);
        return;
    }
    if let Err(error) = partition.lead(replicas.leader_epoch) {
        error!(partition = %partition.id(), %error, "the leader epoch cannot be written down");
    }
}

/// Runs what blocks on tokio's blocking pool.
pub(crate) fn background() -> Background {
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move |job: Job| {
        runtime.spawn_blocking(job);
    })
}

fn lead_coordinators(node: &Node, delta: &ImageDelta) {
    for change in delta.replicas_of(node.id) {
        let hosted = node.lookup_id(change.topic.id).and_then(|lookup| lookup.partition(change.index));
        let led = hosted.ok().filter(|_| change.is_led_by(node.id));
        match &*change.topic.name {
            GROUP_OFFSETS_TOPIC => lead_or_resign(&node.groups, change.index, led),
            TRANSACTION_STATE_TOPIC => lead_or_resign(&node.transactions, change.index, led),
            SCHEMAS_TOPIC => lead_or_resign(&node.registry.shards, change.index, led),
            _ => {}
        }
    }
}

fn lead_or_resign<M: StateMachine>(shards: &Shards<M>, index: PartitionIndex, led: Option<Arc<Hosted>>) {
    match led {
        Some(hosted) => shards.lead(index, hosted.partition.clone()),
        None => shards.resign(index),
    }
}

fn close_deleted(node: &Node, before: &View, delta: &ImageDelta) {
    for topic in &delta.topics_deleted {
        let Some(lookup) = before.by_id(topic.id) else { continue };
        for (slot, (index, _)) in lookup.slots().iter().zip(topic.numbered()) {
            match &*topic.name {
                GROUP_OFFSETS_TOPIC => node.groups.resign(index),
                TRANSACTION_STATE_TOPIC => node.transactions.resign(index),
                SCHEMAS_TOPIC => node.registry.shards.resign(index),
                _ => {}
            }
            if !matches!(slot, Slot::Elsewhere) {
                remove(node, topic, index, slot);
            }
        }
        let renewed = node.view.load().by_name(&topic.name).is_some();
        if !renewed {
            node.metrics.forget_topic(&topic.name);
        }
    }
}

/// Tells the coordinators of groups which topics are gone, so that a topic of the same name begins without offsets.
fn forget_offsets(node: &Node, delta: &ImageDelta) {
    if delta.topics_deleted.is_empty() {
        return;
    }
    let deleted = |topic: &Arc<Topic>| DeletedTopic { name: topic.name.clone(), id: topic.id };
    let topics: Arc<[DeletedTopic]> = delta.topics_deleted.iter().map(deleted).collect();
    for partition in node.groups.partitions() {
        let Some(coordinator) = node.groups.get(partition) else { continue };
        if let Err(problem) = coordinator.tell(GroupCommand::TopicsDeleted(topics.clone())) {
            warn!(%partition, %problem, "offsets of deleted topics stay until they expire");
        }
    }
}

fn remove(node: &Node, topic: &Topic, index: PartitionIndex, slot: &Slot) {
    let id =
        LogId { topic: topic.id, partition: TopicPartition { topic: topic.name.clone(), partition: index } };
    let store = match slot {
        Slot::Here(hosted) => &hosted.store,
        Slot::Elsewhere | Slot::Failed => node.stores.main(),
    };
    if let Slot::Here(hosted) = slot {
        // Wakes those who wait for records or for a commit.
        let epoch = hosted.partition.watermarks().epoch;
        hosted.partition.resign(LeaderEpoch(epoch.0.saturating_add(1)));
    }
    match store.remove(&id) {
        Ok(()) => info!(partition = %id.partition, "deleted"),
        Err(problem) => error!(partition = %id.partition, %problem, "a deleted partition's log stays"),
    }
}

/// What a topic's configuration says of its partitions here.
#[derive(Clone, Debug)]
struct TopicSettings {
    /// The storage backend.
    storage: String,
    partition: PartitionSettings,
    /// Which schemas its records must have.
    schemas: Validation,
}

/// The settings of a topic's partitions, from its own, the broker's and the cluster's settings.
fn settings(topic: &Topic, image: &Image, layers: &BrokerLayers) -> Result<TopicSettings, String> {
    let none = Properties::new();
    let own = image.config(&ConfigResource::topic(&topic.name)).map_or(&none, |own| &**own);
    let config = TopicConfig::resolve(own, layers).map_err(|error| error.to_string())?;
    let positive = |value: i64| u64::try_from(value).ok();
    let partition = PartitionSettings {
        rules: config.validation_rules(),
        retention: Retention {
            delete: config.cleanup_policy.delete,
            time_ms: Some(config.retention_ms).filter(|time| *time >= 0),
            bytes: positive(config.retention_bytes),
        },
        compaction: config.cleanup_policy.compact.then_some(CompactionSettings {
            delete_retention_ms: config.delete_retention_ms,
            min_lag_ms: config.min_compaction_lag_ms,
            max_lag_ms: config.max_compaction_lag_ms,
            min_dirty_ratio: config.min_cleanable_dirty_ratio,
        }),
        log: LogSettings {
            span_bytes_max: u32::try_from(config.segment_bytes).unwrap_or(u32::MAX),
            span_age_ms_max: span_age_ms_max(&config),
            span_age_jitter_ms_max: config.segment_jitter_ms,
            index_bytes_max: u32::try_from(config.segment_index_bytes).unwrap_or(u32::MAX),
            index_interval_bytes: u32::try_from(config.index_interval_bytes).unwrap_or(0),
            delete_delay_ms: config.file_delete_delay_ms,
            preallocate: config.preallocate,
        },
        min_insync_replicas: u32::try_from(config.min_insync_replicas).unwrap_or(1),
        replica_lag_max: replica_lag_max(layers)?,
        flush_records: config.flush_messages,
        flush_ms: Some(config.flush_ms).filter(|time| *time != i64::MAX),
        producer_expiry_ms: producer_expiry_ms(layers)?,
        verify_transactions: verify_transactions(layers)?,
    };
    let schemas = Validation::of(
        &config.schema_validation_key,
        &config.schema_validation_value,
        &config.schema_validation_strategy,
    );
    Ok(TopicSettings { storage: config.storage, partition, schemas })
}

/// `segment.ms`; with compaction no more than `max.compaction.lag.ms`, so that what is old is sealed in time.
fn span_age_ms_max(config: &TopicConfig) -> i64 {
    match config.cleanup_policy.compact {
        true => config.segment_ms.min(config.max_compaction_lag_ms),
        false => config.segment_ms,
    }
}

/// `producer.id.expiration.ms`.
fn producer_expiry_ms(layers: &BrokerLayers) -> Result<i64, String> {
    number(layers, "producer.id.expiration.ms")
}

/// `replica.lag.time.max.ms`.
fn replica_lag_max(layers: &BrokerLayers) -> Result<Duration, String> {
    number(layers, "replica.lag.time.max.ms")
        .map(|lag| Duration::from_millis(u64::try_from(lag).unwrap_or(0)))
}

fn number(layers: &BrokerLayers, key: &str) -> Result<i64, String> {
    match layers.value(key).map_err(|error| error.to_string())? {
        ConfigValue::Number(number) => Ok(number),
        other => Err(format!("{key} is {other:?}, not a number")),
    }
}

/// `transaction.partition.verification.enable`.
fn verify_transactions(layers: &BrokerLayers) -> Result<bool, String> {
    let key = "transaction.partition.verification.enable";
    match layers.value(key).map_err(|error| error.to_string())? {
        ConfigValue::Boolean(verify) => Ok(verify),
        other => Err(format!("{key} is {other:?}, neither true nor false")),
    }
}
