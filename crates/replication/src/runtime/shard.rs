//! One machine where this node leads its log: the loop.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, Timestamp};
use vltava_core::image::Image;
use vltava_core::machine::{Decision, Encoded, Place, Reply, StateMachine, Timer};
use vltava_core::record::{Batch, BatchBuilder, BatchHeader};
use vltava_core::replicated::{
    Admission, Isolation, Origin, PlaceError, PlaceTerms, ReplicatedLog, Watermarks,
};

use super::answers::{Answers, Responder};
use super::replay::{Position, apply_region, replay_some};
use super::timers::Timers;
use super::{AskError, Limits, ReplayError, Snapshots, Surroundings, batch};

/// A machine and the log that it runs over, before it runs.
pub struct Shard<M: StateMachine> {
    /// Which partition of its topic the log is; effects carry it.
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
    pub effects: mpsc::Sender<(PartitionIndex, M::Effect)>,
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
pub struct ShardHandle<M: StateMachine> {
    commands: mpsc::Sender<Ask<M>>,
    phase: watch::Receiver<Phase>,
}

struct Ask<M: StateMachine> {
    command: M::Command,
    /// Nobody waits for the answer when there is none.
    responder: Option<Responder<M>>,
}

impl<M: StateMachine> ShardHandle<M> {
    /// Asks the machine, and waits for what the answer depends on to be committed.
    ///
    /// Has no deadline of its own while the answer is parked, as a member waits for its group: a caller that gives up
    /// drops the future.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, command: M::Command) -> Result<M::Answer, AskError> {
        let (responder, answer) = oneshot::channel();
        self.send(Ask { command, responder: Some(responder) })?;
        answer.await.unwrap_or(Err(AskError::Closed))
    }

    /// Gives the machine a command whose answer is of no interest.
    ///
    /// # Errors
    /// [`AskError::Overloaded`] and [`AskError::Closed`]; nothing is known of what comes of it otherwise.
    pub fn tell(&self, command: M::Command) -> Result<(), AskError> {
        self.send(Ask { command, responder: None })
    }

    /// What the shard is doing.
    #[must_use]
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    fn send(&self, ask: Ask<M>) -> Result<(), AskError> {
        self.commands.try_send(ask).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AskError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AskError::Closed,
        })
    }
}

impl<M: StateMachine> Clone for ShardHandle<M> {
    fn clone(&self) -> Self {
        ShardHandle { commands: self.commands.clone(), phase: self.phase.clone() }
    }
}

impl<M: StateMachine> fmt::Debug for ShardHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardHandle({:?})", *self.phase.borrow())
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
        let watch = self.log.watch();
        let task = Task { shard: self, inbox, ready: VecDeque::new(), watch, phase: phase_sender };
        (ShardHandle { commands, phase }, task.run())
    }
}

/// Why a stretch of work ended.
enum End {
    /// Leadership was lost, or the machine may no longer be believed: start again.
    Again,
    /// There is nobody left to serve, or no log.
    Closed,
}

struct Task<M: StateMachine> {
    shard: Shard<M>,
    inbox: mpsc::Receiver<Ask<M>>,
    /// Commands that were taken and not yet decided.
    ready: VecDeque<Ask<M>>,
    watch: watch::Receiver<Watermarks>,
    phase: watch::Sender<Phase>,
}

impl<M: StateMachine> Task<M> {
    async fn run(mut self) {
        while let End::Again = self.serve_once().await {}
        self.refuse_ready(&AskError::Closed);
        self.phase.send_replace(Phase::Closed);
    }

    /// One leadership: wait for it, load, lead until it is lost.
    async fn serve_once(&mut self) -> End {
        let Some(marks) = self.wait_for_leadership().await else { return End::Closed };
        self.phase.send_replace(Phase::Loading);
        match self.load(marks).await {
            Ok(Loaded::Ready(machine, position)) => {
                self.phase.send_replace(Phase::Leading(marks.epoch));
                let mut leading = Leading::new(*machine, marks.epoch, position.next, &self.shard);
                let end = leading.lead(self).await;
                leading.answers.fail_all(&AskError::NotLeader);
                end
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
    async fn wait_to_retry(&mut self, error: &AskError) -> End {
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
    fn take_ready(&mut self) {
        while self.ready.len() < self.shard.limits.commands_per_turn_max {
            let Ok(ask) = self.inbox.try_recv() else { break };
            self.ready.push_back(ask);
        }
    }
}

fn refuse<M: StateMachine>(ask: Ask<M>, error: AskError) {
    if let Some(responder) = ask.responder {
        // Who asked may have gone away.
        let _ = responder.send(Err(error));
    }
}

enum Loaded<M> {
    Ready(Box<M>, Position),
    Lost,
    Closed,
}

async fn replay_whole<M: StateMachine>(
    log: Arc<dyn ReplicatedLog>,
    snapshots: Option<Arc<dyn Snapshots>>,
    mut machine: M,
    end: Offset,
    bytes: usize,
) -> Result<(M, Position), ReplayError> {
    let mut position = Position::at(log.watch().borrow().start);
    if let Some(snapshots) = snapshots {
        start_from_snapshot(snapshots, &mut machine, &mut position).await?;
    }
    replay_to(&*log, &mut machine, &mut position, end, bytes).await?;
    Ok((machine, position))
}

/// Applies the newest snapshot, when there is one.
pub(super) async fn start_from_snapshot<M: StateMachine>(
    snapshots: Arc<dyn Snapshots>,
    machine: &mut M,
    position: &mut Position,
) -> Result<(), ReplayError> {
    let newest = tokio::task::spawn_blocking(move || snapshots.newest());
    let Some(snapshot) = newest.await.map_err(|_| ReplayError::Cancelled)?? else { return Ok(()) };
    let mut inside = Position::at(Offset::ZERO);
    apply_region(machine, snapshot.batches, &mut inside)?;
    *position = Position::at(snapshot.end);
    position.epoch = snapshot.epoch;
    Ok(())
}

/// Replays the log as a leader does, whether it is committed or not, up to `end`.
async fn replay_to<M: StateMachine>(
    log: &dyn ReplicatedLog,
    machine: &mut M,
    position: &mut Position,
    end: Offset,
    bytes: usize,
) -> Result<(), ReplayError> {
    while position.next < end {
        let before = position.next;
        replay_some(log, machine, position, Isolation::LogEnd, bytes).await?;
        if position.next == before {
            // Nothing from here on: the last records were compacted away.
            position.next = end;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A machine that leads.
struct Leading<M: StateMachine> {
    machine: M,
    epoch: LeaderEpoch,
    /// The end of the log with everything that is applied, the open batch included.
    end: Offset,
    /// Everything placed below here has to be durable before it is acknowledged.
    durable_until: Offset,
    answers: Answers<M>,
    timers: Timers<M::Key, M::Command>,
    /// The records of this turn that are applied and not yet placed, after the first `placed` offsets.
    open: Option<BatchBuilder>,
    /// The end of the log as far as it is placed.
    placed: Offset,
    /// Timers wait until then, because the log has refused to be written.
    hold_timers_until: Option<Moment>,
    sleeper: Option<(Moment, BoxFuture<'static, ()>)>,
    started: bool,
    commit_timeout: std::time::Duration,
}

/// The log no longer takes what it has admitted: the machine may not be believed any more.
struct Dropped;

impl<M: StateMachine> Leading<M> {
    fn new(machine: M, epoch: LeaderEpoch, end: Offset, shard: &Shard<M>) -> Leading<M> {
        Leading {
            machine,
            epoch,
            end,
            durable_until: Offset::ZERO,
            answers: Answers::new(),
            timers: Timers::new(),
            open: None,
            placed: end,
            hold_timers_until: None,
            sleeper: None,
            started: false,
            commit_timeout: shard.limits.commit_timeout,
        }
    }

    async fn lead(&mut self, task: &mut Task<M>) -> End {
        loop {
            let Ok(()) = self.turn(task).await else {
                // A log that takes nothing although it says it leads must not be asked in a tight loop.
                self.answers.fail_all(&AskError::NotLeader);
                let marks = *task.watch.borrow();
                let still_leads = marks.leading && marks.epoch == self.epoch;
                return if still_leads { task.wait_to_retry(&AskError::Loading).await } else { End::Again };
            };
            let marks = *task.watch.borrow_and_update();
            if !marks.leading || marks.epoch != self.epoch {
                return End::Again;
            }
            self.release(task, marks);
            if let Some(end) = self.wait(task, marks).await {
                return end;
            }
        }
    }

    /// Sends what is committed.
    fn release(&mut self, task: &Task<M>, marks: Watermarks) {
        let committed = self.acknowledged(marks);
        self.answers.committed(committed);
        while self.answers.has_committed_effect(committed) {
            let Ok(permit) = task.shard.effects.try_reserve() else { break };
            if let Some(effect) = self.answers.committed_effect(committed) {
                permit.send((task.shard.partition, effect));
            }
        }
        self.answers.expire(task.shard.surroundings.clock.now());
    }

    /// Up to where answers may leave.
    fn acknowledged(&self, marks: Watermarks) -> Offset {
        if marks.flushed >= self.durable_until { marks.high } else { marks.high.min(marks.flushed) }
    }

    /// Waits for something to do. `Some` ends the leadership.
    async fn wait(&mut self, task: &mut Task<M>, marks: Watermarks) -> Option<End> {
        if !task.ready.is_empty() && self.accepts(task) {
            // More is at hand; let others on this thread run first.
            tokio::task::yield_now().await;
            return None;
        }
        let accepts = self.accepts(task);
        let effects_wait = self.answers.has_committed_effect(self.acknowledged(marks));
        self.set_sleeper(&*task.shard.surroundings.clock);
        let sleeper = self.sleeper.as_mut();
        tokio::select! {
            biased;
            changed = task.watch.changed() => changed.is_err().then_some(End::Closed),
            ask = task.inbox.recv(), if accepts => match ask {
                Some(ask) => {
                    task.ready.push_back(ask);
                    None
                }
                None => Some(End::Closed),
            },
            () = sleep(sleeper) => {
                self.sleeper = None;
                None
            }
            // The permit is given back; the next release takes it.
            permit = task.shard.effects.reserve(), if effects_wait => {
                if permit.is_err() {
                    tracing::error!("nobody takes the effects of a state machine any more");
                    return Some(End::Closed);
                }
                None
            }
        }
    }

    fn accepts(&self, task: &Task<M>) -> bool {
        self.answers.uncommitted() < task.shard.limits.uncommitted_max
    }

    /// Keeps one sleep until whatever is due first; a new one is made only when that moves.
    fn set_sleeper(&mut self, clock: &dyn Clock) {
        let timer = self.timers.next().map(|at| self.hold_timers_until.map_or(at, |hold| at.max(hold)));
        let next = [timer, self.answers.next_deadline()].into_iter().flatten().min();
        if next != self.sleeper.as_ref().map(|(at, _)| *at) {
            self.sleeper = next.map(|at| (at, clock.sleep_until(at)));
        }
    }

    /// One wake-up: everything that is ready is decided and applied, and placed in one batch.
    async fn turn(&mut self, task: &mut Task<M>) -> Result<(), Dropped> {
        if self.accepts(task) {
            task.take_ready();
        }
        let now = task.shard.surroundings.clock.now();
        let timers_due = self.timers.next().is_some_and(|at| at <= now);
        if task.ready.is_empty() && !timers_due && self.started {
            return Ok(());
        }
        let admission = self.admit(&task.shard).await?;
        let image = task.shard.surroundings.image();
        let turn = Turn { shard: &task.shard, image: &image, admission };
        if !self.started {
            self.started = true;
            let decision = self.machine.loaded(&turn.shard.surroundings.context(&image));
            self.carry_out(&turn, decision, None)?;
        }
        self.fire_timers(&turn, now)?;
        if self.accepts(task) {
            for ask in task.ready.drain(..) {
                self.answer(&turn, ask)?;
            }
        }
        self.place_open(&turn)
    }

    /// What the log takes now. What others have written into it is applied first.
    async fn admit(&mut self, shard: &Shard<M>) -> Result<Result<Admission, PlaceError>, Dropped> {
        loop {
            match shard.log.admit() {
                Ok(admission) if admission.epoch != self.epoch => return Err(Dropped),
                Ok(admission) if admission.end == self.end => return Ok(Ok(admission)),
                Ok(admission) => self.catch_up(shard, admission.end).await?,
                Err(PlaceError::NotLeader(_)) => return Err(Dropped),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn catch_up(&mut self, shard: &Shard<M>, end: Offset) -> Result<(), Dropped> {
        let mut position = Position::at(self.end);
        let bytes = shard.limits.load_bytes;
        let replayed = replay_to(&*shard.log, &mut self.machine, &mut position, end, bytes).await;
        replayed.map_err(|error| {
            tracing::error!(partition = %shard.partition, %error, "a state machine could not catch up with its log");
            Dropped
        })?;
        (self.end, self.placed) = (position.next, position.next);
        Ok(())
    }

    fn fire_timers(&mut self, turn: &Turn<'_, M>, now: Moment) -> Result<(), Dropped> {
        if turn.admission.is_err() {
            // A timer that fires now would be lost with its refusal.
            self.hold_timers_until = Some(now + turn.shard.limits.retry_delay);
            return Ok(());
        }
        self.hold_timers_until = None;
        for _ in 0..turn.shard.limits.timers_per_turn_max {
            let Some(command) = self.timers.pop(now) else { break };
            let context = turn.shard.surroundings.context(turn.image);
            let decision = self.machine.decide(&context, command);
            self.carry_out(turn, decision, None)?;
        }
        Ok(())
    }

    fn answer(&mut self, turn: &Turn<'_, M>, ask: Ask<M>) -> Result<(), Dropped> {
        if self.answers.parked() >= turn.shard.limits.parked_max {
            refuse(ask, AskError::Overloaded);
            return Ok(());
        }
        let context = turn.shard.surroundings.context(turn.image);
        let decision = self.machine.decide(&context, ask.command);
        self.carry_out(turn, decision, ask.responder)
    }

    /// Encodes, admits, applies, and sees to who waits.
    fn carry_out(
        &mut self,
        turn: &Turn<'_, M>,
        decision: Decision<M>,
        responder: Option<Responder<M>>,
    ) -> Result<(), Dropped> {
        let encoded: Vec<_> =
            decision.events.iter().map(|event| self.machine.encode(event, turn.image)).collect();
        if let Err(error) = turn.admits(&encoded) {
            match responder {
                Some(responder) => drop(responder.send(Err(AskError::Refused(error)))),
                None => tracing::error!(%error, "the log refuses what a timer has decided"),
            }
            return Ok(());
        }
        let wall = turn.shard.surroundings.clock.wall();
        self.make_room(turn, &encoded, decision.transaction.is_some())?;
        self.apply(&decision, &encoded, wall);
        self.write(turn, encoded, decision.transaction, wall)?;
        self.reply(turn, decision, responder);
        Ok(())
    }

    /// Places the open batch when these records do not belong into it.
    fn make_room(
        &mut self,
        turn: &Turn<'_, M>,
        encoded: &[Encoded],
        transactional: bool,
    ) -> Result<(), Dropped> {
        let size = batch::size_max(encoded);
        let Some(open) = self.open.as_ref().filter(|_| size > 0) else { return Ok(()) };
        if transactional || open.uncompressed_size() + size > turn.batch_bytes_max() {
            self.place_open(turn)?;
        }
        Ok(())
    }

    fn apply(&mut self, decision: &Decision<M>, encoded: &[Encoded], wall: Timestamp) {
        for (event, offset) in decision.events.iter().zip(batch::offsets(encoded, self.end)) {
            let place = Place { offset, timestamp: wall, transaction: decision.transaction };
            self.machine.apply(event, place);
        }
    }

    /// Adds the records to the open batch; transactions and their ends are batches of their own.
    fn write(
        &mut self,
        turn: &Turn<'_, M>,
        encoded: Vec<Encoded>,
        transaction: Option<(vltava_core::id::ProducerId, vltava_core::id::ProducerEpoch)>,
        wall: Timestamp,
    ) -> Result<(), Dropped> {
        for record in encoded {
            match record {
                Encoded::Volatile => continue,
                Encoded::Record { key, value } => {
                    let open = self.open.get_or_insert_with(|| {
                        transaction.map_or_else(batch::open, batch::open_transactional)
                    });
                    open.append(wall, key.as_deref(), value.as_deref(), &[]);
                }
                Encoded::End(end) => {
                    self.place_open(turn)?;
                    let marker = batch::end_marker(end, wall).map_err(|error| dropped(turn, &error))?;
                    self.place(turn, marker)?;
                }
            }
            self.end = self.end.next();
        }
        if transaction.is_some() { self.place_open(turn) } else { Ok(()) }
    }

    fn reply(&mut self, turn: &Turn<'_, M>, decision: Decision<M>, responder: Option<Responder<M>>) {
        let (until, deadline) = (self.end, turn.shard.surroundings.clock.now() + self.commit_timeout);
        for (key, answer) in decision.releases {
            self.answers.release(&key, until, deadline, answer);
        }
        for effect in decision.effects {
            self.answers.effect(until, effect);
        }
        for timer in decision.timers {
            match timer {
                Timer::Set { key, at, command } => self.timers.set(key, at, command),
                Timer::Cancel(key) => self.timers.cancel(&key),
            }
        }
        let Some(responder) = responder else { return };
        match decision.reply {
            Reply::Committed(answer) => self.answers.commit(until, deadline, responder, answer),
            Reply::AtOnce(answer) => drop(responder.send(Ok(answer))),
            Reply::Parked(key) => self.answers.park(key, responder),
            Reply::Nobody => tracing::error!("a state machine has no answer for who asked"),
        }
    }

    fn place_open(&mut self, turn: &Turn<'_, M>) -> Result<(), Dropped> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let batch = open.build().map_err(|error| dropped(turn, &error))?;
        self.place(turn, batch)
    }

    fn place(&mut self, turn: &Turn<'_, M>, batch: Batch) -> Result<(), Dropped> {
        let terms = PlaceTerms {
            origin: Origin::Coordinator,
            expected_end: Some(self.placed),
            expected_epoch: Some(self.epoch),
            require_min_insync: false,
        };
        let placed = turn.shard.log.place(batch, terms).map_err(|error| dropped(turn, &error))?;
        self.placed = placed.end;
        if placed.sync {
            self.durable_until = placed.end;
        }
        Ok(())
    }
}

async fn sleep(sleeper: Option<&mut (Moment, BoxFuture<'static, ()>)>) {
    match sleeper {
        Some((_, sleep)) => sleep.await,
        None => std::future::pending().await,
    }
}

fn dropped<M: StateMachine>(turn: &Turn<'_, M>, error: &dyn std::error::Error) -> Dropped {
    tracing::warn!(partition = %turn.shard.partition, %error, "a state machine is dropped: its log did not take what it has decided");
    Dropped
}

/// What stays the same within a wake-up.
struct Turn<'a, M: StateMachine> {
    shard: &'a Shard<M>,
    image: &'a Image,
    admission: Result<Admission, PlaceError>,
}

impl<M: StateMachine> Turn<'_, M> {
    fn batch_bytes_max(&self) -> usize {
        self.admission.as_ref().map_or(0, |admission| admission.batch_bytes_max)
    }

    /// Whether the log takes these records. What is not logged is always taken.
    fn admits(&self, encoded: &[Encoded]) -> Result<(), PlaceError> {
        let size = batch::size_max(encoded);
        if size == 0 {
            return Ok(());
        }
        let admission = self.admission.as_ref().map_err(Clone::clone)?;
        if BatchHeader::SIZE + size <= admission.batch_bytes_max {
            return Ok(());
        }
        Err(PlaceError::Refused {
            code: ErrorCode::MESSAGE_TOO_LARGE,
            message: format!(
                "the change needs up to {} bytes in the log, which takes batches of {}; raise max.message.bytes of its topic",
                BatchHeader::SIZE + size,
                admission.batch_bytes_max
            ),
            records: Vec::new(),
        })
    }
}
