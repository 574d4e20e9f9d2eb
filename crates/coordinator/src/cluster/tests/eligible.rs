//! Eligible leaders (KIP-966), step by step, as Kafka 4.4 keeps them at `eligible.leader.replicas.version=1`.
//!
//! `isr 1,2` is the wish of the leader, `fence 1` and `active 1` move a broker, `lost 1` and `back 1` register it again after
//! an unclean and after a clean stop, `min 3` sets `min.insync.replicas`, `elect` asks for an unclean election. After `=>`
//! stands what changed: the leader, `-` for none, those in sync, the eligible ones, and the last leader that is known;
//! a `!` says that the leader recovers.

use vltava_core::id::{PartitionIndex, TopicIdPartition};
use vltava_core::image::{ConfigResource, FeatureRange};

use super::*;
use crate::cluster::command::{
    AlterIsr, AlterOperation, ChangeConfigs, ConfigChange, CreateTopics, ElectLeaders, Election, NewTopic,
};
use crate::cluster::partitions::ELIGIBLE_LEADERS_FEATURE;

/// Brokers 1 to 3 and a topic with one partition on them, which 1 leads.
fn three(minimum: &str, level: i16) -> (Pair, TopicIdPartition) {
    let mut pair = Pair::of("1 2 3");
    pair.write(&[Event::FeatureSet { name: ELIGIBLE_LEADERS_FEATURE.to_owned(), level }]);
    let replicas = vec![BrokerId(1), BrokerId(2), BrokerId(3)];
    let topic = NewTopic {
        assignments: vec![(PartitionIndex(0), replicas)],
        configs: vec![("min.insync.replicas".to_owned(), Some(minimum.to_owned()))],
        ..NewTopic::named("t")
    };
    pair.ask(Command::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false }));
    let topic = pair.leader.image().topics.by_name("t").unwrap().id;
    (pair, TopicIdPartition { topic, partition: PartitionIndex(0) })
}

fn register(pair: &mut Pair, id: i32, clean: bool) {
    let before = pair.epoch_of(id);
    let mut request = registration(id, u128::try_from(before.0).unwrap() + 7);
    request.features.insert(ELIGIBLE_LEADERS_FEATURE.to_owned(), FeatureRange { min: 0, max: 1 });
    request.previous_epoch = if clean { before } else { BrokerEpoch(-1) };
    let answer = pair.ask(Command::RegisterBroker(request));
    assert!(matches!(answer, Answer::RegisterBroker(Ok(_))), "{answer:?}");
}

fn wish(pair: &mut Pair, id: TopicIdPartition, isr: &str) {
    let known = pair.leader.image().partition("t", PartitionIndex(0)).unwrap().clone();
    let isr = isr.split(',').map(|one| (BrokerId(one.parse().unwrap()), BrokerEpoch(-1))).collect();
    let (leader_epoch, partition_epoch) = (known.leader_epoch, known.partition_epoch);
    let wish = AlterIsr { leader_epoch, partition_epoch, isr, recovering: false };
    let epoch = pair.epoch_of(known.leader.0);
    let answer = pair.ask(Command::AlterIsr { broker: known.leader, epoch, partitions: vec![(id, wish)] });
    let Answer::AlterIsr(Ok(altered)) = answer else { panic!("{answer:?}") };
    assert!(altered[0].1.is_ok(), "{altered:?}");
}

fn set(pair: &mut Pair, key: &str, value: &str) {
    let (key, value) = (key.to_owned(), Some(value.to_owned()));
    let change = ConfigChange { key, operation: AlterOperation::Set, value };
    let resources = vec![(ConfigResource::topic("t"), vec![change])];
    pair.ask(Command::ChangeConfigs(ChangeConfigs { resources, validate_only: false }));
}

fn shown(pair: &Pair) -> String {
    let known = pair.leader.image().partition("t", PartitionIndex(0)).unwrap();
    let list = |ids: &[BrokerId]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        if ids.is_empty() { "-".to_owned() } else { ids.join(",") }
    };
    let leader = if known.leader == BrokerId::NONE { "-".to_owned() } else { known.leader.to_string() };
    let recovers = if known.recovering { "!" } else { "" };
    let (isr, eligible) = (list(&known.isr), list(&known.eligible));
    format!("{leader}{recovers} {isr} {eligible} {}", list(&known.last_known_eligible))
}

fn check(minimum: &str, level: i16, script: &str) {
    let (mut pair, id) = three(minimum, level);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, expected) = line.split_once(" => ").unwrap();
        let (verb, what) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "isr" => wish(&mut pair, id, what),
            "fence" => drop(pair.move_broker(what.parse().unwrap(), BrokerState::Fenced)),
            "stop" => drop(pair.move_broker(what.parse().unwrap(), BrokerState::ShuttingDown)),
            "active" => drop(pair.move_broker(what.parse().unwrap(), BrokerState::Active)),
            "lost" | "back" => register(&mut pair, what.parse().unwrap(), verb == "back"),
            "min" => set(&mut pair, "min.insync.replicas", what),
            "unclean" => set(&mut pair, "unclean.leader.election.enable", what),
            "elect" => {
                let request = ElectLeaders { election: Election::Unclean, partitions: None };
                drop(pair.ask(Command::ElectLeaders(request)));
            }
            other => panic!("{other}"),
        }
        assert_eq!(shown(&pair), expected, "after {step} of {script}");
    }
}

#[test]
fn who_leaves_too_few_in_sync_is_eligible_until_there_are_enough() {
    check(
        "2",
        1,
        "isr 1,2 => 1 1,2 - -
         isr 1 => 1 1 2 -
         isr 1,3 => 1 1,3 - -
         isr 1 => 1 1 3 -
         isr 1,2,3 => 1 1,2,3 - -
         fence 2 => 1 1,3 - -
         fence 3 => 1 1 3 -
         active 2 => 1 1 3 -
         isr 1,2 => 1 1,2 - -",
    );
}

#[test]
fn an_eligible_leader_leads_once_nobody_is_in_sync() {
    check(
        "2",
        1,
        "isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 2 -
         fence 1 => - - 2,1 1
         active 3 => - - 2,1 1
         active 2 => 2 2 1 -
         active 1 => 2 2 1 -
         isr 2,1 => 2 2,1 - -",
    );
    // The first replica that may.
    check(
        "3",
        1,
        "fence 2 => 1 1,3 2 -
         fence 3 => 1 1 2,3 -
         stop 1 => - - 2,3,1 1
         active 3 => 3 3 2,1 -",
    );
}

#[test]
fn kafka_18106_who_may_have_lost_what_it_had_is_not_eligible() {
    check(
        "2",
        1,
        "isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 2 -
         lost 2 => 1 1 - -
         active 2 => 1 1 - -
         fence 1 => - - 1 1
         back 1 => - - 1 1
         active 1 => 1 1 - -",
    );
    // The last one in sync that comes back without what it had is believed, since nobody has more.
    check(
        "2",
        1,
        "isr 1 => 1 1 2,3 -
         lost 2 => 1 1 3 -
         lost 3 => 1 1 - -
         lost 1 => - - - 1
         active 2 => - - - 1
         active 1 => 1! 1 - -",
    );
}

#[test]
fn an_unclean_election_forgets_the_eligible_leaders() {
    check(
        "2",
        1,
        "isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 2 -
         fence 1 => - - 2,1 1
         elect => 3! 3 - -",
    );
    check(
        "2",
        1,
        "unclean true => 1 1,2,3 - -
         isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 2 -
         fence 1 => 3! 3 - -",
    );
}

#[test]
fn another_minimum_forgets_the_eligible_leaders() {
    check(
        "2",
        1,
        "isr 1 => 1 1 2,3 -
         unclean false => 1 1 2,3 -
         min 3 => 1 1 - -
         isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 2 -",
    );
}

#[test]
fn nothing_is_kept_where_the_feature_is_off() {
    check(
        "2",
        0,
        "isr 1,2 => 1 1,2 - -
         fence 2 => 1 1 - -
         fence 1 => - 1 - -
         active 2 => - 1 - -
         lost 1 => - 1 - -
         active 1 => 1 1 - -",
    );
}
