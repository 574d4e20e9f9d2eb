//! Dynamic configurations.

use vltava_core::image::{ConfigKind, ConfigResource};

use super::*;
use crate::cluster::command::{
    AlterOperation, ChangeConfigs, ConfigChange, CreateTopics, NewTopic, ReplaceConfigs,
};
use crate::cluster::configs::ConfigChangeError;

fn with_topic() -> Pair {
    let mut pair = Pair::of("1");
    let configs = vec![("cleanup.policy".to_owned(), Some("compact".to_owned()))];
    let topics = vec![NewTopic { configs, ..NewTopic::named("t") }];
    pair.ask(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
    pair
}

/// `key=value` sets, `key+=value` appends, `key-=value` subtracts, `-key` deletes.
fn change(text: &str) -> ConfigChange {
    let (name, value) =
        text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    let (operation, key) = if let Some(key) = name.strip_prefix('-') {
        (AlterOperation::Delete, key)
    } else if let Some(key) = name.strip_suffix('+') {
        (AlterOperation::Append, key)
    } else if let Some(key) = name.strip_suffix('-') {
        (AlterOperation::Subtract, key)
    } else {
        (AlterOperation::Set, name)
    };
    ConfigChange { key: key.to_owned(), operation, value }
}

fn shown(pair: &Pair, resource: &ConfigResource) -> String {
    let values = pair.leader.image().config(resource).cloned().unwrap_or_default();
    values.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Given the topic `t` with `cleanup.policy=compact`, when this resource changes, then that is answered, and it carries
/// those values.
fn check(kind: ConfigKind, name: &str, changes: &[&str], expected: &str, carries: &str) {
    let mut pair = with_topic();
    let resource = ConfigResource::new(kind, name);
    let changes: Vec<ConfigChange> = changes.iter().map(|text| change(text)).collect();
    let request = ChangeConfigs { resources: vec![(resource.clone(), changes)], validate_only: false };
    let answer = pair.ask(Command::ChangeConfigs(request));
    let Answer::ChangeConfigs(results) = answer else { panic!("{answer:?}") };
    assert_eq!(outcome(&results[0].1, ConfigChangeError::code), expected);
    assert_eq!(shown(&pair, &resource), carries);
}

#[test]
fn topics_are_configured() {
    use ConfigKind::Topic;
    const POLICY: &str = "cleanup.policy=compact";
    check(Topic, "t", &["retention.ms=5"], "ok", "cleanup.policy=compact retention.ms=5");
    check(Topic, "t", &["cleanup.policy+=delete"], "ok", "cleanup.policy=compact,delete");
    check(
        Topic,
        "t",
        &["cleanup.policy+=delete", "retention.ms=7"],
        "ok",
        "cleanup.policy=compact,delete retention.ms=7",
    );
    check(Topic, "t", &["-cleanup.policy"], "ok", "");
    check(
        Topic,
        "t",
        &["retention.ms+=5"],
        "INVALID_CONFIG: Can't APPEND to key retention.ms because its type is not LIST.",
        POLICY,
    );
    check(
        Topic,
        "t",
        &["retention.ms=abc"],
        "INVALID_CONFIG: Invalid value abc for configuration retention.ms: Not a number of type LONG",
        POLICY,
    );
    check(
        Topic,
        "t",
        &["retention.ms"],
        "INVALID_REQUEST: Null value not supported for : retention.ms",
        POLICY,
    );
    check(
        Topic,
        "t",
        &["retention.ms=1", "retention.ms=2"],
        "INVALID_REQUEST: Error due to duplicate config keys",
        POLICY,
    );
    check(Topic, "", &["retention.ms=1"], "INVALID_REQUEST: Default topic resources are not allowed.", "");
    check(
        Topic,
        "none",
        &["retention.ms=1"],
        "UNKNOWN_TOPIC_OR_PARTITION: The topic 'none' does not exist.",
        "",
    );
}

#[test]
fn brokers_are_configured() {
    use ConfigKind::Broker;
    check(Broker, "", &["log.retention.ms=7200000"], "ok", "log.retention.ms=7200000");
    check(Broker, "1", &["log.retention.ms=7200000"], "ok", "log.retention.ms=7200000");
    check(
        Broker,
        "1",
        &["log.retention.ms=x"],
        "INVALID_REQUEST: Invalid value x for configuration log.retention.ms: Not a number of type LONG",
        "",
    );
    check(
        Broker,
        "1",
        &["log.retention.ms+=5"],
        "INVALID_CONFIG: Config value append is not allowed for config key: log.retention.ms",
        "",
    );
    check(Broker, "", &["log.cleanup.policy+=compact"], "ok", "log.cleanup.policy=delete,compact");
    check(Broker, "", &["plugin.key=5"], "ok", "plugin.key=5");
    check(Broker, "7", &["log.retention.ms=1"], "BROKER_ID_NOT_REGISTERED: No node with id 7 found.", "");
    check(
        Broker,
        "x",
        &["log.retention.ms=1"],
        "INVALID_REQUEST: Node id must be an integer, but it is: x",
        "",
    );
    check(Broker, "-1", &["log.retention.ms=1"], "INVALID_REQUEST: Invalid negative broker ID.", "");
}

#[test]
fn groups_and_subscriptions_are_configured() {
    check(
        ConfigKind::Group,
        "g",
        &["consumer.session.timeout.ms=50000"],
        "ok",
        "consumer.session.timeout.ms=50000",
    );
    check(
        ConfigKind::Group,
        "",
        &["consumer.session.timeout.ms=50000"],
        "INVALID_REQUEST: Default group resources are not allowed.",
        "",
    );
    check(ConfigKind::ClientMetrics, "s", &["interval.ms=1000"], "ok", "interval.ms=1000");
    let metrics = |change: &str, expected| check(ConfigKind::ClientMetrics, "s", &[change], expected, "");
    metrics("zzz=1", "INVALID_REQUEST: Unknown client metrics configuration: zzz");
    metrics(
        "interval.ms=1",
        "INVALID_REQUEST: Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
    );
    metrics(
        "interval.ms=x",
        "INVALID_CONFIG: Invalid value x for configuration interval.ms: Not a number of type INT",
    );
    let group = |change: &str, expected| check(ConfigKind::Group, "g", &[change], expected, "");
    group("zzzzzzzzzzzzzzzzz=1", "INVALID_CONFIG: Unknown group config name: zzzzzzzzzzzzzzzzz");
    group(
        "consumer.session.timeout.ms=x",
        "INVALID_CONFIG: Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
    );
    group(
        "consumer.session.timeout.ms=1",
        "INVALID_CONFIG: consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
    );
    check(
        ConfigKind::ClientMetrics,
        "",
        &["interval.ms=1000"],
        "INVALID_REQUEST: Subscription name can't be empty",
        "",
    );
    check(
        ConfigKind::BrokerLogger,
        "1",
        &["root=INFO"],
        "INVALID_REQUEST: Unknown resource type BrokerLogger",
        "",
    );
}

#[test]
fn brokers_are_told_values_that_stay_the_same() {
    let mut pair = with_topic();
    for (resource, written) in [(ConfigResource::brokers(), [1, 1]), (ConfigResource::topic("t"), [1, 0])] {
        let key = if written[1] == 1 { "log.retention.ms=5000" } else { "retention.ms=5000" };
        for expected in written {
            let resources = vec![(resource.clone(), vec![change(key)])];
            let (events, _) =
                pair.decide(Command::ChangeConfigs(ChangeConfigs { resources, validate_only: false }));
            assert_eq!(events.len(), expected, "{resource:?}");
        }
    }
}

#[test]
fn a_replacement_leaves_nothing_else() {
    let mut pair = with_topic();
    let resource = ConfigResource::topic("t");
    let values = vec![("retention.ms".to_owned(), Some("9".to_owned()))];
    let mut request = ReplaceConfigs { resources: vec![(resource.clone(), values)], validate_only: true };
    pair.ask(Command::ReplaceConfigs(request.clone()));
    assert_eq!(shown(&pair, &resource), "cleanup.policy=compact");
    request.validate_only = false;
    pair.ask(Command::ReplaceConfigs(request));
    assert_eq!(shown(&pair, &resource), "retention.ms=9");
}

#[test]
fn a_resource_is_named_once() {
    let mut pair = with_topic();
    let resource = || (ConfigResource::topic("t"), vec![change("retention.ms=1")]);
    let request = ChangeConfigs { resources: vec![resource(), resource()], validate_only: false };
    let answer = pair.ask(Command::ChangeConfigs(request));
    let refused = Err(ConfigChangeError::DuplicateResource);
    assert_eq!(
        answer,
        Answer::ChangeConfigs(vec![
            (ConfigResource::topic("t"), refused.clone()),
            (ConfigResource::topic("t"), refused)
        ])
    );
}

#[test]
fn settings_that_a_node_could_not_start_with_are_refused() {
    let check = |name: &str, text: &str, expected: Option<&str>| {
        let mut options = ClusterOptions::new(BrokerId(1), CLUSTER);
        let file = [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("controller.quorum.voters", "1@localhost:9093"),
        ];
        options.file = file.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let resource = ConfigResource::new(ConfigKind::Broker, name);
        let request = ChangeConfigs { resources: vec![(resource, vec![change(text)])], validate_only: false };
        let (events, results) = Cluster::new(options).change_configs(request);
        let error = results[0].1.as_ref().err();
        let told = error.map(|error| format!("{}: {error}", error.code().name()));
        assert!(
            told.as_deref().is_none_or(|told| expected.is_some_and(|expected| told.contains(expected))),
            "{text}: {told:?}"
        );
        assert_eq!((told.is_some(), events.is_empty()), (expected.is_some(), expected.is_some()), "{text}");
    };
    for name in ["", "1"] {
        check(name, "log.cleaner.dedupe.buffer.size=268435456", None);
        check(
            name,
            "log.cleaner.dedupe.buffer.size=7",
            Some("INVALID_REQUEST: log.cleaner.dedupe.buffer.size must"),
        );
    }
    check("", "group.consumer.assignment.interval.ms=60000", Some("less than or equal to"));
    check("1", "listeners=abc", Some("INVALID_REQUEST"));
}
