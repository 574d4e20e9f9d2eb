//! What MirrorMaker's own classes say, as `xtask/conformance/java/mirror` prints it; the suite `mirror` prints it again.

use bytes::Bytes;

use super::{MirrorSource, Pair, at, values};
use crate::connectors::mirror::formats::{Checkpoint, Heartbeat, OffsetSync, Pair as Bytes2};
use crate::connectors::mirror::policy::Policy;
use crate::connectors::mirror::translation::Translation;

const TABLE: &str = include_str!("kafka.tsv");

/// The rows of a kind, each with its cells.
fn rows(kind: &str) -> Vec<Vec<&'static str>> {
    let rows = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let rows: Vec<_> = rows.filter(|row| row[0] == kind).map(|row| row[1..].to_vec()).collect();
    assert!(rows.len() > 10, "{kind}");
    rows
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

fn hex(text: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn pair(key: &str, value: &str) -> Bytes2 {
    (hex(key), hex(value))
}

#[test]
fn records_have_their_bytes() {
    for row in rows("sync") {
        let [topic, partition, up, down, key, value] = row[..] else { panic!("{row:?}") };
        let sync = OffsetSync {
            place: at(topic, number(partition)),
            upstream: number(up),
            downstream: number(down),
        };
        assert_eq!(sync.encode(), Ok(pair(key, value)));
        assert_eq!(OffsetSync::decode(pair(key, value)), Ok(sync));
        assert!(OffsetSync::decode(pair(&key[2..], value)).is_err());
    }
    for row in rows("checkpoint") {
        let [group, topic, partition, up, down, metadata, key, value] = row[..] else { panic!("{row:?}") };
        let checkpoint = Checkpoint {
            group: group.to_owned(),
            place: at(topic, number(partition)),
            upstream: number(up),
            downstream: number(down),
            metadata: metadata.to_owned(),
        };
        assert_eq!(checkpoint.encode(), Ok(pair(key, value)));
        assert_eq!(Checkpoint::decode(pair(key, value)), Ok(Some(checkpoint)));
        assert_eq!(Checkpoint::decode(pair(key, &value.replacen("0000", "0001", 1))), Ok(None));
        assert!(Checkpoint::decode(pair(key, &value[..20])).is_err());
    }
    for row in rows("heartbeat") {
        let [source, target, timestamp, key, value] = row[..] else { panic!("{row:?}") };
        let (source, target) = (source.to_owned(), target.to_owned());
        let heartbeat = Heartbeat { source, target, timestamp: number(timestamp) };
        assert_eq!(heartbeat.encode(), Ok(pair(key, value)));
    }
}

fn policy(identity: &str, separator: &str, internal: &str) -> Policy {
    let class = if identity == "true" { "IdentityReplicationPolicy" } else { "DefaultReplicationPolicy" };
    let given = [
        ("source.cluster.alias", "source"),
        ("replication.policy.class", class),
        ("replication.policy.separator", separator),
        ("replication.policy.internal.topic.separator.enabled", internal),
    ];
    Policy::new(&values(&MirrorSource::new(Pair::default().clusters()), &given)).expect("a policy")
}

#[test]
fn topics_have_their_names() {
    for names in rows("names") {
        let [identity, separator, internal, syncs, checkpoints] = names[..] else { panic!("{names:?}") };
        let policy = policy(identity, separator, internal);
        assert_eq!(
            (policy.offset_syncs("b").as_str(), policy.checkpoints("b").as_str()),
            (syncs, checkpoints)
        );
        for row in rows("policy").into_iter().filter(|row| row[..3] == names[..3]) {
            let [topic, remote, source, upstream, original, is_internal, is_heartbeats] = row[3..] else {
                panic!("{row:?}")
            };
            assert_eq!(policy.remote("source", topic), remote, "{row:?}");
            assert_eq!(policy.source(topic).unwrap_or("null"), source, "{row:?}");
            assert_eq!(policy.upstream(topic).unwrap_or("null"), upstream, "{row:?}");
            assert_eq!(policy.original(topic), original, "{row:?}");
            assert_eq!(policy.is_internal(topic).to_string(), is_internal, "{row:?}");
            assert_eq!(policy.is_heartbeats(topic).to_string(), is_heartbeats, "{row:?}");
        }
    }
}

#[test]
fn topics_do_not_go_in_circles() {
    let cases = [
        ("t", false),
        ("a.t", false),
        ("b.t", true),
        ("a.b.t", true),
        ("c.b", false),
        ("b", false),
        ("bb.t", false),
    ];
    for (topic, expected) in cases {
        assert_eq!(policy("false", ".", "true").returns("b", topic), expected, "{topic}");
    }
    assert!(!policy("true", ".", "true").returns("b", "b.t"));
    assert!(policy("true", ".", "true").returns("b", "b.heartbeats"));
}

#[test]
fn offsets_have_their_translations() {
    for row in rows("translation") {
        let [only_last, loaded, syncs, asked] = row[..] else { panic!("{row:?}") };
        let mut translation = Translation::new(only_last == "true");
        for (at_sync, sync) in syncs.split(',').enumerate() {
            if at_sync == number::<usize>(loaded) {
                translation.loaded();
            }
            let (upstream, downstream) = sync.split_once(':').expect("two offsets");
            let (upstream, downstream) = (number(upstream), number(downstream));
            translation.apply(OffsetSync { place: at("t", 0), upstream, downstream });
        }
        for question in asked.split(',') {
            let (offset, expected) = question.split_once(':').expect("two offsets");
            let translated = translation.translate(&at("t", 0), number(offset)).unwrap_or(-1);
            assert_eq!(translated, number::<i64>(expected), "{offset} after {syncs}");
        }
        assert_eq!(translation.translate(&at("t", 1), 5), None);
    }
}
