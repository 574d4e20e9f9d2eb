//! The settings of a group, resolved, typed and held within the broker's bounds.

use super::error::ConfigError;
use super::group_keys::GROUP_KEYS;
use super::layers::BrokerLayers;
use super::table::{ConfigTable, Properties};
use super::value::ConfigValue;
use super::values::ConfigValues;

/// The keys of a group.
pub fn group_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("group", [GROUP_KEYS]));
    &TABLE
}

/// The settings in effect for a group: every key has a value within the broker's bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupConfig {
    values: ConfigValues,
    bounds: Vec<(&'static str, i64, i64)>,
}

impl GroupConfig {
    /// The settings of a group with these properties on a broker with those. A stored value outside the broker's bounds
    /// counts as the nearest bound, for bounds may have moved since it was set.
    ///
    /// # Errors
    /// When a property is unknown or does not fit.
    pub fn resolve(group: &Properties, broker: &BrokerLayers) -> Result<Self, ConfigError> {
        group_keys().check(group)?;
        let values = ConfigValues::of_resource(group_keys(), group, broker)?;
        let bounds = BOUNDS.iter().map(|bound| bound.resolve(broker)).collect::<Result<_, _>>()?;
        Ok(Self { values, bounds })
    }

    /// A number, within the broker's bounds.
    ///
    /// # Errors
    /// When the key is null or no number.
    pub fn long(&self, key: &str) -> Result<i64, ConfigError> {
        let value = self.values.long(key)?;
        Ok(self
            .bounds
            .iter()
            .find(|(name, ..)| *name == key)
            .map_or(value, |(_, low, high)| value.max(*low).min(*high)))
    }

    /// The values as they were set.
    #[must_use]
    pub fn values(&self) -> &ConfigValues {
        &self.values
    }
}

/// Checks the whole set of properties a group would carry: names, values, the broker's bounds and what must go together.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_group(new: &Properties, broker: &BrokerLayers) -> Result<GroupConfig, ConfigError> {
    let config = GroupConfig::resolve(new, broker)?;
    for (bound, (name, low, high)) in BOUNDS.iter().zip(&config.bounds) {
        if new.contains_key(*name) {
            bound.check(config.values.long(name)?, *low, *high)?;
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session = config.values.long(&format!("{kind}.session.timeout.ms"))?;
        let heartbeat = config.values.long(&format!("{kind}.heartbeat.interval.ms"))?;
        if session <= heartbeat {
            return Err(ConfigError::Conflict(format!(
                "{kind}.session.timeout.ms ({session}) must be greater than {kind}.heartbeat.interval.ms ({heartbeat})."
            )));
        }
    }
    Ok(config)
}

/// The broker keys that bound a group's key; an empty name is no bound.
struct Bound {
    key: &'static str,
    low: &'static str,
    high: &'static str,
}

impl Bound {
    fn resolve(&self, broker: &BrokerLayers) -> Result<(&'static str, i64, i64), ConfigError> {
        let limit = |name: &str, open: i64| match name {
            "" => Ok(open),
            name => broker
                .value(name)
                .map(|value| if let ConfigValue::Number(number) = value { number } else { open }),
        };
        Ok((self.key, limit(self.low, i64::MIN)?, limit(self.high, i64::MAX)?))
    }

    fn check(&self, value: i64, low: i64, high: i64) -> Result<(), ConfigError> {
        if !(low..=high).contains(&value) && !self.low.is_empty() && !self.high.is_empty() {
            let (key, range) = (self.key, format!("{low} to {high}"));
            return Err(ConfigError::Conflict(format!("{key} must be in the range {range} inclusive.")));
        }
        let problem = if value < low {
            format!("{} must be greater than or equal to {}", self.key, self.low)
        } else if value > high {
            format!("{} must be less than or equal to {}", self.key, self.high)
        } else {
            return Ok(());
        };
        Err(ConfigError::invalid(
            self.key,
            value,
            format!("{problem} ({})", if value < low { low } else { high }),
        ))
    }
}

macro_rules! bounds {
    ($($key:literal: $low:literal, $high:literal;)+) => { &[$(Bound { key: $key, low: $low, high: $high }),+] };
}

const BOUNDS: &[Bound] = bounds! {
    "consumer.session.timeout.ms": "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms";
    "consumer.heartbeat.interval.ms": "group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms";
    "consumer.assignment.interval.ms": "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms";
    "share.session.timeout.ms": "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms";
    "share.heartbeat.interval.ms": "group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms";
    "share.record.lock.duration.ms": "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms";
    "share.delivery.count.limit": "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit";
    "share.partition.max.record.locks": "group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks";
    "share.assignment.interval.ms": "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms";
    "streams.session.timeout.ms": "group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms";
    "streams.heartbeat.interval.ms": "group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms";
    "streams.num.standby.replicas": "", "group.streams.max.standby.replicas";
    "streams.num.warmup.replicas": "", "group.streams.max.warmup.replicas";
    "streams.assignment.interval.ms": "group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms";
    "streams.task.offset.interval.ms": "group.streams.min.task.offset.interval.ms", "";
};
