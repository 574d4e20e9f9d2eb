//! Registration, fencing, producer ids.

use vltava_core::id::{LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicIdPartition};
use vltava_core::image::Controller;

use super::*;
use crate::cluster::brokers::BrokerError;
use crate::cluster::command::{CreateTopics, NewTopic, ProducerIdBlock};
use crate::cluster::topics::TopicError;

/// Given broker 1, when this registers, then that is the answer.
fn check(change: impl Fn(&mut RegisterBroker), expected: &str) {
    let mut pair = Pair::of("1");
    let mut request = registration(2, 1);
    change(&mut request);
    let answer = pair.ask(Command::RegisterBroker(request));
    let Answer::RegisterBroker(result) = answer else { panic!("{answer:?}") };
    assert_eq!(outcome(&result, BrokerError::code), expected);
}

#[test]
fn registrations_are_checked() {
    check(|_| {}, "ok");
    check(
        |request| request.cluster = "other".to_owned(),
        "INCONSISTENT_CLUSTER_ID: Expected cluster ID 5L6g3nShT-eMCtK--X86sw, but got cluster ID other",
    );
    check(|request| request.directories.clear(), "INVALID_REGISTRATION: No directories specified in request");
    check(
        |request| request.directories.push(DirectoryId::LOST),
        "INVALID_REGISTRATION: Reserved directory ID in request",
    );
    check(
        |request| request.directories.extend(request.directories.clone()),
        "INVALID_REGISTRATION: Duplicate directory ID in request",
    );
    check(
        |request| request.directories = registration(1, 1).directories,
        "INVALID_REGISTRATION: Broker 1 is already registered with directory AAAAAAAAAAAAAAAAAAAD6Q",
    );
    check(
        |request| {
            request.features.insert("metadata.version".to_owned(), FeatureRange { min: 1, max: 7 });
        },
        "UNSUPPORTED_VERSION: Unable to register because the broker does not support finalized version 33 of metadata.version. The broker wants a version between 1 and 7, inclusive.",
    );
    check(
        |request| request.features.clear(),
        "UNSUPPORTED_VERSION: Request features do not contain 'metadata.version'",
    );
}

#[test]
fn a_restart_begins_new_epochs() {
    let mut pair = Pair::of("1");
    pair.ask(Command::CreateTopics(CreateTopics {
        topics: vec![NewTopic::named("t")],
        validate_only: false,
    }));
    let (epoch, partition) = (pair.epoch_of(1), |pair: &Pair| {
        pair.leader.image().partition("t", PartitionIndex(0)).unwrap().clone()
    });
    assert_eq!(partition(&pair).leader, BrokerId(1));

    // The same process may say more about itself, and stays what it is.
    pair.ask(Command::RegisterBroker(registration(1, 1)));
    assert_eq!((pair.epoch_of(1), partition(&pair).leader), (epoch, BrokerId(1)));

    pair.ask(Command::RegisterBroker(registration(1, 2)));
    assert!(pair.epoch_of(1) > epoch);
    assert_eq!(partition(&pair).leader, BrokerId::NONE);
    assert_eq!(partition(&pair).isr, [BrokerId(1)]);
    pair.move_broker(1, BrokerState::Active);
    assert_eq!(partition(&pair).leader, BrokerId(1));
    assert_eq!(partition(&pair).leader_epoch, LeaderEpoch(2));
}

#[test]
fn what_a_broker_led_is_led_by_others_when_it_leaves() {
    for state in [BrokerState::Fenced, BrokerState::ShuttingDown] {
        let mut pair = Pair::of("1 2");
        let topics = vec![NewTopic { partitions: 4, replication_factor: 2, ..NewTopic::named("t") }];
        pair.ask(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
        pair.move_broker(1, state);
        for partition in &pair.leader.image().topics.by_name("t").unwrap().partitions {
            assert_eq!((partition.leader, partition.isr.as_slice()), (BrokerId(2), [BrokerId(2)].as_slice()));
        }
        // Nothing is left to say.
        assert_eq!(pair.move_broker(1, state), []);
    }
}

#[test]
fn brokers_with_several_directories_say_where_replicas_are() {
    let mut pair = Pair::of("2");
    let mut request = registration(1, 1);
    let directory = |id: u128| DirectoryId(Uuid::from_u128(id));
    request.directories = vec![directory(500), directory(501)];
    let Answer::RegisterBroker(Ok(epoch)) = pair.ask(Command::RegisterBroker(request)) else { panic!() };
    pair.move_broker(1, BrokerState::Active);
    let assignments = vec![(PartitionIndex(0), vec![BrokerId(1), BrokerId(2)])];
    let topics = vec![NewTopic { assignments, ..NewTopic::named("t") }];
    pair.ask(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
    let topic = pair.leader.image().topics.by_name("t").unwrap().clone();
    assert_eq!(topic.partitions[0].directories, [DirectoryId::UNASSIGNED, directory(1002)]);

    let at = |topic, partition| TopicIdPartition { topic, partition: PartitionIndex(partition) };
    let unknown = TopicId(Uuid::from_u128(1));
    let directories = vec![
        (at(topic.id, 0), directory(501)),
        (at(topic.id, 7), directory(501)),
        (at(unknown, 0), directory(501)),
    ];
    let request = Command::AssignDirectories { broker: BrokerId(1), epoch, directories };
    let Answer::AssignDirectories(Ok(results)) = pair.ask(request.clone()) else { panic!() };
    let results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
    assert_eq!(results, [Ok(()), Err(TopicError::UnknownName), Err(TopicError::UnknownId)]);
    let partition = pair.leader.image().partition("t", PartitionIndex(0)).unwrap();
    assert_eq!(partition.directories, [directory(501), directory(1002)]);
    assert_eq!(pair.decide(request).0, [], "it is known");
}

#[test]
fn cordoned_brokers_get_no_replicas() {
    let mut pair = Pair::of("1");
    let mut request = registration(2, 1);
    request.cordoned.clone_from(&request.directories);
    pair.ask(Command::RegisterBroker(request));
    pair.move_broker(2, BrokerState::Active);
    let topics = vec![NewTopic { partitions: 6, ..NewTopic::named("t") }];
    pair.ask(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
    let topic = pair.leader.image().topics.by_name("t").unwrap();
    assert!(topic.partitions.iter().all(|partition| partition.replicas == [BrokerId(1)]));

    let epoch = pair.leader.image().brokers[&BrokerId(2)].epoch;
    let cordon = |cordoned| Command::CordonDirectories { broker: BrokerId(2), epoch, cordoned };
    assert_eq!(pair.ask(cordon(Vec::new())), Answer::CordonDirectories(Ok(())));
    assert_eq!(pair.decide(cordon(Vec::new())).0, [], "it is known");
    let topics = vec![NewTopic { partitions: 6, ..NewTopic::named("u") }];
    pair.ask(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
    let topic = pair.leader.image().topics.by_name("u").unwrap();
    assert!(topic.partitions.iter().any(|partition| partition.replicas == [BrokerId(2)]));
    let stale = Command::CordonDirectories {
        broker: BrokerId(2),
        epoch: BrokerEpoch(epoch.0 + 1),
        cordoned: Vec::new(),
    };
    assert!(matches!(pair.ask(stale), Answer::CordonDirectories(Err(BrokerError::StaleEpoch { .. }))));
}

#[test]
fn unregistered_brokers_are_forgotten() {
    let mut pair = Pair::of("1 2");
    assert_eq!(pair.ask(Command::UnregisterBroker(BrokerId(2))), Answer::UnregisterBroker(Ok(())));
    assert!(!pair.leader.image().brokers.contains_key(&BrokerId(2)));
    let Answer::UnregisterBroker(again) = pair.ask(Command::UnregisterBroker(BrokerId(2))) else { panic!() };
    assert_eq!(
        outcome(&again, BrokerError::code),
        "BROKER_ID_NOT_REGISTERED: Broker ID 2 is not currently registered"
    );
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut pair = Pair::of("1");
    let (broker, epoch) = (BrokerId(1), pair.epoch_of(1));
    for first in [0, 1000, 2000] {
        assert_eq!(
            pair.ask(Command::AllocateProducerIds { broker, epoch }),
            Answer::AllocateProducerIds(Ok(ProducerIdBlock { first: ProducerId(first), length: 1000 }))
        );
    }
    let stale = pair.ask(Command::AllocateProducerIds { broker, epoch: BrokerEpoch(0) });
    let Answer::AllocateProducerIds(stale) = stale else { panic!("{stale:?}") };
    assert_eq!(
        outcome(&stale, BrokerError::code),
        format!("STALE_BROKER_EPOCH: Expected broker epoch {epoch}, but got broker epoch 0")
    );
}

#[test]
fn controllers_come_and_go() {
    let mut pair = Pair::of("1");
    let controller = |id, incarnation| Controller {
        id: BrokerId(id),
        incarnation: Uuid::from_u128(incarnation),
        endpoints: Vec::new(),
        features: BTreeMap::new(),
    };
    let register = |id, incarnation| Command::RegisterController(controller(id, incarnation));
    assert_eq!(pair.decide(register(2, 1)).0.len(), 1);
    assert_eq!(pair.decide(register(2, 1)).0.len(), 0, "it is known");
    assert_eq!(pair.decide(register(2, 2)).0.len(), 1);
    for (id, expected) in [
        (1, "INVALID_REQUEST: Controller cannot unregister itself while it is active."),
        (2, "ok"),
        (2, "UNKNOWN_CONTROLLER_ID: Controller ID 2 is not currently registered."),
    ] {
        let answer = pair.ask(Command::UnregisterController(BrokerId(id)));
        let Answer::UnregisterController(result) = answer else { panic!("{answer:?}") };
        assert_eq!(outcome(&result, BrokerError::code), expected);
    }
}
