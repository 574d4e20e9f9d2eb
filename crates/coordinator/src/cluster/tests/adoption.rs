//! A log that Kafka has written can be taken over.

use vltava_core::id::{PartitionIndex, TopicId};
use vltava_core::image::ConfigResource;

use super::kafka_log::{END, records};
use super::*;

fn replay() -> Cluster {
    let mut cluster = Cluster::new(ClusterOptions::new(BrokerId(1), CLUSTER));
    for (offset, version, record) in records() {
        let value = record.encode(version).unwrap();
        let event = cluster.decode(Entry::Record { key: None, value: Some(&value) }).unwrap().unwrap();
        let place = Place { offset: Offset(offset), timestamp: Timestamp(0), transaction: None };
        cluster.apply(&event, place);
    }
    cluster
}

#[test]
fn a_log_of_kafkas_shows_its_cluster() {
    let cluster = replay();
    let image = cluster.image();
    let topics: Vec<String> =
        image.topics.iter().map(|topic| format!("{} {}", topic.name, topic.partitions.len())).collect();
    assert_eq!(topics, ["a.b 4", "orders 3"]);
    assert_eq!(
        image.topics.by_name("orders").unwrap().id,
        "tq_EtW8hTqyZN_QSoK4BMA".parse::<TopicId>().unwrap()
    );
    let orders = image.config(&ConfigResource::topic("orders")).unwrap();
    assert_eq!(orders.get("retention.ms").map(String::as_str), Some("1000"));
    assert_eq!(image.config(&ConfigResource::brokers()).unwrap().len(), 2);
    assert_eq!(image.feature(METADATA_VERSION), 33);
    assert_eq!(image.feature("transaction.version"), 2);
    assert_eq!(image.feature("group.version"), 0);
    let broker = &image.brokers[&BrokerId(1)];
    assert!(broker.fenced && broker.in_controlled_shutdown);
    assert_eq!((broker.epoch, broker.endpoints[0].port), (BrokerEpoch(14), 19392));
    assert_eq!(image.offset, Offset(END - 1));
    let kept: Vec<&KeptKey> = cluster.kept().keys().collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

#[test]
fn a_broker_leads_what_kafka_had_shut_down() {
    let mut pair = Pair::new();
    (pair.leader, pair.follower, pair.next) = (replay(), replay(), Offset(END));
    assert_eq!(pair.leader.image().partition("orders", PartitionIndex(0)).unwrap().leader, BrokerId::NONE);
    let request = RegisterBroker { previous_epoch: BrokerEpoch(14), ..registration(1, 1) };
    let answer = pair.ask(Command::RegisterBroker(request));
    assert_eq!(answer, Answer::RegisterBroker(Ok(BrokerEpoch(END))));
    pair.move_broker(1, BrokerState::Active);
    for topic in pair.leader.image().topics.iter() {
        for partition in &topic.partitions {
            assert_eq!((partition.leader, partition.isr.as_slice()), (BrokerId(1), [BrokerId(1)].as_slice()));
            assert!(partition.eligible.is_empty() && !partition.recovering);
        }
    }
    assert_eq!(pair.leader, pair.follower);
}

#[test]
fn only_features_that_are_known_to_lie_dormant_need_no_support() {
    let check = |feature: &str, level: i16, supported: Option<i16>, expected: Option<&str>| {
        let mut cluster = replay();
        let event = Event::FeatureSet { name: feature.to_owned(), level };
        cluster.apply(&event, Place { offset: Offset(END), timestamp: Timestamp(0), transaction: None });
        let mut request = registration(1, 1);
        request.features.extend(supported.map(|max| (feature.to_owned(), FeatureRange { min: 0, max })));
        let (_, answer) = cluster.register_broker(request);
        assert_eq!(answer.err().map(|error| error.to_string()).as_deref(), expected, "{feature} {level}");
    };
    check("share.version", 2, None, None);
    check("streams.version", 1, Some(1), None);
    let refused = "Unable to register because the broker does not support finalized version";
    let wants = "The broker wants a version between 0 and";
    check("share.version", 3, None, Some(&format!("{refused} 3 of share.version. {wants} 0, inclusive.")));
    check("share.version", 2, Some(1), Some(&format!("{refused} 2 of share.version. {wants} 1, inclusive.")));
    check("new.version", 1, None, Some(&format!("{refused} 1 of new.version. {wants} 0, inclusive.")));
}
