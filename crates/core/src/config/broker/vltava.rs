//! Vltava's own keys.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, names_or_empty};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Storage backend of topics that name none, by the name it is registered under: `segments` keeps Kafka's files on disk,
    /// `memory` keeps nothing over a restart.
    "vltava.storage": String = "segments", Validator::NonEmpty, High, ReadOnly;
    /// Addresses of the HTTP server for metrics and health, with the registry and Connect below /registry and /connect. Empty is
    /// off. A default port that is taken is a warning, a configured one an error. Where an address says https, here and with the
    /// other servers of HTTP, ssl.keystore.* is the certificate with its key and ssl.truststore.* says whose clients are trusted
    /// (ssl.client.auth), both in PEM; Connect may have its own as vltava.connect.listeners.https.ssl.*.
    "vltava.http.listeners": List = "http://127.0.0.1:8080", names_or_empty(), Medium, ReadOnly;
    /// Addresses where the schema registry serves at the root, as its clients expect. Empty is off.
    "vltava.registry.listeners": List = "http://127.0.0.1:8081", names_or_empty(), Medium, ReadOnly;
    /// The compatibility that the schema registry asks for where none is set: none, backward, forward or full, the last three
    /// also with _transitive.
    "vltava.registry.schema.compatibility.level": String = "backward", Validator::NonEmpty, Medium, ReadOnly;
    /// Whether modes of the schema registry may be changed.
    "vltava.registry.mode.mutability": Boolean = "true", Validator::Any, Low, ReadOnly;
    /// Whether the schema registry refuses to register under a subject without a name, also in a context, and under `*`.
    "vltava.registry.schema.reject.empty.subject": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// Whether a new schema is refused that refers by one name to several versions, also by way of others. Otherwise the first
    /// one counts.
    "vltava.registry.schema.providers.reference.versions.strict": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// The most bytes of the body of a request to the schema registry; longer ones are refused with 413.
    "vltava.registry.size.limit.filter.max.request.body.size": Int = "1048576", at_least(1024), Low, ReadOnly;
    /// Addresses where Connect serves at the root, as its clients expect. Empty is off; Connect itself is off until configured.
    "vltava.connect.listeners": List = "http://127.0.0.1:8083", names_or_empty(), Medium, ReadOnly;
    /// Bytes of unsynced data a log directory may hold before the background flush writes them out and advances the recovery
    /// point. It bounds what recovery has to read again after a crash.
    "vltava.recovery.bytes.max": Long = "67108864", at_least(1048576), Medium, ReadOnly;
};
