//! Who this node is, its roles, and the controllers' quorum.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, list_of, names, names_or_empty};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Broker, controller, or both.
    "process.roles": List = required, list_of(&["broker", "controller"]), High, ReadOnly;
    /// Id of this node, shared by its roles.
    "node.id": Int = required, at_least(0), High, ReadOnly;
    /// Older name of node.id; deprecated in 4.4 (KIP-1232).
    "broker.id": Int = "-1", Validator::Any, High, ReadOnly;
    /// Rack or zone, used for placement and nearest-replica fetch.
    "broker.rack": String = null, Validator::Any, Medium, ReadOnly;
    /// Give up start-up when registration does not succeed. In milliseconds.
    "initial.broker.registration.timeout.ms": Int = "60000", Validator::Any, Medium, ReadOnly;
    /// Heartbeat to the active controller. In milliseconds.
    "broker.heartbeat.interval.ms": Int = "2000", Validator::Any, Medium, ReadOnly;
    /// Controller fences a broker silent for this long. In milliseconds.
    "broker.session.timeout.ms": Int = "9000", Validator::Any, Medium, ReadOnly;
    /// Listeners that serve controller APIs; first one is used for outgoing calls.
    "controller.listener.names": List = required, names(), High, ReadOnly;
    /// SASL mechanism towards controllers.
    "sasl.mechanism.controller.protocol": String = "GSSAPI", Validator::Any, High, ReadOnly;
    /// Static quorum: id@host:port list (kraft.version 0).
    "controller.quorum.voters": List = "", names_or_empty(), High, ReadOnly;
    /// Where to find the quorum (kraft.version 1).
    "controller.quorum.bootstrap.servers": List = "", names_or_empty(), High, ReadOnly;
    /// Wait without a fetch from a leader before standing for election. In milliseconds.
    "controller.quorum.election.timeout.ms": Int = "1000", at_least(0), High, ReadOnly;
    /// No successful fetch for this long: become prospective, or resign when leader. In milliseconds.
    "controller.quorum.fetch.timeout.ms": Int = "2000", at_least(0), High, ReadOnly;
    /// Cap of the random wait after a lost election. In milliseconds.
    "controller.quorum.election.backoff.max.ms": Int = "1000", at_least(0), High, ReadOnly;
    /// How long the leader batches appends before flushing. In milliseconds.
    "controller.quorum.append.linger.ms": Int = "25", at_least(0), Medium, ReadOnly;
    /// Deadline of one quorum request. In milliseconds.
    "controller.quorum.request.timeout.ms": Int = "2000", at_least(0), Medium, ReadOnly;
    /// Wait before a failed quorum request is retried. In milliseconds.
    "controller.quorum.retry.backoff.ms": Int = "20", at_least(0), Low, ReadOnly;
    /// A controller adds itself as voter (KIP-853 follow-up).
    "controller.quorum.auto.join.enable": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// Largest FetchSnapshot chunk. In bytes.
    "controller.quorum.fetch.snapshot.max.bytes": Int = "1048576", at_least(1), Low, ReadOnly;
    /// Largest quorum Fetch response. In bytes.
    "controller.quorum.fetch.max.bytes": Int = "1048576", at_least(1), Low, ReadOnly;
    /// Socket timeout controller to broker. In milliseconds.
    "controller.socket.timeout.ms": Int = "30000", Validator::Any, Medium, ReadOnly, inert "the controller keeps no sockets to brokers of its own";
    /// Move leaders away before stopping.
    "controlled.shutdown.enable": Boolean = "true", Validator::Any, Medium, ReadOnly;
    /// Listeners opened before the authorizer is ready; null = the controller listeners; never one with outside traffic.
    "early.start.listeners": List = null, Validator::NamesOrNull, High, ReadOnly;
    /// Where __cluster_metadata lies; null = first log dir.
    "metadata.log.dir": String = null, Validator::Any, High, ReadOnly;
    /// Segment size of the metadata log. In bytes.
    "metadata.log.segment.bytes": Int = "1073741824", at_least(8388608), High, ReadOnly;
    /// Segment age of the metadata log. In milliseconds.
    "metadata.log.segment.ms": Long = "604800000", Validator::Any, High, ReadOnly;
    /// Bytes of records that trigger a snapshot.
    "metadata.log.max.record.bytes.between.snapshots": Long = "20971520", at_least(1), High, ReadOnly;
    /// Time that triggers a snapshot; 0 = off. In milliseconds.
    "metadata.log.max.snapshot.interval.ms": Long = "3600000", at_least(0), High, ReadOnly;
    /// Size of log and snapshots kept. In bytes.
    "metadata.max.retention.bytes": Long = "104857600", Validator::Any, High, ReadOnly;
    /// Age of log and snapshots kept. In milliseconds.
    "metadata.max.retention.ms": Long = "604800000", Validator::Any, High, ReadOnly;
    /// A no-op record is written when idle this long; 0 = off. In milliseconds.
    "metadata.max.idle.interval.ms": Int = "500", at_least(0), Low, ReadOnly;
};
