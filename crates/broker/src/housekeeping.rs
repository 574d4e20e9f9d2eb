//! What a broker does by the clock: closes idle connections, flushes in the background, applies retention.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use vltava_core::id::Offset;
use vltava_core::log::LogId;

use crate::node::Node;

/// How often the store keeps house and idle connections are looked for.
const TICK: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let check_interval = Duration::from_millis(
        u64::try_from(node.config.logs.retention_check_interval_ms).unwrap_or(u64::MAX).max(1),
    );
    let mut next_check = node.clock.now()
        + Duration::from_millis(u64::try_from(node.config.logs.initial_task_delay_ms).unwrap_or(0));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = node.clock.sleep_until(node.clock.now() + TICK) => {}
        }
        let now = node.clock.now();
        node.connections.close_idle(now);
        let check = now >= next_check;
        if check {
            next_check = now + check_interval;
        }
        let keeper = node.clone();
        if let Err(error) = spawn_blocking(move || keep_house(&keeper, check)).await {
            error!(%error, "housekeeping failed");
        }
    }
}

fn keep_house(node: &Node, check_retention: bool) {
    let view = node.view.load_full();
    let mut high_watermarks: Vec<(LogId, Offset)> = Vec::new();
    for (topic, hosted) in view.hosted() {
        let partition = &hosted.partition;
        if let Err(problem) = partition.maintain() {
            warn!(partition = %partition.id(), %problem, "cannot be maintained");
        }
        if check_retention && let Err(problem) = partition.apply_retention() {
            warn!(partition = %partition.id(), %problem, "retention cannot be applied");
        }
        let id = LogId { topic, partition: partition.id().clone() };
        high_watermarks.push((id, partition.watermarks().high));
    }
    for store in node.stores.all() {
        if let Err(problem) = store.maintain(&high_watermarks) {
            error!(%problem, "a log directory has failed");
        }
    }
}
