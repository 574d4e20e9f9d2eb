//! Listeners, sockets and the limits of requests.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, between, names, names_or_empty, one_of};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// name://host:port list to bind.
    "listeners": List = "PLAINTEXT://:9092", names(), High, PerBroker;
    /// What clients are told; null = listeners.
    "advertised.listeners": List = null, Validator::NamesOrNull, High, ReadOnly;
    /// Listener name to security protocol.
    "listener.security.protocol.map": String = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Validator::Any, Low, PerBroker;
    /// Listener for broker-to-broker traffic; excludes security.inter.broker.protocol.
    "inter.broker.listener.name": String = null, Validator::Any, Medium, ReadOnly;
    /// Protocol for broker-to-broker traffic when no listener is named.
    "security.inter.broker.protocol": String = "PLAINTEXT", one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly;
    /// Send buffer of a socket; -1 = OS default. In bytes.
    "socket.send.buffer.bytes": Int = "102400", Validator::Any, High, ReadOnly;
    /// Receive buffer of a socket; -1 = OS default. In bytes.
    "socket.receive.buffer.bytes": Int = "102400", Validator::Any, High, ReadOnly;
    /// Largest request frame. In bytes.
    "socket.request.max.bytes": Int = "104857600", at_least(1), High, ReadOnly;
    /// Connections the system holds until they are accepted.
    "socket.listen.backlog.size": Int = "50", at_least(1), Medium, ReadOnly;
    /// Connections from one address; 0 only with overrides.
    "max.connections.per.ip": Int = "2147483647", at_least(0), Medium, ClusterWide;
    /// host:count list that replaces the per-IP limit.
    "max.connections.per.ip.overrides": String = "", Validator::Any, Medium, ClusterWide;
    /// Connections per broker; also per listener with listener prefix.
    "max.connections": Int = "2147483647", at_least(0), Medium, ClusterWide;
    /// New connections a second; also per listener.
    "max.connection.creation.rate": Int = "2147483647", at_least(0), Medium, ClusterWide;
    /// Close an idle connection. In milliseconds.
    "connections.max.idle.ms": Long = "600000", Validator::Any, Medium, ReadOnly;
    /// Delay before the close after a failed authentication; must be below connections.max.idle.ms. In milliseconds.
    "connection.failed.authentication.delay.ms": Int = "100", at_least(0), Low, ReadOnly;
    /// Requests waiting before network threads stop reading.
    "queued.max.requests": Int = "500", at_least(1), High, ReadOnly, inert "requests in flight are bounded in bytes by queued.max.request.bytes";
    /// Bytes waiting before reading stops; -1 = off.
    "queued.max.request.bytes": Long = "-1", Validator::Any, Medium, ReadOnly;
    /// Network threads per listener.
    "num.network.threads": Int = "3", at_least(1), High, ClusterWide, inert "connections share one pool of threads sized to the machine";
    /// Request handler threads.
    "num.io.threads": Int = "8", at_least(1), High, ClusterWide, inert "requests run on the same threads as connections";
    /// Threads moving replicas between dirs; null = number of dirs.
    "num.replica.alter.log.dirs.threads": Int = null, Validator::Any, High, ReadOnly;
    /// Threads for housekeeping.
    "background.threads": Int = "10", at_least(1), High, ClusterWide, inert "housekeeping runs on a shared pool of threads";
    /// Deadline of the broker's own client requests. In milliseconds.
    "request.timeout.ms": Int = "30000", Validator::Any, High, ReadOnly;
    /// First TCP set-up deadline, grows per failure. In milliseconds.
    "socket.connection.setup.timeout.ms": Long = "10000", Validator::Any, Medium, ReadOnly;
    /// Cap of that growth. In milliseconds.
    "socket.connection.setup.timeout.max.ms": Long = "30000", Validator::Any, Medium, ReadOnly;
    /// Fetch sessions kept.
    "max.incremental.fetch.session.cache.slots": Int = "1000", at_least(0), Medium, ReadOnly;
    /// Cap on one fetch response for consumers (first batch may exceed it). In bytes.
    "fetch.max.bytes": Int = "57671680", at_least(1024), Medium, ReadOnly;
    /// Partitions one DescribeTopicPartitions answer may carry.
    "max.request.partition.size.limit": Int = "2000", at_least(1), Medium, ReadOnly;
    /// Largest record batch accepted, after compression. In bytes.
    "message.max.bytes": Int = "1048588", at_least(0), High, ClusterWide;
    /// Largest record accepted, after decompression; the default of the topic key of the same name. In bytes.
    "max.decompressed.message.bytes": Int = "2147483639", between(1, 2_147_483_639), Medium, ClusterWide;
    /// Names of config providers for ${provider:path:key}.
    "config.providers": List = "", names_or_empty(), Low, ClusterWide, inert "configuration providers are not built in, so a value such as ${file:path:key} is taken as it stands";
};
