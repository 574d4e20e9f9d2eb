//! Collects records by partition, and writes batches until their leaders have them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence};
use vltava_core::record::{BatchBuilder, Codec, RecordHeader};
use vltava_protocol::api::ApiKey;
use vltava_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse,
};
use vltava_protocol::metadata_request::MetadataRequestTopic;
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};
use vltava_protocol::produce_response::PartitionProduceResponse;

use super::Acks;
use super::partitioner::partition_of;
use crate::cli::error::CliError;
use crate::cli::offsets::{TopicPartition, by_leader};
use crate::cli::time;
use crate::net::client::{Client, ClientError, Route};

/// How to produce.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// How batches are compressed.
    pub codec: Codec,
    /// Who must have a batch before it counts.
    pub acks: Acks,
    /// Bytes of records, before compression, that make a batch full.
    pub batch_bytes: usize,
    /// The partition of every record, when the key does not decide.
    pub partition: Option<i32>,
    /// How long the leader may wait for replicas.
    pub timeout_ms: i32,
    /// The headers of every record.
    pub headers: Vec<(String, String)>,
}

/// Writes records to one topic, in order for each partition.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    topic: String,
    options: ProducerOptions,
    partitions: i32,
    /// Where records without a key go, until the batch is full.
    sticky: i32,
    idempotent: Option<(ProducerId, ProducerEpoch)>,
    sequences: BTreeMap<i32, Sequence>,
    open: BTreeMap<i32, BatchBuilder>,
    oldest: Option<Instant>,
    written: BTreeMap<i32, (i64, i64)>,
    records: u64,
}

/// How long a topic that does not exist yet may take to be created.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);

/// The pause before a partition without a leader is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The versions of Produce that name topics.
const VERSIONS: std::ops::RangeInclusive<i16> = 3..=12;

impl Producer {
    /// A producer to a topic, which the broker may create if it is set to.
    pub async fn start(mut client: Client, topic: &str, options: ProducerOptions) -> Result<Self, CliError> {
        let partitions = partitions(&mut client, topic).await?;
        if let Some(partition) = options.partition.filter(|partition| *partition >= partitions) {
            return Err(CliError::Usage(format!(
                "--partition {partition}: {topic} has partitions 0 to {}",
                partitions - 1
            )));
        }
        let idempotent = if options.acks == Acks::All { producer_id(&mut client).await? } else { None };
        Ok(Self {
            client,
            topic: topic.to_owned(),
            options,
            partitions,
            sticky: 0,
            idempotent,
            sequences: BTreeMap::new(),
            open: BTreeMap::new(),
            oldest: None,
            written: BTreeMap::new(),
            records: 0,
        })
    }

    /// When the oldest record that was not sent yet was added.
    pub fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// How many records have been added.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The partitions written to, with their first and last offset; −1 when the broker does not tell.
    pub fn written(&self) -> impl Iterator<Item = (i32, i64, i64)> + '_ {
        self.written.iter().map(|(partition, (first, last))| (*partition, *first, *last))
    }

    /// Adds a record, and sends what is full.
    pub async fn add(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), CliError> {
        let partition = match (self.options.partition, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, self.partitions),
            (None, None) => self.sticky,
        };
        let open = self.open.get(&partition);
        if open.is_some_and(|open| open.uncompressed_size_with(key, value) > self.options.batch_bytes) {
            self.flush().await?;
        }
        let headers: Vec<RecordHeader<'_>> = self
            .options
            .headers
            .iter()
            .map(|(key, value)| RecordHeader { key: key.as_bytes(), value: Some(value.as_bytes()) })
            .collect();
        let codec = self.options.codec;
        self.open.entry(partition).or_insert_with(|| BatchBuilder::new(codec)).append(
            time::now(),
            key,
            value,
            &headers,
        );
        self.oldest.get_or_insert_with(Instant::now);
        self.records += 1;
        Ok(())
    }

    /// Sends everything and waits until it is acknowledged.
    pub async fn flush(&mut self) -> Result<(), CliError> {
        self.oldest = None;
        self.sticky = (self.sticky + 1).checked_rem(self.partitions).unwrap_or(0);
        let mut pending = BTreeMap::new();
        for (partition, builder) in std::mem::take(&mut self.open) {
            pending.insert(partition, self.seal(partition, builder)?);
        }
        let started = Instant::now();
        while !pending.is_empty() {
            let Some(last) = self.send(&mut pending).await? else { continue };
            if started.elapsed() + PAUSE > self.client.deadline() {
                return Err(
                    ClientError::Deadline { after: self.client.deadline(), last: last.to_string() }.into()
                );
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    fn seal(&mut self, partition: i32, mut builder: BatchBuilder) -> Result<(Bytes, i32), CliError> {
        let count = builder.count();
        if let Some((id, epoch)) = self.idempotent {
            let sequence = self.sequences.entry(partition).or_insert(Sequence(0));
            builder = builder.producer(id, epoch, *sequence);
            *sequence = sequence.plus(count);
        }
        let batch =
            builder.build().map_err(|error| CliError::Failed(format!("a batch cannot be built: {error}")))?;
        Ok((batch.to_bytes(), count))
    }

    /// Sends each batch to its leader once; those that arrived leave `pending`. Returns why others are to be tried again.
    async fn send(
        &mut self,
        pending: &mut BTreeMap<i32, (Bytes, i32)>,
    ) -> Result<Option<ClientError>, CliError> {
        let mut last = None;
        let keys: Vec<TopicPartition> =
            pending.keys().map(|partition| (self.topic.clone(), PartitionIndex(*partition))).collect();
        let led = by_leader(&mut self.client, &keys.iter().collect::<BTreeSet<_>>(), &mut last).await?;
        for (leader, keys) in led {
            let request = self.request(&keys, pending);
            if self.options.acks == Acks::None {
                self.client.send(&Route::Broker(leader), &VERSIONS, &request).await?;
                keys.iter().for_each(|key| drop(pending.remove(&key.1.0)));
                continue;
            }
            let answer = self.ask(leader, &request).await?;
            for partition in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
                last = self.settle(partition, pending)?.or(last);
            }
        }
        Ok(last)
    }

    async fn ask(
        &mut self,
        leader: BrokerId,
        request: &ProduceRequest,
    ) -> Result<ProduceResponse, ClientError> {
        self.client.call_within(&Route::Broker(leader), &VERSIONS, |_| request.clone(), |_| 0).await
    }

    fn request(&self, keys: &[&TopicPartition], pending: &BTreeMap<i32, (Bytes, i32)>) -> ProduceRequest {
        let data = |key: &&TopicPartition| {
            let (bytes, _) = pending.get(&key.1.0)?;
            Some(PartitionProduceData { index: key.1.0, records: Some(bytes.clone().into()) })
        };
        ProduceRequest {
            acks: match self.options.acks {
                Acks::None => 0,
                Acks::Leader => 1,
                Acks::All => -1,
            },
            timeout_ms: self.options.timeout_ms,
            topic_data: vec![TopicProduceData {
                name: (&self.topic).into(),
                partition_data: keys.iter().filter_map(data).collect(),
                ..TopicProduceData::default()
            }],
            transactional_id: None,
        }
    }

    /// Takes note of what became of one batch; an error that may pass is returned.
    fn settle(
        &mut self,
        answer: &PartitionProduceResponse,
        pending: &mut BTreeMap<i32, (Bytes, i32)>,
    ) -> Result<Option<ClientError>, CliError> {
        let code = ErrorCode::from_code(answer.error_code);
        if code.is_none() || code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
            if let Some((_, count)) = pending.remove(&answer.index)
                && answer.base_offset >= 0
            {
                let end = Offset(answer.base_offset).plus(i64::from(count)).plus(-1);
                self.written.entry(answer.index).or_insert((answer.base_offset, end.0)).1 = end.0;
            }
            return Ok(None);
        }
        let first = answer.record_errors.first().and_then(|error| error.batch_index_error_message.as_deref());
        let message = first.or(answer.error_message.as_deref()).map(str::to_owned);
        let error = ClientError::Refused { code, message };
        if !code.is_retriable() {
            return Err(error.into());
        }
        self.client.forget(&Route::Leader(self.topic.clone(), PartitionIndex(answer.index)));
        Ok(Some(error))
    }
}

/// How many partitions a topic has; the broker may create it.
async fn partitions(client: &mut Client, topic: &str) -> Result<i32, CliError> {
    let build = |_| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(topic.to_owned().into()),
            ..MetadataRequestTopic::default()
        }]),
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    };
    let started = Instant::now();
    loop {
        let answer = client.call_within(&Route::Any, &(4..=13), build, |_: &MetadataResponse| 0).await?;
        let found = answer.topics.first();
        let code = ErrorCode::from_code(found.map_or(0, |topic| topic.error_code));
        match found {
            Some(found) if code.is_none() && !found.partitions.is_empty() => {
                return Ok(i32::try_from(found.partitions.len()).unwrap_or(i32::MAX));
            }
            _ if code.is_error() && !code.is_retriable() => {
                return Err(ClientError::Refused { code, message: None }.into());
            }
            _ if started.elapsed() > CREATION_PATIENCE.min(client.deadline()) => {
                return Err(CliError::Failed(format!(
                    "there is no topic {topic}, and the broker does not create it; run: vltava topic create {topic}"
                )));
            }
            _ => sleep(PAUSE).await,
        }
    }
}

/// A producer id for idempotent batches, or nothing when the cluster gives out none.
async fn producer_id(client: &mut Client) -> Result<Option<(ProducerId, ProducerEpoch)>, CliError> {
    if !client.supports(ApiKey::InitProducerId).await? {
        return Ok(None);
    }
    let build = |_| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    let answer = client.call(&Route::Any, build, |answer: &InitProducerIdResponse| answer.error_code).await?;
    ClientError::check(answer.error_code, None)?;
    Ok(Some((ProducerId(answer.producer_id), ProducerEpoch(answer.producer_epoch))))
}
