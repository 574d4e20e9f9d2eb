//! Transactions over the wire: seen whole or not at all, also when the broker dies in the middle of one.

use std::path::Path;
use std::time::Duration;

use tokio::time::{interval, timeout};
use vltava_broker::{Broker, StartError};
use vltava_core::error::ErrorCode;
use vltava_core::id::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::testing::{Random, replay, seeds};
use vltava_core::wire::Payload;
use vltava_protocol::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use vltava_protocol::fetch_request::FetchPartition;
use vltava_protocol::fetch_response::PartitionData;
use vltava_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, InitProducerIdRequest,
    OffsetFetchRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use vltava_protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};
use vltava_protocol::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::client::{Client, FETCH, fetch_request};

const ID: &str = "till";
const TOPIC: &str = "orders";
const GROUP: &str = "readers";
const PARTITIONS: i32 = 3;

/// Which seeds to run, each one with as many lives.
const SEEDS: &str = "VLTAVA_TRANSACTION_LIVES_SEEDS";
const LIVES: usize = 12;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The last versions before every end raises the epoch, and the first since.
const OLD: Versions = Versions { produce: 11, end: 4, offsets: 4 };
const NEW: Versions = Versions { produce: 12, end: 5, offsets: 5 };

#[derive(Clone, Copy)]
struct Versions {
    produce: i16,
    end: i16,
    offsets: i16,
}

/// A transactional producer.
struct Producer {
    client: Client,
    versions: Versions,
    producer: i64,
    epoch: i16,
    sequences: [i32; PARTITIONS as usize],
}

impl Producer {
    async fn start(broker: &Broker, versions: Versions) -> Producer {
        let mut client = Client::connect(broker.address()).await;
        client.create_topic(TOPIC, PARTITIONS).await;
        for (key_type, key) in [(0, GROUP), (1, ID)] {
            let find = FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key.into()],
                ..FindCoordinatorRequest::default()
            };
            let found = client.ask(&find, 4).await;
            assert_eq!(found.coordinators[0].error_code, 0);
        }
        let mut producer = Producer { client, versions, producer: -1, epoch: -1, sequences: [0; 3] };
        producer.init().await;
        producer
    }

    async fn init(&mut self) {
        let init = InitProducerIdRequest {
            transactional_id: Some(ID.into()),
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let mut ticks = interval(Duration::from_millis(5));
        loop {
            let answer = self.client.ask(&init, 5).await;
            match ErrorCode::from_code(answer.error_code) {
                ErrorCode::NONE => {
                    (self.producer, self.epoch) = (answer.producer_id, answer.producer_epoch);
                    self.sequences = [0; 3];
                    return;
                }
                code => assert!(is_temporary(code), "{code}"),
            }
            ticks.tick().await;
        }
    }

    /// The code of an attempt to append a record to a partition.
    async fn append(&mut self, partition: i32, value: &str) -> ErrorCode {
        let place = usize::try_from(partition).unwrap();
        let (producer, epoch) = (ProducerId(self.producer), ProducerEpoch(self.epoch));
        let mut batch = BatchBuilder::new(Compression::None)
            .producer(producer, epoch, Sequence(self.sequences[place]))
            .transactional();
        batch.append(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
        let records = batch.build().unwrap().to_bytes();
        let data = PartitionProduceData { index: partition, records: Some(records.into()) };
        let topic = TopicProduceData {
            name: TOPIC.into(),
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(ID.into()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![topic],
        };
        let answer = self.client.ask(&request, self.versions.produce).await;
        let code = ErrorCode::from_code(answer.responses[0].partition_responses[0].error_code);
        if code == ErrorCode::NONE {
            self.sequences[place] += 1;
        }
        code
    }

    /// Adds every partition to the transaction, as clients do that cannot leave it to the broker.
    async fn add(&mut self) -> ErrorCode {
        let topic = AddPartitionsToTxnTopic { name: TOPIC.into(), partitions: (0..PARTITIONS).collect() };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: ID.into(),
            v3_and_below_producer_id: self.producer,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = self.client.ask(&request, 3).await;
        ErrorCode::from_code(
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
        )
    }

    /// Writes a record to every partition, trying again as long as that helps.
    async fn write(&mut self, value: &str) {
        let mut ticks = interval(Duration::from_millis(2));
        if self.versions.produce < NEW.produce {
            loop {
                match self.add().await {
                    ErrorCode::NONE => break,
                    code => assert!(is_temporary(code), "{code}"),
                }
                ticks.tick().await;
            }
        }
        for partition in 0..PARTITIONS {
            loop {
                match self.append(partition, value).await {
                    ErrorCode::NONE => break,
                    code => assert!(is_temporary(code), "{code}"),
                }
                ticks.tick().await;
            }
        }
    }

    /// Commits an offset of the group within the transaction. Only newer clients leave it to the broker to add it.
    async fn commit_offset(&mut self, offset: i64) {
        let partition = TxnOffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: None,
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: TOPIC.into(),
            partitions: vec![partition],
            ..TxnOffsetCommitRequestTopic::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: ID.into(),
            group_id: GROUP.into(),
            producer_id: self.producer,
            producer_epoch: self.epoch,
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..TxnOffsetCommitRequest::default()
        };
        let mut ticks = interval(Duration::from_millis(2));
        loop {
            let answer = self.client.ask(&request, self.versions.offsets).await;
            match ErrorCode::from_code(answer.topics[0].partitions[0].error_code) {
                ErrorCode::NONE => return,
                code => assert!(is_temporary(code), "{code}"),
            }
            ticks.tick().await;
        }
    }

    fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: ID.into(),
            producer_id: self.producer,
            producer_epoch: self.epoch,
            committed,
        }
    }

    async fn end(&mut self, commit: bool) -> EndTxnResponse {
        let request = self.end_request(commit);
        let answer = self.client.ask(&request, self.versions.end).await;
        if answer.error_code == 0 && self.versions.end >= NEW.end {
            (self.producer, self.epoch) = (answer.producer_id, answer.producer_epoch);
            self.sequences = [0; 3];
        }
        answer
    }
}

fn is_temporary(code: ErrorCode) -> bool {
    [
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::NOT_ENOUGH_REPLICAS,
    ]
    .contains(&code)
}

/// The values of a partition that a reader of committed records sees, once nothing is held back.
async fn read(client: &mut Client, partition: i32) -> Vec<String> {
    let mut ticks = interval(Duration::from_millis(5));
    let reading = async {
        let mut reader = Reader::default();
        loop {
            let mut request = fetch_request(TOPIC, reader.next, 0);
            request.isolation_level = 1;
            let wanted = FetchPartition { partition, ..request.topics[0].partitions[0].clone() };
            request.topics[0].partitions = vec![wanted];
            let answer = client.ask(&request, FETCH).await;
            let data = &answer.responses[0].partitions[0];
            assert_eq!(data.error_code, 0);
            reader.take(data);
            if reader.next == data.high_watermark {
                return reader.values;
            }
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, reading).await.expect("a transaction hangs")
}

/// Leaves out what was aborted, as consumers do.
#[derive(Default)]
struct Reader {
    next: i64,
    /// Producers whose transaction will be aborted.
    aborting: Vec<i64>,
    values: Vec<String>,
}

impl Reader {
    fn take(&mut self, data: &PartitionData) {
        let region: Vec<u8> = data
            .records
            .iter()
            .flat_map(Payload::parts)
            .flat_map(|part| part.in_memory().unwrap().to_vec())
            .collect();
        let mut aborted: Vec<(i64, i64)> = data
            .aborted_transactions
            .iter()
            .flatten()
            .map(|aborted| (aborted.first_offset, aborted.producer_id))
            .collect();
        aborted.sort_unstable();
        for batch in Batch::split(region.into()) {
            let batch = batch.unwrap();
            let producer = batch.header.producer_id.0;
            while aborted.first().is_some_and(|(first, _)| *first <= batch.header.last_offset().0) {
                self.aborting.push(aborted.remove(0).1);
            }
            if batch.header.is_control() {
                self.aborting.retain(|known| *known != producer);
            } else if !self.aborting.contains(&producer) {
                for record in &batch.records().unwrap() {
                    let value = record.unwrap().value.unwrap().to_vec();
                    self.values.push(String::from_utf8(value).unwrap());
                }
            }
            self.next = batch.header.next_offset().0;
        }
    }
}

/// The committed offset of the group, once its coordinator has loaded it, or the code for who wants it stable.
async fn offset(client: &mut Client, require_stable: bool) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics {
        name: TOPIC.into(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], require_stable, ..OffsetFetchRequest::default() };
    let mut ticks = interval(Duration::from_millis(5));
    let group = loop {
        let group = client.ask(&request, 8).await.groups.remove(0);
        if ErrorCode::from_code(group.error_code) != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {
            break group;
        }
        ticks.tick().await;
    };
    let partition = &group.topics[0].partitions[0];
    match ErrorCode::from_code(partition.error_code) {
        ErrorCode::NONE => Ok(partition.committed_offset),
        code => Err(code),
    }
}

#[tokio::test]
async fn a_transaction_counts_as_a_whole_or_not_at_all() {
    for versions in [OLD, NEW] {
        let broker = Broker::builder().start().await.unwrap();
        let mut producer = Producer::start(&broker, versions).await;
        let mut reader = Client::connect(broker.address()).await;
        for (value, commit) in [("lost", false), ("kept", true), ("lost too", false), ("kept too", true)] {
            producer.write(value).await;
            assert_eq!(producer.end(commit).await.error_code, 0);
        }
        for partition in 0..PARTITIONS {
            assert_eq!(read(&mut reader, partition).await, ["kept", "kept too"]);
        }
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn offsets_of_an_open_transaction_are_not_told() {
    let broker = Broker::builder().start().await.unwrap();
    let mut producer = Producer::start(&broker, NEW).await;
    let mut reader = Client::connect(broker.address()).await;
    for (value, commit) in [(5, false), (7, true)] {
        producer.commit_offset(value).await;
        assert_eq!(offset(&mut reader, false).await, Ok(-1));
        assert_eq!(offset(&mut reader, true).await, Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
        assert_eq!(producer.end(commit).await.error_code, 0);
        if commit {
            // The end is told when it is decided; that it counts shows when a stable offset is told.
            let mut ticks = interval(Duration::from_millis(2));
            while offset(&mut reader, true).await.is_err() {
                ticks.tick().await;
            }
        } else {
            producer.init().await;
        }
    }
    assert_eq!(offset(&mut reader, true).await, Ok(7));
    broker.shutdown().await;
}

#[tokio::test]
async fn what_is_not_part_of_a_transaction_is_refused() {
    let broker = Broker::builder().start().await.unwrap();
    let mut producer = Producer::start(&broker, OLD).await;
    // Its partitions were not added.
    assert_eq!(producer.append(0, "unknown").await, ErrorCode::TRANSACTION_ABORTABLE);
    producer.versions.produce = 10;
    assert_eq!(producer.append(0, "unknown").await, ErrorCode::INVALID_TXN_STATE);
    producer.versions = NEW;
    producer.sequences[0] = 5;
    assert_eq!(producer.append(0, "gap").await, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    producer.sequences[0] = 0;
    producer.write("mine").await;
    // Another producer of the same name fences it.
    let mut other = Producer::start(&broker, NEW).await;
    assert!(other.epoch > producer.epoch);
    assert_eq!(producer.append(0, "late").await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(ErrorCode::from_code(producer.end(true).await.error_code), ErrorCode::PRODUCER_FENCED);
    other.write("other").await;
    assert_eq!(other.end(true).await.error_code, 0);
    let mut reader = Client::connect(broker.address()).await;
    assert_eq!(read(&mut reader, 0).await, ["other"]);
    broker.shutdown().await;
}

/// A broker that was dropped ends in the background; until then it has its folder.
async fn start(folder: &Path) -> Broker {
    let mut ticks = interval(Duration::from_millis(10));
    let starting = async {
        loop {
            match Broker::builder().directory(folder).start().await {
                Ok(broker) => return broker,
                Err(StartError::Store(error)) if error.to_string().contains("in use") => ticks.tick().await,
                Err(error) => panic!("the broker does not start again: {error}"),
            };
        }
    };
    timeout(PATIENCE, starting).await.unwrap()
}

/// What has become of the transactions so far.
#[derive(Debug, Default)]
struct Ledger {
    /// The numbers of those that were acknowledged as committed.
    committed: Vec<i64>,
    /// One whose end was asked for and not acknowledged.
    doubtful: Option<i64>,
    next: i64,
}

impl Ledger {
    /// Compares the partitions and the group's offset with what was promised.
    async fn check(&mut self, client: &mut Client, place: &str) {
        let first = read(client, 0).await;
        for partition in 1..PARTITIONS {
            assert_eq!(read(client, partition).await, first, "{place}: a torn transaction in {partition}");
        }
        let found: Vec<i64> = first.iter().map(|value| value.parse().unwrap()).collect();
        if let Some(doubtful) = self.doubtful.take()
            && found.last() == Some(&doubtful)
        {
            self.committed.push(doubtful);
        }
        assert_eq!(found, self.committed, "{place}: not what was committed");
        let expected = self.committed.last().copied().unwrap_or(-1);
        assert_eq!(offset(client, true).await, Ok(expected), "{place}: the offset is of another transaction");
    }

    /// One transaction after another, until `left` of them are done and one is left open in some state.
    async fn live(&mut self, producer: &mut Producer, random: &mut Random) {
        for _ in 0..random.below(6) {
            let number = self.begin(producer).await;
            let commit = random.once_in(2);
            assert_eq!(producer.end(commit).await.error_code, 0);
            if commit {
                self.committed.push(number);
            }
        }
        match random.below(3) {
            0 => {}
            1 => drop(self.begin(producer).await),
            _ => {
                let number = self.begin(producer).await;
                let commit = random.once_in(2);
                // Nobody waits for the answer.
                let request = producer.end_request(commit);
                producer.client.send(&request, producer.versions.end).await;
                self.doubtful = commit.then_some(number);
            }
        }
    }

    async fn begin(&mut self, producer: &mut Producer) -> i64 {
        let number = self.next;
        self.next += 1;
        producer.write(&number.to_string()).await;
        producer.commit_offset(number).await;
        number
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_in_the_middle_leaves_no_transaction_torn() {
    for seed in seeds(SEEDS, 0..2) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(seed);
        let mut ledger = Ledger::default();
        for life in 0..LIVES {
            let place = format!("life {life}: {}", replay(SEEDS, seed));
            let broker = start(folder.path()).await;
            // A new producer aborts what the last one has left open; what was prepared is completed without it.
            let mut producer = Producer::start(&broker, NEW).await;
            let mut reader = Client::connect(broker.address()).await;
            ledger.check(&mut reader, &place).await;
            ledger.live(&mut producer, &mut random).await;
            drop(broker);
        }
        assert!(ledger.committed.len() > LIVES / 2, "too little has happened: {ledger:?}");
    }
}
