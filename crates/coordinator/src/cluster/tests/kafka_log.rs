//! What one node of Kafka 4.4.0 wrote into its metadata log: it was formatted, topics came and went, settings changed, a
//! credential and a quota were added, and it was stopped in an orderly way.
//!
//! Every record is here with the offset and the version it had. Left out are the signs of life of the controller
//! between them, and the controls of the quorum.

use bytes::Bytes;
use vltava_core::id::Uuid;
use vltava_core::wire::WireStr;

use crate::generated::metadata::client_quota_record::EntityData;
use crate::generated::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use crate::generated::metadata::register_controller_record::{ControllerEndpoint, ControllerFeature};
use crate::generated::metadata::{
    BeginTransactionRecord, BrokerRegistrationChangeRecord, ClientQuotaRecord, ConfigRecord,
    EndTransactionRecord, FeatureLevelRecord, MetadataRecord, NoOpRecord, PartitionChangeRecord,
    PartitionRecord, RegisterBrokerRecord, RegisterControllerRecord, RemoveTopicRecord, TopicRecord,
    UserScramCredentialRecord,
};

/// The end of the log.
pub(super) const END: i64 = 291;

const DIRECTORY: Uuid = Uuid::from_u128(0x7199_4290_c13b_4a39_a486_e058_119d_fac9);
const ORDERS: Uuid = Uuid::from_u128(0xb6af_c4b5_6f21_4eac_9937_f412_a0ae_0130);
const A_B: Uuid = Uuid::from_u128(0xeb2c_5ab3_48f0_4991_afeb_9086_1d5a_5d65);
const GONE: Uuid = Uuid::from_u128(0xd25d_a0ed_0b91_4736_86e7_4c9c_69c2_6f51);

/// Kafka's numbers of what can be configured.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// The records, each with its offset and version.
pub(super) fn records() -> Vec<(i64, i16, MetadataRecord)> {
    let mut records = formatted();
    records.extend(registered());
    records.extend(used());
    records.extend(stopped());
    records
}

/// What `kafka-storage.sh format` prepares.
fn formatted() -> Vec<(i64, i16, MetadataRecord)> {
    let begin = BeginTransactionRecord { name: Some("Bootstrap records".into()) };
    let mut records = vec![(3, 0, MetadataRecord::BeginTransaction(begin))];
    let features = [
        ("metadata.version", 33),
        ("eligible.leader.replicas.version", 1),
        ("group.version", 1),
        ("share.version", 2),
        ("streams.version", 1),
        ("transaction.version", 2),
    ];
    records.extend((4..).zip(features).map(|(offset, (name, level))| (offset, 0, feature(name, level))));
    records.push((10, 0, config(BROKER, "", "min.insync.replicas", "1")));
    records.push((11, 0, MetadataRecord::EndTransaction(EndTransactionRecord {})));
    records
}

/// What each of the two supports, in the order in which it says so: from one level to another.
const CONTROLLER_FEATURES: [(&str, i16, i16); 7] = [
    ("group.version", 0, 1),
    ("kraft.version", 0, 1),
    ("metadata.version", 7, 33),
    ("share.version", 0, 2),
    ("streams.version", 0, 1),
    ("transaction.version", 0, 2),
    ("eligible.leader.replicas.version", 0, 1),
];
const BROKER_FEATURES: [(&str, i16, i16); 7] = [
    ("kraft.version", 0, 1),
    ("group.version", 0, 1),
    ("streams.version", 0, 1),
    ("transaction.version", 0, 2),
    ("eligible.leader.replicas.version", 0, 1),
    ("metadata.version", 7, 33),
    ("share.version", 0, 2),
];

/// The controller and the broker of the node say who they are, and the broker is let in.
fn registered() -> Vec<(i64, i16, MetadataRecord)> {
    let controller = RegisterControllerRecord {
        controller_id: 1,
        incarnation_id: Uuid::from_u128(0x4520_9026_74f9_43b4_8edf_83f6_f091_17b1),
        zk_migration_ready: false,
        end_points: vec![ControllerEndpoint {
            name: "CONTROLLER".into(),
            host: "127.0.0.1".into(),
            port: 19393,
            security_protocol: 0,
        }],
        features: CONTROLLER_FEATURES.map(controller_feature).into(),
    };
    let broker = RegisterBrokerRecord {
        broker_id: 1,
        is_migrating_zk_broker: false,
        incarnation_id: Uuid::from_u128(0xa2c5_4df5_3d0c_47a7_b931_8df2_c537_123d),
        broker_epoch: 14,
        end_points: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 19392,
            security_protocol: 0,
        }],
        features: BROKER_FEATURES.map(broker_feature).into(),
        rack: None,
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![DIRECTORY],
        cordoned_log_dirs: None,
    };
    let unfenced = BrokerRegistrationChangeRecord { fenced: -1, ..broker_change() };
    let cordoned = BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(Vec::new()), ..broker_change() };
    vec![
        (12, 0, MetadataRecord::RegisterController(controller)),
        (14, 4, MetadataRecord::RegisterBroker(broker)),
        (15, 0, MetadataRecord::BrokerRegistrationChange(unfenced)),
        (16, 3, MetadataRecord::BrokerRegistrationChange(cordoned)),
    ]
}

/// What clients asked for.
fn used() -> Vec<(i64, i16, MetadataRecord)> {
    let credential = UserScramCredentialRecord {
        name: "alice".into(),
        mechanism: 1,
        salt: Bytes::from_static(b"19kvvp76ri7akkxti79ozwuly3"),
        stored_key: Bytes::from_static(
            b"\xd2\xb7\xc3o\xb5\x06v/yP+mK\xba\x83BuL`\xc6\x13\x19\x88ys\xce\x01*\x1d\x98\xb1\xad",
        ),
        server_key: Bytes::from_static(
            b"P\xf3C\x9f\xd2\xc4%\xb5\xab\xfb5\x82\xdd{\xd3\x94b}\xe3\x1b\xe4EEan\xc5z\xf4\xf8\xe9\xe4\x06",
        ),
        iterations: 8192,
    };
    let quota = ClientQuotaRecord {
        entity: vec![EntityData { entity_type: "user".into(), entity_name: Some("alice".into()) }],
        key: "producer_byte_rate".into(),
        value: 1000.0,
        remove: false,
    };
    vec![
        (21, 0, topic("orders", ORDERS)),
        (22, 0, config(TOPIC, "orders", "cleanup.policy", "compact")),
        (23, 0, config(TOPIC, "orders", "retention.ms", "1000")),
        (24, 2, partition(ORDERS, 0)),
        (25, 2, partition(ORDERS, 1)),
        (26, 2, partition(ORDERS, 2)),
        (29, 0, topic("a.b", A_B)),
        (30, 2, partition(A_B, 0)),
        (38, 0, topic("gone", GONE)),
        (39, 2, partition(GONE, 0)),
        (40, 2, partition(GONE, 1)),
        (43, 0, MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: GONE })),
        (46, 2, partition(A_B, 1)),
        (47, 2, partition(A_B, 2)),
        (48, 2, partition(A_B, 3)),
        (51, 0, config(BROKER, "", "log.retention.ms", "7200000")),
        (54, 0, config(TOPIC, "orders", "max.message.bytes", "2000")),
        (193, 0, MetadataRecord::UserScramCredential(credential)),
        (196, 0, MetadataRecord::ClientQuota(quota)),
        (278, 0, feature("group.version", 0)),
    ]
}

/// The broker leaves: its partitions lose their leaders, and it is fenced.
fn stopped() -> Vec<(i64, i16, MetadataRecord)> {
    let leaving = BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..broker_change() };
    let mut records = vec![(281, 1, MetadataRecord::BrokerRegistrationChange(leaving))];
    let led = [(A_B, 0), (A_B, 1), (A_B, 2), (A_B, 3), (ORDERS, 0), (ORDERS, 1), (ORDERS, 2)];
    records
        .extend((282..).zip(led).map(|(offset, (topic, index))| (offset, 2, without_leader(topic, index))));
    let fenced = BrokerRegistrationChangeRecord { fenced: 1, ..broker_change() };
    records.push((289, 0, MetadataRecord::BrokerRegistrationChange(fenced)));
    records.push((END - 1, 0, MetadataRecord::NoOp(NoOpRecord {})));
    records
}

fn controller_feature((name, min, max): (&'static str, i16, i16)) -> ControllerFeature {
    ControllerFeature { name: name.into(), min_supported_version: min, max_supported_version: max }
}

fn broker_feature((name, min, max): (&'static str, i16, i16)) -> BrokerFeature {
    BrokerFeature { name: name.into(), min_supported_version: min, max_supported_version: max }
}

fn feature(name: &'static str, feature_level: i16) -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.into(), feature_level })
}

fn config(
    resource_type: i8,
    resource_name: &'static str,
    name: &'static str,
    value: &'static str,
) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type,
        resource_name: resource_name.into(),
        name: name.into(),
        value: Some(WireStr::from_static(value)),
    })
}

fn broker_change() -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 14,
        fenced: 0,
        in_controlled_shutdown: 0,
        log_dirs: Vec::new(),
        cordoned_log_dirs: None,
    }
}

fn topic(name: &'static str, topic_id: Uuid) -> MetadataRecord {
    MetadataRecord::Topic(TopicRecord { name: name.into(), topic_id })
}

fn partition(topic_id: Uuid, partition_id: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: 1,
        leader_recovery_state: 0,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![DIRECTORY],
        eligible_leader_replicas: None,
        last_known_elr: None,
    })
}

fn without_leader(topic_id: Uuid, partition_id: i32) -> MetadataRecord {
    MetadataRecord::PartitionChange(PartitionChangeRecord {
        partition_id,
        topic_id,
        isr: Some(Vec::new()),
        leader: -1,
        replicas: None,
        removing_replicas: None,
        adding_replicas: None,
        leader_recovery_state: -1,
        directories: None,
        eligible_leader_replicas: Some(vec![1]),
        last_known_elr: Some(vec![1]),
    })
}
