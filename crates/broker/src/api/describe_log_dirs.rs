//! DescribeLogDirs: the log directories with the logs in them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use vltava_core::error::ErrorCode;
use vltava_core::id::{DirectoryId, TopicName, TopicPartition};
use vltava_core::log::{Directory, LogStore, StoredLog};
use vltava_core::wire::WireStr;
use vltava_protocol::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use vltava_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<DescribeLogDirsRequest>) -> DescribeLogDirsResponse {
    if !call.allows(Operation::Describe, Resource::Cluster) {
        return DescribeLogDirsResponse {
            error_code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED.code(),
            ..DescribeLogDirsResponse::default()
        };
    }
    spawn_blocking(move || answer(&call)).await.unwrap_or_default()
}

fn answer(call: &Call<DescribeLogDirsRequest>) -> DescribeLogDirsResponse {
    let asked = asked(&call.request);
    let lags = lags(call);
    let image = call.node.view.load().image.clone();
    let cordoned = image.brokers.get(&call.node.id).map_or(&[][..], |broker| &broker.cordoned);
    let results = call.node.stores.all().flat_map(|store| {
        let logs = logs_by_directory(&**store, asked.as_ref());
        let lags = &lags;
        // A backend that no topic uses is not worth a line.
        let shown = Arc::ptr_eq(store, call.node.stores.main()) || !logs.is_empty();
        let directories = if shown { store.directories() } else { Vec::new() };
        directories
            .into_iter()
            .map(move |directory| describe(&directory, &logs, lags, cordoned.contains(&directory.id)))
    });
    DescribeLogDirsResponse { throttle_time_ms: 0, error_code: 0, results: results.collect() }
}

/// The partitions asked for; nothing means all.
fn asked(request: &DescribeLogDirsRequest) -> Option<HashSet<(WireStr, i32)>> {
    let topics = request.topics.as_ref()?;
    let partitions =
        |topic: &vltava_protocol::describe_log_dirs_request::DescribableLogDirTopic| -> Vec<(WireStr, i32)> {
            topic.partitions.iter().map(|partition| (topic.topic.clone(), *partition)).collect()
        };
    Some(topics.iter().flat_map(partitions).collect())
}

/// How far the high watermark of each open partition is ahead of its log's end: 0 where this broker leads.
fn lags(call: &Call<DescribeLogDirsRequest>) -> HashMap<TopicPartition, i64> {
    let view = call.node.view.load();
    let lag = |hosted: &Arc<crate::partitions::Hosted>| {
        let watermarks = hosted.partition.watermarks();
        (hosted.partition.id().clone(), watermarks.high.since(watermarks.end).max(0))
    };
    view.hosted().map(|(_, hosted)| lag(hosted)).collect()
}

fn logs_by_directory(
    store: &dyn LogStore,
    asked: Option<&HashSet<(WireStr, i32)>>,
) -> HashMap<DirectoryId, Vec<StoredLog>> {
    let mut logs: HashMap<DirectoryId, Vec<StoredLog>> = HashMap::new();
    for log in store.list().unwrap_or_default() {
        let partition = &log.id.partition;
        let key = || (WireStr::from(partition.topic.to_string()), partition.partition.0);
        if !is_metadata(&partition.topic) && asked.is_none_or(|asked| asked.contains(&key())) {
            logs.entry(log.directory).or_default().push(log);
        }
    }
    logs
}

/// The logs of the controller are no topics.
fn is_metadata(topic: &str) -> bool {
    topic.starts_with("__cluster_")
}

fn describe(
    directory: &Directory,
    logs: &HashMap<DirectoryId, Vec<StoredLog>>,
    lags: &HashMap<TopicPartition, i64>,
    is_cordoned: bool,
) -> DescribeLogDirsResult {
    let log_dir = WireStr::from(directory.path.display().to_string());
    if directory.failure.is_some() {
        // As Kafka has it: of an offline directory nothing is known.
        return DescribeLogDirsResult {
            error_code: ErrorCode::KAFKA_STORAGE_ERROR.code(),
            log_dir,
            ..DescribeLogDirsResult::default()
        };
    }
    let mut topics: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for log in logs.get(&directory.id).into_iter().flatten() {
        topics.entry(log.id.partition.topic.clone()).or_default().push(DescribeLogDirsPartition {
            partition_index: log.id.partition.partition.0,
            partition_size: i64::try_from(log.bytes).unwrap_or(i64::MAX),
            offset_lag: lags.get(&log.id.partition).copied().unwrap_or(0),
            is_future_key: false,
        });
    }
    let bytes = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1);
    DescribeLogDirsResult {
        error_code: ErrorCode::NONE.code(),
        log_dir,
        topics: topics
            .into_iter()
            .map(|(name, partitions)| DescribeLogDirsTopic {
                name: WireStr::from(name.to_string()),
                partitions,
            })
            .collect(),
        total_bytes: bytes(directory.total_bytes),
        usable_bytes: bytes(directory.usable_bytes),
        is_cordoned,
    }
}
