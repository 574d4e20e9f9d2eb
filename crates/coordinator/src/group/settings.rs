//! What an operator can set for the coordinator of classic groups.

use std::time::Duration;

use vltava_core::config;

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
}

impl From<&config::GroupSettings> for GroupSettings {
    /// The settings as the node's configuration has them; what cannot be negative is zero there.
    fn from(config: &config::GroupSettings) -> Self {
        let milliseconds = |value: i64| Duration::from_millis(u64::try_from(value).unwrap_or_default());
        GroupSettings {
            session_timeout_min: milliseconds(config.session_timeout_ms_min.into()),
            session_timeout_max: milliseconds(config.session_timeout_ms_max.into()),
            initial_rebalance_delay: milliseconds(config.initial_rebalance_delay_ms.into()),
            group_size_max: usize::try_from(config.size_max).unwrap_or_default(),
            offset_metadata_length_max: usize::try_from(config.offset_metadata_bytes_max).unwrap_or_default(),
            offsets_retention: milliseconds(config.offsets_retention_ms),
            offsets_retention_check_interval: milliseconds(config.offsets_retention_check_interval_ms),
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
        }
    }
}
