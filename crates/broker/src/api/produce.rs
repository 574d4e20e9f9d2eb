//! Produce: appends batches to partitions.
//!
//! Every batch is placed at once, on the connection's own task and in the order of arrival. With one replica it is then
//! committed already, and the response is ready; otherwise the response waits for the watermarks.
//!
//! Only a batch that opens a transaction in its partition has to wait before: for the transaction's coordinator (KIP-890).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use vltava_core::record::{Batch, BatchHeader, Compression, sole_batch};
use vltava_core::replicated::{
    Origin, PlaceError, PlaceTerms, Placed, ReplicatedLog, Verification, committed,
};
use vltava_core::wire::Payload;
use vltava_protocol::messages::{ProduceRequest, ProduceResponse};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};
use vltava_protocol::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use vltava_replication::partition::Opening;

use super::dispatch::Answer;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::metrics::requests::microseconds;
use crate::partitions::{Hosted, Lookup};
use crate::schema_validation;
use crate::transactions::verification::{self, Ask, Question};

/// Batches may be compressed with zstd (KIP-110).
const ZSTD: Capability = Capability::since(7);
/// An error of a single record names it (KIP-467).
const RECORD_ERRORS: Capability = Capability::since(8);
/// Topics are named by their ids (KIP-516).
const TOPIC_IDS: Capability = Capability::since(13);
/// The client knows TRANSACTION_ABORTABLE (KIP-890).
const ABORTABLE: Capability = Capability::since(11);
/// The client leaves it to the broker to add partitions to its transaction (KIP-890).
const IMPLICIT_ADD: Capability = Capability::since(12);
/// The response names the new leader when this broker is not (KIP-951).
const LEADER_HINTS: Capability = Capability::since(10);

pub(crate) fn handle(mut call: Call<ProduceRequest>) -> Answer<ProduceResponse> {
    let topics = std::mem::take(&mut call.request.topic_data);
    let headers = transactional_headers(&topics);
    let unauthorized = transactional_refusal(&call, &headers);
    let verdicts = Verdicts::default();
    let mut produce = Produce {
        call,
        unauthorized,
        verdicts,
        without_schema: schema_validation::Refusals::new(),
        waiting: Vec::new(),
        failed: false,
        responses: Vec::new(),
    };
    let schemas = produce.schema_questions(&topics);
    let transactions = !headers.is_empty() && unauthorized.is_none() && produce.question(&topics).is_some();
    if !transactions && schemas.is_empty() {
        return produce.place(topics);
    }
    Answer::Ordered(Box::pin(async move {
        if !schemas.is_empty() {
            produce.without_schema = schema_validation::check(&produce.call.node, schemas).await;
        }
        if transactions {
            produce.verify(&topics).await;
        }
        produce.place(topics)
    }))
}

/// The headers of the batches that belong to transactions.
fn transactional_headers(topics: &[TopicProduceData]) -> Vec<BatchHeader> {
    let data = topics.iter().flat_map(|topic| &topic.partition_data);
    data.filter_map(transactional_header).collect()
}

fn transactional_header(data: &PartitionProduceData) -> Option<BatchHeader> {
    let mut parts = data.records.iter().flat_map(Payload::parts);
    let header = BatchHeader::parse(parts.next()?.in_memory()?).ok()?;
    header.is_transactional().then_some(header)
}

/// Records of a transaction need the right to its id, whatever the request says of itself (CVE-2018-17196), and all come
/// from one producer.
fn transactional_refusal(call: &Call<ProduceRequest>, headers: &[BatchHeader]) -> Option<ErrorCode> {
    let first = headers.first()?;
    let id = call.request.transactional_id.as_deref();
    if !id.is_some_and(|id| call.allows(Operation::Write, Resource::TransactionalId(id))) {
        return Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    let identity = |header: &BatchHeader| (header.producer_id, header.producer_epoch);
    let other = headers.iter().any(|header| identity(header) != identity(first));
    other.then_some(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
}

/// What the batches of partitions have to show, or why they are refused.
type Verdicts = HashMap<TopicPartition, Result<Verification, ErrorCode>>;

struct Produce {
    call: Call<ProduceRequest>,
    /// Why nothing of the request is appended.
    unauthorized: Option<ErrorCode>,
    /// Of batches that belong to transactions.
    verdicts: Verdicts,
    /// Batches with records that lack the schemas that their topic asks for.
    without_schema: schema_validation::Refusals,
    /// Batches that are placed but not yet committed, with their places in the response.
    waiting: Vec<(usize, usize, Arc<Hosted>, Placed)>,
    failed: bool,
    responses: Vec<TopicProduceResponse>,
}

impl Produce {
    fn place(mut self, topics: Vec<TopicProduceData>) -> Answer<ProduceResponse> {
        for topic in topics {
            let response = self.topic(topic);
            self.responses.push(response);
        }
        match (self.call.request.acks, self.waiting.is_empty()) {
            (0, _) if self.failed => Answer::Close,
            (0, _) => Answer::Silence,
            (_, true) => Answer::Now(self.respond()),
            (_, false) => Answer::Later(Box::pin(self.settle())),
        }
    }

    /// The batches whose topics ask for schemas.
    fn schema_questions(&self, topics: &[TopicProduceData]) -> Vec<schema_validation::Question> {
        let mut questions = Vec::new();
        if !self.call.node.registry.is_asked() {
            return questions;
        }
        for topic in topics {
            let Ok(lookup) = self.authorized(topic) else { continue };
            for data in &topic.partition_data {
                let Ok(hosted) = lookup.partition(PartitionIndex(data.index)) else { continue };
                let Some(validation) = hosted.schemas.get() else { continue };
                let batch = data.records.clone().and_then(|payload| payload.into_bytes().ok());
                let Some(batch) = batch else { continue };
                let partition = hosted.partition.id().clone();
                questions.push(schema_validation::Question { partition, validation, batch });
            }
        }
        questions
    }

    /// What the transaction's coordinator has to be asked; `None` when every transaction is open already, or will be refused
    /// anyway. Notes what the batches have to show.
    fn question(&mut self, topics: &[TopicProduceData]) -> Option<Question> {
        self.verdicts.clear();
        let mut question: Option<Question> = None;
        for topic in topics {
            let Ok(lookup) = self.authorized(topic) else { continue };
            for data in &topic.partition_data {
                let Some(header) = transactional_header(data) else { continue };
                let Ok(hosted) = lookup.partition(PartitionIndex(data.index)) else { continue };
                let verification = self.verification(&hosted, &header);
                let partition = hosted.partition.id().clone();
                if matches!(verification, Ok(Verification::Guard(_))) {
                    let question = question.get_or_insert_with(|| self.no_question(&header));
                    question.partitions.push(partition.clone());
                }
                self.verdicts.insert(partition, verification);
            }
        }
        question
    }

    fn verification(&self, hosted: &Hosted, header: &BatchHeader) -> Result<Verification, ErrorCode> {
        let own_epoch = self.call.has(IMPLICIT_ADD);
        if !own_epoch && !hosted.partition.settings().verify_transactions {
            return Ok(Verification::Waived);
        }
        let (producer, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        let opening = Opening { producer, epoch, sequence, own_epoch };
        hosted.partition.verify(&opening).map_err(|error| error.code())
    }

    fn no_question(&self, header: &BatchHeader) -> Question {
        let knows_abortable = self.call.has(ABORTABLE);
        Question {
            id: self.call.request.transactional_id.as_deref().unwrap_or_default().into(),
            producer: header.producer_id,
            epoch: header.producer_epoch,
            partitions: Vec::new(),
            ask: if self.call.has(IMPLICIT_ADD) { Ask::Add } else { Ask::Verify { knows_abortable } },
        }
    }

    /// Asks the coordinator, unless requests before this one have opened the transaction meanwhile.
    async fn verify(&mut self, topics: &[TopicProduceData]) {
        let Some(question) = self.question(topics) else { return };
        for (partition, code) in verification::ask(&self.call.node, &question).await {
            self.verdicts.insert(partition, Err(code));
        }
    }

    fn topic(&mut self, topic: TopicProduceData) -> TopicProduceResponse {
        let lookup = self.authorized(&topic);
        let mut responses = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let outcome = match &lookup {
                Ok(lookup) => self.partition(lookup, data, responses.len()),
                Err(code) => Err(Refused::plain(*code)),
            };
            let response = outcome.unwrap_or_else(|refused| self.refusal(&lookup, index, refused));
            responses.push(PartitionProduceResponse { index, ..response });
        }
        TopicProduceResponse { name: topic.name, topic_id: topic.topic_id, partition_responses: responses }
    }

    fn authorized(&self, topic: &TopicProduceData) -> Result<Lookup, ErrorCode> {
        let lookup = if !self.call.has(TOPIC_IDS) {
            self.call.authorize(Operation::Write, Resource::Topic(&topic.name))?;
            self.call.node.lookup_name(&topic.name)?
        } else {
            let lookup = self.call.node.lookup_id(TopicId(topic.topic_id))?;
            self.call.authorize(Operation::Write, Resource::Topic(lookup.name()))?;
            lookup
        };
        if lookup.is_internal() { Err(ErrorCode::INVALID_TOPIC_EXCEPTION) } else { Ok(lookup) }
    }

    fn partition(
        &mut self,
        lookup: &Lookup,
        data: PartitionProduceData,
        place: usize,
    ) -> Result<PartitionProduceResponse, Refused> {
        if let Some(code) = self.unauthorized {
            return Err(Refused::plain(code));
        }
        let acks = self.call.request.acks;
        if !(-1..=1).contains(&acks) {
            return Err(Refused::plain(ErrorCode::INVALID_REQUIRED_ACKS));
        }
        let hosted = lookup.partition(PartitionIndex(data.index)).map_err(Refused::plain)?;
        let batch = self
            .only_batch(data.records)
            .inspect_err(|refused| hosted.meters.produce_failed(refused.code, 0))?;
        let (records, bytes, control) = (batch.header.records_count, batch.size(), batch.header.is_control());
        if let Some(wrong) = self.without_schema.get(hosted.partition.id()).cloned() {
            hosted.meters.produce_failed(ErrorCode::INVALID_RECORD, bytes);
            let message = wrong.first().map(|(_, why)| why.clone()).unwrap_or_default();
            return Err(Refused { records: wrong, ..Refused::new(ErrorCode::INVALID_RECORD, message) });
        }
        let verification = match self.verdicts.get(hosted.partition.id()) {
            None => Verification::None,
            Some(Ok(verification)) => *verification,
            Some(Err(code)) => {
                hosted.meters.produce_failed(*code, bytes);
                return Err(self.unverified(*code));
            }
        };
        let require_min_insync = acks == -1;
        let terms = PlaceTerms { require_min_insync, verification, ..PlaceTerms::by(Origin::Client) };
        let placed = match hosted.partition.place(batch, terms) {
            Ok(placed) => {
                hosted.meters.produced(records, bytes);
                if let Some(took) = placed.converted {
                    hosted.meters.converted.add(u64::try_from(records).unwrap_or(0));
                    self.call.node.metrics.conversions_us.record(microseconds(took));
                }
                placed
            }
            Err(PlaceError::Duplicate(placed)) => placed,
            Err(error) => {
                hosted.meters.produce_failed(error.code(), bytes);
                if let PlaceError::Refused { code: ErrorCode::INVALID_RECORD, records, .. } = &error
                    && !control
                {
                    hosted.meters.invalid(records.len());
                }
                let log_start = hosted.partition.watermarks().start;
                return Err(Refused { log_start: shows_start(&error).then_some(log_start), ..error.into() });
            }
        };
        let response = PartitionProduceResponse {
            base_offset: placed.base.0,
            log_append_time_ms: placed.append_time.0,
            log_start_offset: placed.log_start.0,
            ..PartitionProduceResponse::default()
        };
        self.await_commit(&hosted, placed, place).map(|()| response)
    }

    /// A refusal by the coordinator, in a code that the client tries again after when that helps: older ones do not know
    /// those of coordinators here.
    fn unverified(&self, code: ErrorCode) -> Refused {
        let try_again = || {
            let name = code.name();
            let message = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {name}"
            );
            Refused::new(ErrorCode::NOT_ENOUGH_REPLICAS, message)
        };
        match code {
            ErrorCode::INVALID_TXN_STATE => Refused::new(code, "Partition was not added to the transaction"),
            ErrorCode::NETWORK_EXCEPTION
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR => try_again(),
            ErrorCode::CONCURRENT_TRANSACTIONS if !self.call.has(IMPLICIT_ADD) => try_again(),
            code => Refused::plain(code),
        }
    }

    /// Notes that a batch is not committed yet, when the producer wants to know that it is.
    fn await_commit(&mut self, hosted: &Arc<Hosted>, placed: Placed, place: usize) -> Result<(), Refused> {
        let acks = self.call.request.acks;
        if acks == 0 || (acks == 1 && !placed.sync) {
            return Ok(());
        }
        match hosted.partition.watermarks().verdict(placed) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Refused::plain(error.code())),
            None => {
                self.waiting.push((self.responses.len(), place, hosted.clone(), placed));
                Ok(())
            }
        }
    }

    fn only_batch(&self, records: Option<Payload>) -> Result<Batch, Refused> {
        let region = records.and_then(|payload| payload.into_bytes().ok()).unwrap_or_default();
        let batch =
            sole_batch(region).map_err(|refusal| Refused::new(refusal.code(), refusal.to_string()))?;
        if batch.header.compression() == Ok(Compression::Zstd) && !self.call.has(ZSTD) {
            return Err(Refused::new(
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
                "Produce requests below version 7 may not use zstd; upgrade the client or use another codec.",
            ));
        }
        Ok(batch)
    }

    fn refusal(
        &mut self,
        lookup: &Result<Lookup, ErrorCode>,
        index: i32,
        refused: Refused,
    ) -> PartitionProduceResponse {
        self.failed = true;
        let mut response = PartitionProduceResponse {
            error_code: refused.code.code(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: refused.log_start.unwrap_or(Offset::NONE).0,
            ..PartitionProduceResponse::default()
        };
        if self.call.has(RECORD_ERRORS) {
            response.error_message = refused.message.map(Into::into);
            response.record_errors = refused.records.into_iter().map(record_error).collect();
        }
        if let (ErrorCode::NOT_LEADER_OR_FOLLOWER, Ok(lookup), true) =
            (refused.code, lookup, self.call.has(LEADER_HINTS))
        {
            let (leader_id, LeaderEpoch(leader_epoch)) = lookup.leader(PartitionIndex(index));
            response.current_leader = LeaderIdAndEpoch { leader_id: leader_id.0, leader_epoch };
        }
        response
    }

    /// Waits for the commits, until the time that the producer allows is over.
    async fn settle(mut self) -> ProduceResponse {
        let patience = Duration::from_millis(u64::try_from(self.call.request.timeout_ms).unwrap_or(0));
        let clock = self.call.node.clock.clone();
        let deadline = clock.now() + patience;
        let metrics = self.call.node.metrics.clone();
        let _delayed = metrics.delayed_produces.wait(self.waiting.len());
        for (topic, place, hosted, placed) in std::mem::take(&mut self.waiting) {
            let code = tokio::select! {
                biased;
                committed = committed(hosted.partition.watch(), placed) => match committed {
                    Ok(()) => continue,
                    Err(error) => error.code(),
                },
                () = clock.sleep_until(deadline) => ErrorCode::REQUEST_TIMED_OUT,
            };
            let response =
                self.responses.get_mut(topic).and_then(|topic| topic.partition_responses.get_mut(place));
            if let Some(response) = response {
                response.error_code = code.code();
                response.base_offset = -1;
            }
        }
        self.respond()
    }

    fn respond(self) -> ProduceResponse {
        let hinted = |response: &PartitionProduceResponse| response.current_leader.leader_id >= 0;
        let leaders = self
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .filter(|response| hinted(response));
        let node_endpoints = self
            .call
            .node
            .endpoints(leaders.map(|response| response.current_leader.leader_id), &self.call.peer.listener)
            .into_iter()
            .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
            .collect();
        ProduceResponse { responses: self.responses, throttle_time_ms: 0, node_endpoints }
    }
}

fn record_error((index, message): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index: index, batch_index_error_message: Some(message.into()) }
}

/// Why a partition's records were not appended.
struct Refused {
    code: ErrorCode,
    message: Option<String>,
    records: Vec<(i32, String)>,
    /// Where the log starts, when the batch came as far as the log.
    log_start: Option<Offset>,
}

/// Whether a refusal tells where the log starts: not when the batch never came to it, or is no batch.
fn shows_start(error: &PlaceError) -> bool {
    match error {
        PlaceError::NotLeader(_) | PlaceError::Log(_) => false,
        error => ![
            ErrorCode::CORRUPT_MESSAGE,
            ErrorCode::MESSAGE_TOO_LARGE,
            ErrorCode::RECORD_LIST_TOO_LARGE,
            ErrorCode::KAFKA_STORAGE_ERROR,
        ]
        .contains(&error.code()),
    }
}

impl Refused {
    fn plain(code: ErrorCode) -> Refused {
        Refused { code, message: None, records: Vec::new(), log_start: None }
    }

    fn new(code: ErrorCode, message: impl Into<String>) -> Refused {
        Refused { code, message: Some(message.into()), records: Vec::new(), log_start: None }
    }
}

impl From<PlaceError> for Refused {
    fn from(error: PlaceError) -> Refused {
        let (code, message) = (error.code(), error.to_string());
        match error {
            PlaceError::Refused { records, .. } => Refused { records, ..Refused::new(code, message) },
            PlaceError::NotLeader(_) => Refused::plain(code),
            _ => Refused::new(code, message),
        }
    }
}
