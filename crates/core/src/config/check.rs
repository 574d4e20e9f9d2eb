//! What must go together in the settings of a node, checked at start and on every dynamic change.

use super::error::ConfigError;
use super::layers::BrokerLayers;
use super::listener::ListenerName;
use super::node::BrokerConfig;
use super::topic::TopicConfig;
use super::values::ConfigValues;

/// Checks the settings of a node against each other.
pub(super) fn check_node(config: &BrokerConfig) -> Result<(), ConfigError> {
    let values = &config.values;
    check_quorum(config)?;
    check_listeners(config)?;
    check_replication(values)?;
    check_network(config)?;
    check_cordoned(config)?;
    check_group_bounds(values)?;
    check_log_defaults(&config.layers)
}

/// Checks what a node's settings make of a topic that has none of its own.
pub(super) fn check_log_defaults(layers: &BrokerLayers) -> Result<(), ConfigError> {
    let topic = TopicConfig::resolve(&super::table::Properties::new(), layers)?;
    require(topic.segment_ms >= 1, || "log.roll.ms must be greater than or equal to 1".to_owned())?;
    require(topic.segment_jitter_ms >= 0, || {
        "log.roll.jitter.ms must be greater than or equal to 0".to_owned()
    })?;
    require(topic.retention_ms >= 1 || topic.retention_ms == -1, || {
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned()
    })
}

fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Conflict(problem())) }
}

fn check_quorum(config: &BrokerConfig) -> Result<(), ConfigError> {
    let identity = &config.identity;
    let is_voter = identity.quorum_voters.iter().any(|(id, ..)| *id == identity.node);
    let alone = identity.quorum_voters.is_empty() && identity.quorum_bootstrap.is_empty();
    require(!alone || identity.is_controller, || {
        "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or controller.quorum.voters must contain a parseable set of controllers.".to_owned()
    })?;
    if identity.is_controller {
        return require(identity.quorum_voters.is_empty() || is_voter, || {
            format!(
                "If process.roles contains the 'controller' role, the node id {} must be included in the set of voters controller.quorum.voters",
                identity.node
            )
        });
    }
    require(!is_voter, || {
        format!(
            "If process.roles contains just the 'broker' role, the node id {} must not be included in the set of voters controller.quorum.voters",
            identity.node
        )
    })
}

fn check_listeners(config: &BrokerConfig) -> Result<(), ConfigError> {
    let (identity, listeners) = (&config.identity, &config.listeners);
    let bound = |name: &ListenerName| listeners.bound.iter().any(|listener| listener.name == *name);
    // A node without a quorum to find is its own, and needs no listener to reach it.
    let alone = identity.quorum_voters.is_empty() && identity.quorum_bootstrap.is_empty();
    if identity.is_controller {
        require(alone || listeners.controller.iter().all(bound), || {
            "controller.listener.names must only contain values appearing in the 'listeners' configuration when running the KRaft controller role".to_owned()
        })?;
    } else {
        require(!listeners.controller.iter().any(bound), || {
            "controller.listener.names must not contain a value appearing in the 'listeners' configuration when running KRaft with just the broker role".to_owned()
        })?;
    }
    if identity.is_broker {
        require(!listeners.advertised.is_empty(), || {
            "There must be at least one broker advertised listener. Perhaps all listeners appear in controller.listener.names?".to_owned()
        })?;
    } else {
        require(listeners.advertised.is_empty(), || {
            "The listeners config must only contain KRaft controller listeners from controller.listener.names when process.roles=controller".to_owned()
        })?;
    }
    for listener in listeners.advertised.iter().chain(&listeners.advertised_controller) {
        require(bound(&listener.name), || {
            format!(
                "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. Found {}",
                listener.name
            )
        })?;
    }
    let explicit = config.values.list("advertised.listeners")?;
    let unroutable = explicit.iter().any(|entry| entry.contains("://0.0.0.0:"));
    let implied = explicit.is_empty()
        && listeners.advertised.iter().any(|listener| listener.host.as_deref() == Some("0.0.0.0"));
    require(!unroutable && !implied, || {
        "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."
            .to_owned()
    })
}

fn check_replication(values: &ConfigValues) -> Result<(), ConfigError> {
    let wait = values.long("replica.fetch.wait.max.ms")?;
    require(wait <= values.long("replica.socket.timeout.ms")?, || {
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts".to_owned()
    })?;
    require(wait <= values.long("replica.lag.time.max.ms")?, || {
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR".to_owned()
    })?;
    let threads = values.long("log.cleaner.threads")?.max(1);
    require(values.long("log.cleaner.dedupe.buffer.size")? / threads > 1024 * 1024, || {
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".to_owned()
    })?;
    require(values.long("broker.session.timeout.ms")? > values.long("broker.heartbeat.interval.ms")?, || {
        "broker.session.timeout.ms must be greater than broker.heartbeat.interval.ms, so that a heartbeat arrives in time".to_owned()
    })
}

fn check_network(config: &BrokerConfig) -> Result<(), ConfigError> {
    let network = &config.network;
    require(
        network.queued_bytes_max.is_none_or(|bytes| bytes >= i64::from(network.request_bytes_max)),
        || "queued.max.request.bytes must be larger or equal to socket.request.max.bytes".to_owned(),
    )?;
    require(network.connections_per_ip_max > 0 || !network.connections_per_ip_overrides.is_empty(), || {
        "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
            .to_owned()
    })?;
    let delay = i64::from(network.failed_authentication_delay_ms);
    require(network.idle_ms_max.is_none_or(|idle| delay < idle), || {
        format!(
            "connection.failed.authentication.delay.ms={delay} should always be less than connections.max.idle.ms={} to prevent failed authentication responses from timing out",
            network.idle_ms_max.unwrap_or(-1)
        )
    })
}

/// For each kind of group: lower bound ≤ default ≤ upper bound, and a session longer than a heartbeat.
fn check_group_bounds(values: &ConfigValues) -> Result<(), ConfigError> {
    for kind in ["consumer", "share", "streams"] {
        for setting in ["session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms"] {
            let (low, high) = (format!("group.{kind}.min.{setting}"), format!("group.{kind}.max.{setting}"));
            within(values, &format!("group.{kind}.{setting}"), &low, &high)?;
        }
        let session = values.long(&format!("group.{kind}.session.timeout.ms"))?;
        let heartbeat = values.long(&format!("group.{kind}.heartbeat.interval.ms"))?;
        require(heartbeat < session, || {
            format!("group.{kind}.heartbeat.interval.ms must be less than group.{kind}.session.timeout.ms")
        })?;
    }
    for setting in ["record.lock.duration.ms", "delivery.count.limit", "partition.max.record.locks"] {
        let (low, high) = (format!("group.share.min.{setting}"), format!("group.share.max.{setting}"));
        within(values, &format!("group.share.{setting}"), &low, &high)?;
    }
    let (low, high) = ("group.min.session.timeout.ms", "group.max.session.timeout.ms");
    require(values.long(low)? <= values.long(high)?, || {
        format!("{high} must be greater than or equal to {low}")
    })
}

fn within(values: &ConfigValues, key: &str, low: &str, high: &str) -> Result<(), ConfigError> {
    let value = values.long(key)?;
    require(values.long(low)? <= values.long(high)?, || {
        format!("{high} must be greater than or equal to {low}")
    })?;
    require(value >= values.long(low)?, || format!("{key} must be greater than or equal to {low}"))?;
    require(value <= values.long(high)?, || format!("{key} must be less than or equal to {high}"))
}

fn check_cordoned(config: &BrokerConfig) -> Result<(), ConfigError> {
    let cordoned = config.values.list("cordoned.log.dirs")?;
    if cordoned == [ALL_DIRECTORIES] {
        return Ok(());
    }
    let missing: Vec<&str> = cordoned
        .iter()
        .filter(|directory| !config.logs.dirs.contains(directory))
        .map(String::as_str)
        .collect();
    require(missing.is_empty(), || {
        format!(
            "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {}",
            missing.join(", ")
        )
    })
}

/// Stands for every log directory.
pub(super) const ALL_DIRECTORIES: &str = "*";
