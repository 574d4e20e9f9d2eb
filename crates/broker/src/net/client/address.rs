//! Where a broker listens.

use std::fmt;
use std::str::FromStr;

/// A host name or address and a port, as `host:port` or `[ipv6]:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A host name or address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The port of Kafka's listeners when none is written.
const DEFAULT_PORT: u16 = 9092;

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, address)| address);
        let invalid = || format!("{text:?} is no address; write host:port, such as localhost:9092");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(invalid)?,
            None if text.matches(':').count() > 1 => return Err(invalid()),
            None => text.split_once(':').map_or((text, ""), |(host, _)| (host, &text[host.len()..])),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| invalid())?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err(invalid()),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
