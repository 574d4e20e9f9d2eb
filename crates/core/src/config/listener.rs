//! Listeners: where a node binds, what it tells clients, and how each is secured.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::ConfigError;

/// The name of a listener, in upper case as Kafka compares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName(String);

impl ListenerName {
    /// The name in upper case.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_uppercase())
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before this listener's own settings: `listener.name.internal.`.
    #[must_use]
    pub fn config_prefix(&self) -> String {
        format!("listener.name.{}.", self.0.to_lowercase())
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a listener is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encryption nor authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// The protocol of a name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// The name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The id in Kafka's metadata records.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }
}

/// A listener: where to bind, or what to tell clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, unique in a node.
    pub name: ListenerName,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// A host name or address, IPv6 without brackets; `None` binds every address, and tells clients this machine's name.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "{}://[{host}]:{}", self.name, self.port),
            host => write!(f, "{}://{}:{}", self.name, host.as_deref().unwrap_or(""), self.port),
        }
    }
}

/// The security of each listener name.
pub type SecurityProtocolMap = BTreeMap<ListenerName, SecurityProtocol>;

/// Reads `listener.security.protocol.map`: `NAME:PROTOCOL` entries.
///
/// # Errors
/// When an entry has another form, a protocol is unknown, or a name stands twice.
pub fn parse_protocol_map(text: &str) -> Result<SecurityProtocolMap, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = SecurityProtocolMap::new();
    for entry in super::value::list(text) {
        let problem = |problem: &str| ConfigError::invalid(KEY, &entry, problem);
        let (name, protocol) = entry.rsplit_once(':').ok_or_else(|| problem("Write NAME:PROTOCOL"))?;
        let protocol = SecurityProtocol::of_name(protocol.trim()).ok_or_else(|| {
            problem("The protocol must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")
        })?;
        if map.insert(ListenerName::new(name.trim()), protocol).is_some() {
            return Err(problem("The listener name stands twice"));
        }
    }
    Ok(map)
}

/// Reads the entries of `listeners` or `advertised.listeners` (`key`), each `NAME://host:port`.
///
/// # Errors
/// When an entry has another form, its name has no security protocol, or a name stands twice.
pub fn parse_listeners(
    key: &str,
    entries: &[String],
    protocols: &SecurityProtocolMap,
) -> Result<Vec<Listener>, ConfigError> {
    let listeners =
        entries.iter().map(|entry| parse_listener(key, entry, protocols)).collect::<Result<Vec<_>, _>>()?;
    let names: std::collections::BTreeSet<_> = listeners.iter().map(|listener| &listener.name).collect();
    if names.len() < listeners.len() {
        return Err(ConfigError::Conflict(format!(
            "Each listener must have a different name, {key}: {}",
            entries.join(",")
        )));
    }
    Ok(listeners)
}

fn parse_listener(key: &str, entry: &str, protocols: &SecurityProtocolMap) -> Result<Listener, ConfigError> {
    let unparsable = || {
        ConfigError::invalid(
            key,
            entry,
            format!("Unable to parse {entry} to a broker endpoint: write NAME://host:port"),
        )
    };
    let (name, address) = entry.split_once("://").ok_or_else(unparsable)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(unparsable)?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let valid_host = host.chars().all(|c| c.is_ascii_alphanumeric() || "-%._:".contains(c));
    if name.is_empty() || !valid_host {
        return Err(unparsable());
    }
    let port = port
        .parse()
        .map_err(|_| ConfigError::invalid(key, entry, "The port must be a number from 0 to 65535"))?;
    let name = ListenerName::new(name);
    let protocol = *protocols.get(&name).ok_or_else(|| {
        ConfigError::invalid(key, entry, format!("No security protocol defined for listener {name}: add {name}:PLAINTEXT (or another protocol) to listener.security.protocol.map"))
    })?;
    Ok(Listener { name, protocol, host: (!host.is_empty()).then(|| host.to_owned()), port })
}

/// Checks that listeners that bind a fixed port do not take it from each other. Two may share one when one has an IPv4
/// address and the other an IPv6 address.
///
/// # Errors
/// [`ConfigError::Conflict`] naming the listeners.
pub fn check_ports(listeners: &[Listener]) -> Result<(), ConfigError> {
    let mut by_port: BTreeMap<u16, Vec<&Listener>> = BTreeMap::new();
    for listener in listeners.iter().filter(|listener| listener.port != 0) {
        by_port.entry(listener.port).or_default().push(listener);
    }
    for sharing in by_port.values().filter(|sharing| sharing.len() > 1) {
        let version = |listener: &Listener| listener.host.as_deref().and_then(ip_version);
        let allowed = match sharing.as_slice() {
            [one, other] => matches!((version(one), version(other)), (Some(4), Some(6)) | (Some(6), Some(4))),
            _ => false,
        };
        if !allowed {
            let shown: Vec<String> = sharing.iter().map(ToString::to_string).collect();
            return Err(ConfigError::Conflict(format!(
                "Each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 address, listeners: {}",
                shown.join(",")
            )));
        }
    }
    Ok(())
}

fn ip_version(host: &str) -> Option<u8> {
    if host.parse::<Ipv4Addr>().is_ok() {
        Some(4)
    } else if host.split('%').next().is_some_and(|host| host.parse::<Ipv6Addr>().is_ok()) {
        Some(6)
    } else {
        None
    }
}
