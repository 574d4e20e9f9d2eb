//! What every request of a running broker shares.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tracing::error;
use vltava_coordinator::cluster::{Answer, Cluster, Command};
use vltava_coordinator::group::GroupCoordinator;
use vltava_coordinator::transaction::TransactionCoordinator;
use vltava_core::clock::Clock;
use vltava_core::config::{BrokerConfig, BrokerLayers};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, TopicId};
use vltava_core::image::{ConfigResource, Image};
use vltava_core::log::LogId;
use vltava_core::replicated::Watermarks;
use vltava_core::wire::WireStr;
use vltava_replication::quorum::Quorum;
use vltava_replication::runtime::{ShardHandle, Shards};

use crate::authorizer::Authorizer;
use crate::connect::ConnectService;
use crate::fetch_session::{FetchSessions, SessionId};
use crate::log_levels::LogLevels;
use crate::metrics::Metrics;
use crate::net::connections::Connections;
use crate::partitions::{Lookup, View};
use crate::producer_ids::ProducerIds;
use crate::registry::RegistryService;
use crate::stores::Stores;

/// A running broker, as its connections and background tasks see it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) cluster_id: Arc<str>,
    /// The settings that were in force at the start; dynamic ones are in the image.
    pub(crate) config: BrokerConfig,
    pub(crate) limits: RequestLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stores: Stores,
    /// Nobody is refused anything without one.
    pub(crate) authorizer: Option<Arc<dyn Authorizer>>,
    /// Nobody sees or changes levels without them.
    pub(crate) log_levels: Option<LogLevels>,
    pub(crate) connections: Arc<Connections>,
    /// What large requests in flight may take together (`queued.max.request.bytes`).
    pub(crate) request_memory: Arc<Semaphore>,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) view: ArcSwap<View>,
    /// The image of the view, for those who wait for a change.
    pub(crate) images: watch::Sender<Arc<Image>>,
    pub(crate) controller: ShardHandle<Cluster>,
    pub(crate) groups: Shards<GroupCoordinator>,
    pub(crate) transactions: Shards<TransactionCoordinator>,
    pub(crate) registry: RegistryService,
    pub(crate) connect: Arc<ConnectService>,
    pub(crate) producer_ids: ProducerIds,
    /// The controller quorum.
    pub(crate) quorum: Arc<Quorum>,
    /// How far the metadata log is committed.
    pub(crate) metadata: watch::Receiver<Watermarks>,
    /// Why the metadata can no longer be followed, if so.
    pub(crate) follower_failure: watch::Receiver<Option<String>>,
    /// Clients are served.
    pub(crate) started: AtomicBool,
    /// The high watermarks of logs that were there at the start and are not open yet.
    pub(crate) high_watermarks: Mutex<HashMap<LogId, Offset>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) random: Arc<Random>,
    /// The threads of the control plane.
    pub(crate) control: Handle,
}

/// Limits that connections and handlers look up for every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// `socket.request.max.bytes`.
    pub(crate) request_bytes_max: usize,
    /// `fetch.max.bytes`.
    pub(crate) fetch_bytes_max: i32,
    /// What [`Node::request_memory`] has in all.
    pub(crate) request_memory_bytes: usize,
    /// `socket.send.buffer.bytes`; none leaves it to the operating system.
    pub(crate) socket_send_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; none leaves it to the operating system.
    pub(crate) socket_receive_bytes: Option<usize>,
}

impl Node {
    /// The topic of this name.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn lookup_name(&self, name: &str) -> Result<Lookup, ErrorCode> {
        self.view.load().by_name(name).cloned().ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// The topic of this identity.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_ID`.
    pub(crate) fn lookup_id(&self, id: TopicId) -> Result<Lookup, ErrorCode> {
        self.view.load().by_id(id).cloned().ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
    }

    /// The addresses of brokers behind a listener, each once: node id, host, port, rack.
    pub(crate) fn endpoints(
        &self,
        ids: impl Iterator<Item = i32>,
        listener: &str,
    ) -> Vec<(i32, WireStr, i32, Option<WireStr>)> {
        let ids: BTreeSet<i32> = ids.collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let image = self.view.load().image.clone();
        let address = |id: i32| {
            let broker = image.brokers.get(&BrokerId(id))?;
            let endpoint = broker.endpoint(listener)?;
            let rack = broker.rack.clone().map(WireStr::from);
            Some((id, endpoint.host.clone().into(), i32::from(endpoint.port), rack))
        };
        ids.into_iter().filter_map(address).collect()
    }

    /// The broker's settings, dynamic ones of `image` included.
    pub(crate) fn layers(&self, image: &Image) -> BrokerLayers {
        let dynamic = |resource| image.config(&resource).map(|own| (**own).clone()).unwrap_or_default();
        BrokerLayers {
            broker: dynamic(ConfigResource::broker(self.id)),
            cluster: dynamic(ConfigResource::brokers()),
            file: self.config.layers.file.clone(),
        }
    }

    /// Asks the controller.
    ///
    /// Once the directory of the metadata is offline it is not asked: its first write would fail and end the quorum, and
    /// with it the broker, which so can go on serving what it has.
    ///
    /// # Errors
    /// Kafka's code of what went wrong before the controller could answer; `KAFKA_STORAGE_ERROR` when it cannot write.
    pub(crate) async fn ask_controller(&self, command: Command) -> Result<Answer, ErrorCode> {
        if self.stores.is_offline(Path::new(&self.config.logs.metadata_dir)) {
            return Err(ErrorCode::KAFKA_STORAGE_ERROR);
        }
        self.controller.ask(command).await.map_err(|error| error.controller_code())
    }

    /// Why this broker can no longer keep or follow its metadata, if so.
    pub(crate) fn metadata_failure(&self) -> Option<String> {
        let kept = self.quorum.failure().borrow().clone();
        kept.or_else(|| self.follower_failure.borrow().clone())
    }

    /// Resolves, with the reason, once this broker can no longer keep or follow its metadata.
    pub(crate) async fn failed(&self) -> String {
        let (mut kept, mut followed) = (self.quorum.failure(), self.follower_failure.clone());
        tokio::select! {
            failed = kept.wait_for(Option::is_some) => failed.ok().and_then(|why| why.clone()),
            // One that ends without a failure was told to.
            Ok(failed) = followed.wait_for(Option::is_some) => failed.clone(),
        }
        .unwrap_or_else(|| "it ended without a reason".to_owned())
    }

    /// Waits until everything that the controller has committed by now can be seen here.
    pub(crate) async fn caught_up(&self) {
        let committed = self.metadata.borrow().high;
        // The sender lives in this node: waiting cannot fail.
        let mut images = self.images.subscribe();
        let _image = images.wait_for(|image| image.offset.next() >= committed).await;
    }

    /// Closes every partition and every store. *Blocks.*
    pub(crate) fn close(&self) {
        for (_, hosted) in self.view.load().hosted() {
            if let Err(problem) = hosted.partition.close() {
                error!(partition = %hosted.partition.id(), %problem, "a partition could not be closed");
            }
        }
        for store in self.stores.all() {
            if let Err(problem) = store.close() {
                error!(%problem, "a log directory could not be closed cleanly");
            }
        }
    }

    /// A number for a new fetch session.
    pub(crate) fn random_session(&self) -> SessionId {
        (self.random.next() >> 33) as i32
    }
}

/// Random numbers for identities that must differ, not be secret (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
