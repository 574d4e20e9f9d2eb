//! The shards of a coordinator: one for each partition of its topic that this node leads.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use vltava_core::id::PartitionIndex;
use vltava_core::machine::StateMachine;
use vltava_core::replicated::ReplicatedLog;

use super::{AskError, Committed, Limits, Shard, ShardHandle, Surroundings, Witness};

/// How the shards of a coordinator are started.
pub struct Start<M: StateMachine> {
    /// Makes the machine of a partition without any state.
    pub new: Arc<dyn Fn(PartitionIndex) -> M + Send + Sync>,
    /// Clock, image and randomness.
    pub surroundings: Surroundings,
    /// The limits of each shard.
    pub limits: Limits,
    /// Where committed effects go.
    pub effects: mpsc::Sender<Committed<M::Effect>>,
    /// Who is told what the machines go through; `()` is nobody.
    pub witness: Arc<dyn Witness<M>>,
    /// Which threads the shards run on.
    pub runtime: tokio::runtime::Handle,
}

/// The shards of a coordinator, by partition. Shared by reference: all methods take `&self`.
pub struct Shards<M: StateMachine> {
    start: Start<M>,
    open: RwLock<HashMap<PartitionIndex, Open<M>>>,
}

struct Open<M: StateMachine> {
    log: Arc<dyn ReplicatedLog>,
    handle: ShardHandle<M>,
    task: AbortHandle,
}

impl<M: StateMachine> Shards<M> {
    /// No partition is led.
    #[must_use]
    pub fn new(start: Start<M>) -> Shards<M> {
        Shards { start, open: RwLock::new(HashMap::new()) }
    }

    /// This node has become the leader of a partition, or leads it in another epoch. A shard that runs over the same
    /// log goes on: it watches its leadership itself. One over another log, that of a topic of the same name which is
    /// gone, ends.
    pub fn lead(&self, partition: PartitionIndex, log: Arc<dyn ReplicatedLog>) {
        let mut open = self.open.write();
        if let Some(shard) = open.get(&partition) {
            if Arc::ptr_eq(&shard.log, &log) && !shard.task.is_finished() {
                return;
            }
            shard.task.abort();
        }
        let new = self.start.new.clone();
        let shard = Shard {
            partition,
            log: log.clone(),
            snapshots: None,
            new: Arc::new(move || new(partition)),
            surroundings: self.start.surroundings.clone(),
            limits: self.start.limits,
            effects: self.start.effects.clone(),
            witness: self.start.witness.clone(),
        };
        let (handle, task) = shard.start();
        let task = self.start.runtime.spawn(task).abort_handle();
        open.insert(partition, Open { log, handle, task });
    }

    /// This node no longer leads a partition, or its topic is gone. Whoever waits for its machine is told so.
    pub fn resign(&self, partition: PartitionIndex) {
        if let Some(shard) = self.open.write().remove(&partition) {
            shard.task.abort();
        }
    }

    /// Ends all shards.
    pub fn close(&self) {
        self.open.write().drain().for_each(|(_, shard)| shard.task.abort());
    }

    /// The handle of a partition's shard; `None` when this node does not lead it.
    #[must_use]
    pub fn get(&self, partition: PartitionIndex) -> Option<ShardHandle<M>> {
        self.open.read().get(&partition).map(|shard| shard.handle.clone())
    }

    /// The partitions that have a shard, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionIndex> {
        let mut partitions: Vec<_> = self.open.read().keys().copied().collect();
        partitions.sort_unstable();
        partitions
    }

    /// Asks the machine of a partition.
    ///
    /// # Errors
    /// [`AskError::NotLeader`] when this node does not lead the partition; else as [`ShardHandle::ask`].
    pub fn ask(
        &self,
        partition: PartitionIndex,
        command: M::Command,
    ) -> impl Future<Output = Result<M::Answer, AskError>> + Send + use<M> {
        let asked = self.get(partition).map(|handle| handle.ask(command));
        async move {
            match asked {
                Some(answer) => answer.await,
                None => Err(AskError::NotLeader),
            }
        }
    }
}

impl<M: StateMachine> Drop for Shards<M> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<M: StateMachine> fmt::Debug for Shards<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.open.read().iter().map(|(index, shard)| (index, &shard.handle))).finish()
    }
}
