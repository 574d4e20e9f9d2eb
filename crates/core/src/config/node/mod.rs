//! The settings of a node, typed: what the broker reads at start.

mod read;

use std::collections::BTreeMap;

pub(super) use read::connection_overrides;

use super::layers::BrokerLayers;
use super::listener::{Listener, ListenerName, SecurityProtocolMap};
use super::values::ConfigValues;
use crate::id::BrokerId;

/// The settings of a node. Typed fields for what the code branches on or uses often; [`BrokerConfig::values`] for the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// Who this node is.
    pub identity: Identity,
    /// Where it binds and what it tells clients.
    pub listeners: Listeners,
    /// Limits of connections and requests.
    pub network: NetworkLimits,
    /// Where and how logs are kept.
    pub logs: LogSettings,
    /// How compacted topics are compacted.
    pub cleaner: CleanerSettings,
    /// Topics that are created without settings of their own.
    pub topics: TopicDefaults,
    /// `__consumer_offsets` and groups.
    pub groups: GroupSettings,
    /// `__transaction_state`, transactions and idempotent producers.
    pub transactions: TransactionSettings,
    /// Addresses of the HTTP servers; see `vltava.http.listeners`.
    pub http: HttpListeners,
    /// Every declared key, read and checked.
    pub values: ConfigValues,
    /// The settings as they were set, for dynamic changes and `DescribeConfigs`.
    pub layers: BrokerLayers,
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `node.id`, or its older name `broker.id`.
    pub node: BrokerId,
    /// Whether the node serves clients.
    pub is_broker: bool,
    /// Whether the node votes on metadata.
    pub is_controller: bool,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `controller.quorum.voters`: node, host, port.
    pub quorum_voters: Vec<(BrokerId, String, u16)>,
    /// `controller.quorum.bootstrap.servers`: host, port.
    pub quorum_bootstrap: Vec<(String, u16)>,
}

/// Where a node binds and what it tells clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// `listeners`, the controller's among them.
    pub bound: Vec<Listener>,
    /// What clients are told: `advertised.listeners`, or those bound, without the controller's. A port of 0 is to be
    /// replaced by the one bound, a host of `None` by this machine's name.
    pub advertised: Vec<Listener>,
    /// What controllers tell each other: the advertised or bound listeners of the controller.
    pub advertised_controller: Vec<Listener>,
    /// `controller.listener.names`, the first for outgoing calls.
    pub controller: Vec<ListenerName>,
    /// The listener brokers use among themselves.
    pub inter_broker: ListenerName,
    /// The security of every listener name.
    pub protocols: SecurityProtocolMap,
}

impl Listeners {
    /// Whether a listener serves the controller's requests and not clients.
    #[must_use]
    pub fn is_controller(&self, name: &ListenerName) -> bool {
        self.controller.contains(name)
    }
}

/// Limits of the connections of one listener: `listener.name.<name>.…`, else those of the node (KIP-402, KIP-612).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// `max.connections`.
    pub connections_max: i32,
    /// `max.connection.creation.rate`: new connections a second.
    pub connection_creation_rate_max: i32,
}

/// Limits of connections and requests.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkLimits {
    /// `socket.request.max.bytes`: the largest request frame.
    pub request_bytes_max: i32,
    /// `queued.max.request.bytes`: bytes of requests in flight in the whole node; `None` is unbounded.
    pub queued_bytes_max: Option<i64>,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer_bytes: Option<i32>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<i32>,
    /// `socket.listen.backlog.size`.
    pub listen_backlog: i32,
    /// `max.connections` of the node.
    pub connections_max: i32,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: i32,
    /// `max.connections.per.ip.overrides`: host and limit.
    pub connections_per_ip_overrides: Vec<(String, i32)>,
    /// `max.connection.creation.rate`: new connections a second.
    pub connection_creation_rate_max: i32,
    /// The limits of every listener by itself.
    pub by_listener: BTreeMap<ListenerName, ListenerLimits>,
    /// The listener of brokers among themselves, when clients have others: it does not suffer from the limits of the node
    /// as a whole (KIP-402).
    pub protected_listener: Option<ListenerName>,
    /// `connections.max.idle.ms`; `None` is for ever.
    pub idle_ms_max: Option<i64>,
    /// `connection.failed.authentication.delay.ms`.
    pub failed_authentication_delay_ms: i32,
    /// `fetch.max.bytes`: cap on one fetch response.
    pub fetch_bytes_max: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: i32,
    /// `max.request.partition.size.limit`: partitions one DescribeTopicPartitions answer may carry.
    pub described_partitions_max: i32,
}

/// How the metadata log is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetadataLogSettings {
    /// `metadata.log.segment.bytes`, or below its floor `internal.metadata.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never.
    pub snapshot_interval_ms: i64,
    /// `metadata.max.retention.bytes`.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`.
    pub retention_ms: i64,
    /// `internal.metadata.max.batch.size.in.bytes`.
    pub batch_bytes_max: i32,
}

/// Where and how logs are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// `log.dirs`, else `log.dir`.
    pub dirs: Vec<String>,
    /// `metadata.log.dir`, else the first of `dirs`.
    pub metadata_dir: String,
    /// The log of the controller.
    pub metadata: MetadataLogSettings,
    /// `vltava.storage`: the backend of topics that name none.
    pub storage: String,
    /// `vltava.recovery.bytes.max`: unsynced bytes a directory may hold.
    pub recovery_bytes_max: i64,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: i32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.initial.task.delay.ms`.
    pub initial_task_delay_ms: i64,
    /// `log.flush.scheduler.interval.ms`.
    pub flush_scheduler_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub recovery_point_checkpoint_interval_ms: i32,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub start_offset_checkpoint_interval_ms: i32,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `log.dir.failure.timeout.ms`.
    pub dir_failure_timeout_ms: i64,
}

/// How compacted topics are compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerSettings {
    /// `log.cleaner.enable`.
    pub enable: bool,
    /// `log.cleaner.threads`: how many logs are compacted at once.
    pub threads: i32,
    /// `log.cleaner.io.max.bytes.per.second`: read and written, by all threads.
    pub io_bytes_per_second_max: f64,
    /// `log.cleaner.dedupe.buffer.size`: the maps of keys of all threads.
    pub map_bytes: i64,
    /// `log.cleaner.io.buffer.load.factor`: how far a map is filled.
    pub map_load_max: f64,
    /// `log.cleaner.io.buffer.size`: the buffers of all threads, for reading and for writing.
    pub buffer_bytes: i32,
    /// `log.cleaner.backoff.ms`: the pause when there is nothing to do.
    pub backoff_ms: i64,
}

/// Topics that are created without settings of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `delete.topic.enable`.
    pub delete_enable: bool,
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i32,
}

/// `__consumer_offsets` and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `offsets.topic.num.partitions`.
    pub offsets_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub offsets_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_segment_bytes: i32,
    /// `offsets.topic.compression.codec`: Kafka's codec id, 0 to 4.
    pub offsets_compression_codec: i32,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`.
    pub offsets_commit_timeout_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub size_max: i32,
    /// `group.coordinator.append.linger.ms`; `None` adapts to the load.
    pub append_linger_ms: Option<i32>,
    /// `group.coordinator.rebalance.protocols`.
    pub rebalance_protocols: Vec<String>,
    /// Groups of the consumer protocol.
    pub consumer: ConsumerGroupSettings,
}

/// Groups of the consumer protocol (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupSettings {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout: LimitedTime,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval: LimitedTime,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval: LimitedTime,
    /// `group.consumer.max.size`.
    pub size_max: i32,
    /// `group.consumer.assignors`.
    pub assignors: Vec<String>,
    /// `group.consumer.migration.policy`, in any case.
    pub migration_policy: String,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub regex_refresh_interval_ms: i32,
}

/// A time that a group may set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitedTime {
    /// What counts for a group that sets nothing.
    pub default_ms: i32,
    /// The least a group may set.
    pub ms_min: i32,
    /// The most a group may set.
    pub ms_max: i32,
}

impl Default for ConsumerGroupSettings {
    /// Kafka's.
    fn default() -> Self {
        let time = |default_ms, ms_min, ms_max| LimitedTime { default_ms, ms_min, ms_max };
        ConsumerGroupSettings {
            session_timeout: time(45_000, 45_000, 60_000),
            heartbeat_interval: time(5000, 5000, 15_000),
            assignment_interval: time(1000, 0, 15_000),
            size_max: i32::MAX,
            assignors: vec!["uniform".to_owned(), "range".to_owned()],
            migration_policy: "bidirectional".to_owned(),
            regex_refresh_interval_ms: 600_000,
        }
    }
}

/// `__transaction_state`, transactions and idempotent producers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// `transaction.state.log.num.partitions`.
    pub partitions: i32,
    /// `transaction.state.log.replication.factor`.
    pub replication_factor: i16,
    /// `transaction.state.log.min.isr`.
    pub insync_replicas_min: i32,
    /// `transaction.state.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `transaction.max.timeout.ms`.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration_ms: i32,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiry_check_interval_ms: i32,
    /// `transaction.two.phase.commit.enable`.
    pub two_phase_commit: bool,
    /// `transaction.state.log.load.buffer.size`.
    pub load_buffer_bytes: i32,
    /// `add.partitions.to.txn.retry.backoff.max.ms`.
    pub add_partitions_wait_ms_max: i32,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i32,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_id_expiration_check_interval_ms: i32,
    /// `transaction.partition.verification.enable`.
    pub partition_verification: bool,
}

/// The HTTP servers: addresses as `http://host:port` or `https://host:port` texts. Empty is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListeners {
    /// `vltava.http.listeners`.
    pub node: Vec<HttpListener>,
    /// `vltava.registry.listeners`.
    pub registry: Vec<HttpListener>,
    /// `vltava.connect.listeners`.
    pub connect: Vec<HttpListener>,
    /// `vltava.registry.size.limit.filter.max.request.body.size`.
    pub registry_body_bytes_max: usize,
}

/// One address of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListener {
    /// Whether it speaks `https`.
    pub encrypted: bool,
    /// A host name or address, IPv6 without brackets; empty binds every address.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Whether somebody asked for it: a default port that is taken is a warning, a configured one an error.
    pub configured: bool,
}
