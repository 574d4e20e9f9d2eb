//! Writes the page of metrics: what was counted, and what can be seen of the node right now.

use std::collections::HashSet;
use std::fmt::Display;
use std::iter;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use vltava_coordinator::group::command::ListGroups;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_core::clock::Moment;
use vltava_core::id::DirectoryId;
use vltava_core::image::{Image, Partition as Replicas};
use vltava_core::log::{Directory, LogId};
use vltava_core::meter::{Meter, Tally};
use vltava_replication::runtime::{Phase, ShardHandle};

use super::connect;
use super::coordinators::StepMeters;
use super::exposition::Exposition;
use super::families::*;
use super::histogram::{Distribution, Histogram};
use super::process::Process;
use super::requests::ApiMeters;
use super::{Idleness, TopicMeters};
use crate::net::connection::MEMORY_UNIT;
use crate::net::connections::ListenerMeters;
use crate::node::Node;
use crate::partitions::{Hosted, Lookup, Slot, View};

/// How long the page waits for the group coordinators; without their answer it has no series of groups.
const GROUPS_TIMEOUT: Duration = Duration::from_secs(1);

/// The bounds of the native histogram of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

type OfRequests = fn(&ApiMeters) -> &Histogram;
type OfTopic = fn(&TopicMeters) -> u64;
type OfListener = fn(&ListenerMeters) -> &Meter;
type OfPartition = fn(&Hosted, &Replicas) -> i64;
type OfDirectory = fn(&Directory) -> Option<u64>;

/// What to leave out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whether there are series for each partition.
    pub(crate) partitions: bool,
    /// Whether the node is shutting down.
    pub(crate) stopping: bool,
}

/// The whole page.
pub(crate) async fn page(node: &Node, options: Options) -> String {
    let mut page = Exposition::default();
    topics(node, &mut page);
    requests(node, &mut page);
    connections(node, &mut page);
    queues(node, &mut page);
    let directories: Vec<Directory> = node.stores.all().flat_map(|store| store.directories()).collect();
    replicas(node, &directories, &mut page);
    if options.partitions {
        partitions(node, &mut page);
    }
    log_directories(node, &directories, &mut page);
    compaction(node, &directories, &mut page);
    controller(node, &mut page);
    raft(node, &mut page);
    coordinators(node, &mut page);
    groups(node, &mut page).await;
    registry(node, &mut page).await;
    if let Ok(worker) = node.connect.worker() {
        connect::worker(worker, options.partitions, &mut page);
    }
    let process = spawn_blocking(Process::now).await.unwrap_or_default();
    server(node, options, &process, &mut page);
    page.into_text()
}

async fn registry(node: &Node, page: &mut Exposition) {
    let meters = &node.registry.meters;
    let mut samples = page.family(&REGISTRY_REQUESTS);
    for (index, count) in meters.requests.iter().enumerate() {
        samples.add(&[&format!("{}xx", index + 1)], count.load(Ordering::Relaxed));
    }
    for (family, count) in [
        (&REGISTRY_REGISTERED, &meters.registered),
        (&REGISTRY_INCOMPATIBLE, &meters.incompatible),
        (&REGISTRY_REPLANNED, &meters.replanned),
    ] {
        page.single(family, count.load(Ordering::Relaxed));
    }
    let state = tokio::time::timeout(GROUPS_TIMEOUT, node.registry.state(node)).await;
    let Ok(Ok(state)) = state else { return };
    let size = state.size();
    page.single(&REGISTRY_SUBJECTS, size.subjects);
    let mut samples = page.family(&REGISTRY_VERSIONS);
    samples.add(&["live"], size.versions);
    samples.add(&["deleted"], size.deleted);
    page.single(&REGISTRY_IDS, size.ids);
}

fn topics(node: &Node, page: &mut Exposition) {
    let (topics, all) = node.metrics.topics();
    let rows: [(&'static Family, OfTopic); 9] = [
        (&MESSAGES_IN, |meters| meters.messages_in.get()),
        (&BYTES_IN, |meters| meters.bytes_in.get()),
        (&BYTES_OUT, |meters| meters.bytes_out.get()),
        (&BYTES_REJECTED, |meters| meters.bytes_rejected.get()),
        (&PRODUCE_REQUESTS, |meters| meters.produce_requests.get()),
        (&FETCH_REQUESTS, |meters| meters.fetch_requests.get()),
        (&FAILED_PRODUCE_REQUESTS, |meters| meters.failed_produce_requests.get()),
        (&FAILED_FETCH_REQUESTS, |meters| meters.failed_fetch_requests.get()),
        (&PRODUCE_CONVERSIONS, |meters| meters.converted.get()),
    ];
    for (family, value) in rows {
        let mut samples = page.family(family);
        samples.add(&[], value(&all));
        for (name, meters) in &topics {
            samples.add(&[name], value(meters));
        }
    }
    page.single(&INVALID_CRC, all.corrupt.get());
    page.single(&INVALID_OFFSETS, all.misnumbered.get());
    page.single(&NO_KEY, all.keyless.get());
}

fn requests(node: &Node, page: &mut Exposition) {
    let used: Vec<_> = node.metrics.requests.used().collect();
    let mut samples = page.family(&REQUESTS);
    for (api, meters) in &used {
        for (version, count) in meters.versions() {
            for name in names(api.name) {
                samples.add(&[name, &version.to_string()], count);
            }
        }
    }
    let mut samples = page.family(&ERRORS);
    for (api, meters) in &used {
        for (code, count) in meters.errors() {
            names(api.name).for_each(|name| samples.add(&[name, code.name()], count));
        }
    }
    let now = node.clock.now();
    let times: Vec<(&'static str, Distribution)> =
        used.iter().map(|(api, meters)| (api.name, meters.total_time_us.distribution(now))).collect();
    let mut samples = page.family(&TOTAL_TIME_MS);
    for (api, seen) in &times {
        names(api).for_each(|name| samples.summary(&[name], seen, 1e-3));
    }
    let parts: [(&'static Family, OfRequests); 5] = [
        (&REQUEST_QUEUE_TIME_MS, |meters| &meters.queue_time_us),
        (&LOCAL_TIME_MS, |meters| &meters.local_time_us),
        (&REMOTE_TIME_MS, |meters| &meters.remote_time_us),
        (&RESPONSE_QUEUE_TIME_MS, |meters| &meters.reply_queue_time_us),
        (&RESPONSE_SEND_TIME_MS, |meters| &meters.send_time_us),
    ];
    for (family, part) in parts {
        let mut samples = page.family(family);
        for ((api, meters), (_, total)) in used.iter().zip(&times) {
            let seen = part(meters).distribution(now).among(total);
            names(api.name).for_each(|name| samples.summary(&[name], &seen, 1e-3));
        }
    }
    let conversions = node.metrics.conversions_us.distribution(now);
    page.family(&CONVERSIONS_TIME_MS).summary(&["Produce"], &conversions, 1e-3);
    let mut samples = page.family(&TOTAL_TIME_SECONDS);
    times.iter().for_each(|(api, seen)| samples.histogram(&[api], seen, 1e-6, &SECONDS));
    let mut samples = page.family(&REQUEST_BYTES);
    for (api, meters) in &used {
        let seen = meters.bytes.distribution(now);
        names(api.name).for_each(|name| samples.summary(&[name], &seen, 1.0));
    }
}

/// Under which names Kafka counts an API. No broker fetches from a single node, so all that fetch are consumers.
fn names(api: &'static str) -> impl Iterator<Item = &'static str> {
    iter::once(api).chain((api == "Fetch").then_some("FetchConsumer"))
}

fn connections(node: &Node, page: &mut Exposition) {
    let listeners = node.connections.by_listener();
    let mut samples = page.family(&CONNECTION_COUNT);
    listeners.iter().for_each(|(listener, open, _)| samples.add(&[listener, "0"], open));
    let rows: [(&'static Family, &'static Family, OfListener); 6] = [
        (&CONNECTION_CREATION, &SOCKET_CREATION_RATE, |meters| &meters.accepted),
        (&CONNECTION_CLOSE, &SOCKET_CLOSE_RATE, |meters| &meters.closed),
        (&SOCKET_REQUEST, &SOCKET_REQUEST_RATE, |meters| &meters.requests),
        (&SOCKET_RESPONSE, &SOCKET_RESPONSE_RATE, |meters| &meters.replies),
        (&SOCKET_INCOMING, &SOCKET_INCOMING_RATE, |meters| &meters.bytes_in),
        (&SOCKET_OUTGOING, &SOCKET_OUTGOING_RATE, |meters| &meters.bytes_out),
    ];
    let now = node.clock.now();
    for (total, rate, meter) in rows {
        let mut samples = page.family(total);
        listeners.iter().for_each(|(listener, _, meters)| samples.add(&[listener, "0"], meter(meters).get()));
        let mut samples = page.family(rate);
        for (listener, _, meters) in &listeners {
            samples.add(&[listener, "0"], meter(meters).per_second(now));
        }
    }
    let mut samples = page.family(&ACCEPTOR_BLOCKED);
    for (listener, _, meters) in &listeners {
        samples.add(&[listener], meters.blocked_us.per_second(now) / 1e6);
    }
    let idle = idle(&node.metrics.idleness, &Handle::current(), now);
    page.single(&NETWORK_IDLE, idle);
    page.single(&HANDLERS_IDLE, idle);
    page.family(&PROCESSOR_IDLE).add(&["0"], idle);
    page.single(&IDLE_CLOSED, node.connections.idle_closed());
    let sessions = node.fetch_sessions.usage();
    page.single(&FETCH_SESSIONS, sessions.sessions);
    page.single(&FETCH_SESSION_PARTITIONS, sessions.partitions);
    page.single(&FETCH_SESSION_EVICTIONS, sessions.evictions);
}

/// The idle part of the time of a runtime's threads since the last look.
fn idle(idleness: &Idleness, runtime: &Handle, now: Moment) -> f64 {
    let threads = runtime.metrics();
    let busy = (0..threads.num_workers()).map(|worker| threads.worker_total_busy_duration(worker)).sum();
    idleness.since_last_look(now, threads.num_workers(), busy)
}

/// What waits: requests and replies on their connections, and requests for something else to happen.
fn queues(node: &Node, page: &mut Exposition) {
    let metrics = &node.metrics;
    page.single(&REQUEST_QUEUE, metrics.queued_requests.get());
    page.single(&RESPONSE_QUEUE, metrics.queued_replies.get());
    let left = node.request_memory.available_permits() * MEMORY_UNIT;
    page.single(&REQUEST_MEMORY_USED, node.limits.request_memory_bytes.saturating_sub(left));
    page.single(&REQUEST_MEMORY_LEFT, left);
    let delayed = [("Fetch", &metrics.delayed_fetches), ("Produce", &metrics.delayed_produces)];
    let mut samples = page.family(&DELAYED_OPERATIONS);
    delayed.iter().for_each(|(name, delayed)| samples.add(&[name], delayed.requests()));
    let mut samples = page.family(&PURGATORY);
    delayed.iter().for_each(|(name, delayed)| samples.add(&[name], delayed.partitions()));
    page.family(&DELAYED_FETCH_EXPIRES).add(&["consumer"], metrics.expired_fetches.get());
}

/// The partitions that this node leads, with their replicas.
fn led<'a>(node: &'a Node, view: &'a View) -> impl Iterator<Item = (&'a Hosted, &'a Replicas)> {
    view.lookups().flat_map(move |lookup| {
        lookup.slots().iter().zip(&lookup.topic().partitions).filter_map(move |(slot, replicas)| match slot {
            Slot::Here(hosted) if replicas.leader == node.id => Some((&**hosted, replicas)),
            _ => None,
        })
    })
}

/// How many in-sync replicas there are beyond those that `min.insync.replicas` asks for, which is at most all of them.
fn spare(hosted: &Hosted, replicas: &Replicas) -> i64 {
    let wanted = i64::from(hosted.partition.settings().min_insync_replicas);
    replicas.isr.len() as i64 - wanted.min(replicas.replicas.len() as i64)
}

fn replicas(node: &Node, directories: &[Directory], page: &mut Exposition) {
    let view = node.view.load_full();
    let count = |condition: &dyn Fn(&Hosted, &Replicas) -> bool| {
        led(node, &view).filter(|(hosted, replicas)| condition(hosted, replicas)).count()
    };
    page.single(&LEADERS, count(&|_, _| true));
    page.single(&PARTITIONS, view.hosted().count());
    page.single(&OFFLINE_REPLICAS, offline(node, &view, directories));
    page.single(&UNDER_REPLICATED, count(&|_, replicas| replicas.isr.len() < replicas.replicas.len()));
    page.single(&UNDER_MIN_ISR, count(&|hosted, replicas| spare(hosted, replicas) < 0));
    page.single(&AT_MIN_ISR, count(&|hosted, replicas| spare(hosted, replicas) == 0));
    let moving = |replicas: &Replicas| !replicas.adding.is_empty() || !replicas.removing.is_empty();
    page.single(&REASSIGNING, count(&|_, replicas| moving(replicas)));
    let producers: usize = led(node, &view).map(|(hosted, _)| hosted.partition.producer_count()).sum();
    page.single(&PRODUCER_IDS, producers);
    page.single(&ISR_SHRINKS, node.metrics.cluster.isr_shrinks.get());
    page.single(&ISR_EXPANDS, node.metrics.cluster.isr_expands.get());
}

/// Replicas of this node that are not open, or lie in a directory that is offline.
fn offline(node: &Node, view: &View, directories: &[Directory]) -> usize {
    let failed: HashSet<DirectoryId> = directories
        .iter()
        .filter(|directory| directory.failure.is_some())
        .map(|directory| directory.id)
        .collect();
    let closed = view.lookups().flat_map(Lookup::slots).filter(|slot| matches!(slot, Slot::Failed)).count();
    if failed.is_empty() {
        return closed;
    }
    let lost: HashSet<LogId> = node
        .stores
        .all()
        .flat_map(|store| store.list().unwrap_or_default())
        .filter(|log| failed.contains(&log.directory))
        .map(|log| log.id)
        .collect();
    let is_lost =
        |topic, hosted: &Hosted| lost.contains(&LogId { topic, partition: hosted.partition.id().clone() });
    closed + view.hosted().filter(|(topic, hosted)| is_lost(*topic, hosted)).count()
}

fn partitions(node: &Node, page: &mut Exposition) {
    let view = node.view.load_full();
    let mut led: Vec<_> = led(node, &view).collect();
    led.sort_by(|(one, _), (other, _)| one.partition.id().cmp(other.partition.id()));
    let rows: [(&'static Family, OfPartition); 11] = [
        (&PARTITION_UNDER_REPLICATED, |_, replicas| i64::from(replicas.isr.len() < replicas.replicas.len())),
        (&PARTITION_UNDER_MIN_ISR, |hosted, replicas| i64::from(spare(hosted, replicas) < 0)),
        (&PARTITION_AT_MIN_ISR, |hosted, replicas| i64::from(spare(hosted, replicas) == 0)),
        (&PARTITION_ISR, |_, replicas| replicas.isr.len() as i64),
        (&PARTITION_REPLICAS, |_, replicas| replicas.replicas.len() as i64),
        (&PARTITION_STABLE_LAG, |hosted, _| {
            let watermarks = hosted.partition.watermarks();
            watermarks.high.since(watermarks.stable)
        }),
        (&LOG_SIZE, |hosted, _| size(hosted)),
        (&LOG_RETENTION_PERCENT, |hosted, _| {
            let most = hosted
                .partition
                .settings()
                .retention
                .bytes
                .map(|most| i64::try_from(most).unwrap_or(i64::MAX));
            most.and_then(|most| size(hosted).saturating_mul(100).checked_div(most)).unwrap_or(0)
        }),
        (&LOG_SEGMENTS, |hosted, _| hosted.partition.spans().len() as i64),
        (&LOG_START, |hosted, _| hosted.partition.watermarks().start.0),
        (&LOG_END, |hosted, _| hosted.partition.watermarks().end.0),
    ];
    for (family, value) in rows {
        let mut samples = page.family(family);
        for (hosted, replicas) in &led {
            let id = hosted.partition.id();
            samples.add(&[&id.topic, &id.partition.0.to_string()], value(hosted, replicas));
        }
    }
}

fn size(hosted: &Hosted) -> i64 {
    let bytes: u64 = hosted.partition.spans().iter().map(|span| span.bytes).sum();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn log_directories(node: &Node, directories: &[Directory], page: &mut Exposition) {
    let flushes = node.metrics.flushes.0.distribution(node.clock.now());
    page.family(&LOG_FLUSH).summary(&[], &flushes, 1e-3);
    let image = node.view.load().image.clone();
    let cordoned = image.brokers.get(&node.id).map_or(&[][..], |broker| &broker.cordoned);
    page.single(&CORDONED_DIRECTORIES, cordoned.len());
    let mut samples = page.family(&DIRECTORY_CORDONED);
    for directory in directories {
        let is_cordoned = u8::from(cordoned.contains(&directory.id));
        samples.add(&[&directory.path.display().to_string()], is_cordoned);
    }
    let failed = directories.iter().filter(|directory| directory.failure.is_some()).count();
    page.single(&OFFLINE_DIRECTORIES, failed);
    page.single(&LOGS_TO_RECOVER, node.metrics.opening.load(Ordering::Relaxed));
    let segments: usize = directories.iter().map(|directory| directory.recovering).sum();
    page.single(&SEGMENTS_TO_RECOVER, segments);
    let rows: [(&'static Family, OfDirectory); 3] = [
        (&DIRECTORY_OFFLINE, |directory| Some(u64::from(directory.failure.is_some()))),
        (&DIRECTORY_BYTES, |directory| directory.total_bytes),
        (&DIRECTORY_USABLE_BYTES, |directory| directory.usable_bytes),
    ];
    for (family, value) in rows {
        let mut samples = page.family(family);
        for directory in directories {
            if let Some(value) = value(directory) {
                samples.add(&[&directory.path.display().to_string()], value);
            }
        }
    }
}

fn compaction(node: &Node, directories: &[Directory], page: &mut Exposition) {
    let figures = node.metrics.compaction.now();
    let percent = |share: f64| (share * 100.0) as u64;
    let recopied = figures.last.bytes_written as f64 / figures.last.bytes_read.max(1) as f64;
    page.single(&CLEANER_BUFFER_USED, percent(figures.last.map_filled));
    page.single(&CLEANER_RECOPIED, percent(recopied));
    page.single(&CLEANER_TIME, figures.took.as_secs());
    page.single(&CLEANER_DELAY, figures.overdue_ms_max / 1000);
    page.single(&CLEANER_DIRTIEST, percent(figures.ratio_max));
    page.single(&CLEANER_LOOKED, node.clock.now().since(figures.looked).as_millis());
    let of = |directory: &Directory| {
        let name = directory.path.display().to_string();
        let found = figures.uncleanable.get(&name).copied().unwrap_or_default();
        (name, found)
    };
    let mut samples = page.family(&CLEANER_UNCLEANABLE);
    for (name, (count, _)) in directories.iter().map(of) {
        samples.add(&[&name], count);
    }
    let mut samples = page.family(&CLEANER_UNCLEANABLE_BYTES);
    for (name, (_, bytes)) in directories.iter().map(of) {
        samples.add(&[&name], bytes);
    }
}

fn controller(node: &Node, page: &mut Exposition) {
    let image: &Image = &node.view.load().image.clone();
    let leads = matches!(*node.controller.phase().borrow(), Phase::Leading(_));
    let partitions = || image.topics.iter().flat_map(|topic| &topic.partitions);
    let active = image.brokers.values().filter(|broker| !broker.fenced).count();
    page.single(&ACTIVE_CONTROLLER, u8::from(leads));
    // The only voter sees no other controller elected than itself.
    page.single(&NEW_CONTROLLERS, node.quorum.status().elections.count);
    page.single(&CONTROLLER_ERRORS, u8::from(*node.controller.phase().borrow() == Phase::Failed));
    page.single(&CONTROLLER_QUEUE, node.controller.waiting());
    let meters = &node.metrics.controller;
    for (family, times) in [
        (&CONTROLLER_QUEUED, &meters.steps.queued),
        (&CONTROLLER_PROCESSED, &meters.steps.processed),
        (&ELECTION_TIME, &meters.elections_us),
    ] {
        page.family(family).summary(&[], &times.distribution(node.clock.now()), 1e-3);
    }
    page.single(&ACTIVE_BROKERS, active);
    page.single(&FENCED_BROKERS, image.brokers.len() - active);
    page.single(&TOPICS, image.topics.len());
    page.single(&ALL_PARTITIONS, partitions().count());
    page.single(&OFFLINE_PARTITIONS, partitions().filter(|partition| partition.leader.0 < 0).count());
    let preferred = |partition: &Replicas| partition.replicas.first() == Some(&partition.leader);
    page.single(&PREFERRED_IMBALANCE, partitions().filter(|partition| !preferred(partition)).count());
    page.single(&CONTROLLER_APPLIED, image.offset.0);
    page.single(&CONTROLLER_COMMITTED, node.metadata.borrow().high.0 - 1);
    page.single(&BROKER_APPLIED, image.offset.0);
    let applied = node.metrics.cluster.last_applied();
    let behind = node.metadata.borrow().high > image.offset.next();
    let lag = if behind { node.clock.wall().since(applied) } else { 0 };
    for (timestamp, family) in [
        (&BROKER_APPLIED_TIMESTAMP, &BROKER_APPLIED_LAG),
        (&CONTROLLER_APPLIED_TIMESTAMP, &CONTROLLER_APPLIED_LAG),
    ] {
        page.single(timestamp, applied.0);
        page.single(family, lag);
    }
    page.single(&METADATA_ERRORS, u8::from(node.follower_failure.borrow().is_some()));
    page.single(&ELECTIONS, node.metrics.cluster.elections.get());
    page.single(&ELIGIBLE_ELECTIONS, node.metrics.cluster.eligible_elections.get());
    page.single(&UNCLEAN_ELECTIONS, node.metrics.cluster.unclean_elections.get());
    page.single(&METADATA_VERSION, image.feature("metadata.version"));
}

fn raft(node: &Node, page: &mut Exposition) {
    let status = node.quorum.status();
    let state = match status.leader {
        leader if leader == node.id => "leader",
        leader if leader.0 < 0 => "candidate",
        _ => "follower",
    };
    page.family(&RAFT_STATE).add(&[state], 1);
    page.single(&RAFT_LEADER, status.leader);
    if status.leader == node.id {
        page.single(&RAFT_VOTE, status.leader);
    }
    page.single(&RAFT_EPOCH, status.epoch.0);
    page.single(&RAFT_HIGH_WATERMARK, status.high_watermark.0);
    page.single(&RAFT_LOG_END, node.metadata.borrow().end.0);
    page.single(&RAFT_LOG_END_EPOCH, node.metadata.borrow().epoch.0);
    let (commits, elections) = (status.commits, status.elections);
    known(page, &RAFT_COMMIT_AVG, commits.mean().map(milliseconds));
    known(page, &RAFT_COMMIT_MAX, commits.mean().map(|_| milliseconds(commits.max)));
    known(page, &RAFT_ELECTION_AVG, elections.mean().map(milliseconds));
    known(page, &RAFT_ELECTION_MAX, elections.mean().map(|_| milliseconds(elections.max)));
    if let Some((taken, bytes)) = status.snapshot {
        page.single(&SNAPSHOT_BYTES, bytes);
        page.single(&SNAPSHOT_AGE, node.clock.wall().since(taken));
    }
    page.single(&RAFT_VOTERS, status.voters.len());
    page.single(&RAFT_OBSERVERS, status.observers.len());
}

fn coordinators(node: &Node, page: &mut Exposition) {
    let (groups, transactions) = (&node.metrics.groups, &node.metrics.transactions);
    let now = node.clock.now();
    for (total, rate, meter) in [
        (&OFFSET_COMMITS, &OFFSET_COMMIT_RATE, &groups.offset_commits),
        (&OFFSET_DELETIONS, &OFFSET_DELETION_RATE, &groups.offsets_deleted),
        (&OFFSET_EXPIRATIONS, &OFFSET_EXPIRATION_RATE, &groups.offsets_expired),
        (&CLASSIC_REBALANCES, &CLASSIC_REBALANCE_RATE, &groups.classic_rebalances),
        (&CONSUMER_REBALANCES, &CONSUMER_REBALANCE_RATE, &groups.consumer_rebalances),
    ] {
        page.single(total, meter.get());
        page.single(rate, meter.per_second(now));
    }
    steps(&groups.steps, now, page);
    page.single(&GROUP_IDLE, idle(&node.metrics.control_idleness, &node.control, now));
    for (loads, mean, max) in [
        (&groups.loads, &GROUP_LOAD_AVG, &GROUP_LOAD_MAX),
        (&transactions.loads, &TRANSACTION_LOAD_AVG, &TRANSACTION_LOAD_MAX),
    ] {
        times(page, (mean, max), loads);
    }
    let verified = transactions.verification_us.distribution(node.clock.now());
    page.family(&VERIFICATION_TIME_MS).summary(&[], &verified, 1e-3);
    page.single(&VERIFICATION_FAILURES, transactions.verification_failures.get());
}

/// Where the time of group coordinators went.
fn steps(steps: &StepMeters, now: Moment, page: &mut Exposition) {
    let rows: [(&Histogram, [&'static Family; 5]); 5] = [
        (
            &steps.queued,
            [&GROUP_QUEUED_MAX, &GROUP_QUEUED_P50, &GROUP_QUEUED_P95, &GROUP_QUEUED_P99, &GROUP_QUEUED_P999],
        ),
        (
            &steps.processed,
            [
                &GROUP_PROCESSED_MAX,
                &GROUP_PROCESSED_P50,
                &GROUP_PROCESSED_P95,
                &GROUP_PROCESSED_P99,
                &GROUP_PROCESSED_P999,
            ],
        ),
        (
            &steps.committed,
            [
                &GROUP_COMMITTED_MAX,
                &GROUP_COMMITTED_P50,
                &GROUP_COMMITTED_P95,
                &GROUP_COMMITTED_P99,
                &GROUP_COMMITTED_P999,
            ],
        ),
        (
            &steps.lingered,
            [
                &GROUP_LINGERED_MAX,
                &GROUP_LINGERED_P50,
                &GROUP_LINGERED_P95,
                &GROUP_LINGERED_P99,
                &GROUP_LINGERED_P999,
            ],
        ),
        (
            &steps.flushed,
            [
                &GROUP_FLUSHED_MAX,
                &GROUP_FLUSHED_P50,
                &GROUP_FLUSHED_P95,
                &GROUP_FLUSHED_P99,
                &GROUP_FLUSHED_P999,
            ],
        ),
    ];
    for (times, families) in rows {
        let seen = times.distribution(now);
        for (family, part) in families.into_iter().zip([1.0, 0.5, 0.95, 0.99, 0.999]) {
            known(page, family, seen.quantile(part).map(|microseconds| microseconds as f64 * 1e-3));
        }
    }
    let flushes = steps.flushed.distribution(now).count();
    page.single(&GROUP_FLUSH_RATE, steps.flush_rate.of(flushes as f64, now));
}

/// The mean and the largest of durations, in milliseconds.
fn times(page: &mut Exposition, (mean, max): (&'static Family, &'static Family), tally: &Tally) {
    if let Some((mean_us, max_us)) = tally.mean_and_max() {
        page.single(mean, mean_us / 1e3);
        page.single(max, max_us / 1e3);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn groups(node: &Node, page: &mut Exposition) {
    let partitions = node.groups.partitions();
    let shards: Vec<_> = partitions.iter().filter_map(|partition| node.groups.get(*partition)).collect();
    page.single(&GROUP_QUEUE, shards.iter().map(ShardHandle::waiting).sum::<usize>());
    let phases: Vec<Phase> = shards.iter().map(|shard| *shard.phase().borrow()).collect();
    let phase = |condition: fn(&Phase) -> bool| phases.iter().filter(|phase| condition(phase)).count();
    let mut samples = page.family(&GROUP_PARTITIONS);
    samples.add(&["loading"], phase(|phase| matches!(phase, Phase::Loading | Phase::Waiting)));
    samples.add(&["active"], phase(|phase| matches!(phase, Phase::Leading(_))));
    samples.add(&["failed"], phase(|phase| matches!(phase, Phase::Failed | Phase::Closed)));
    let asked = partitions
        .into_iter()
        .map(|partition| node.groups.ask(partition, GroupCommand::ListGroups(ListGroups::default())));
    let Ok(answers) = tokio::time::timeout(GROUPS_TIMEOUT, join_all(asked)).await else { return };
    let listed: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Ok(GroupAnswer::ListGroups(groups)) => Some(groups),
            _ => None,
        })
        .flatten()
        .collect();
    page.single(&GROUPS, listed.len());
    let of_type = |name: &str| listed.iter().filter(|group| group.group_type == name).count();
    let mut samples = page.family(&GROUP_COUNT);
    ["classic", "consumer"].iter().for_each(|name| samples.add(&[name], of_type(name)));
    let offsets: usize = listed.iter().map(|group| group.offsets).sum();
    page.single(&OFFSETS, offsets);
    page.single(&OFFSET_COUNT, offsets);
    let in_state = |kind: &str, state: &str| {
        listed.iter().filter(|group| group.group_type == kind && group.state == state).count()
    };
    let mut samples = page.family(&CONSUMER_GROUP_COUNT);
    for state in ["Empty", "Assigning", "Reconciling", "Stable", "Dead"] {
        samples.add(&[state], in_state("consumer", state));
    }
    let states = [
        (&GROUPS_PREPARING, "PreparingRebalance"),
        (&GROUPS_COMPLETING, "CompletingRebalance"),
        (&GROUPS_STABLE, "Stable"),
        (&GROUPS_EMPTY, "Empty"),
        (&GROUPS_DEAD, "Dead"),
    ];
    states.iter().for_each(|(family, state)| page.single(family, in_state("classic", state)));
    let mut samples = page.family(&CLASSIC_GROUP_COUNT);
    states.iter().for_each(|(_, state)| samples.add(&[state], in_state("classic", state)));
}

fn server(node: &Node, options: Options, process: &Process, page: &mut Exposition) {
    let state = match (options.stopping, node.started.load(Ordering::Relaxed)) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 1,
    };
    page.single(&BROKER_STATE, state);
    page.family(&CLUSTER_ID).add(&[&node.cluster_id], 1);
    page.family(&BUILD_INFO).add(&[env!("CARGO_PKG_VERSION")], 1);
    page.single(&UPTIME, node.clock.now().0.as_secs_f64());
    known(page, &DISK_READ, process.disk_read_bytes);
    known(page, &DISK_WRITE, process.disk_write_bytes);
    known(page, &PROCESS_CPU, process.cpu_seconds);
    known(page, &PROCESS_RESIDENT, process.resident_bytes);
    known(page, &PROCESS_VIRTUAL, process.virtual_bytes);
    known(page, &PROCESS_FDS, process.open_files);
    known(page, &PROCESS_FDS_MAX, process.open_files_max);
    known(page, &PROCESS_THREADS, process.threads);
}

fn known(page: &mut Exposition, family: &'static Family, value: Option<impl Display>) {
    if let Some(value) = value {
        page.single(family, value);
    }
}
