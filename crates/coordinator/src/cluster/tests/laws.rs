//! The laws of the state machine, over random schedules.

use vltava_core::id::{PartitionEpoch, PartitionIndex, ProducerId, TopicId, TopicIdPartition, TopicName};
use vltava_core::image::{ConfigResource, Controller, Partition, Topic};

use vltava_core::testing::machine_suite;

use super::*;
use crate::cluster::command::{
    AlterIsr, AlterOperation, ChangeConfigs, ConfigChange, CreatePartitions, CreateTopics, ElectLeaders,
    Election, MorePartitions, NewTopic, TopicReference,
};
use crate::cluster::event::{BrokerChange, PartitionChange, ProducerIds};

/// The laws that hold for every machine; brokers are registered by the schedule itself.
#[test]
fn the_machine_keeps_the_laws() {
    let new = || Cluster::new(ClusterOptions::new(BrokerId(1), CLUSTER));
    machine_suite(0..40, 60, &Image::default(), new, |cluster, random| {
        command(&mut Random::new(random.entropy()), cluster)
    });
}

const SEEDS: u128 = 60;
const STEPS: usize = 60;

#[test]
fn replay_and_snapshot_equal_live_state() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut pair = Pair::of("1 2a 3b");
        pair.entropy = seed << 32;
        for _ in 0..STEPS {
            let command = command(&mut random, &pair.leader);
            pair.ask(command);
        }
        assert_eq!(pair.leader, pair.follower, "seed {seed}");
        assert_eq!(from_snapshot(&pair.leader), pair.leader, "seed {seed}");
        check_partitions(pair.leader.image(), seed);
    }
}

/// A machine built from the snapshot of another, as a follower that fetched it.
fn from_snapshot(cluster: &Cluster) -> Cluster {
    let mut copy = Cluster::new(cluster.options().clone());
    let image = cluster.image().clone();
    for event in cluster.snapshot() {
        let Encoded::Record { value: Some(value), .. } = cluster.encode(&event, &image) else {
            panic!("{event:?}")
        };
        let read = copy.decode(Entry::Record { key: None, value: Some(&value) }).unwrap().unwrap();
        copy.apply(&read, Place { offset: image.offset, timestamp: Timestamp(0), transaction: None });
    }
    copy
}

/// Every partition has as many directories as replicas, and its leader is in sync and active.
fn check_partitions(image: &Image, seed: u128) {
    for partition in image.topics.iter().flat_map(|topic| &topic.partitions) {
        assert_eq!(partition.directories.len(), partition.replicas.len(), "seed {seed}");
        assert!(!partition.isr.is_empty(), "seed {seed}");
        if partition.leader != BrokerId::NONE {
            assert!(partition.isr.contains(&partition.leader), "seed {seed}: {partition:?}");
            assert!(image.active_broker(partition.leader).is_some(), "seed {seed}: {partition:?}");
        }
    }
}

fn command(random: &mut Random, cluster: &Cluster) -> Command {
    let name = ["a.b", "a_b", "c", "d-e", "bad!"][random.below(5)].to_owned();
    let id = i32::try_from(1 + random.below(4)).unwrap();
    let broker = BrokerId(id);
    let epoch = cluster.image().brokers.get(&broker).map_or(BrokerEpoch(-1), |known| known.epoch);
    let count = i32::try_from(random.below(5)).unwrap();
    match random.below(11) {
        10 => alter_isr(random, cluster, broker, epoch),
        0 => Command::RegisterBroker(registration(id, random.below(3) as u128)),
        1 | 2 => {
            let states =
                [BrokerState::Active, BrokerState::Active, BrokerState::Fenced, BrokerState::ShuttingDown];
            Command::MoveBroker { broker, epoch, state: states[random.below(4)] }
        }
        3 | 4 => {
            let factor = i16::try_from(random.below(4)).unwrap();
            let configs = vec![("retention.ms".to_owned(), Some("1000".to_owned()))];
            let topic =
                NewTopic { partitions: count, replication_factor: factor, configs, ..NewTopic::named(&name) };
            Command::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false })
        }
        5 => Command::DeleteTopics(vec![TopicReference::named(&name)]),
        6 => {
            let topics = vec![MorePartitions { name, count, assignments: None }];
            Command::CreatePartitions(CreatePartitions { topics, validate_only: false })
        }
        7 => {
            let operation = [AlterOperation::Set, AlterOperation::Delete][random.below(2)];
            let change =
                ConfigChange { key: "retention.ms".to_owned(), operation, value: Some(count.to_string()) };
            let resources = vec![(ConfigResource::topic(&name), vec![change])];
            Command::ChangeConfigs(ChangeConfigs { resources, validate_only: false })
        }
        8 => Command::AllocateProducerIds { broker, epoch },
        _ => {
            let election = [Election::Preferred, Election::Unclean][random.below(2)];
            Command::ElectLeaders(ElectLeaders { election, partitions: None })
        }
    }
}

/// A leader's wish for other in-sync replicas, mostly one that makes sense.
fn alter_isr(random: &mut Random, cluster: &Cluster, broker: BrokerId, epoch: BrokerEpoch) -> Command {
    let of = |topic: &std::sync::Arc<Topic>| {
        let led = topic.numbered().filter(|(_, partition)| partition.leader == broker);
        led.map(|(index, partition)| (topic.id, index, partition.clone())).collect::<Vec<_>>()
    };
    let led: Vec<_> = cluster.image().topics.iter().flat_map(of).collect();
    let mut partitions = Vec::new();
    for (topic, partition, state) in led {
        let kept = |id: &&BrokerId| **id == broker || random.below(3) > 0;
        let isr = state.replicas.iter().filter(kept).map(|id| (*id, BrokerEpoch(-1))).collect();
        let (leader_epoch, partition_epoch) = (state.leader_epoch, state.partition_epoch);
        let wish = AlterIsr { leader_epoch, partition_epoch, isr, recovering: false };
        partitions.push((TopicIdPartition { topic, partition }, wish));
    }
    Command::AlterIsr { broker, epoch, partitions }
}

/// Whatever a log holds, in whatever order: nothing panics, and a snapshot still says it all.
#[test]
fn foreign_records_pass() {
    for seed in 0..SEEDS * 5 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new(ClusterOptions::new(BrokerId(1), CLUSTER));
        for offset in 0..80 {
            let first = Event::FeatureSet { name: METADATA_VERSION.to_owned(), level: 33 };
            let event = if offset == 0 { first } else { foreign(&mut random) };
            cluster
                .apply(&event, Place { offset: Offset(offset), timestamp: Timestamp(0), transaction: None });
        }
        let copy = from_snapshot(&cluster);
        assert_eq!(copy.image(), cluster.image(), "seed {seed}");
        assert_eq!(copy, cluster, "seed {seed}");
    }
}

fn foreign(random: &mut Random) -> Event {
    let topic = TopicId(Uuid::from_u128(random.below(4) as u128));
    let name = TopicName::new(["a.b", "a_b", "c"][random.below(3)]).unwrap();
    let index = PartitionIndex(i32::try_from(random.below(6)).unwrap() - 1);
    let broker = BrokerId(i32::try_from(random.below(3)).unwrap());
    let epoch = BrokerEpoch(i64::try_from(random.below(2)).unwrap());
    let partition = Partition {
        replicas: vec![broker],
        isr: vec![broker],
        directories: vec![DirectoryId::MIGRATING],
        leader: broker,
        ..Partition::default()
    };
    let change = PartitionChange {
        leader: Some(broker),
        eligible: Some(vec![broker]),
        ..PartitionChange::of(topic, index)
    };
    match random.below(19) {
        0 | 1 => Event::TopicCreated { name, id: topic },
        2..5 => Event::PartitionCreated { topic, index, partition },
        5 => Event::PartitionChanged(change),
        6 => Event::PartitionChanged(PartitionChange {
            replicas: Some(vec![BrokerId(1), BrokerId(2)]),
            ..change
        }),
        7 => Event::TopicRemoved(topic),
        8 => Event::BrokerChanged(BrokerChange::fenced(broker, epoch, random.below(2) == 0)),
        9 => Event::BrokerUnregistered { broker, epoch },
        10 => Event::ControllerRegistered(Controller {
            id: broker,
            incarnation: random.uuid(),
            endpoints: Vec::new(),
            features: BTreeMap::new(),
        }),
        11 => Event::ControllerUnregistered(broker),
        12 => Event::EligibleLeadersCleared { topic: (random.below(2) == 0).then_some(name) },
        13 => {
            let value = (random.below(2) == 0).then(|| "1".to_owned());
            Event::ConfigSet { resource: ConfigResource::topic(&name), key: "retention.ms".to_owned(), value }
        }
        14 => {
            Event::FeatureSet { name: "x.version".to_owned(), level: i16::try_from(random.below(3)).unwrap() }
        }
        15 => Event::ProducerIdsAllocated(ProducerIds {
            broker,
            epoch,
            next: ProducerId(i64::try_from(random.below(3)).unwrap()),
        }),
        16 => Event::TransactionBegun { name: None },
        17 => Event::TransactionEnded,
        _ => Event::TransactionAborted { reason: None },
    }
}

#[test]
fn an_open_transaction_counts_once_it_ends() {
    let mut pair = Pair::of("1");
    let created = |name: &str| Event::TopicCreated {
        name: TopicName::new(name).unwrap(),
        id: TopicId(Uuid::from_u128(name.len() as u128)),
    };
    let topics = |pair: &Pair| pair.leader.image().topics.len();
    pair.write(&[Event::TransactionBegun { name: Some("t".to_owned()) }, created("a")]);
    assert_eq!(topics(&pair), 0);
    assert_eq!(from_snapshot(&pair.leader), pair.leader);
    pair.write(&[Event::TransactionEnded]);
    assert_eq!(topics(&pair), 1);
    pair.write(&[Event::TransactionBegun { name: None }, created("bb")]);
    let image = pair.leader.image().clone();
    let failover = pair.leader.loaded(&context(&image, 0));
    assert_eq!(
        failover.events,
        [Event::TransactionAborted { reason: Some("Controller failover".to_owned()) }]
    );
    pair.write(&failover.events);
    assert_eq!(topics(&pair), 1);
    assert_eq!(pair.leader, pair.follower);
}

#[test]
fn a_new_log_begins_with_its_level() {
    let pair = Pair::new();
    assert_eq!(MetadataVersion::of(pair.leader.image()), MetadataVersion::LATEST);
    let image = pair.leader.image().clone();
    assert_eq!(pair.leader.loaded(&context(&image, 0)).events, []);
    assert_eq!(Partition::default().partition_epoch, PartitionEpoch(0));
}

#[test]
fn older_levels_are_written_in_older_versions() {
    for level in [7, 8, 15, 17, 23, 30, 33] {
        let mut pair = Pair::of("1");
        pair.write(&[Event::FeatureSet { name: METADATA_VERSION.to_owned(), level }]);
        let topics = vec![NewTopic::named("t")];
        let image = pair.leader.image().clone();
        let request = Command::CreateTopics(CreateTopics { topics, validate_only: false });
        let decision = pair.leader.decide(&context(&image, 1), request);
        let broker = Event::BrokerRegistered(image.brokers[&BrokerId(1)].as_ref().clone());
        for event in decision.events.iter().chain([&broker]) {
            assert!(
                matches!(pair.leader.encode(event, &image), Encoded::Record { .. }),
                "{level}: {event:?}"
            );
        }
    }
}

#[test]
fn damaged_records_are_errors() {
    let cluster = Pair::new().leader;
    for bytes in [&b""[..], b"\x01", b"\x02\x00\x00", b"\x01\x63\x00", b"\x01\x02\x00\xff\xff"] {
        let value = Bytes::from_static(bytes);
        assert!(cluster.decode(Entry::Record { key: None, value: Some(&value) }).is_err(), "{bytes:?}");
    }
}
