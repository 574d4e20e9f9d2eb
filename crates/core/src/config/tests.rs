use super::alter::{AlterOperation, BrokerScope, alter, check_broker, check_topic, check_transition};
use super::describe::{
    Description, describe_broker, describe_cluster_defaults, describe_group, describe_topic,
};
use super::*;
use crate::record::{Codec, Compression, TimestampType, TopicCompression, ValidationRules};

fn properties(entries: &[(&str, &str)]) -> Properties {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The settings of a combined node, with these on top.
fn node(entries: &[(&str, &str)]) -> Properties {
    let mut all = properties(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.bootstrap.servers", "127.0.0.1:9093"),
    ]);
    all.extend(properties(entries));
    all
}

fn resolve(entries: &[(&str, &str)]) -> Result<BrokerConfig, ConfigError> {
    BrokerConfig::resolve(BrokerLayers::of_file(node(entries)))
}

#[test]
fn every_default_fits_its_own_limits_and_every_key_is_documented() {
    let tables = [
        broker_keys(),
        topic_keys(),
        group_keys(),
        client_metrics_keys(),
        client_quota_keys(),
        ip_quota_keys(),
    ];
    let mut count = 0;
    for key in tables.into_iter().flat_map(ConfigTable::iter) {
        count += 1;
        if key.default != DefaultValue::Required {
            let value = key.default_value().unwrap_or_else(|error| panic!("{}: {error}", key.name));
            assert_eq!(
                value.text().as_deref().filter(|_| !key.is_sensitive()),
                key.default_text(),
                "{}",
                key.name
            );
        }
        assert!(key.documentation().ends_with('.'), "{}", key.name);
        for from in key.from {
            assert!(
                broker_keys().get(from.name).is_some(),
                "{} takes its default from {}",
                key.name,
                from.name
            );
        }
    }
    assert!(count > 430, "{count}");
}

#[test]
fn topic_defaults_equal_the_defaults_of_the_broker_keys() {
    for key in topic_keys().iter().chain(group_keys().iter()) {
        let from_broker = BrokerLayers::default().default_of(key).unwrap();
        // Named after the first assignor of a list; null when it is taken by itself.
        if key.name == "streams.assignor.name" {
            assert_eq!(from_broker.text().as_deref(), Some("sticky"));
            continue;
        }
        assert_eq!(from_broker, key.default_value().unwrap(), "{}", key.name);
    }
}

#[test]
fn values_that_do_not_fit_are_refused_in_kafkas_words() {
    for (key, value, message) in [
        (
            "segment.bytes",
            "1",
            "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576",
        ),
        ("segment.bytes", "x", "Invalid value x for configuration segment.bytes: Not a number of type INT"),
        (
            "segment.bytes",
            "3000000000",
            "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT",
        ),
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        (
            "preallocate",
            "yes",
            "Invalid value yes for configuration preallocate: Expected value to be either true or false",
        ),
        (
            "min.cleanable.dirty.ratio",
            "1.5",
            "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "compression.type",
            "brotli",
            "Invalid value brotli for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        ("cleanup.policy", "delete,delete", "Configuration 'cleanup.policy' values must not be duplicated."),
        ("cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "cleanup.policy",
            "purge",
            "Invalid value purge for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            "message.timestamp.type",
            "createtime",
            "Invalid value createtime for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
        ),
        ("retention.mss", "1", "Unknown topic config name: retention.mss (did you mean retention.ms?)"),
        ("no.such.thing.anywhere", "1", "Unknown topic config name: no.such.thing.anywhere"),
    ] {
        let error = TopicConfig::of(&properties(&[(key, value)])).expect_err(key);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn topic_settings_win_over_dynamic_over_file_over_default() {
    let retention = |topic: &[(&str, &str)],
                     broker: &[(&str, &str)],
                     cluster: &[(&str, &str)],
                     file: &[(&str, &str)]| {
        let layers =
            BrokerLayers { broker: properties(broker), cluster: properties(cluster), file: properties(file) };
        TopicConfig::resolve(&properties(topic), &layers).unwrap().retention_ms
    };
    let (ms, minutes, hours) = ("log.retention.ms", "log.retention.minutes", "log.retention.hours");
    for (topic, broker, cluster, file, expected) in [
        (&[][..], &[][..], &[][..], &[][..], 604_800_000),
        (&[], &[], &[], &[(hours, "1")], 3_600_000),
        (&[], &[], &[], &[(hours, "1"), (minutes, "2")], 120_000),
        (&[], &[], &[], &[(hours, "1"), (minutes, "2"), (ms, "3")], 3),
        (&[], &[], &[], &[(hours, "-1")], -1),
        (&[], &[], &[(ms, "4")], &[(ms, "3")], 4),
        (&[], &[(ms, "5")], &[(ms, "4")], &[(ms, "3")], 5),
        (&[("retention.ms", "6")], &[(ms, "5")], &[(ms, "4")], &[(ms, "3")], 6),
    ] {
        assert_eq!(
            retention(topic, broker, cluster, file),
            expected,
            "{topic:?} {broker:?} {cluster:?} {file:?}"
        );
    }
}

#[test]
fn flush_falls_back_to_the_scheduler_and_local_retention_follows_retention() {
    let file = properties(&[("log.flush.scheduler.interval.ms", "7")]);
    let config =
        TopicConfig::resolve(&properties(&[("retention.ms", "9")]), &BrokerLayers::of_file(file)).unwrap();
    assert_eq!((config.flush_ms, config.local_retention_ms, config.local_retention_bytes), (7, 9, -1));
}

#[test]
fn a_topic_is_typed() {
    let config = TopicConfig::of(&properties(&[
        ("cleanup.policy", " compact , delete"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "-5"),
        ("message.timestamp.type", "LogAppendTime"),
        ("leader.replication.throttled.replicas", "0:1,2:3"),
        ("follower.replication.throttled.replicas", "*"),
        ("internal.segment.bytes", "100"),
        ("vltava.storage", "memory"),
    ]))
    .unwrap();
    assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: true });
    assert_eq!(
        config.compression_type,
        TopicCompression::Codec(Codec { compression: Compression::Zstd, level: Some(-5) })
    );
    assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.leader_replication_throttled_replicas, ThrottledReplicas::Pairs(vec![(0, 1), (2, 3)]));
    assert_eq!(config.follower_replication_throttled_replicas, ThrottledReplicas::All);
    assert_eq!((config.segment_bytes, config.storage.as_str()), (100, "memory"));
    assert_eq!(
        TopicConfig::of(&properties(&[("cleanup.policy", "")])).unwrap().cleanup_policy,
        CleanupPolicy { delete: false, compact: false }
    );
}

#[test]
fn the_default_rules_of_appending_are_those_of_the_record_module() {
    assert_eq!(TopicConfig::of(&Properties::new()).unwrap().validation_rules(), ValidationRules::default());
}

#[test]
fn topic_settings_that_do_not_go_together_are_refused() {
    let tiered = [("remote.log.storage.system.enable", "true")];
    let on = ("remote.storage.enable", "true");
    for (existing, new, file, part) in [
        (
            &[][..],
            &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")][..],
            &[][..],
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (&[], &[on], &[], "Tiered Storage functionality is disabled"),
        (&[], &[on, ("cleanup.policy", "compact")], &tiered, "unsupported for the compacted topics"),
        (
            &[],
            &[on, ("retention.ms", "10"), ("local.retention.ms", "11")],
            &tiered,
            "Value must not be more than retention.ms property value: 10",
        ),
        (
            &[],
            &[on, ("retention.bytes", "10"), ("local.retention.bytes", "-1")],
            &tiered,
            "Value must not be -1 as retention.bytes value is set as 10.",
        ),
        (
            &[],
            &[on, ("remote.log.copy.disable", "true"), ("local.retention.ms", "1")],
            &tiered,
            "must be set to the identical value",
        ),
        (
            &[],
            &[on, ("local.retention.ms", "5"), ("remote.copy.lag.ms", "6")],
            &tiered,
            "effective local retention: 5",
        ),
        (&[on], &[], &tiered, "It is invalid to disable remote storage without deleting remote data"),
        (&[("vltava.storage", "memory")], &[("vltava.storage", "segments")], &[], "cannot change"),
        (&[], &[("leader.replication.throttled.replicas", "1")], &[], "must be the literal '*'"),
        (&[], &[("leader.replication.throttled.replicas", "0:1, x")], &[], "Invalid value [0:1, x] for"),
        (&[], &[("max.decompressed.message.bytes", "2147483640")], &[], "no more than 2147483639"),
    ] {
        let error =
            check_topic(&properties(existing), &properties(new), &BrokerLayers::of_file(properties(file)))
                .expect_err(part);
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
    let layers = BrokerLayers::of_file(properties(&tiered));
    assert!(
        check_topic(&properties(&[on]), &properties(&[("remote.log.delete.on.disable", "true")]), &layers)
            .is_ok()
    );
    assert!(check_topic(&properties(&[]), &properties(&[on]), &layers).unwrap().remote_storage_enable);
}

#[test]
fn lists_are_appended_to_and_subtracted_from() {
    use AlterOperation::{Append, Delete, Set, Subtract};
    for (start, operation, value, end) in [
        (&[][..], Append, Some("compact"), Ok(Some("delete,compact"))),
        (&[("cleanup.policy", "compact")], Append, Some("compact"), Ok(Some("compact"))),
        (&[("cleanup.policy", "compact,delete")], Subtract, Some("delete"), Ok(Some("compact"))),
        (&[], Subtract, Some("delete"), Ok(Some(""))),
        (&[("cleanup.policy", "compact")], Delete, None, Ok(None)),
        (&[], Set, Some("compact"), Ok(Some("compact"))),
        (&[], Set, None, Err(())),
    ] {
        let mut all = properties(start);
        let result = alter(topic_keys(), &mut all, "cleanup.policy", operation, value);
        assert_eq!(
            result.map(|()| all.get("cleanup.policy").map(String::as_str)).map_err(drop),
            end,
            "{operation:?} {value:?}"
        );
    }
    let error = alter(topic_keys(), &mut Properties::new(), "retention.ms", Append, Some("1")).unwrap_err();
    assert_eq!(error.to_string(), "Can't APPEND to key retention.ms because its type is not LIST.");
}

#[test]
fn a_broker_key_changes_only_where_its_update_mode_allows() {
    use BrokerScope::{Broker, Cluster};
    for (key, value, scope, problem) in [
        ("log.retention.ms", "1", Cluster, None),
        ("log.retention.ms", "1", Broker, None),
        ("log.retention.ms", "x", Broker, Some("Not a number of type LONG")),
        ("log.retention.ms", "0", Cluster, Some("log.retention.ms must be unlimited (-1)")),
        ("log.roll.ms", "0", Broker, Some("log.roll.ms must be greater")),
        ("log.cleaner.min.compaction.lag.ms", "9223372036854775807", Broker, None),
        ("num.partitions", "1", Broker, Some("Cannot update these configs dynamically: [num.partitions]")),
        ("cordoned.log.dirs", "a", Cluster, Some("must be defined at broker level")),
        ("cordoned.log.dirs", "a", Broker, None),
        ("ssl.keystore.location", "a", Broker, Some("using the listener prefix")),
        ("listener.name.internal.ssl.keystore.location", "a", Broker, None),
        ("listener.name.internal.max.connections", "5", Cluster, None),
        ("leader.replication.throttled.rate", "5", Cluster, None),
        ("a.custom.key", "5", Cluster, None),
    ] {
        let result = check_broker(&properties(&[(key, value)]), scope).map_err(|error| error.to_string());
        match problem {
            None => assert_eq!(result, Ok(()), "{key}"),
            Some(part) => {
                assert!(result.as_ref().is_err_and(|error| error.contains(part)), "{key}: {result:?}");
            }
        }
    }
}

#[test]
fn a_running_broker_changes_its_threads_a_step_at_a_time() {
    for (key, before, after, works) in [
        ("num.io.threads", None, Some("4"), true),
        ("num.io.threads", None, Some("3"), false),
        ("num.io.threads", Some("4"), Some("8"), true),
        ("num.io.threads", Some("4"), Some("9"), false),
        ("num.network.threads", None, Some("1"), true),
        ("num.recovery.threads.per.data.dir", Some("9"), None, false),
        ("log.cleaner.threads", Some("5"), Some("1"), false),
        ("listener.name.internal.num.network.threads", None, Some("6"), true),
        ("listener.name.internal.num.network.threads", None, Some("7"), false),
        ("listener.name.internal.num.network.threads", Some("12"), None, false),
        ("metric.reporters", None, Some("org.apache.kafka.common.metrics.JmxReporter"), true),
        ("metric.reporters", None, Some(""), true),
        ("metric.reporters", None, Some("a.Reporter"), false),
        ("metric.reporters", Some("a.Reporter"), Some(" a.Reporter"), true),
    ] {
        let layers = |text: Option<&str>| BrokerLayers {
            cluster: text.map_or_else(Properties::new, |text| properties(&[(key, text)])),
            ..BrokerLayers::default()
        };
        let result = check_transition(&layers(before), &layers(after));
        assert_eq!(result.is_ok(), works, "{key} from {before:?} to {after:?}: {result:?}");
    }
}

#[test]
fn doubles_are_those_of_java() {
    let key = topic_keys().get("min.cleanable.dirty.ratio").unwrap();
    for (text, shown) in [
        (" NaN ", Some("NaN")),
        ("-NaN", Some("NaN")),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("0.5f", Some("0.5")),
        (".5D", Some("0.5")),
        ("1.", Some("1.0")),
        ("+1e-1", Some("0.1")),
        ("f", None),
        ("1ff", None),
        ("", None),
    ] {
        let value = key.parse(text).ok().and_then(|value| value.text());
        assert_eq!(value.as_deref(), shown, "{text:?}");
    }
    let unlimited = broker_keys().get("log.cleaner.io.max.bytes.per.second").unwrap();
    assert_eq!(unlimited.parse("-Infinity").unwrap().text().as_deref(), Some("-Infinity"));
}

fn find<'a>(all: &'a [Description], name: &str) -> &'a Description {
    all.iter().find(|description| description.name == name).unwrap_or_else(|| panic!("{name}"))
}

fn places(description: &Description) -> Vec<(&str, Option<&str>, i8)> {
    description.synonyms.iter().map(|s| (s.name.as_str(), s.value.as_deref(), s.source.id())).collect()
}

#[test]
fn a_topic_is_described_with_its_synonyms_in_order() {
    let layers = BrokerLayers {
        broker: properties(&[("log.retention.ms", "5")]),
        cluster: properties(&[("log.retention.ms", "6")]),
        file: properties(&[("log.retention.hours", "7")]),
    };
    let all = describe_topic(&properties(&[("retention.ms", "4")]), &layers).unwrap();
    let retention = find(&all, "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.source), (Some("4"), ConfigSource::Topic));
    let expected = vec![
        ("retention.ms", Some("4"), 1),
        ("log.retention.ms", Some("5"), 2),
        ("log.retention.ms", Some("6"), 3),
        ("log.retention.hours", Some("7"), 4),
        ("log.retention.hours", Some("168"), 5),
    ];
    assert_eq!(places(retention), expected);
    let segment = find(&all, "segment.bytes");
    assert_eq!(
        (segment.source, places(segment)),
        (ConfigSource::Default, vec![("log.segment.bytes", Some("1073741824"), 5)])
    );
    let ratio = find(&all, "min.cleanable.dirty.ratio");
    assert_eq!((ratio.value.as_deref(), ratio.kind), (Some("0.5"), Some(ConfigType::Double)));
    assert!(places(find(&all, "remote.storage.enable")).is_empty());
}

#[test]
fn the_source_of_a_default_is_the_strongest_place_under_any_name() {
    let hours = properties(&[("log.retention.hours", "7")]);
    let milliseconds = properties(&[("log.retention.ms", "7")]);
    let none = Properties::new();
    for (broker, cluster, file, source) in [
        (&none, &none, &none, 5),
        (&none, &none, &hours, 4),
        (&none, &none, &milliseconds, 4),
        (&none, &hours, &milliseconds, 3),
        (&hours, &milliseconds, &none, 2),
    ] {
        let layers = BrokerLayers { broker: broker.clone(), cluster: cluster.clone(), file: file.clone() };
        let found = |name| layers.source_of(topic_keys().get(name).unwrap()).id();
        assert_eq!(
            (found("retention.ms"), found("segment.bytes"), found("remote.storage.enable")),
            (source, 5, 5)
        );
    }
}

#[test]
fn a_broker_is_described_without_its_secrets() {
    let file =
        node(&[("ssl.key.password", "hunter2"), ("custom.key", "x"), ("log.segment.bytes", "2000000")]);
    let layers = BrokerLayers {
        cluster: properties(&[("log.segment.bytes", "3000000")]),
        ..BrokerLayers::of_file(file)
    };
    let all = describe_broker(&layers).unwrap();
    let secret = find(&all, "ssl.key.password");
    assert_eq!(
        (secret.value.as_deref(), secret.sensitive, places(secret)),
        (None, true, vec![("ssl.key.password", None, 4)])
    );
    let custom = find(&all, "custom.key");
    assert_eq!(
        (custom.value.as_deref(), custom.sensitive, custom.kind, custom.read_only),
        (None, true, None, true)
    );
    let segment = find(&all, "log.segment.bytes");
    assert_eq!(
        (segment.value.as_deref(), segment.source.id(), segment.read_only),
        (Some("3000000"), 3, false)
    );
    let defaults = describe_cluster_defaults(&layers).unwrap();
    assert_eq!(defaults.len(), 1);
    assert_eq!(places(&defaults[0]), vec![("log.segment.bytes", Some("3000000"), 3)]);
    assert!(!format!("{:?}", BrokerConfig::resolve(layers).unwrap()).contains("hunter2"));
}

#[test]
fn a_group_is_held_within_the_brokers_bounds() {
    let layers = BrokerLayers::default();
    let config =
        GroupConfig::resolve(&properties(&[("consumer.session.timeout.ms", "90000")]), &layers).unwrap();
    assert_eq!(config.long("consumer.session.timeout.ms").unwrap(), 60_000);
    for (key, value, part) in [
        ("consumer.session.timeout.ms", "90000", "must be in the range 45000 to 60000 inclusive."),
        ("share.delivery.count.limit", "1", "Value must be at least 2"),
        ("share.auto.offset.reset", "by_duration:1h", "by_duration:PT1H"),
        ("errors.deadletterqueue.topic.name", "__x", "must not be internal"),
        ("nope", "1", "Unknown group config name: nope"),
    ] {
        let error = check_group(&properties(&[(key, value)]), &layers).expect_err(key);
        assert!(error.to_string().contains(part), "{error}");
    }
    let own = properties(&[
        ("share.auto.offset.reset", "by_duration:PT1H"),
        ("consumer.heartbeat.interval.ms", "6000"),
    ]);
    assert!(check_group(&own, &layers).is_ok());
    let all = describe_group(&own, &layers).unwrap();
    assert_eq!(find(&all, "consumer.heartbeat.interval.ms").source, ConfigSource::Group);
}

#[test]
fn kafkas_combined_mode_settings_resolve() {
    let config = resolve(&[
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL"),
        ("log.dirs", "/tmp/a, /tmp/b"),
    ])
    .unwrap();
    assert_eq!(config.identity.node.0, 1);
    assert!(config.identity.is_broker && config.identity.is_controller);
    assert_eq!(config.listeners.bound.len(), 2);
    assert_eq!(
        config.listeners.advertised.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["PLAINTEXT://localhost:9092"]
    );
    assert_eq!(config.listeners.advertised_controller[0].to_string(), "CONTROLLER://localhost:9093");
    assert_eq!((config.logs.dirs.len(), config.logs.metadata_dir.as_str()), (2, "/tmp/a"));
    assert_eq!((config.groups.offsets_replication_factor, config.topics.partitions), (3, 1));
    assert!(!config.http.node[0].configured);
}

#[test]
fn listeners_are_named_and_bound_as_kafka_allows() {
    let with = |listeners: &str| resolve(&[("listeners", listeners)]).map(|config| config.listeners.bound);
    let bound = with("PLAINTEXT://[::1]:9092,CONTROLLER://:0").unwrap();
    assert_eq!(
        (bound[0].host.as_deref(), bound[0].to_string().as_str()),
        (Some("::1"), "PLAINTEXT://[::1]:9092")
    );
    assert_eq!((bound[1].host.as_deref(), bound[1].port), (None, 0));
    assert!(with("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0").is_ok());
    for (entries, part) in [
        (
            &[("listeners", "PLAINTEXT://:9092,CONTROLLER://:9092")][..],
            "Each listener must have a different port",
        ),
        (
            &[("listeners", "PLAINTEXT://:9092,plaintext://:9094,CONTROLLER://:9093")],
            "Each listener must have a different name",
        ),
        (
            &[("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093,OTHER://:9094")],
            "No security protocol defined for listener OTHER",
        ),
        (&[("listeners", "127.0.0.1:9092")], "Unable to parse 127.0.0.1:9092 to a broker endpoint"),
        (&[("listeners", "PLAINTEXT://:99999,CONTROLLER://:9093")], "from 0 to 65535"),
        (
            &[("listeners", "PLAINTEXT://:9092")],
            "controller.listener.names must only contain values appearing in the 'listeners'",
        ),
        (
            &[("listeners", "PLAINTEXT://0.0.0.0:9092,CONTROLLER://:9093")],
            "cannot use the nonroutable meta-address 0.0.0.0",
        ),
        (
            &[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")],
            "cannot use the nonroutable meta-address 0.0.0.0",
        ),
        (
            &[("advertised.listeners", "SSL://host:9092")],
            "must be a listener name defined in advertised.listeners",
        ),
        (&[("inter.broker.listener.name", "OTHER")], "inter.broker.listener.name must be a listener name"),
        (&[("process.roles", "controller")], "must only contain KRaft controller listeners"),
        (&[("process.roles", "broker")], "controller.listener.names must not contain a value"),
        (&[("process.roles", "")], "Configuration 'process.roles' must not be empty"),
        (&[("controller.quorum.voters", "2@h:1")], "must be included in the set of voters"),
        (&[("controller.quorum.voters", "1@h")], "{id}@{host}:{port}"),
        (&[("broker.id", "2")], "`node.id` to the same value as `broker.id`"),
        (&[("log.dirs", "")], "Configuration 'log.dirs' must not be empty"),
        (&[("log.retention.ms", "0")], "log.retention.ms must be unlimited (-1)"),
        (&[("replica.fetch.wait.max.ms", "40000")], "replica.socket.timeout.ms should always"),
        (&[("queued.max.request.bytes", "1")], "queued.max.request.bytes must be larger"),
        (
            &[("group.consumer.session.timeout.ms", "1000")],
            "must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            &[("create.topic.policy.class.name", "com.example.Policy")],
            "Class com.example.Policy could not be found",
        ),
        (&[("vltava.http.listeners", "ftp://x:1")], "Write http://host:port or https://host:port"),
    ] {
        let error = resolve(entries).expect_err(part);
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
}

#[test]
fn an_older_broker_id_is_enough() {
    let mut file = node(&[("broker.id", "7")]);
    file.remove("node.id");
    assert_eq!(BrokerConfig::resolve(BrokerLayers::of_file(file)).unwrap().identity.node.0, 7);
    let mut file = node(&[]);
    file.remove("node.id");
    let error = BrokerConfig::resolve(BrokerLayers::of_file(file)).unwrap_err();
    assert_eq!(error.to_string(), "Missing required configuration \"node.id\" which has no default value.");
}

#[test]
fn retired_and_foreign_keys_are_told_from_unknown_ones() {
    for (name, known) in
        [("zookeeper.connect", true), ("log.message.format.version", true), ("num.partitionz", false)]
    {
        assert_eq!(retired(name).is_some(), known, "{name}");
        assert!(broker_keys().get(name).is_none());
    }
    assert!(is_foreign("super.users") && is_foreign("listener.name.x.y") && !is_foreign("x"));
}
