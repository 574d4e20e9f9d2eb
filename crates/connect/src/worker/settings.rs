//! The settings of a worker, with Kafka Connect's names and defaults.

use std::time::Duration;

use super::group::settings::{self, GroupSettings};
use super::overrides::Overrides;
use super::providers::Providers;
use crate::error::ConnectError;
use crate::settings::{Config, Kind, Setting, Settings, Values};
use crate::topics::NewTopic;

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Everything, also what only clients read.
    pub config: Config,
    /// The group of workers.
    pub group: String,
    /// What the worker is told as a member of it.
    pub member: GroupSettings,
    /// As others and the API name this worker.
    pub worker_id: String,
    /// How often offsets are stored.
    pub offset_flush_interval: Duration,
    /// How long storing offsets may take.
    pub offset_flush_timeout: Duration,
    /// How long tasks may take to end.
    pub task_shutdown_timeout: Duration,
    /// How long a call of a task may take.
    pub task_call_timeout: Duration,
    /// Whether sources may create topics.
    pub topic_creation: bool,
    /// Whether topics in use are recorded.
    pub topic_tracking: bool,
    /// Whether that record may be reset.
    pub topic_tracking_reset: bool,
    /// Whether sources write exactly once (`exactly.once.source.support=enabled`).
    pub exactly_once: bool,
    /// Where settings of connectors may stand.
    pub providers: Providers,
    /// Which settings of clients connectors may set.
    pub overrides: Overrides,
    /// The topic of offsets.
    pub offsets: NewTopic,
    /// The topic of settings.
    pub configs: NewTopic,
    /// The topic of states.
    pub statuses: NewTopic,
}

/// The declarations.
pub fn declared() -> Settings {
    let replicas = |name: &str| {
        Setting::new(
            name,
            Kind::Short,
            "3",
            "How many replicas the topic is created with; -1 is the broker's default.",
        )
        .between(-1, i16::MAX.into())
    };
    let partitions = |name: &str, default: &str| {
        Setting::new(name, Kind::Int, default, "How many partitions the topic is created with.")
            .between(-1, i32::MAX.into())
    };
    let mut all = Settings::from([
        Setting::required("group.id", Kind::String, "The group of workers.").not_empty(),
        Setting::required("key.converter", Kind::Class, "The converter of keys."),
        Setting::required("value.converter", Kind::Class, "The converter of values."),
        Setting::new("header.converter", Kind::Class, "SimpleHeaderConverter", "The converter of headers."),
        Setting::required("offset.storage.topic", Kind::String, "The topic of source offsets.").not_empty(),
        partitions("offset.storage.partitions", "25"),
        replicas("offset.storage.replication.factor"),
        Setting::required("config.storage.topic", Kind::String, "The topic of connector settings.")
            .not_empty(),
        replicas("config.storage.replication.factor"),
        Setting::required("status.storage.topic", Kind::String, "The topic of states.").not_empty(),
        partitions("status.storage.partitions", "5"),
        replicas("status.storage.replication.factor"),
        Setting::new("offset.flush.interval.ms", Kind::Long, "60000", "How often offsets are stored.")
            .at_least(1),
        Setting::new("offset.flush.timeout.ms", Kind::Long, "5000", "How long that may take.").at_least(1),
        Setting::new(
            "task.shutdown.graceful.timeout.ms",
            Kind::Long,
            "5000",
            "How long tasks may take to end.",
        )
        .at_least(0),
        Setting::new(
            "task.call.timeout.ms",
            Kind::Long,
            "300000",
            "How long a call of a task may take, or hold its thread, until the task fails as one that hangs; for sinks, at least \
             the `max.poll.interval.ms` of their consumer. A source may wait for news as long as it likes.",
        )
        .at_least(1),
        Setting::new("topic.creation.enable", Kind::Boolean, "true", "Whether sources may create topics."),
        Setting::new("topic.tracking.enable", Kind::Boolean, "true", "Whether topics in use are recorded."),
        Setting::new(
            "topic.tracking.allow.reset",
            Kind::Boolean,
            "true",
            "Whether that record may be reset.",
        ),
        Setting::new(
            "exactly.once.source.support",
            Kind::String,
            "disabled",
            "Whether sources write exactly once.",
        )
        .one_of(["disabled", "preparing", "enabled"]),
    ]);
    settings::declared().into_iter().for_each(|setting| all.add(setting));
    all
}

impl WorkerSettings {
    /// Parses the settings of a worker that is called `worker_id`.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub fn new(config: &Config, worker_id: &str) -> Result<Self, ConnectError> {
        let values = declared().values(config)?;
        let milliseconds =
            |name| values.number(name).map(|number| Duration::from_millis(number.unsigned_abs()));
        Ok(Self {
            config: config.clone(),
            group: values.string("group.id")?.to_owned(),
            member: GroupSettings::new(&values, worker_id)?,
            worker_id: worker_id.to_owned(),
            offset_flush_interval: milliseconds("offset.flush.interval.ms")?,
            offset_flush_timeout: milliseconds("offset.flush.timeout.ms")?,
            task_shutdown_timeout: milliseconds("task.shutdown.graceful.timeout.ms")?,
            task_call_timeout: milliseconds("task.call.timeout.ms")?,
            topic_creation: values.boolean("topic.creation.enable")?,
            topic_tracking: values.boolean("topic.tracking.enable")?,
            topic_tracking_reset: values.boolean("topic.tracking.allow.reset")?,
            exactly_once: values.string("exactly.once.source.support")? == "enabled",
            providers: Providers::new(config)?,
            overrides: Overrides::new(config)?,
            offsets: topic(&values, "offset.storage")?,
            configs: topic(&values, "config.storage")?,
            statuses: topic(&values, "status.storage")?,
        })
    }

    /// A setting of the worker, as it was given or by its default.
    pub fn converter(&self, name: &str) -> &str {
        let given = self.config.get(name).map(String::as_str);
        given.unwrap_or(if name == "header.converter" { "SimpleHeaderConverter" } else { "" })
    }
}

fn topic(values: &Values, prefix: &str) -> Result<NewTopic, ConnectError> {
    let partitions = match prefix {
        "config.storage" => 1,
        _ => values.number(&format!("{prefix}.partitions"))?,
    };
    let replicas = values.number(&format!("{prefix}.replication.factor"))?;
    Ok(NewTopic {
        name: values.string(&format!("{prefix}.topic"))?.to_owned(),
        partitions: i32::try_from(partitions).unwrap_or(-1),
        replication_factor: i16::try_from(replicas).unwrap_or(-1),
        settings: Config::new(),
    })
}
