//! What an operator can set for the coordinator of groups.

use std::time::Duration;

use vltava_core::config;

use crate::assignor::Assignors;

/// How long a member that has joined for the first time waits for its generation before it is removed. Such a member
/// does not know its id, so it can send no heartbeats that keep it alive; Kafka has no key for this.
pub const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How many bytes of tombstones one decision writes at most, when offsets expire or a topic is deleted. One decision is
/// one batch, and a batch has a largest size (`max.message.bytes`, 1 MiB unless set); the rest follows in the next one.
pub const TOMBSTONES_BYTES_MAX: usize = 512 * 1024;

/// The settings of a group coordinator. The default of each is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`: the shortest session timeout a member may ask for.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`: the longest session timeout a member may ask for.
    pub session_timeout_max: Duration,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members before its first generation.
    /// Every member that joins meanwhile extends the wait, up to the rebalance timeout.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`: how many members a group may have.
    pub group_size_max: usize,
    /// `offset.metadata.max.bytes`: how long the metadata of an offset may be. Kafka counts UTF-16 units.
    pub offset_metadata_length_max: usize,
    /// `offsets.retention.minutes`: how long offsets outlive their use (KIP-211).
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub offsets_retention_check_interval: Duration,
    /// What concerns consumer groups alone.
    pub consumer: ConsumerSettings,
}

/// The settings of consumer groups. The default of each is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// How long a member may go without a heartbeat.
    pub session_timeout: Limited,
    /// How often members are to send heartbeats.
    pub heartbeat_interval: Limited,
    /// How long a target stays at least, unless it is the first (KIP-1263).
    pub assignment_interval: Limited,
    /// `group.consumer.max.size`: how many members a group may have.
    pub size_max: usize,
    /// `group.consumer.assignors`: who can be asked to assign.
    pub assignors: Assignors,
    /// `group.consumer.migration.policy`: which way groups may change their protocol while they have members.
    pub migration: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`: how often regular expressions are resolved anew at least.
    pub regex_refresh_interval: Duration,
}

/// A time that a group may set for itself, within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The key of the group.
    pub group_key: &'static str,
    /// The key of the broker that a group without one takes.
    pub broker_key: &'static str,
    /// What that says.
    pub default: Duration,
    /// The least a group may set.
    pub min: Duration,
    /// The most a group may set.
    pub max: Duration,
}

impl Limited {
    /// What counts for a group with this text in its configuration. Bounds may have moved since it was set.
    #[must_use]
    pub fn of_group(&self, set: Option<&str>) -> Duration {
        match set.and_then(|text| text.trim().parse().ok()) {
            Some(milliseconds) => Duration::from_millis(milliseconds).min(self.max).max(self.min),
            None => self.default,
        }
    }
}

/// Which way groups may change their protocol while they have members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Neither way.
    Disabled,
    /// From classic to consumer.
    Upgrade,
    /// From consumer to classic.
    Downgrade,
    /// Both ways.
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    /// The policy of this name; none when there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<MigrationPolicy> {
        Some(match name.to_ascii_lowercase().as_str() {
            "disabled" => MigrationPolicy::Disabled,
            "upgrade" => MigrationPolicy::Upgrade,
            "downgrade" => MigrationPolicy::Downgrade,
            "bidirectional" => MigrationPolicy::Bidirectional,
            _ => return None,
        })
    }

    /// Whether a classic group may become a consumer group.
    #[must_use]
    pub fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional)
    }

    /// Whether a consumer group may become a classic group.
    #[must_use]
    pub fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional)
    }

    /// Whether members of the classic protocol may join a consumer group.
    #[must_use]
    pub fn admits_classic_members(self) -> bool {
        self != MigrationPolicy::Disabled
    }
}

impl ConsumerSettings {
    fn new(config: &config::ConsumerGroupSettings) -> ConsumerSettings {
        let limited = |times: &config::LimitedTime, group_key, broker_key| Limited {
            group_key,
            broker_key,
            default: milliseconds(times.default_ms.into()),
            min: milliseconds(times.ms_min.into()),
            max: milliseconds(times.ms_max.into()),
        };
        let session = ("consumer.session.timeout.ms", "group.consumer.session.timeout.ms");
        let heartbeat = ("consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms");
        let assignment = ("consumer.assignment.interval.ms", "group.consumer.assignment.interval.ms");
        ConsumerSettings {
            session_timeout: limited(&config.session_timeout, session.0, session.1),
            heartbeat_interval: limited(&config.heartbeat_interval, heartbeat.0, heartbeat.1),
            assignment_interval: limited(&config.assignment_interval, assignment.0, assignment.1),
            size_max: usize::try_from(config.size_max).unwrap_or_default(),
            // Names are looked up by who has assignors of its own as well.
            assignors: Assignors::default(),
            migration: MigrationPolicy::named(&config.migration_policy).unwrap_or_default(),
            regex_refresh_interval: milliseconds(config.regex_refresh_interval_ms.into()),
        }
    }
}

fn milliseconds(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or_default())
}

impl From<&config::GroupSettings> for GroupSettings {
    /// The settings as the node's configuration has them; what cannot be negative is zero there.
    fn from(config: &config::GroupSettings) -> Self {
        GroupSettings {
            session_timeout_min: milliseconds(config.session_timeout_ms_min.into()),
            session_timeout_max: milliseconds(config.session_timeout_ms_max.into()),
            initial_rebalance_delay: milliseconds(config.initial_rebalance_delay_ms.into()),
            group_size_max: usize::try_from(config.size_max).unwrap_or_default(),
            offset_metadata_length_max: usize::try_from(config.offset_metadata_bytes_max).unwrap_or_default(),
            offsets_retention: milliseconds(config.offsets_retention_ms),
            offsets_retention_check_interval: milliseconds(config.offsets_retention_check_interval_ms),
            consumer: ConsumerSettings::new(&config.consumer),
        }
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        GroupSettings {
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::from_secs(3),
            group_size_max: i32::MAX as usize,
            offset_metadata_length_max: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_retention_check_interval: Duration::from_secs(10 * 60),
            consumer: ConsumerSettings::new(&config::ConsumerGroupSettings::default()),
        }
    }
}
