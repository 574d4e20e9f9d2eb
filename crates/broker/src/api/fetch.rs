//! Fetch: reads batches of partitions, at once or as soon as there are enough.
//!
//! Everything is read once. When that is not enough, the request waits for the watermarks of its partitions or its
//! deadline and reads again: there is no queue of waiting requests and no polling.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, TopicId, Uuid};
use vltava_core::log::LogData;
use vltava_core::replicated::{Isolation, ReadRecords, ReadTerms, ReplicatedLog, Watermarks};
use vltava_core::wire::{Payload, WireStr};
use vltava_protocol::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use vltava_protocol::messages::{FetchRequest, FetchResponse};
use vltava_replication::partition::EpochEnd;

use super::dispatch::Answer;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::fetch_session::{FetchContext, Opening, PartitionKey, Told, TopicKey, Wanted};
use crate::partitions::{Hosted, Lookup};

/// Topics are named by their ids (KIP-516).
const TOPIC_IDS: Capability = Capability::since(13);
/// The response names the new leader when this broker is not (KIP-951).
const LEADER_HINTS: Capability = Capability::since(12);
/// The response brings the addresses of leaders that it names.
const LEADER_ENDPOINTS: Capability = Capability::since(16);

pub(crate) fn handle(mut call: Call<FetchRequest>) -> Answer<FetchResponse> {
    let opening = opening(&mut call);
    let now = call.node.clock.now();
    let context = match call.node.fetch_sessions.begin(opening, now, || call.node.random_session()) {
        Ok(context) => context,
        Err(code) => {
            return Answer::Now(FetchResponse { error_code: code.code(), ..FetchResponse::default() });
        }
    };
    let fetch = Fetch::new(call, context);
    let gathered = fetch.gather();
    let wait = u64::try_from(fetch.call.request.max_wait_ms).unwrap_or(0);
    if wait > 0 && !gathered.enough(&fetch) {
        let deadline = now + Duration::from_millis(wait);
        return Answer::Later(Box::pin(fetch.wait(deadline)));
    }
    if gathered.needs_disk() {
        return Answer::Later(Box::pin(async move {
            let gathered = gathered.load().await;
            fetch.respond(gathered)
        }));
    }
    Answer::Now(fetch.respond(gathered))
}

/// Moves out of the request what belongs to its session.
fn opening(call: &mut Call<FetchRequest>) -> Opening {
    let uses_topic_ids = call.has(TOPIC_IDS);
    let key = |name: &WireStr, id: Uuid, partition: i32| PartitionKey {
        topic: if uses_topic_ids { TopicKey::Id(TopicId(id)) } else { TopicKey::Name(name.clone()) },
        partition: PartitionIndex(partition),
    };
    let request = &mut call.request;
    let mut wanted = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in std::mem::take(&mut request.topics) {
        for partition in &topic.partitions {
            let want = Wanted {
                offset: Offset(partition.fetch_offset),
                bytes_max: partition.partition_max_bytes,
                current_epoch: LeaderEpoch(partition.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
            };
            wanted.push((key(&topic.topic, topic.topic_id, partition.partition), want));
        }
    }
    let mut forgotten = Vec::new();
    for topic in std::mem::take(&mut request.forgotten_topics_data) {
        forgotten
            .extend(topic.partitions.iter().map(|partition| key(&topic.topic, topic.topic_id, *partition)));
    }
    Opening { id: request.session_id, epoch: request.session_epoch, uses_topic_ids, wanted, forgotten }
}

struct Fetch {
    call: Call<FetchRequest>,
    context: FetchContext,
    targets: Vec<Target>,
    isolation: Isolation,
}

/// A partition that is fetched: where it is, or why it cannot be read.
struct Target {
    key: PartitionKey,
    wanted: Wanted,
    found: Result<Arc<Hosted>, ErrorCode>,
    /// What the answer says of the leader when the partition is not led here.
    lookup: Option<Lookup>,
}

impl Fetch {
    fn new(call: Call<FetchRequest>, mut context: FetchContext) -> Fetch {
        let isolation =
            if call.request.isolation_level == 0 { Isolation::Uncommitted } else { Isolation::Committed };
        let mut resolver = Resolver { call: &call, last: None };
        let targets = std::mem::take(&mut context.wanted)
            .into_iter()
            .map(|(key, wanted)| {
                let lookup = resolver.resolve(&key.topic);
                let found = lookup.clone().and_then(|lookup| lookup.partition(key.partition));
                Target { key, wanted, found, lookup: lookup.ok() }
            })
            .collect();
        Fetch { call, context, targets, isolation }
    }

    /// Reads every partition once, as far as the request and the broker allow.
    fn gather(&self) -> Gathered {
        let request = &self.call.request;
        let mut left = request.max_bytes.min(self.call.node.limits.fetch_bytes_max).max(0) as usize;
        let mut gathered = Gathered { read: Vec::with_capacity(self.targets.len()), bytes: 0, failed: false };
        for target in &self.targets {
            let bytes = left.min(target.wanted.bytes_max.max(0) as usize);
            let read = self.read(target, bytes, gathered.bytes == 0);
            match &read {
                Ok(read) => {
                    let length = read.records.data.len();
                    gathered.bytes += length;
                    gathered.failed |= read.diverging.is_some();
                    left = left.saturating_sub(length);
                }
                Err(_) => gathered.failed = true,
            }
            gathered.read.push(read);
        }
        gathered
    }

    fn read(&self, target: &Target, bytes: usize, first: bool) -> Result<Read, ErrorCode> {
        let hosted = target.found.as_ref().map_err(|code| *code)?;
        if self.is_replica() {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let wanted = &target.wanted;
        if let Some(diverging) = diverging(hosted, wanted)? {
            let watermarks = hosted.partition.watermarks();
            let records = ReadRecords { data: LogData::empty(), watermarks, aborted: Vec::new() };
            return Ok(Read { records, diverging: Some(diverging) });
        }
        let terms = ReadTerms {
            isolation: self.isolation,
            bytes,
            whole_first_batch: first,
            current_epoch: wanted.current_epoch,
        };
        let records = hosted.partition.read(wanted.offset, terms).map_err(|error| {
            hosted.meters.fetch_failed();
            error.code()
        })?;
        Ok(Read { records, diverging: None })
    }

    /// Requests of replicas come from brokers; no broker follows a partition with one replica.
    fn is_replica(&self) -> bool {
        self.call.request.replica_id >= 0 || self.call.request.replica_state.replica_id >= 0
    }

    /// Waits until there is enough or the deadline is reached.
    async fn wait(self, deadline: Moment) -> FetchResponse {
        let mut late = false;
        let mut timer = self.call.node.clock.sleep_until(deadline);
        let metrics = self.call.node.metrics.clone();
        let _delayed = metrics.delayed_fetches.wait(self.targets.len());
        loop {
            // Subscribing before reading: what is appended in between is noticed.
            let mut watches: Vec<watch::Receiver<Watermarks>> = self
                .targets
                .iter()
                .filter_map(|target| target.found.as_ref().ok())
                .map(|hosted| hosted.partition.watch())
                .collect();
            let gathered = self.gather();
            let enough = gathered.enough(&self);
            if late || enough {
                metrics.expired_fetches.add(u64::from(!enough));
                return self.respond(gathered.load().await);
            }
            tokio::select! {
                () = any_changed(&mut watches) => {}
                () = &mut timer => late = true,
            }
        }
    }

    fn respond(self, gathered: Gathered) -> FetchResponse {
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        let mut last: Option<&TopicKey> = None;
        for (target, read) in self.targets.iter().zip(gathered.read) {
            let Some(partition) = self.partition(target, read) else { continue };
            if last != Some(&target.key.topic) {
                responses.push(topic_response(&target.key.topic));
                last = Some(&target.key.topic);
            }
            if let Some(topic) = responses.last_mut() {
                topic.partitions.push(partition);
            }
        }
        let node_endpoints = self.leader_endpoints(&responses);
        FetchResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE.code(),
            session_id: self.context.session_id(),
            responses,
            node_endpoints,
        }
    }

    /// The response of one partition; nothing when its session has no news of it.
    fn partition(&self, target: &Target, read: Result<Read, ErrorCode>) -> Option<PartitionData> {
        let mut response = PartitionData {
            partition_index: target.key.partition.0,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            preferred_read_replica: -1,
            aborted_transactions: None,
            records: Some(Payload::new()),
            ..PartitionData::default()
        };
        match read {
            Ok(read) => self.fill(&mut response, target, read),
            Err(code) => {
                response.error_code = code.code();
                // Kafka tells thus what is not there from what could not be read.
                response.aborted_transactions = target.found.is_err().then(Vec::new);
                self.hint(&mut response, target, code);
            }
        }
        let told = Told {
            high_watermark: Offset(response.high_watermark),
            log_start: Offset(response.log_start_offset),
        };
        let news = response.error_code != 0
            || response.records.as_ref().is_some_and(|records| !records.is_empty())
            || response.diverging_epoch.epoch >= 0;
        self.context.tell(&target.key, told, news).then_some(response)
    }

    fn fill(&self, response: &mut PartitionData, target: &Target, read: Read) {
        let ReadRecords { data, watermarks, aborted } = read.records;
        response.high_watermark = watermarks.high.0;
        response.last_stable_offset = watermarks.stable.0;
        response.log_start_offset = watermarks.start.0;
        if let Some(end) = read.diverging {
            response.diverging_epoch = EpochEndOffset { epoch: end.epoch.0, end_offset: end.end.0 };
        }
        if self.isolation == Isolation::Committed {
            let aborted = aborted
                .iter()
                .map(|one| AbortedTransaction { producer_id: one.producer.0, first_offset: one.first.0 });
            response.aborted_transactions = Some(aborted.collect());
        }
        let mut payload = Payload::new();
        match data {
            LogData::Bytes(slices) => slices.into_iter().for_each(|slice| payload.push(slice)),
            LogData::File(range) => payload.push_file(range),
            // `Gathered::load` has replaced these.
            LogData::Later(_) => {}
        }
        if let Ok(hosted) = &target.found {
            hosted.meters.fetched(payload.len());
        }
        response.records = Some(payload);
    }

    fn hint(&self, response: &mut PartitionData, target: &Target, code: ErrorCode) {
        let stale = [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH].contains(&code);
        if let (true, true, Some(lookup)) = (stale, self.call.has(LEADER_HINTS), &target.lookup) {
            let (leader, epoch) = lookup.leader(target.key.partition);
            response.current_leader = LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 };
        }
    }

    fn leader_endpoints(&self, responses: &[FetchableTopicResponse]) -> Vec<NodeEndpoint> {
        if !self.call.has(LEADER_ENDPOINTS) {
            return Vec::new();
        }
        let leaders = responses
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| partition.current_leader.leader_id)
            .filter(|leader| *leader >= 0);
        self.call
            .node
            .endpoints(leaders, &self.call.peer.listener)
            .into_iter()
            .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
            .collect()
    }
}

fn topic_response(key: &TopicKey) -> FetchableTopicResponse {
    match key {
        TopicKey::Id(id) => FetchableTopicResponse { topic_id: id.0, ..FetchableTopicResponse::default() },
        TopicKey::Name(name) => {
            FetchableTopicResponse { topic: name.clone(), ..FetchableTopicResponse::default() }
        }
    }
}

/// Where the reader's log parts from this one: the epoch it fetched last ended here before its offset (KIP-595).
fn diverging(hosted: &Hosted, wanted: &Wanted) -> Result<Option<EpochEnd>, ErrorCode> {
    if wanted.last_fetched_epoch < LeaderEpoch(0) {
        return Ok(None);
    }
    let end = hosted.partition.epoch_end(wanted.last_fetched_epoch, wanted.current_epoch);
    let end = end.map_err(|error| error.code())?.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
    if wanted.offset < hosted.partition.watermarks().start {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok((end.epoch < wanted.last_fetched_epoch || end.end < wanted.offset).then_some(end))
}

/// Finds topics; remembers the last one, since partitions of a topic follow each other.
struct Resolver<'a> {
    call: &'a Call<FetchRequest>,
    last: Option<(TopicKey, Result<Lookup, ErrorCode>)>,
}

impl Resolver<'_> {
    fn resolve(&mut self, key: &TopicKey) -> Result<Lookup, ErrorCode> {
        if let Some((last, lookup)) = &self.last
            && last == key
        {
            return lookup.clone();
        }
        let lookup = self.authorized(key);
        self.last = Some((key.clone(), lookup.clone()));
        lookup
    }

    fn authorized(&self, key: &TopicKey) -> Result<Lookup, ErrorCode> {
        match key {
            TopicKey::Id(id) => {
                let lookup = self.call.node.lookup_id(*id)?;
                self.call.authorize(Operation::Read, Resource::Topic(lookup.name()))?;
                Ok(lookup)
            }
            TopicKey::Name(name) => {
                self.call.authorize(Operation::Read, Resource::Topic(name))?;
                self.call.node.lookup_name(name)
            }
        }
    }
}

struct Read {
    records: ReadRecords,
    diverging: Option<EpochEnd>,
}

struct Gathered {
    read: Vec<Result<Read, ErrorCode>>,
    bytes: usize,
    /// Something has to be told at once.
    failed: bool,
}

impl Gathered {
    fn enough(&self, fetch: &Fetch) -> bool {
        let request = &fetch.call.request;
        let least = request.min_bytes.min(request.max_bytes).max(0) as usize;
        self.failed || self.bytes >= least || fetch.targets.is_empty()
    }

    fn needs_disk(&self) -> bool {
        self.read.iter().flatten().any(|read| matches!(read.records.data, LogData::Later(_)))
    }

    /// Reads what has to be read from disk, on threads that may block.
    async fn load(mut self) -> Gathered {
        for read in &mut self.read {
            let Ok(Read { records, .. }) = read else { continue };
            if !matches!(records.data, LogData::Later(_)) {
                continue;
            }
            let LogData::Later(later) = std::mem::replace(&mut records.data, LogData::empty()) else {
                continue;
            };
            match spawn_blocking(later.read).await {
                Ok(Ok(data)) => records.data = data,
                Ok(Err(error)) => *read = Err(error.code()),
                Err(_) => *read = Err(ErrorCode::KAFKA_STORAGE_ERROR),
            }
        }
        self
    }
}

async fn any_changed(watches: &mut [watch::Receiver<Watermarks>]) {
    match watches {
        [] => std::future::pending().await,
        [one] => {
            let _closed = one.changed().await;
        }
        many => {
            let _first = select_all(many.iter_mut().map(|watch| Box::pin(watch.changed()))).await;
        }
    }
}
