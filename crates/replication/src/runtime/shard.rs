//! One machine where this node leads its log: waits for leadership, replays, leads, starts again.
//!
//! Why a panic of the machine is caught here and does not end the broker: the machine is all that can be wrong, since
//! nothing else is touched while it decides and applies, and the log tells all of it again. A coordinator that panics on
//! one command of one client serves the others a second later.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use vltava_core::clock::{Clock, Moment};
use vltava_core::id::{LeaderEpoch, PartitionIndex};
use vltava_core::machine::StateMachine;
use vltava_core::replicated::{ReplicatedLog, Watermarks};

use super::answers::Responder;
use super::leading::{Leading, lead};
use super::replay::{Position, replay_whole};
use super::seat::Seat;
use super::{AskError, Limits, ReplayError, Snapshots, Surroundings};

/// A machine and the log that it runs over, before it runs.
pub struct Shard<M: StateMachine> {
    /// Which partition of its topic the log is.
    pub partition: PartitionIndex,
    /// The log.
    pub log: Arc<dyn ReplicatedLog>,
    /// The log's snapshots, when it is trimmed behind them.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Makes the machine without any state.
    pub new: Arc<dyn Fn() -> M + Send + Sync>,
    /// Clock, image and randomness.
    pub surroundings: Surroundings,
    /// The limits.
    pub limits: Limits,
    /// Where committed effects go. The bound is the caller's; a full channel holds the shard's commands back.
    pub effects: mpsc::Sender<Committed<M::Effect>>,
    /// Who is told what the machine goes through; `()` is nobody.
    pub witness: Arc<dyn Witness<M>>,
}

/// Is told what a machine goes through, for the figures of a coordinator. Called on the shard's thread and on those that
/// bring commands: must not block.
pub trait Witness<M: StateMachine>: Send + Sync {
    /// The log was replayed, in so much time.
    fn loaded(&self, took: Duration);
    /// The machine leads and applies an event. Those of a replay are not told.
    fn applied(&self, event: &M::Event);
    /// A step of the way from a command to its answer has taken so long.
    fn timed(&self, step: Step, took: Duration);
}

/// The steps from a command to its answer, in the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command, or a timer that was due, has waited for its turn.
    Queued,
    /// It was decided and applied.
    Processed,
    /// A batch was open for more records.
    Lingered,
    /// It was placed.
    Flushed,
    /// An answer has waited for its commit.
    Committed,
}

impl<M: StateMachine> Witness<M> for () {
    fn loaded(&self, _: Duration) {}
    fn applied(&self, _: &M::Event) {}
    fn timed(&self, _: Step, _: Duration) {}
}

/// Something that a machine wants done, and whose reason is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<E> {
    /// Which partition of its topic the machine's log is.
    pub partition: PartitionIndex,
    /// The leader epoch in which it was decided: the coordinator's epoch, for those who must not listen to a former one.
    pub epoch: LeaderEpoch,
    /// What is to be done.
    pub effect: E,
}

/// What a shard is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// This node does not lead the log.
    Waiting,
    /// The log is being replayed.
    Loading,
    /// Commands are answered, in this leader epoch.
    Leading(LeaderEpoch),
    /// The log could not be replayed; another attempt follows.
    Failed,
    /// It was shut down, or its log was closed.
    Closed,
}

/// Asks a shard. Cheap to clone; the shard ends when its last handle is gone.
pub struct ShardHandle<M: StateMachine>(Arc<Door<M>>);

/// What all handles of a shard share.
struct Door<M: StateMachine> {
    commands: mpsc::Sender<Ask<M>>,
    seat: Arc<Seat<M>>,
    phase: watch::Receiver<Phase>,
    clock: Arc<dyn Clock>,
}

pub(super) struct Ask<M: StateMachine> {
    pub(super) command: M::Command,
    /// Nobody waits for the answer when there is none.
    pub(super) responder: Option<Responder<M>>,
    /// When it was asked.
    pub(super) since: Moment,
}

impl<M: StateMachine> ShardHandle<M> {
    /// Asks the machine, and waits for what the answer depends on to be committed. When nobody else runs the machine and
    /// nothing waits for it, the command is decided and placed here, on the thread of the caller.
    ///
    /// Has no deadline of its own while the answer is parked, as a member waits for its group: a caller that gives up
    /// drops the future. That is small, the command having left the caller before it is first polled.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn ask(
        &self,
        command: M::Command,
    ) -> impl Future<Output = Result<M::Answer, AskError>> + Send + use<M> {
        let (responder, answer) = oneshot::channel();
        let ask = Ask { command, responder: Some(responder), since: self.0.clock.now() };
        let ask = if self.waiting() == 0 { self.0.seat.on_the_spot(ask) } else { Some(ask) };
        let sent = ask.map_or(Ok(()), |ask| self.send(ask));
        async move {
            sent?;
            answer.await.unwrap_or(Err(AskError::Closed))
        }
    }

    /// Gives the machine a command whose answer is of no interest.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] and [`AskError::Closed`]; nothing is known of what comes of it otherwise.
    pub fn tell(&self, command: M::Command) -> Result<(), AskError> {
        self.send(Ask { command, responder: None, since: self.0.clock.now() })
    }

    /// What the shard is doing.
    #[must_use]
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.clone()
    }

    /// How many commands wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.commands.max_capacity() - self.0.commands.capacity()
    }

    fn send(&self, ask: Ask<M>) -> Result<(), AskError> {
        self.0.commands.try_send(ask).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AskError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AskError::Closed,
        })
    }
}

impl<M: StateMachine> Clone for ShardHandle<M> {
    fn clone(&self) -> Self {
        ShardHandle(self.0.clone())
    }
}

impl<M: StateMachine> fmt::Debug for ShardHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardHandle({:?})", *self.0.phase.borrow())
    }
}

impl<M: StateMachine> Shard<M> {
    /// The handle, and the task that the caller has to run, on a thread that disks do not hold up.
    ///
    /// The task ends when the last handle is gone or the log is closed. It may be dropped at any time.
    #[must_use = "the shard answers only while its task runs"]
    pub fn start(self) -> (ShardHandle<M>, impl Future<Output = ()> + Send + 'static) {
        let (commands, inbox) = mpsc::channel(self.limits.commands_waiting_max);
        let (phase_sender, phase) = watch::channel(Phase::Waiting);
        let (watch, leadership) = (self.log.watch(), self.log.watch_leadership());
        let (seat, clock) = (Arc::new(Seat::default()), self.surroundings.clock.clone());
        let task = Task {
            shard: Arc::new(self),
            inbox,
            ready: VecDeque::new(),
            seat: seat.clone(),
            watch,
            leadership,
            phase: phase_sender,
        };
        (ShardHandle(Arc::new(Door { commands, seat, phase, clock })), task.run())
    }

    /// Tells how long a step has taken that began then, and when that is.
    pub(super) fn timed(&self, step: Step, begun: Moment) -> Moment {
        let now = self.surroundings.clock.now();
        self.witness.timed(step, now.since(begun));
        now
    }
}

/// Why a stretch of work ended.
pub(super) enum End {
    /// Leadership was lost, or the machine may no longer be believed: start again.
    Again,
    /// There is nobody left to serve, or no log.
    Closed,
}

pub(super) struct Task<M: StateMachine> {
    pub(super) shard: Arc<Shard<M>>,
    pub(super) inbox: mpsc::Receiver<Ask<M>>,
    /// Commands that were taken and not yet decided.
    pub(super) ready: VecDeque<Ask<M>>,
    /// Where the machine is while it leads and this task waits.
    pub(super) seat: Arc<Seat<M>>,
    pub(super) watch: watch::Receiver<Watermarks>,
    /// The same, of which every change is news of the leadership.
    pub(super) leadership: watch::Receiver<Watermarks>,
    phase: watch::Sender<Phase>,
}

impl<M: StateMachine> Task<M> {
    async fn run(mut self) {
        loop {
            let end = match AssertUnwindSafe(self.serve_once()).catch_unwind().await {
                Ok(end) => end,
                Err(panic) => self.start_again(&panic_text(&*panic)).await,
            };
            if let End::Closed = end {
                break;
            }
        }
        self.refuse_ready(&AskError::Closed);
        self.phase.send_replace(Phase::Closed);
    }

    /// The machine has panicked, and is gone with everybody who waited for it. The log is all that it had: after a while it
    /// is loaded again. A panic that the log itself brings about comes back, and is told each time.
    async fn start_again(&mut self, panic: &str) -> End {
        tracing::error!(partition = %self.shard.partition, panic, "a state machine has panicked; it is loaded again");
        self.phase.send_replace(Phase::Failed);
        self.wait_to_retry(&AskError::LoadFailed(format!("it panicked: {panic}"))).await
    }

    /// One leadership: wait for it, load, lead until it is lost.
    async fn serve_once(&mut self) -> End {
        let Some(marks) = self.wait_for_leadership().await else { return End::Closed };
        self.phase.send_replace(Phase::Loading);
        let begun = self.shard.surroundings.clock.now();
        match self.load(marks).await {
            Ok(Loaded::Ready(machine, position)) => {
                self.shard.witness.loaded(self.shard.surroundings.clock.now().since(begun));
                self.phase.send_replace(Phase::Leading(marks.epoch));
                let watch = self.watch.clone();
                let leading = Leading::new(*machine, marks.epoch, position.next, &self.shard, watch);
                lead(Box::new(leading), self).await
            }
            Ok(Loaded::Lost) => End::Again,
            Ok(Loaded::Closed) => End::Closed,
            Err(error) => {
                tracing::error!(partition = %self.shard.partition, %error, "a state machine could not be loaded");
                self.phase.send_replace(Phase::Failed);
                self.wait_to_retry(&AskError::LoadFailed(error.to_string())).await
            }
        }
    }

    /// Refuses commands until this node leads. `None` when the log or every handle is gone.
    async fn wait_for_leadership(&mut self) -> Option<Watermarks> {
        loop {
            let marks = *self.watch.borrow_and_update();
            if marks.leading {
                return Some(marks);
            }
            self.phase.send_replace(Phase::Waiting);
            self.refuse_ready(&AskError::NotLeader);
            tokio::select! {
                biased;
                changed = self.watch.changed() => changed.ok()?,
                ask = self.inbox.recv() => refuse(ask?, AskError::NotLeader),
            }
        }
    }

    /// Replays the log up to where it ended when leadership began, refusing commands meanwhile.
    async fn load(&mut self, marks: Watermarks) -> Result<Loaded<M>, ReplayError> {
        self.refuse_ready(&AskError::Loading);
        let shard = &self.shard;
        let replay = replay_whole(
            shard.log.clone(),
            shard.snapshots.clone(),
            (shard.new)(),
            marks.end,
            shard.limits.load_bytes,
        );
        tokio::pin!(replay);
        loop {
            tokio::select! {
                biased;
                changed = self.watch.changed() => {
                    let now = *self.watch.borrow_and_update();
                    if changed.is_err() {
                        return Ok(Loaded::Closed);
                    }
                    if !now.leading || now.epoch != marks.epoch {
                        return Ok(Loaded::Lost);
                    }
                }
                ask = self.inbox.recv() => match ask {
                    Some(ask) => refuse(ask, AskError::Loading),
                    None => return Ok(Loaded::Closed),
                },
                replayed = &mut replay => {
                    let (machine, position) = replayed?;
                    return Ok(Loaded::Ready(Box::new(machine), position));
                }
            }
        }
    }

    /// Refuses commands until it is time for another attempt.
    pub(super) async fn wait_to_retry(&mut self, error: &AskError) -> End {
        let clock = &self.shard.surroundings.clock;
        let mut sleep = clock.sleep_until(clock.now() + self.shard.limits.retry_delay);
        loop {
            tokio::select! {
                biased;
                () = &mut sleep => return End::Again,
                changed = self.watch.changed() => return if changed.is_ok() { End::Again } else { End::Closed },
                ask = self.inbox.recv() => match ask {
                    Some(ask) => refuse(ask, error.clone()),
                    None => return End::Closed,
                },
            }
        }
    }

    fn refuse_ready(&mut self, error: &AskError) {
        self.ready.drain(..).for_each(|ask| refuse(ask, error.clone()));
    }

    /// Takes what has come in meanwhile, up to a turn's worth.
    pub(super) fn take_ready(&mut self) {
        while self.ready.len() < self.shard.limits.commands_per_turn_max {
            let Ok(ask) = self.inbox.try_recv() else { break };
            self.ready.push_back(ask);
        }
    }
}

impl<M: StateMachine> Drop for Task<M> {
    fn drop(&mut self) {
        self.seat.close();
    }
}

pub(super) fn refuse<M: StateMachine>(ask: Ask<M>, error: AskError) {
    if let Some(responder) = ask.responder {
        // Who asked may have gone away.
        let _ = responder.send(Err(error));
    }
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

enum Loaded<M> {
    Ready(Box<M>, Position),
    Lost,
    Closed,
}
