//! Which settings of its clients a connector may set (`producer.override.…` and the like), as the worker allows it
//! (`connector.client.config.override.policy`).

use crate::error::ConnectError;
use crate::settings::{Config, FieldError};

/// What names of settings begin with that are a client's.
const PREFIXES: [&str; 3] = ["producer.override.", "consumer.override.", "admin.override."];
/// What says who a client is.
const OF_PRINCIPALS: [&str; 3] = ["sasl.jaas.config", "sasl.mechanism", "security.protocol"];

/// What connectors may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Overrides {
    /// Everything.
    #[default]
    All,
    /// Nothing.
    None,
    /// Who the clients are.
    Principal,
    /// These.
    Allowlist(Vec<String>),
}

impl Overrides {
    /// Reads the settings of a worker.
    ///
    /// # Errors
    /// When there is no such policy.
    pub fn new(worker: &Config) -> Result<Self, ConnectError> {
        let key = "connector.client.config.override.policy";
        let given = worker.get(key).map_or("All", |policy| policy.trim());
        let short = given.rsplit('.').next().unwrap_or(given);
        Ok(match short.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(short) {
            "All" => Self::All,
            "None" => Self::None,
            "Principal" => Self::Principal,
            "Allowlist" => {
                let list = worker.get("connector.client.config.override.allowlist").map(String::as_str);
                let names =
                    list.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
                Self::Allowlist(names.map(str::to_owned).collect())
            }
            _ => {
                let why = "use All, None, Principal or Allowlist";
                return Err(ConnectError::config(FieldError::invalid(key, given, why).message));
            }
        })
    }

    /// What a connector sets without being allowed to.
    #[must_use]
    pub fn refused(&self, connector: &Config) -> Vec<FieldError> {
        let named =
            |name: &String| PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix).map(str::to_owned));
        let set = connector.keys().filter_map(|name| Some((name, named(name)?)));
        let refused = set.filter(|(_, setting)| !self.allows(setting));
        let error = |(name, setting): (&String, String)| {
            let policy = match self {
                Self::All => "All",
                Self::None => "None",
                Self::Principal => "Principal",
                Self::Allowlist(_) => "Allowlist",
            };
            let why = format!(
                "{name}: The '{policy}' policy does not allow '{setting}' to be overridden in the connector configuration."
            );
            FieldError::new(name, why)
        };
        refused.map(error).collect()
    }

    fn allows(&self, setting: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => OF_PRINCIPALS.contains(&setting),
            Self::Allowlist(names) => names.iter().any(|name| name == setting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Overrides};

    type Given<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn connectors_set_what_they_may() {
        let allowlist = [("connector.client.config.override.allowlist", "linger.ms, acks")];
        let class = "org.apache.kafka.connect.connector.policy.NoneConnectorClientConfigOverridePolicy";
        let cases: [(&str, Given<'_>, &[&str]); 5] = [
            ("All", &[], &[]),
            (
                class,
                &[],
                &[
                    "admin.override.sasl.mechanism",
                    "consumer.override.max.poll.records",
                    "producer.override.linger.ms",
                ],
            ),
            ("Principal", &[], &["consumer.override.max.poll.records", "producer.override.linger.ms"]),
            (
                "Allowlist",
                &[],
                &[
                    "admin.override.sasl.mechanism",
                    "consumer.override.max.poll.records",
                    "producer.override.linger.ms",
                ],
            ),
            (
                "Allowlist",
                &allowlist,
                &["admin.override.sasl.mechanism", "consumer.override.max.poll.records"],
            ),
        ];
        let config = |entries: &[(&str, &str)]| -> Config {
            entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let connector = config(&[
            ("name", "c"),
            ("producer.override.linger.ms", "1"),
            ("consumer.override.max.poll.records", "1"),
            ("admin.override.sasl.mechanism", "PLAIN"),
        ]);
        for (policy, more, expected) in cases {
            let mut worker = config(more);
            worker.insert("connector.client.config.override.policy".to_owned(), policy.to_owned());
            let refused = Overrides::new(&worker).expect("a policy").refused(&connector);
            assert_eq!(refused.iter().map(|error| &*error.field).collect::<Vec<_>>(), expected, "{policy}");
        }
        assert!(Overrides::new(&config(&[("connector.client.config.override.policy", "Some")])).is_err());
    }
}
