//! A machine that only applies what is committed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use vltava_core::id::{LeaderEpoch, Offset, Timestamp};
use vltava_core::machine::StateMachine;
use vltava_core::replicated::{Isolation, ReadError, ReplicatedLog};

use super::replay::{Position, replay_some, start_from_snapshot};
use super::shard::panic_text;
use super::{NewSnapshot, ReplayError, Snapshots, Surroundings};

/// A machine that follows its log: every node has one for the metadata, from which its image comes.
pub struct Replica<M: StateMachine> {
    /// The log.
    pub log: Arc<dyn ReplicatedLog>,
    /// The log's snapshots, when it is trimmed behind them. They are taken here: only here is nothing uncommitted.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Makes the machine without any state.
    pub new: Box<dyn Fn() -> M + Send + Sync>,
    /// The image says in which format snapshots are written.
    pub surroundings: Surroundings,
    /// How much of the log is read at a time, in bytes.
    pub load_bytes: usize,
}

/// Up to where a [`Replica`] has applied its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The offset after the last record.
    pub end: Offset,
    /// The leader epoch of that record.
    pub epoch: LeaderEpoch,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// How many bytes of batches were applied since the last snapshot that was loaded or taken here.
    pub bytes: u64,
    /// Everything that was committed when this was read is applied.
    pub caught_up: bool,
}

impl<M: StateMachine> Replica<M> {
    /// Follows the log until it is closed, and calls `after` whenever something was applied, and once when the replay of
    /// an empty log is done. `after` must not wait.
    ///
    /// # Errors
    /// [`ReplayError`] when the log cannot be read, or holds what the machine cannot read or panics at.
    pub async fn follow(self, after: impl FnMut(&M, Applied) + Send) -> Result<(), ReplayError> {
        let followed = AssertUnwindSafe(self.follow_until_closed(after)).catch_unwind().await;
        followed.unwrap_or_else(|panic| Err(ReplayError::Panicked(panic_text(&*panic))))
    }

    async fn follow_until_closed(self, mut after: impl FnMut(&M, Applied) + Send) -> Result<(), ReplayError> {
        let mut watch = self.log.watch();
        let (mut machine, mut position) = self.restart().await?;
        let mut reported = None;
        loop {
            let high = watch.borrow_and_update().high;
            while position.next < high {
                if !self.apply_some(&mut machine, &mut position).await? {
                    break;
                }
                if position.next < high {
                    after(&machine, applied(position, false));
                    tokio::task::yield_now().await;
                }
            }
            if reported != Some(position.next) {
                reported = Some(position.next);
                after(&machine, applied(position, true));
                if let Some((snapshots, snapshot)) = self.due_snapshot(&machine, position)
                    && write(snapshots, snapshot).await
                {
                    position.bytes = 0;
                }
            }
            if watch.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn restart(&self) -> Result<(M, Position), ReplayError> {
        let mut machine = (self.new)();
        let mut position = Position::at(self.log.watch().borrow().start);
        if let Some(snapshots) = self.snapshots.clone() {
            start_from_snapshot(snapshots, &mut machine, &mut position).await?;
        }
        Ok((machine, position))
    }

    /// Reads and applies once; false when there was nothing to read. A log that was trimmed beyond the position has a
    /// newer snapshot: the machine starts again from that.
    async fn apply_some(&self, machine: &mut M, position: &mut Position) -> Result<bool, ReplayError> {
        let before = position.next;
        let read = replay_some(&*self.log, machine, position, Isolation::Uncommitted, self.load_bytes).await;
        match read {
            Ok(_) => Ok(position.next > before),
            Err(ReplayError::Read(ReadError::OutOfRange { start, .. })) if start > before => {
                (*machine, *position) = self.restart().await?;
                Ok(position.next > before)
            }
            Err(error) => Err(error),
        }
    }

    fn due_snapshot(&self, machine: &M, position: Position) -> Option<(Arc<dyn Snapshots>, NewSnapshot)> {
        let snapshots = self.snapshots.clone().filter(|snapshots| snapshots.due(applied(position, true)))?;
        let image = self.surroundings.image();
        let records = machine.snapshot().iter().map(|event| machine.encode(event, &image)).collect();
        let Position { next: end, epoch, timestamp, .. } = position;
        Some((snapshots, NewSnapshot { end, epoch, timestamp, records }))
    }
}

/// Whether the snapshot stands now. A failure is no reason to stop following: the log still reaches back.
async fn write(snapshots: Arc<dyn Snapshots>, snapshot: NewSnapshot) -> bool {
    let end = snapshot.end;
    match tokio::task::spawn_blocking(move || snapshots.write(snapshot)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, %end, "a snapshot could not be written"),
        Err(_) => tracing::error!(%end, "the writing of a snapshot was cancelled"),
    }
    false
}

fn applied(position: Position, caught_up: bool) -> Applied {
    let Position { next, epoch, timestamp, bytes } = position;
    Applied { end: next, epoch, timestamp, bytes, caught_up }
}
