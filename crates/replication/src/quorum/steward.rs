//! Leads on behalf of openraft: opens each term, proposes what was placed, and says when leadership is over.

use std::sync::Arc;

use openraft::{Raft, ServerState};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use vltava_core::clock::{Clock, Moment};
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset};
use vltava_core::image::Endpoint;
use vltava_core::record::Batch;
use vltava_core::replicated::PlaceError;

use super::control::Control;
use super::projection::Projected;
use super::status::Latency;
use super::types::{Proposal, Types, VoterId, epoch_of};

/// Batches that are placed and not yet proposed.
const PLACED_MAX: usize = 1024;
/// The most bytes of one proposal; a larger batch is one of its own.
const PROPOSAL_BYTES_MAX: usize = 1 << 20;

/// Hands out offsets while this node leads.
#[derive(Debug)]
pub(super) struct Placing {
    sender: mpsc::Sender<Batch>,
    term: Mutex<Option<Term>>,
    pub(super) commits: Mutex<Latency>,
    pub(super) elections: Mutex<Latency>,
}

/// A term in which this node leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) epoch: LeaderEpoch,
    /// The offset that the next record gets.
    pub(super) next: Offset,
}

impl Placing {
    pub(super) fn new() -> (Placing, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(PLACED_MAX);
        (
            Placing {
                sender,
                term: Mutex::default(),
                commits: Mutex::default(),
                elections: Mutex::default(),
            },
            receiver,
        )
    }

    /// The term that batches may be placed in, when there is room for them.
    pub(super) fn admit(&self) -> Option<Result<Term, PlaceError>> {
        let term = (*self.term.lock())?;
        // Who was admitted places more than one batch: keep half of the room for those.
        if self.sender.capacity() < PLACED_MAX / 2 {
            return Some(Err(congested()));
        }
        Some(Ok(term))
    }

    /// Gives a batch its place. `stamp` checks it against the term and stamps it.
    pub(super) fn place<T>(
        &self,
        mut batch: Batch,
        stamp: impl FnOnce(&mut Batch, Term) -> Result<T, PlaceError>,
        not_leading: impl FnOnce() -> PlaceError,
    ) -> Result<T, PlaceError> {
        let mut leading = self.term.lock();
        let Some(term) = leading.as_mut() else { return Err(not_leading()) };
        let stamped = stamp(&mut batch, *term)?;
        let end = batch.header.next_offset();
        self.sender.try_send(batch).map_err(|_| congested())?;
        term.next = end;
        Ok(stamped)
    }
}

fn congested() -> PlaceError {
    PlaceError::Refused {
        code: ErrorCode::REQUEST_TIMED_OUT,
        message: "the metadata log has more changes waiting than it takes; retry later".to_owned(),
        records: Vec::new(),
    }
}

/// See the module.
pub(super) struct Steward {
    pub(super) raft: Raft<Types>,
    pub(super) id: VoterId,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) projected: Arc<Projected>,
    pub(super) placing: Arc<Placing>,
    pub(super) placed: mpsc::Receiver<Batch>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) failure: watch::Sender<Option<String>>,
}

impl Steward {
    /// Runs until the quorum is shut down or fails.
    pub(super) async fn run(mut self) {
        let mut metrics = self.raft.metrics();
        let mut since = self.clock.now();
        loop {
            let state = metrics.borrow_and_update().clone();
            if let Err(fatal) = &state.running_state {
                self.stop(&fatal.to_string());
                return;
            }
            let term = state.current_term;
            // With an entry of this term applied, everything of earlier terms is.
            let applied = state.last_applied.is_some_and(|id| id.leader_id.term == term);
            if state.state == ServerState::Leader && state.current_leader == Some(self.id) && applied {
                self.lead(term, since).await;
                since = self.clock.now();
                self.step_down(epoch_of(term));
            } else {
                self.projected.lead(epoch_of(term), false);
            }
            if metrics.changed().await.is_err() {
                self.stop("it was shut down");
                return;
            }
        }
    }

    /// Leads until the term is over. There was no leadership `since`.
    async fn lead(&mut self, term: u64, since: Moment) {
        let epoch = epoch_of(term);
        while self.placed.try_recv().is_ok() {
            // Placed in an earlier term, and failed with it.
        }
        if let Err(why) = self.open(epoch).await {
            tracing::warn!(%epoch, why, "the metadata log could not be led");
            return;
        }
        *self.placing.term.lock() = Some(Term { epoch, next: self.projected.end() });
        self.projected.lead(epoch, true);
        self.placing.elections.lock().record(self.clock.now().since(since));
        tracing::info!(%epoch, end = %self.projected.end(), "this node leads the metadata log");
        let mut metrics = self.raft.metrics();
        loop {
            tokio::select! {
                biased;
                changed = metrics.changed() => {
                    let now = metrics.borrow_and_update();
                    let leads = now.state == ServerState::Leader && now.current_term == term;
                    if changed.is_err() || !leads || now.running_state.is_err() {
                        return;
                    }
                }
                batch = self.placed.recv() => {
                    let Some(batch) = batch else { return };
                    if let Err(why) = self.propose(batch).await {
                        tracing::warn!(%epoch, why, "leadership of the metadata log was lost");
                        return;
                    }
                }
            }
        }
    }

    /// The first batch of a term: who leads, and in an empty log who votes.
    async fn open(&self, epoch: LeaderEpoch) -> Result<(), String> {
        let base = self.projected.end();
        let voters = [(&self.id, &self.endpoints[..])];
        let mut control =
            Control::new(base, epoch, self.clock.wall()).leader_change(self.id.node, &voters, &[self.id]);
        if base == Offset::ZERO {
            control = control.voters(&voters);
        }
        let batch = control.build().map_err(|error| error.to_string())?;
        self.write(vec![batch]).await
    }

    /// Proposes a batch with all those that have been placed since: they share one sync.
    async fn propose(&mut self, first: Batch) -> Result<(), String> {
        let mut bytes = first.size();
        let mut batches = vec![first];
        while bytes < PROPOSAL_BYTES_MAX {
            let Ok(next) = self.placed.try_recv() else { break };
            bytes += next.size();
            batches.push(next);
        }
        self.write(batches).await
    }

    async fn write(&self, batches: Vec<Batch>) -> Result<(), String> {
        let begun = self.clock.now();
        let written = self.raft.client_write(Proposal { batches }).await;
        self.placing.commits.lock().record(self.clock.now().since(begun));
        written.map(drop).map_err(|error| error.to_string())
    }

    fn step_down(&self, epoch: LeaderEpoch) {
        *self.placing.term.lock() = None;
        self.projected.lead(epoch, false);
    }

    fn stop(&self, why: &str) {
        tracing::info!(why, "the controller quorum has stopped");
        *self.placing.term.lock() = None;
        let epoch = self.projected.watch.borrow().epoch;
        self.projected.lead(epoch, false);
        self.failure.send_replace(Some(why.to_owned()));
    }
}
