//! Reads the settings of a node into their types.

use super::{
    BrokerConfig, CleanerSettings, ConsumerGroupSettings, GroupSettings, HttpListener, HttpListeners,
    Identity, LimitedTime, ListenerLimits, Listeners, LogSettings, MetadataLogSettings, NetworkLimits,
    TopicDefaults, TransactionSettings,
};
use crate::config::broker::broker_keys;
use crate::config::check::{ALL_DIRECTORIES, check_node};
use crate::config::error::ConfigError;
use crate::config::layers::BrokerLayers;
use crate::config::listener::{
    Listener, ListenerName, SecurityProtocol, check_ports, parse_listeners, parse_protocol_map,
};
use crate::config::value::{ConfigValue, list};
use crate::config::values::ConfigValues;
use crate::id::BrokerId;

impl BrokerConfig {
    /// Whether a log directory takes no new replicas (`cordoned.log.dirs`).
    #[must_use]
    pub fn is_cordoned(&self, directory: &str) -> bool {
        let cordoned = self.values.list("cordoned.log.dirs").unwrap_or_default();
        cordoned.iter().any(|listed| listed == ALL_DIRECTORIES || listed == directory)
    }

    /// Reads and checks the settings of a node.
    ///
    /// # Errors
    /// The first value that does not fit, or the first two that do not go together.
    pub fn resolve(layers: BrokerLayers) -> Result<Self, ConfigError> {
        let layers = with_node_id(layers)?;
        let values = ConfigValues::of_broker(&layers)?;
        let identity = identity(&values)?;
        let listeners = listeners(&values, &layers, &identity)?;
        let config = Self {
            network: network(&values, &layers, &listeners)?,
            logs: logs(&values)?,
            cleaner: cleaner(&values)?,
            topics: topics(&values)?,
            groups: groups(&values)?,
            transactions: transactions(&values)?,
            http: http(&values, &layers)?,
            identity,
            listeners,
            values,
            layers,
        };
        check_node(&config)?;
        Ok(config)
    }
}

/// `broker.id` is an older name of `node.id` (KIP-1232): either is enough and stands for both, two must agree.
fn with_node_id(mut layers: BrokerLayers) -> Result<BrokerLayers, ConfigError> {
    let older = layers.file.get("broker.id").map(|text| text.trim().to_owned()).filter(|text| text != "-1");
    match (layers.file.get("node.id"), older) {
        (Some(node), Some(broker)) if node.trim() != broker => {
            Err(ConfigError::Conflict("You must set `node.id` to the same value as `broker.id`.".to_owned()))
        }
        (None, Some(broker)) => {
            layers.file.insert("node.id".to_owned(), broker);
            Ok(layers)
        }
        (Some(node), None) => {
            let node = node.clone();
            layers.file.insert("broker.id".to_owned(), node);
            Ok(layers)
        }
        _ => Ok(layers),
    }
}

fn identity(values: &ConfigValues) -> Result<Identity, ConfigError> {
    let roles = values.list("process.roles")?;
    let has = |role: &str| roles.iter().any(|name| name == role);
    Ok(Identity {
        node: BrokerId(values.int("node.id")?),
        is_broker: has("broker"),
        is_controller: has("controller"),
        rack: values.optional_text("broker.rack")?.map(str::to_owned),
        quorum_voters: values
            .list("controller.quorum.voters")?
            .iter()
            .map(|entry| voter(entry))
            .collect::<Result<_, _>>()?,
        quorum_bootstrap: values
            .list("controller.quorum.bootstrap.servers")?
            .iter()
            .map(|entry| host_port("controller.quorum.bootstrap.servers", entry))
            .collect::<Result<_, _>>()?,
    })
}

fn voter(entry: &str) -> Result<(BrokerId, String, u16), ConfigError> {
    const KEY: &str = "controller.quorum.voters";
    let invalid =
        || ConfigError::invalid(KEY, entry, "Each entry should be in the form `{id}@{host}:{port}`.");
    let (id, address) = entry.split_once('@').ok_or_else(invalid)?;
    let (host, port) = host_port(KEY, address).map_err(|_| invalid())?;
    Ok((BrokerId(id.parse().ok().filter(|id| *id >= 0).ok_or_else(invalid)?), host, port))
}

/// Splits `host:port`, with brackets around an IPv6 address.
fn host_port(key: &str, entry: &str) -> Result<(String, u16), ConfigError> {
    let invalid =
        || ConfigError::invalid(key, entry, "Write host:port, with brackets around an IPv6 address");
    let (host, port) = entry.rsplit_once(':').ok_or_else(invalid)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(invalid)?,
        None if host.contains(':') => return Err(invalid()),
        None => host,
    };
    if host.is_empty() {
        return Err(invalid());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| invalid())?))
}

fn listeners(
    values: &ConfigValues,
    layers: &BrokerLayers,
    identity: &Identity,
) -> Result<Listeners, ConfigError> {
    let controller: Vec<ListenerName> =
        values.list("controller.listener.names")?.iter().map(|name| ListenerName::new(name)).collect();
    let mut protocols = parse_protocol_map(values.text("listener.security.protocol.map")?)?;
    let entries = values.list("listeners")?;
    if layers.get("listener.security.protocol.map").is_none() && !any_secured(entries) {
        for name in &controller {
            protocols.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
        }
    }
    let bound = parse_listeners("listeners", entries, &protocols)?;
    check_ports(&bound)?;
    let told = match values.list("advertised.listeners")? {
        [] => bound.clone(),
        advertised => parse_listeners("advertised.listeners", advertised, &protocols)?,
    };
    let (mut advertised_controller, advertised): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|listener| controller.contains(&listener.name));
    for listener in bound.iter().filter(|listener| controller.contains(&listener.name)) {
        if !advertised_controller.iter().any(|known| known.name == listener.name) {
            advertised_controller.push(listener.clone());
        }
    }
    let inter_broker = inter_broker(values, layers, identity, &advertised)?;
    Ok(Listeners { bound, advertised, advertised_controller, controller, inter_broker, protocols })
}

fn any_secured(entries: &[String]) -> bool {
    entries.iter().any(|entry| {
        let name = entry.split("://").next().unwrap_or("");
        SecurityProtocol::of_name(name).is_some_and(|protocol| protocol != SecurityProtocol::Plaintext)
    })
}

/// `inter.broker.listener.name`, else the listener named like `security.inter.broker.protocol`.
fn inter_broker(
    values: &ConfigValues,
    layers: &BrokerLayers,
    identity: &Identity,
    advertised: &[Listener],
) -> Result<ListenerName, ConfigError> {
    let named = values.optional_text("inter.broker.listener.name")?;
    if named.is_some() && layers.get("security.inter.broker.protocol").is_some() {
        return Err(ConfigError::Conflict(
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."
                .to_owned(),
        ));
    }
    let name = ListenerName::new(named.unwrap_or(values.text("security.inter.broker.protocol")?));
    let known = || advertised.iter().any(|listener| listener.name == name);
    if !identity.is_broker || advertised.is_empty() || known() {
        return Ok(name);
    }
    let valid: Vec<&str> = advertised.iter().map(|listener| listener.name.as_str()).collect();
    Err(ConfigError::Conflict(format!(
        "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are {}",
        valid.join(",")
    )))
}

fn network(
    values: &ConfigValues,
    layers: &BrokerLayers,
    listeners: &Listeners,
) -> Result<NetworkLimits, ConfigError> {
    let limits =
        |listener: &Listener| Ok((listener.name.clone(), listener_limits(values, layers, &listener.name)?));
    let for_clients = listeners.bound.iter().filter(|listener| !listeners.is_controller(&listener.name));
    let buffer = |key: &str| values.int(key).map(|bytes| (bytes >= 0).then_some(bytes));
    Ok(NetworkLimits {
        request_bytes_max: values.int("socket.request.max.bytes")?,
        queued_bytes_max: Some(values.long("queued.max.request.bytes")?).filter(|bytes| *bytes > 0),
        send_buffer_bytes: buffer("socket.send.buffer.bytes")?,
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes")?,
        listen_backlog: values.int("socket.listen.backlog.size")?,
        connections_max: values.int("max.connections")?,
        connections_per_ip_max: values.int("max.connections.per.ip")?,
        connections_per_ip_overrides: connection_overrides(values.text("max.connections.per.ip.overrides")?)?,
        connection_creation_rate_max: values.int("max.connection.creation.rate")?,
        by_listener: listeners.bound.iter().map(limits).collect::<Result<_, ConfigError>>()?,
        protected_listener: (for_clients.count() > 1).then(|| listeners.inter_broker.clone()),
        idle_ms_max: Some(values.long("connections.max.idle.ms")?).filter(|ms| *ms >= 0),
        failed_authentication_delay_ms: values.int("connection.failed.authentication.delay.ms")?,
        fetch_bytes_max: values.int("fetch.max.bytes")?,
        fetch_sessions_max: values.int("max.incremental.fetch.session.cache.slots")?,
        described_partitions_max: values.int("max.request.partition.size.limit")?,
    })
}

fn listener_limits(
    values: &ConfigValues,
    layers: &BrokerLayers,
    listener: &ListenerName,
) -> Result<ListenerLimits, ConfigError> {
    let limit = |key: &str| {
        let name = format!("{}{key}", listener.config_prefix());
        match layers.get(&name) {
            None => values.int(key),
            Some((text, _)) => match broker_keys().require(key)?.parse(text) {
                Ok(ConfigValue::Number(limit)) => Ok(i32::try_from(limit).unwrap_or(i32::MAX)),
                Ok(_) => Err(ConfigError::invalid(&name, text, "Not a number")),
                Err(error) => Err(error.renamed(&name)),
            },
        }
    };
    Ok(ListenerLimits {
        connections_max: limit("max.connections")?,
        connection_creation_rate_max: limit("max.connection.creation.rate")?,
    })
}

/// `max.connections.per.ip.overrides`: host and limit.
pub(in crate::config) fn connection_overrides(text: &str) -> Result<Vec<(String, i32)>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let parse = |entry: String| {
        let invalid = || ConfigError::invalid(KEY, &entry, "Write host:count");
        let (host, count) = entry.rsplit_once(':').ok_or_else(invalid)?;
        let count = count.trim().parse().map_err(|_| invalid())?;
        Ok((host.trim().trim_start_matches('[').trim_end_matches(']').to_owned(), count))
    };
    list(text).into_iter().map(parse).collect()
}

fn logs(values: &ConfigValues) -> Result<LogSettings, ConfigError> {
    let dirs = match values.list("log.dirs")? {
        [] => values.list("log.dir")?.to_vec(),
        dirs => dirs.to_vec(),
    };
    let first = dirs.first().cloned().ok_or_else(|| {
        ConfigError::Conflict(
            "At least one log directory must be defined via log.dirs or log.dir.".to_owned(),
        )
    })?;
    Ok(LogSettings {
        metadata_dir: values.optional_text("metadata.log.dir")?.map_or(first, str::to_owned),
        metadata: metadata_log(values)?,
        dirs,
        storage: values.text("vltava.storage")?.to_owned(),
        recovery_bytes_max: values.long("vltava.recovery.bytes.max")?,
        recovery_threads_per_dir: values.int("num.recovery.threads.per.data.dir")?,
        retention_check_interval_ms: values.long("log.retention.check.interval.ms")?,
        initial_task_delay_ms: values.long("log.initial.task.delay.ms")?,
        flush_scheduler_interval_ms: values.long("log.flush.scheduler.interval.ms")?,
        recovery_point_checkpoint_interval_ms: values.int("log.flush.offset.checkpoint.interval.ms")?,
        start_offset_checkpoint_interval_ms: values.int("log.flush.start.offset.checkpoint.interval.ms")?,
        high_watermark_checkpoint_interval_ms: values
            .long("replica.high.watermark.checkpoint.interval.ms")?,
        dir_failure_timeout_ms: values.long("log.dir.failure.timeout.ms")?,
    })
}

fn cleaner(values: &ConfigValues) -> Result<CleanerSettings, ConfigError> {
    Ok(CleanerSettings {
        enable: values.boolean("log.cleaner.enable")?,
        threads: values.int("log.cleaner.threads")?,
        io_bytes_per_second_max: values.double("log.cleaner.io.max.bytes.per.second")?,
        map_bytes: values.long("log.cleaner.dedupe.buffer.size")?,
        map_load_max: values.double("log.cleaner.io.buffer.load.factor")?,
        buffer_bytes: values.int("log.cleaner.io.buffer.size")?,
        backoff_ms: values.long("log.cleaner.backoff.ms")?,
    })
}

fn metadata_log(values: &ConfigValues) -> Result<MetadataLogSettings, ConfigError> {
    Ok(MetadataLogSettings {
        segment_bytes: match values.optional_int("internal.metadata.log.segment.bytes")? {
            Some(bytes) => bytes,
            None => values.int("metadata.log.segment.bytes")?,
        },
        segment_ms: values.long("metadata.log.segment.ms")?,
        snapshot_bytes: values.long("metadata.log.max.record.bytes.between.snapshots")?,
        snapshot_interval_ms: values.long("metadata.log.max.snapshot.interval.ms")?,
        retention_bytes: values.long("metadata.max.retention.bytes")?,
        retention_ms: values.long("metadata.max.retention.ms")?,
        batch_bytes_max: values.int("internal.metadata.max.batch.size.in.bytes")?,
    })
}

fn topics(values: &ConfigValues) -> Result<TopicDefaults, ConfigError> {
    Ok(TopicDefaults {
        auto_create: values.boolean("auto.create.topics.enable")?,
        delete_enable: values.boolean("delete.topic.enable")?,
        partitions: values.int("num.partitions")?,
        replication_factor: values.int("default.replication.factor")?,
    })
}

fn groups(values: &ConfigValues) -> Result<GroupSettings, ConfigError> {
    Ok(GroupSettings {
        offsets_partitions: values.int("offsets.topic.num.partitions")?,
        offsets_replication_factor: values.short("offsets.topic.replication.factor")?,
        offsets_segment_bytes: values.int("offsets.topic.segment.bytes")?,
        offsets_compression_codec: values.int("offsets.topic.compression.codec")?,
        offset_metadata_bytes_max: values.int("offset.metadata.max.bytes")?,
        offsets_retention_ms: values.long("offsets.retention.minutes")?.saturating_mul(60_000),
        offsets_retention_check_interval_ms: values.long("offsets.retention.check.interval.ms")?,
        offsets_commit_timeout_ms: values.int("offsets.commit.timeout.ms")?,
        session_timeout_ms_min: values.int("group.min.session.timeout.ms")?,
        session_timeout_ms_max: values.int("group.max.session.timeout.ms")?,
        initial_rebalance_delay_ms: values.int("group.initial.rebalance.delay.ms")?,
        size_max: values.int("group.max.size")?,
        append_linger_ms: Some(values.int("group.coordinator.append.linger.ms")?).filter(|ms| *ms >= 0),
        rebalance_protocols: values.list("group.coordinator.rebalance.protocols")?.to_vec(),
        consumer: consumer_groups(values)?,
    })
}

fn consumer_groups(values: &ConfigValues) -> Result<ConsumerGroupSettings, ConfigError> {
    let time = |name: &str| -> Result<LimitedTime, ConfigError> {
        Ok(LimitedTime {
            default_ms: values.int(&format!("group.consumer.{name}"))?,
            ms_min: values.int(&format!("group.consumer.min.{name}"))?,
            ms_max: values.int(&format!("group.consumer.max.{name}"))?,
        })
    };
    Ok(ConsumerGroupSettings {
        session_timeout: time("session.timeout.ms")?,
        heartbeat_interval: time("heartbeat.interval.ms")?,
        assignment_interval: time("assignment.interval.ms")?,
        size_max: values.int("group.consumer.max.size")?,
        assignors: values.list("group.consumer.assignors")?.to_vec(),
        migration_policy: values.text("group.consumer.migration.policy")?.to_owned(),
        regex_refresh_interval_ms: values.int("group.consumer.regex.refresh.interval.ms")?,
    })
}

fn transactions(values: &ConfigValues) -> Result<TransactionSettings, ConfigError> {
    Ok(TransactionSettings {
        partitions: values.int("transaction.state.log.num.partitions")?,
        replication_factor: values.short("transaction.state.log.replication.factor")?,
        insync_replicas_min: values.int("transaction.state.log.min.isr")?,
        segment_bytes: values.int("transaction.state.log.segment.bytes")?,
        timeout_ms_max: values.int("transaction.max.timeout.ms")?,
        transactional_id_expiration_ms: values.int("transactional.id.expiration.ms")?,
        expiry_check_interval_ms: values.int("transaction.remove.expired.transaction.cleanup.interval.ms")?,
        two_phase_commit: values.boolean("transaction.two.phase.commit.enable")?,
        load_buffer_bytes: values.int("transaction.state.log.load.buffer.size")?,
        add_partitions_wait_ms_max: values.int("add.partitions.to.txn.retry.backoff.max.ms")?,
        producer_id_expiration_ms: values.int("producer.id.expiration.ms")?,
        producer_id_expiration_check_interval_ms: values.int("producer.id.expiration.check.interval.ms")?,
        partition_verification: values.boolean("transaction.partition.verification.enable")?,
    })
}

fn http(values: &ConfigValues, layers: &BrokerLayers) -> Result<HttpListeners, ConfigError> {
    let addresses = |key: &str| {
        let configured = layers.get(key).is_some();
        values
            .list(key)?
            .iter()
            .map(|entry| HttpListener::parse(key, entry, configured))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(HttpListeners {
        node: addresses("vltava.http.listeners")?,
        registry: addresses("vltava.registry.listeners")?,
        connect: addresses("vltava.connect.listeners")?,
        registry_body_bytes_max: usize::try_from(
            values.int("vltava.registry.size.limit.filter.max.request.body.size")?,
        )
        .unwrap_or_default(),
    })
}

impl HttpListener {
    /// Reads `http://host:port` or `https://host:port`; without a host every address is meant.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(key: &str, entry: &str, configured: bool) -> Result<HttpListener, ConfigError> {
        let invalid = || ConfigError::invalid(key, entry, "Write http://host:port or https://host:port");
        let (scheme, address) = entry.split_once("://").ok_or_else(invalid)?;
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(invalid()),
        };
        let (host, port) = match address.strip_prefix(':') {
            Some(port) => (String::new(), port.parse().map_err(|_| invalid())?),
            None => host_port(key, address.trim_end_matches('/')).map_err(|_| invalid())?,
        };
        Ok(HttpListener { encrypted, host, port, configured })
    }
}
