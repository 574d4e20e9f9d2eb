//! Produce: appends batches to partitions.
//!
//! Every batch is placed at once, on the connection's own task and in the order of arrival. With one replica it is then
//! committed already, and the response is ready; otherwise the response waits for the watermarks.

use std::sync::Arc;
use std::time::Duration;

use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use vltava_core::record::{Batch, BatchHeader, Compression, sole_batch};
use vltava_core::replicated::{Origin, PlaceError, PlaceTerms, Placed, ReplicatedLog, committed};
use vltava_core::wire::Payload;
use vltava_protocol::messages::{ProduceRequest, ProduceResponse};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};
use vltava_protocol::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};

use super::dispatch::Answer;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::partitions::{Hosted, Lookup};

/// Batches may be compressed with zstd (KIP-110).
const ZSTD: Capability = Capability::since(7);
/// An error of a single record names it (KIP-467).
const RECORD_ERRORS: Capability = Capability::since(8);
/// Topics are named by their ids (KIP-516).
const TOPIC_IDS: Capability = Capability::since(13);
/// The response names the new leader when this broker is not (KIP-951).
const LEADER_HINTS: Capability = Capability::since(10);

pub(crate) fn handle(mut call: Call<ProduceRequest>) -> Answer<ProduceResponse> {
    let topics = std::mem::take(&mut call.request.topic_data);
    let unauthorized = transactional_refusal(&call, &topics);
    let mut produce =
        Produce { call, unauthorized, waiting: Vec::new(), failed: false, responses: Vec::new() };
    for topic in topics {
        let response = produce.topic(topic);
        produce.responses.push(response);
    }
    match (produce.call.request.acks, produce.waiting.is_empty()) {
        (0, _) if produce.failed => Answer::Close,
        (0, _) => Answer::Silence,
        (_, true) => Answer::Now(produce.respond()),
        (_, false) => Answer::Later(Box::pin(produce.settle())),
    }
}

/// Records of a transaction need the right to its id, whatever the request says of itself (CVE-2018-17196).
fn transactional_refusal(call: &Call<ProduceRequest>, topics: &[TopicProduceData]) -> Option<ErrorCode> {
    let payloads =
        topics.iter().flat_map(|topic| &topic.partition_data).filter_map(|data| data.records.as_ref());
    let transactional = payloads.flat_map(vltava_core::wire::Payload::parts).any(|part| {
        part.in_memory()
            .is_some_and(|bytes| BatchHeader::parse(bytes).is_ok_and(|header| header.is_transactional()))
    });
    if !transactional {
        return None;
    }
    let id = call.request.transactional_id.as_deref();
    let allowed = id.is_some_and(|id| call.allows(Operation::Write, Resource::TransactionalId(id)));
    (!allowed).then_some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
}

struct Produce {
    call: Call<ProduceRequest>,
    /// Why nothing of the request is appended.
    unauthorized: Option<ErrorCode>,
    /// Batches that are placed but not yet committed, with their places in the response.
    waiting: Vec<(usize, usize, Arc<Hosted>, Placed)>,
    failed: bool,
    responses: Vec<TopicProduceResponse>,
}

impl Produce {
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
        let (records, bytes) = (batch.header.records_count, batch.size());
        let terms = PlaceTerms { require_min_insync: acks == -1, ..PlaceTerms::by(Origin::Client) };
        let placed = match hosted.partition.place(batch, terms) {
            Ok(placed) => {
                hosted.meters.produced(records, bytes);
                placed
            }
            Err(PlaceError::Duplicate(placed)) => placed,
            Err(error) => {
                hosted.meters.produce_failed(error.code(), bytes);
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
