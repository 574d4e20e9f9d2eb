//! What an operator can set for the transaction coordinator.

use std::time::Duration;

use vltava_core::config;

/// How many bytes of tombstones one decision writes at most, when transactional ids expire. The rest follows in the next
/// one, so that a batch stays below `max.message.bytes`.
pub const TOMBSTONES_BYTES_MAX: usize = 512 * 1024;

/// The settings of a transaction coordinator. The default of each is Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for, in milliseconds.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: how long a transactional id is kept without use.
    pub id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often expired ones are looked for.
    pub expiry_check_interval: Duration,
    /// `transaction.two.phase.commit.enable`.
    pub two_phase_commit: bool,
}

impl From<&config::TransactionSettings> for TransactionSettings {
    /// The settings as the node's configuration has them.
    fn from(config: &config::TransactionSettings) -> Self {
        let milliseconds = |value: i32| Duration::from_millis(u64::try_from(value).unwrap_or_default());
        TransactionSettings {
            timeout_ms_max: config.timeout_ms_max,
            id_expiration: milliseconds(config.transactional_id_expiration_ms),
            expiry_check_interval: milliseconds(config.expiry_check_interval_ms),
            two_phase_commit: config.two_phase_commit,
        }
    }
}

impl Default for TransactionSettings {
    fn default() -> Self {
        TransactionSettings {
            timeout_ms_max: 900_000,
            id_expiration: Duration::from_secs(7 * 24 * 60 * 60),
            expiry_check_interval: Duration::from_secs(60 * 60),
            two_phase_commit: false,
        }
    }
}
