//! The settings of a worker as a member of its group, with Kafka Connect's names and defaults.

use std::time::Duration;

use super::protocol::Protocol;
use super::signature::Algorithm;
use crate::error::ConnectError;
use crate::membership::GroupTimes;
use crate::settings::{Kind, Parsed, Setting, Values};

/// What a member is told.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// The group and its times.
    pub times: GroupTimes,
    /// Where this worker's API is, as others reach it.
    pub url: String,
    /// How often the member says that it lives.
    pub heartbeat_interval: Duration,
    /// How long a member may take to read the settings that its leader has read.
    pub sync_timeout: Duration,
    /// How long it stays out when it takes longer.
    pub unsync_backoff: Duration,
    /// How long work of a lost member waits for it.
    pub delay_max: Duration,
    /// The best protocol that is offered.
    pub protocol: Protocol,
    /// How long a key for requests between workers is used.
    pub key_ttl: Duration,
    /// How many bits a key has; `None` is what its algorithm takes.
    pub key_bits: Option<usize>,
    /// What keys are for.
    pub key_algorithm: Algorithm,
    /// What requests are signed with.
    pub signature: Algorithm,
    /// What signatures are accepted.
    pub verified: Vec<Algorithm>,
    /// Whether the leader writes in transactions.
    pub transactional_leader: bool,
}

/// The declarations.
pub fn declared() -> Vec<Setting> {
    let algorithm = |name: &str, text: &str| {
        Setting::new(name, Kind::String, "HmacSHA256", text).one_of(Algorithm::ALL.map(Algorithm::name))
    };
    vec![
        Setting::new(
            "session.timeout.ms",
            Kind::Int,
            "10000",
            "After how long without a heartbeat the group gives up a worker.",
        )
        .at_least(1),
        Setting::new("heartbeat.interval.ms", Kind::Int, "3000", "How often a worker says that it lives.")
            .at_least(1),
        Setting::new(
            "rebalance.timeout.ms",
            Kind::Int,
            "60000",
            "How long workers may take to join a rebalance.",
        )
        .at_least(1),
        Setting::new(
            "worker.sync.timeout.ms",
            Kind::Int,
            "3000",
            "How long a worker may take to read the settings that the leader has read.",
        )
        .at_least(0),
        Setting::new(
            "worker.unsync.backoff.ms",
            Kind::Int,
            "300000",
            "How long a worker that takes longer stays out of the group.",
        )
        .at_least(0),
        Setting::new(
            "scheduled.rebalance.max.delay.ms",
            Kind::Int,
            "300000",
            "How long the work of a lost worker waits for its return.",
        )
        .between(0, i32::MAX.into()),
        Setting::new(
            "connect.protocol",
            Kind::String,
            "sessioned",
            "How work is shared out: eager, compatible (only what moves stops) or sessioned (and requests between \
             workers are signed).",
        )
        .checked(|value| match value.text().map(Protocol::from_setting) {
            Some(None) => Err("Invalid Connect protocol compatibility".to_owned()),
            _ => Ok(()),
        }),
        Setting::new(
            "inter.worker.key.ttl.ms",
            Kind::Int,
            "3600000",
            "How long a key for requests between workers is used.",
        )
        .between(0, i32::MAX.into()),
        algorithm("inter.worker.key.generation.algorithm", "What keys for such requests are made for."),
        Setting::optional("inter.worker.key.size", Kind::Int, "The bits of such a key.").between(8, 65_536),
        algorithm("inter.worker.signature.algorithm", "What such requests are signed with."),
        Setting::new(
            "inter.worker.verification.algorithms",
            Kind::List,
            "HmacSHA256",
            "What such requests may be signed with.",
        )
        .checked(|value| {
            let Parsed::List(names) = value else { return Ok(()) };
            match names.iter().find(|name| Algorithm::from_name(name).is_none()) {
                _ if names.is_empty() => Err("At least one algorithm must be given".to_owned()),
                Some(_) => Err("the algorithm is not supported by this worker".to_owned()),
                None => Ok(()),
            }
        }),
        Setting::optional("rest.advertised.host.name", Kind::String, "The host that other workers are told."),
        Setting::optional("rest.advertised.port", Kind::Int, "The port that other workers are told.")
            .between(1, 65_535),
        Setting::new(
            "rest.advertised.listener",
            Kind::String,
            "http",
            "The kind of listener that other workers are told.",
        )
        .one_of(["http", "https"]),
    ]
}

impl GroupSettings {
    /// What the settings of a worker say, whose API is at `worker_id`.
    ///
    /// # Errors
    /// When a setting is wrong, or contradicts another.
    pub fn new(values: &Values, worker_id: &str) -> Result<Self, ConnectError> {
        let milliseconds =
            |name| values.number(name).map(|number| Duration::from_millis(number.unsigned_abs()));
        let algorithm = |name| {
            let named = values.string(name)?;
            let unknown = || ConnectError::config(format!("{name} cannot be {named}"));
            Algorithm::from_name(named).ok_or_else(unknown)
        };
        let times = GroupTimes {
            group: values.string("group.id")?.to_owned(),
            session_timeout: milliseconds("session.timeout.ms")?,
            rebalance_timeout: milliseconds("rebalance.timeout.ms")?,
        };
        let heartbeat_interval = milliseconds("heartbeat.interval.ms")?;
        if heartbeat_interval >= times.session_timeout {
            return Err(ConnectError::config("heartbeat.interval.ms must be less than session.timeout.ms"));
        }
        let signature = algorithm("inter.worker.signature.algorithm")?;
        let verified = values.list("inter.worker.verification.algorithms")?;
        let verified: Vec<_> = verified.iter().filter_map(|name| Algorithm::from_name(name)).collect();
        if !verified.contains(&signature) {
            return Err(ConnectError::config(format!(
                "Signature algorithm must be present in inter.worker.verification.algorithms list: {}",
                signature.name()
            )));
        }
        let bits = values.optional_number("inter.worker.key.size")?;
        Ok(Self {
            times,
            url: format!("{}://{worker_id}/", values.string("rest.advertised.listener")?),
            heartbeat_interval,
            sync_timeout: milliseconds("worker.sync.timeout.ms")?,
            unsync_backoff: milliseconds("worker.unsync.backoff.ms")?,
            delay_max: milliseconds("scheduled.rebalance.max.delay.ms")?,
            protocol: Protocol::from_setting(values.string("connect.protocol")?)
                .unwrap_or(Protocol::Sessioned),
            key_ttl: milliseconds("inter.worker.key.ttl.ms")?,
            key_bits: bits.and_then(|bits| usize::try_from(bits).ok()),
            key_algorithm: algorithm("inter.worker.key.generation.algorithm")?,
            signature,
            verified,
            transactional_leader: values.string("exactly.once.source.support")? != "disabled",
        })
    }

    /// How long tasks may take to end when the membership is about to be lost.
    pub fn grace(&self, shutdown_timeout: Duration) -> Duration {
        shutdown_timeout.min(self.times.session_timeout / 3)
    }

    /// The transactional id of whoever leads.
    pub fn leader_id(&self) -> String {
        format!("connect-cluster-{}", self.times.group)
    }
}
