//! Creating, growing, deleting topics; elections.

use vltava_core::id::{PartitionIndex, TopicId};

use super::*;
use crate::cluster::command::{
    CreatePartitions, CreateTopics, ElectLeaders, Election, MorePartitions, NewTopic, TopicReference,
};
use crate::cluster::partitions::ElectionError;
use crate::cluster::topics::TopicError;

fn topic(name: &str) -> NewTopic {
    NewTopic::named(name)
}

fn sized(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { partitions, replication_factor, ..topic(name) }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    let assignments =
        assignments.iter().map(|(index, replicas)| (PartitionIndex(*index), ids(replicas))).collect();
    NewTopic { assignments, ..topic(name) }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> NewTopic {
    NewTopic { configs: vec![(key.to_owned(), value.map(str::to_owned))], ..topic(name) }
}

fn create(pair: &mut Pair, topics: Vec<NewTopic>, validate_only: bool) -> (Vec<Event>, Vec<String>) {
    let (events, answer) = pair.decide(Command::CreateTopics(CreateTopics { topics, validate_only }));
    let Answer::CreateTopics(results) = answer else { panic!("{answer:?}") };
    let shown = results
        .iter()
        .map(|(name, result)| match result {
            Ok(created) => format!("{name} {}x{}", created.partitions, created.replication_factor),
            Err(_) => format!("{name} {}", outcome(result, TopicError::code)),
        })
        .collect();
    (events, shown)
}

/// Given brokers and the topics `a.b` and `taken`, when this topic is created, then that is the answer.
fn check(brokers: &str, new: NewTopic, expected: &str) {
    let mut pair = Pair::of(brokers);
    create(&mut pair, vec![topic("a.b"), topic("taken")], false);
    let name = new.name.clone();
    let (events, shown) = create(&mut pair, vec![new], false);
    assert_eq!(shown, [format!("{name} {expected}")]);
    let exists = pair.leader.image().topics.by_name(&name).is_some_and(|topic| !topic.partitions.is_empty());
    assert_eq!(exists, !events.is_empty() || name == "taken");
}

#[test]
fn topics_are_created_or_refused_as_kafka_does() {
    check("1", topic("new"), "1x1");
    check("1 2 3", sized("new", 6, 3), "6x3");
    check(
        "1",
        sized("new", 0, 1),
        "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value.",
    );
    check(
        "1",
        sized("new", 1, 0),
        "INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.",
    );
    check(
        "1",
        sized("new", 1, 3),
        "INVALID_REPLICATION_FACTOR: Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
    );
    check("1", topic("taken"), "TOPIC_ALREADY_EXISTS: Topic 'taken' already exists.");
    check("1", topic("a_b"), "INVALID_TOPIC_EXCEPTION: Topic 'a_b' collides with existing topic: a.b");
    check("1", topic(".."), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '..' is not allowed");
    check(
        "1",
        topic("__cluster_metadata"),
        "INVALID_REQUEST: Creation of internal topic __cluster_metadata is prohibited.",
    );
    check(
        "1",
        sized("new", 10_001, 1),
        "POLICY_VIOLATION: Excessively large number of partitions per request.",
    );
    check(
        "1",
        sized("new", 10_000, 1),
        "POLICY_VIOLATION: Unable to perform excessively large batch operation.",
    );
    check("1", sized("new", 9_999, 1), "9999x1");
}

#[test]
fn configurations_of_new_topics_are_checked() {
    check("1", configured("new", "retention.ms", Some("1000")), "1x1");
    check(
        "1",
        configured("new", "retention.ms", Some("x")),
        "INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG",
    );
    check(
        "1",
        configured("new", "zzzzzzzz", Some("x")),
        "INVALID_CONFIG: Unknown topic config name: zzzzzzzz",
    );
    check(
        "1",
        configured("new", "retention.ms", None),
        "INVALID_CONFIG: Null value not supported for topic configs: retention.ms",
    );
}

#[test]
fn assignments_are_checked() {
    check("1 2", assigned("new", &[(0, &[1, 2]), (1, &[2, 1])]), "2x2");
    check(
        "1 2",
        assigned("new", &[(0, &[1, 3])]),
        "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 3, but no such broker is registered.",
    );
    check(
        "1 2",
        assigned("new", &[(0, &[1, 1])]),
        "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.",
    );
    check(
        "1 2",
        assigned("new", &[(0, &[])]),
        "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list.",
    );
    check(
        "1 2",
        assigned("new", &[(0, &[1]), (2, &[1])]),
        "INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence",
    );
    check(
        "1 2",
        assigned("new", &[(0, &[1]), (0, &[1])]),
        "INVALID_REPLICA_ASSIGNMENT: Found multiple manual partition assignments for partition 0",
    );
    check(
        "1 2",
        assigned("new", &[(0, &[1]), (1, &[1, 2])]),
        "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).",
    );
    check(
        "1 2!",
        assigned("new", &[(0, &[2])]),
        "INVALID_REPLICA_ASSIGNMENT: All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.",
    );
    check(
        "1",
        NewTopic { partitions: 1, ..assigned("new", &[(0, &[1])]) },
        "INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1.",
    );
    check(
        "1",
        NewTopic { replication_factor: 1, ..assigned("new", &[(0, &[1])]) },
        "INVALID_REQUEST: A manual partition assignment was specified, but replication factor was not set to -1.",
    );
}

#[test]
fn topics_of_one_request_stand_alone() {
    let mut pair = Pair::of("1");
    let request = vec![topic("good"), topic("bad!"), topic("twice"), topic("twice")];
    let (_, shown) = create(&mut pair, request, false);
    assert_eq!(shown[0], "good 1x1");
    assert!(shown[1].starts_with("bad! INVALID_TOPIC_EXCEPTION"), "{shown:?}");
    assert_eq!(shown[2..], ["twice INVALID_REQUEST: Duplicate topic name."]);
}

#[test]
fn validation_creates_nothing() {
    let mut pair = Pair::of("1");
    let (events, shown) = create(&mut pair, vec![sized("new", 3, 1)], true);
    assert_eq!((events.len(), shown), (0, vec!["new 3x1".to_owned()]));
}

/// Given brokers and the topic `old` of two partitions, when it grows, then that is the answer.
fn check_growth(name: &str, count: i32, assignments: Option<&[&[i32]]>, expected: &str) {
    let mut pair = Pair::of("1 2");
    create(&mut pair, vec![sized("old", 2, 1)], false);
    let ids = |ids: &&[i32]| ids.iter().copied().map(BrokerId).collect();
    let request = MorePartitions {
        name: name.to_owned(),
        count,
        assignments: assignments.map(|sets| sets.iter().map(ids).collect()),
    };
    let answer =
        pair.ask(Command::CreatePartitions(CreatePartitions { topics: vec![request], validate_only: false }));
    let Answer::CreatePartitions(results) = answer else { panic!("{answer:?}") };
    assert_eq!(outcome(&results[0].1, TopicError::code), expected);
    let now = pair.leader.image().topics.by_name("old").unwrap().partitions.len();
    assert_eq!(now, if expected == "ok" { usize::try_from(count).unwrap() } else { 2 });
}

#[test]
fn topics_only_grow() {
    check_growth("old", 5, None, "ok");
    check_growth("old", 3, Some(&[&[2]]), "ok");
    check_growth("old", 2, None, "INVALID_PARTITIONS: Topic already has 2 partition(s).");
    check_growth(
        "old",
        1,
        None,
        "INVALID_PARTITIONS: The topic old currently has 2 partition(s); 1 would not be an increase.",
    );
    check_growth(
        "none",
        3,
        None,
        "UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.",
    );
    check_growth(
        "old",
        5,
        Some(&[&[1]]),
        "INVALID_REPLICA_ASSIGNMENT: Attempted to add 3 additional partition(s), but only 1 assignment(s) were specified.",
    );
    check_growth(
        "old",
        3,
        Some(&[&[1, 2]]),
        "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).",
    );
    check_growth(
        "old",
        10_003,
        None,
        "POLICY_VIOLATION: Excessively large number of additional partitions per request.",
    );
}

#[test]
fn topics_are_deleted_by_name_or_identity() {
    let mut pair = Pair::of("1");
    create(&mut pair, vec![configured("x", "retention.ms", Some("1")), topic("y"), topic("z.z")], false);
    let id = |pair: &Pair, name: &str| pair.leader.image().topics.by_name(name).unwrap().id;
    let (x, y) = (id(&pair, "x"), id(&pair, "y"));
    let both = TopicReference { name: Some("y".to_owned()), id: y };
    let neither = TopicReference { name: None, id: TopicId::ZERO };
    let unknown = TopicReference::identified(TopicId(Uuid::from_u128(9)));
    let request = vec![
        TopicReference::named("x"),
        TopicReference::identified(y),
        TopicReference::named("y"),
        TopicReference::named("none"),
        TopicReference::named("z.z"),
        TopicReference::named("z.z"),
        both,
        neither,
        unknown,
    ];
    let answer = pair.ask(Command::DeleteTopics(request));
    let Answer::DeleteTopics(results) = answer else { panic!("{answer:?}") };
    let mut shown: Vec<String> = results
        .iter()
        .map(|topic| {
            let name = topic.name.as_deref().unwrap_or("-");
            format!("{name} {}", outcome(&topic.result, TopicError::code).split(':').next().unwrap())
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "- INVALID_REQUEST",
            "- UNKNOWN_TOPIC_ID",
            "none UNKNOWN_TOPIC_OR_PARTITION",
            "x ok",
            "y INVALID_REQUEST",
            "y INVALID_REQUEST",
            "y ok",
            "z.z INVALID_REQUEST",
        ]
    );
    let image = pair.leader.image();
    assert!(image.topics.by_id(x).is_none() && image.configs.is_empty());
    assert_eq!(image.topics.len(), 1);
}

#[test]
fn a_name_is_free_again_after_deletion() {
    let mut pair = Pair::of("1");
    create(&mut pair, vec![topic("a.b")], false);
    pair.ask(Command::DeleteTopics(vec![TopicReference::named("a.b")]));
    assert_eq!(create(&mut pair, vec![topic("a_b")], false).1, ["a_b 1x1"]);
}

#[test]
fn deletion_can_be_disabled() {
    let mut pair = Pair::of("1");
    create(&mut pair, vec![topic("x")], false);
    pair.leader.options.delete_topics = false;
    let answer = pair.ask(Command::DeleteTopics(vec![TopicReference::named("x")]));
    let Answer::DeleteTopics(results) = answer else { panic!("{answer:?}") };
    assert_eq!(results[0].result, Err(TopicError::DeletionDisabled));
}

/// Given broker 1, 2 and `t-0` on both, led by 1, when brokers move and an election is asked for, then that is answered
/// and that broker leads.
fn check_election(moves: &[(i32, BrokerState)], election: Election, expected: &str, leader: i32) {
    let mut pair = Pair::of("1 2");
    create(&mut pair, vec![assigned("t", &[(0, &[1, 2])])], false);
    for (broker, state) in moves {
        pair.move_broker(*broker, *state);
    }
    let partitions = Some(vec![("t".to_owned(), PartitionIndex(0))]);
    let answer = pair.ask(Command::ElectLeaders(ElectLeaders { election, partitions }));
    let Answer::ElectLeaders(results) = answer else { panic!("{answer:?}") };
    assert_eq!(outcome(&results[0].result, ElectionError::code).split(':').next(), Some(expected));
    assert_eq!(pair.leader.image().partition("t", PartitionIndex(0)).unwrap().leader, BrokerId(leader));
}

#[test]
fn leaders_are_elected() {
    use BrokerState::{Active, Fenced};
    check_election(&[], Election::Preferred, "ELECTION_NOT_NEEDED", 1);
    check_election(&[], Election::Unclean, "ELECTION_NOT_NEEDED", 1);
    check_election(&[(1, Fenced)], Election::Preferred, "PREFERRED_LEADER_NOT_AVAILABLE", 2);
    check_election(&[(1, Fenced), (2, Fenced)], Election::Unclean, "ELIGIBLE_LEADERS_NOT_AVAILABLE", -1);
    // Broker 1 left the in-sync set first, so that it does not lead by itself when it comes back.
    let alone = [(1, Fenced), (2, Fenced), (1, Active)];
    check_election(&alone, Election::Preferred, "PREFERRED_LEADER_NOT_AVAILABLE", -1);
    check_election(&alone, Election::Unclean, "ok", 1);
}

#[test]
fn an_election_of_all_says_only_what_was_needed() {
    let mut pair = Pair::of("1");
    create(&mut pair, vec![sized("t", 3, 1)], false);
    let answer =
        pair.ask(Command::ElectLeaders(ElectLeaders { election: Election::Preferred, partitions: None }));
    assert_eq!(answer, Answer::ElectLeaders(Vec::new()));
}
