//! Keys that stand in existing files and are not declared here.

/// Prefixes whose keys are handed on as they are.
const PREFIXES: &[&str] = &[
    "listener.name.",
    "rsm.config.",
    "rlmm.config.",
    "metadata.log.",
    "vltava.connect.",
    "vltava.registry.",
    "config.providers.",
];

/// Keys that a plugin of Kafka reads, and that are kept for what replaces it here.
const FOREIGN: &[&str] = &["super.users", "allow.everyone.if.no.acl.found"];

/// Whether a key that is not declared is handed on untouched to the part that reads it.
#[must_use]
pub fn is_foreign(name: &str) -> bool {
    FOREIGN.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Why a key of older Kafka releases, or of the programs around it, changes nothing here.
#[must_use]
pub fn retired(name: &str) -> Option<&'static str> {
    if name.starts_with("zookeeper.") {
        return Some(
            "there is no ZooKeeper; the node is its own controller or talks to the controller quorum",
        );
    }
    if name.starts_with("confluent.") {
        return Some("it belongs to Confluent's server");
    }
    RETIRED.iter().find(|(key, _)| *key == name).map(|(_, reason)| *reason)
}

const RETIRED: &[(&str, &str)] = &[
    ("advertised.host.name", "Kafka 3.0 removed it; use advertised.listeners"),
    ("advertised.port", "Kafka 3.0 removed it; use advertised.listeners"),
    ("broker.id.generation.enable", "Kafka 4.0 removed it; set node.id"),
    ("control.plane.listener.name", "Kafka 4.0 removed it with ZooKeeper"),
    ("delegation.token.master.key", "Kafka 4.0 removed it; use delegation.token.secret.key"),
    ("eligible.leader.replicas.enable", "Kafka 4.0 made it a feature level"),
    ("host.name", "Kafka 3.0 removed it; use listeners"),
    ("inter.broker.protocol.version", "Kafka 4.0 removed it; feature levels take its place"),
    ("leader.imbalance.per.broker.percentage", "Kafka 4.0 removed it with ZooKeeper"),
    ("log.message.downconversion.enable", "Kafka 4.0 removed it with the old message formats"),
    ("log.message.format.version", "Kafka 4.0 removed it with the old message formats"),
    (
        "log.message.timestamp.difference.max.ms",
        "Kafka 4.0 split it into log.message.timestamp.before.max.ms and after.max.ms",
    ),
    ("max.reserved.broker.id", "Kafka 4.0 removed it; set node.id"),
    ("offsets.commit.required.acks", "Kafka 4.0 removed it; commits always wait for all in-sync replicas"),
    ("password.encoder.secret", "Kafka 4.0 removed it with ZooKeeper"),
    ("port", "Kafka 3.0 removed it; use listeners"),
    ("reserved.broker.max.id", "Kafka 4.0 removed it; set node.id"),
    ("group.coordinator.new.enable", "Kafka 4.0 removed it; there is one group coordinator"),
    ("group.share.enable", "Kafka 4.1 made it the feature share.version"),
    ("zookeeper.metadata.migration.enable", "there is no ZooKeeper to migrate from"),
];
