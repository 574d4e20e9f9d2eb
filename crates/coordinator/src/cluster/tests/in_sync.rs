//! AlterPartition: who may change the in-sync replicas, to what; and what elections make of them.

use vltava_core::id::{LeaderEpoch, PartitionEpoch, PartitionIndex, TopicIdPartition};
use vltava_core::image::Partition;

use super::*;
use crate::cluster::command::{
    AlterIsr, AlterOperation, ChangeConfigs, ConfigChange, CreateTopics, NewTopic,
};
use crate::cluster::in_sync::AlterIsrError;
use vltava_core::image::ConfigResource;

/// Brokers 1 to 4 and a topic with one partition on 1, 2 and 3, which 1 leads.
fn three() -> (Pair, TopicIdPartition) {
    let mut pair = Pair::of("1 2 3 4");
    let replicas = vec![BrokerId(1), BrokerId(2), BrokerId(3)];
    let topic = NewTopic { assignments: vec![(PartitionIndex(0), replicas)], ..NewTopic::named("t") };
    pair.ask(Command::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false }));
    let topic = pair.leader.image().topics.by_name("t").unwrap().id;
    (pair, TopicIdPartition { topic, partition: PartitionIndex(0) })
}

fn partition(pair: &Pair) -> &Partition {
    pair.leader.image().partition("t", PartitionIndex(0)).unwrap()
}

fn isr(pair: &Pair) -> Vec<i32> {
    partition(pair).isr.iter().map(|id| id.0).collect()
}

/// What the leader would ask for now.
fn wish(pair: &Pair, isr: &[i32]) -> AlterIsr {
    AlterIsr {
        leader_epoch: partition(pair).leader_epoch,
        partition_epoch: partition(pair).partition_epoch,
        isr: isr.iter().map(|id| (BrokerId(*id), pair.epoch_of(*id))).collect(),
        recovering: false,
    }
}

fn ask(pair: &mut Pair, broker: i32, id: TopicIdPartition, change: AlterIsr) -> String {
    let epoch = pair.epoch_of(broker);
    let command = Command::AlterIsr { broker: BrokerId(broker), epoch, partitions: vec![(id, change)] };
    let Answer::AlterIsr(Ok(results)) = pair.ask(command) else { panic!() };
    outcome(&results[0].1, AlterIsrError::code)
}

#[test]
fn only_the_leader_changes_who_is_in_sync_and_only_from_the_state_as_it_is() {
    type Change = fn(&mut AlterIsr);
    let cases: &[(i32, &[i32], Change, &str)] = &[
        (1, &[1, 2], |_| {}, "ok"),
        (1, &[1, 2, 3], |_| {}, "ok"),
        (1, &[1], |change| change.isr[0].1 = BrokerEpoch(-1), "ok"),
        (
            1,
            &[1, 2],
            |change| change.leader_epoch.0 += 1,
            "NOT_CONTROLLER: this node is no longer the controller",
        ),
        (
            1,
            &[1, 2],
            |change| change.partition_epoch.0 += 1,
            "NOT_CONTROLLER: this node is no longer the controller",
        ),
        (
            1,
            &[1, 2],
            |change| change.leader_epoch.0 -= 1,
            "FENCED_LEADER_EPOCH: the leader epoch is 1 by now",
        ),
        (
            1,
            &[1, 2],
            |change| change.partition_epoch.0 -= 1,
            "INVALID_UPDATE_VERSION: the partition epoch is 1 by now",
        ),
        (2, &[1, 2], |_| {}, "INVALID_REQUEST: these replicas cannot be in sync"),
        (1, &[2, 3], |_| {}, "INVALID_REQUEST: these replicas cannot be in sync"),
        (1, &[1, 4], |_| {}, "INVALID_REQUEST: these replicas cannot be in sync"),
        (1, &[1, 2, 2], |_| {}, "INVALID_REQUEST: these replicas cannot be in sync"),
        (1, &[1], |change| change.recovering = true, "INVALID_REQUEST: these replicas cannot be in sync"),
        (1, &[1, 3], |change| change.isr[1].1.0 -= 1, "INELIGIBLE_REPLICA: broker 3 may not be in sync"),
    ];
    for (broker, wanted, change, expected) in cases {
        let (mut pair, id) = three();
        // Begins a leader epoch, and with it a partition epoch.
        let bump = Event::PartitionChanged(crate::cluster::event::PartitionChange {
            leader: Some(BrokerId(1)),
            ..crate::cluster::event::PartitionChange::of(id.topic, id.partition)
        });
        pair.write(&[bump]);
        let before = partition(&pair).clone();
        let mut wish = wish(&pair, wanted);
        change(&mut wish);
        assert_eq!(ask(&mut pair, *broker, id, wish), *expected, "{wanted:?}");
        let same = *expected != "ok" || before.isr.len() == wanted.len();
        assert_eq!(partition(&pair) == &before, same, "{wanted:?}");
        assert_eq!(partition(&pair).leader_epoch, before.leader_epoch, "{wanted:?}");
    }
}

#[test]
fn of_two_changes_of_one_state_one_is_refused() {
    let (mut pair, id) = three();
    let (one, other) = (wish(&pair, &[1, 2]), wish(&pair, &[1, 3]));
    let epoch = pair.epoch_of(1);
    let partitions = vec![(id, one.clone()), (id, other.clone())];
    let Answer::AlterIsr(Ok(results)) =
        pair.ask(Command::AlterIsr { broker: BrokerId(1), epoch, partitions })
    else {
        panic!()
    };
    assert_eq!(results[0].1.as_ref().map(|altered| altered.partition_epoch), Ok(PartitionEpoch(1)));
    assert_eq!(results[1].1, Err(AlterIsrError::PartitionEpoch(PartitionEpoch(1))));
    assert_eq!(ask(&mut pair, 1, id, other), "INVALID_UPDATE_VERSION: the partition epoch is 1 by now");
    assert_eq!(isr(&pair), [1, 2]);
    // A change that changes nothing takes no epoch.
    let again = wish(&pair, &[1, 2]);
    assert_eq!(ask(&mut pair, 1, id, again), "ok");
    assert_eq!(partition(&pair).partition_epoch, PartitionEpoch(1));
    let stale = Command::AlterIsr { broker: BrokerId(1), epoch: BrokerEpoch(0), partitions: Vec::new() };
    assert!(matches!(pair.ask(stale), Answer::AlterIsr(Err(_))));
}

#[test]
fn kip_903_a_broker_that_has_registered_again_is_not_let_in_by_an_older_fetch() {
    let (mut pair, id) = three();
    let without = wish(&pair, &[1, 2]);
    assert_eq!(ask(&mut pair, 1, id, without), "ok");
    let before = wish(&pair, &[1, 2, 3]);
    pair.ask(Command::RegisterBroker(registration(3, 2)));
    assert_eq!(ask(&mut pair, 1, id, before.clone()), "INELIGIBLE_REPLICA: broker 3 may not be in sync");
    pair.move_broker(3, BrokerState::Active);
    assert_eq!(ask(&mut pair, 1, id, before), "INELIGIBLE_REPLICA: broker 3 may not be in sync");
    let after = wish(&pair, &[1, 2, 3]);
    assert_eq!(ask(&mut pair, 1, id, after), "ok");
    for state in [BrokerState::ShuttingDown, BrokerState::Fenced] {
        pair.move_broker(3, state);
        assert_eq!(isr(&pair), [1, 2]);
        let again = wish(&pair, &[1, 2, 3]);
        assert_eq!(ask(&mut pair, 1, id, again), "INELIGIBLE_REPLICA: broker 3 may not be in sync");
    }
}

#[test]
fn a_lost_leader_is_replaced_from_those_in_sync_and_the_last_one_is_waited_for() {
    let (mut pair, id) = three();
    let without = wish(&pair, &[1, 3]);
    assert_eq!(ask(&mut pair, 1, id, without), "ok");
    pair.move_broker(1, BrokerState::Fenced);
    assert_eq!((partition(&pair).leader, isr(&pair)), (BrokerId(3), vec![3]), "2 is not in sync");
    pair.move_broker(3, BrokerState::Fenced);
    assert_eq!((partition(&pair).leader, isr(&pair)), (BrokerId::NONE, vec![3]));
    pair.move_broker(1, BrokerState::Active);
    assert_eq!(partition(&pair).leader, BrokerId::NONE, "1 and 2 may lack records");
    pair.move_broker(3, BrokerState::Active);
    assert_eq!((partition(&pair).leader, partition(&pair).leader_epoch), (BrokerId(3), LeaderEpoch(3)));
    assert!(!partition(&pair).recovering);
}

#[test]
fn where_the_topic_allows_it_whoever_is_there_leads_and_says_when_it_has_recovered() {
    let (mut pair, id) = three();
    let change = ConfigChange {
        key: "unclean.leader.election.enable".to_owned(),
        operation: AlterOperation::Set,
        value: Some("true".to_owned()),
    };
    let resources = vec![(ConfigResource::topic("t"), vec![change])];
    pair.ask(Command::ChangeConfigs(ChangeConfigs { resources, validate_only: false }));
    let without = wish(&pair, &[1]);
    assert_eq!(ask(&mut pair, 1, id, without), "ok");
    pair.move_broker(1, BrokerState::Fenced);
    assert_eq!((partition(&pair).leader, isr(&pair)), (BrokerId(2), vec![2]));
    assert!(partition(&pair).recovering);
    let early = AlterIsr { recovering: true, ..wish(&pair, &[2, 3]) };
    assert_eq!(ask(&mut pair, 2, id, early), "INVALID_REQUEST: these replicas cannot be in sync");
    let recovered = wish(&pair, &[2, 3]);
    assert_eq!(ask(&mut pair, 2, id, recovered), "ok");
    assert_eq!((partition(&pair).recovering, isr(&pair)), (false, vec![2, 3]));
}

#[test]
fn kafka_19522_a_last_known_leader_that_is_fenced_is_not_elected() {
    let (mut pair, id) = three();
    let lost = crate::cluster::event::PartitionChange {
        leader: Some(BrokerId::NONE),
        isr: Some(Vec::new()),
        last_known_eligible: Some(vec![BrokerId(2)]),
        ..crate::cluster::event::PartitionChange::of(id.topic, id.partition)
    };
    let name = crate::cluster::partitions::ELIGIBLE_LEADERS_FEATURE.to_owned();
    pair.write(&[Event::FeatureSet { name, level: 1 }]);
    pair.move_broker(2, BrokerState::Fenced);
    pair.write(&[Event::PartitionChanged(lost)]);
    pair.move_broker(1, BrokerState::Fenced);
    pair.move_broker(1, BrokerState::Active);
    assert_eq!(partition(&pair).leader, BrokerId::NONE, "2 is fenced, and 1 may lack records");
    pair.move_broker(2, BrokerState::Active);
    assert_eq!(partition(&pair).leader, BrokerId(2));
}
