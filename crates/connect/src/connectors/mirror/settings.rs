//! The settings of mirrors: MirrorMaker's names, types and defaults.

use std::time::Duration;

use crate::connectors::mirror::filter;
use crate::error::ConnectError;
use crate::settings::{FieldError, Importance, Kind, Parsed, Setting, Settings, Values};

const PACKAGE: &str = "org.apache.kafka.connect.mirror.";
const EVERY: &str = "How often, in seconds.";

fn low(setting: Setting) -> Setting {
    setting.importance(Importance::Low)
}

fn text(name: &str, default: &str, about: &str) -> Setting {
    low(Setting::new(name, Kind::String, default, about))
}

fn long(name: &str, default: &str, about: &str) -> Setting {
    low(Setting::new(name, Kind::Long, default, about)).at_least(0)
}

fn switch(name: &str, default: &str, about: &str) -> Setting {
    low(Setting::new(name, Kind::Boolean, default, about))
}

/// What is done again and again: whether, and how often.
fn repeated(what: &str, enabled: &str, seconds: &str, about: &str) -> [Setting; 2] {
    let every = Setting::new(format!("{what}.interval.seconds"), Kind::Long, seconds, EVERY);
    [switch(&format!("{what}.enabled"), enabled, about), low(every).at_least(1)]
}

/// Names and patterns.
fn patterns(name: &str, default: &str, about: &str) -> Setting {
    Setting::new(name, Kind::List, default, about).importance(Importance::High).checked(filter::check)
}

/// A class of Kafka's, by its whole name or the last part of it.
fn class(name: &str, known: &'static [&'static str], about: &str) -> Setting {
    let default = format!("{PACKAGE}{}", known.first().unwrap_or(&""));
    low(Setting::new(name, Kind::Class, default, about)).checked(move |value| match value.text() {
        Some(text) if !known.contains(&text.strip_prefix(PACKAGE).unwrap_or(text)) => {
            Err(format!("Class {text} could not be found; there are {}", known.join(", ")))
        }
        _ => Ok(()),
    })
}

/// A number of replicas: -1 is the broker's default.
fn replicas(name: &str, kind: Kind, default: &str, of: &str) -> Setting {
    let about = format!("Replicas of {of}; -1 is the default of the cluster.");
    low(Setting::new(name, kind, default, about)).checked(|value| match value {
        Parsed::Number(number) if *number == 0 || *number < -1 => {
            Err("Value must be -1 or at least 1".to_owned())
        }
        _ => Ok(()),
    })
}

/// Settings of every mirror.
fn of_all() -> Vec<Setting> {
    let servers = |cluster: &str| {
        let about = format!(
            "Where the {cluster} cluster is first asked; other settings of its clients begin with {cluster}.cluster. too."
        );
        Setting::required(format!("{cluster}.cluster.bootstrap.servers"), Kind::List, about).not_empty()
    };
    let policies = &["DefaultReplicationPolicy", "IdentityReplicationPolicy"];
    vec![
        switch("enabled", "true", "Whether anything is copied."),
        Setting::required("source.cluster.alias", Kind::String, "What the source is called.").not_empty(),
        Setting::new("target.cluster.alias", Kind::String, "target", "What the target is called.")
            .importance(Importance::High)
            .not_empty(),
        servers("source"),
        servers("target"),
        long("admin.timeout.ms", "60000", "How long looking at a cluster, or changing it, may take."),
        class("replication.policy.class", policies, "What copies are called."),
        text("replication.policy.separator", ".", "What stands between an alias and a topic.").not_empty(),
        switch(
            "replication.policy.internal.topic.separator.enabled",
            "true",
            "Whether it stands in names of topics of checkpoints and offset syncs too; otherwise a dot does.",
        ),
    ]
}

/// Settings of topics to copy, and of what waits for records of the source.
fn of_topics() -> Vec<Setting> {
    vec![
        patterns("topics", ".*", "Topics to copy: names and patterns."),
        patterns(
            "topics.exclude",
            r"mm2.*\.internal,.*\.replica,__.*",
            "Topics that are not copied, whatever topics says.",
        ),
        class("topic.filter.class", &["DefaultTopicFilter"], "What chooses topics."),
        long("consumer.poll.timeout.ms", "1000", "How long a fetch from the source may wait for records."),
        text(
            "offset-syncs.topic.location",
            "source",
            "The cluster that has the topic of offset syncs: source or target.",
        )
        .one_of(["source", "target"]),
        switch(
            "emit.offset-syncs.enabled",
            "true",
            "Whether the offsets of copies are recorded, which checkpoints need.",
        ),
    ]
}

/// Settings of the connector that copies topics.
pub(super) fn of_source() -> Settings {
    let excluded = "follower.replication.throttled.replicas,leader.replication.throttled.replicas,\
        message.timestamp.difference.max.ms,log.message.timestamp.before.max.ms,log.message.timestamp.after.max.ms,\
        message.timestamp.type,unclean.leader.election.enable,min.insync.replicas";
    let acls = "Accepted, and without effect: access rules are not copied.";
    let own = [
        patterns("config.properties.exclude", excluded, "Settings of topics that are not copied."),
        class("config.property.filter.class", &["DefaultConfigPropertyFilter"], "What chooses settings."),
        text(
            "use.defaults.from",
            "target",
            "Whose default a copy has where the source's topic has one: source or target.",
        )
        .one_of(["source", "target"]),
        replicas("replication.factor", Kind::Int, "2", "copies that are created"),
        replicas("offset-syncs.topic.replication.factor", Kind::Short, "3", "the topic of offset syncs"),
        long(
            "offset.lag.max",
            "100",
            "How many records a translated offset may lag before the next offset sync is sent.",
        ),
        switch(
            "heartbeats.replication.enabled",
            "true",
            "Whether heartbeats are copied, whatever topics says.",
        ),
    ];
    of_all()
        .into_iter()
        .chain(of_topics())
        .chain(repeated("refresh.topics", "true", "600", "Whether new topics and partitions are looked for."))
        .chain(repeated("sync.topic.configs", "true", "600", "Whether settings of topics are copied."))
        .chain(repeated("sync.topic.acls", "true", "600", acls))
        .chain(own)
        .collect()
}

/// Settings of the connector that translates offsets of groups.
pub(super) fn of_checkpoints() -> Settings {
    let own = [
        patterns("groups", ".*", "Groups whose offsets are translated: names and patterns."),
        patterns(
            "groups.exclude",
            "console-consumer-.*,connect-.*,__.*",
            "Groups that are left out, whatever groups says.",
        ),
        class("group.filter.class", &["DefaultGroupFilter"], "What chooses groups."),
        replicas("checkpoints.topic.replication.factor", Kind::Short, "3", "the topic of checkpoints"),
    ];
    let written = "Whether translated offsets are committed at the target, for groups without members there.";
    of_all()
        .into_iter()
        .chain(of_topics())
        .chain(repeated("refresh.groups", "true", "600", "Whether new groups are looked for."))
        .chain(repeated("emit.checkpoints", "true", "60", "Whether translated offsets are recorded."))
        .chain(repeated("sync.group.offsets", "false", "60", written))
        .chain(own)
        .collect()
}

/// Settings of the connector that sends heartbeats.
pub(super) fn of_heartbeats() -> Settings {
    let topic = replicas("heartbeats.topic.replication.factor", Kind::Short, "3", "the topic of heartbeats");
    of_all()
        .into_iter()
        .chain(repeated("emit.heartbeats", "true", "1", "Whether heartbeats are sent."))
        .chain([topic])
        .collect()
}

/// How often something is done, if it is.
pub(super) fn interval(values: &Values, what: &str) -> Result<Option<Duration>, ConnectError> {
    let enabled = values.boolean(&format!("{what}.enabled"))?;
    let seconds = values.number(&format!("{what}.interval.seconds"))?.unsigned_abs();
    Ok(enabled.then(|| Duration::from_secs(seconds)))
}

/// Where checkpoints cannot work.
pub(super) fn check_checkpoints(values: &Values) -> Vec<FieldError> {
    let needed = ["emit.checkpoints.enabled", "emit.offset-syncs.enabled"];
    if matches!(values.boolean("enabled"), Ok(false)) {
        return Vec::new();
    }
    let missing = needed.iter().filter(|name| matches!(values.boolean(name), Ok(false)));
    missing
        .map(|name| FieldError::new(*name, format!("checkpoints cannot be made when {name} is false")))
        .collect()
}
