//! A machine that leads: the loop of deciding, admitting, applying, placing and answering.
//!
//! The task of the shard runs this loop over what is queued, due or committed. In between the machine sits in its
//! [`Seat`](super::seat::Seat), and a command that finds it there with nothing before it is decided on the spot.

use std::sync::Arc;

use tokio::sync::watch;
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
use vltava_core::image::Image;
use vltava_core::machine::{Context, Decision, Encoded, Place, Reply, StateMachine, Timer, TransactionWrite};
use vltava_core::record::{Batch, BatchBuilder, BatchHeader};
use vltava_core::replicated::{Admission, Origin, PlaceError, PlaceTerms, Watermarks};

use super::answers::{Answers, Responder};
use super::replay::{Position, replay_to};
use super::seat::Away;
use super::shard::{Ask, Committed, End, Shard, Step, Task, refuse};
use super::timers::Timers;
use super::{AskError, batch};

/// A machine that leads.
pub(super) struct Leading<M: StateMachine> {
    machine: M,
    shard: Arc<Shard<M>>,
    /// The watermarks of the log.
    marks: watch::Receiver<Watermarks>,
    epoch: LeaderEpoch,
    /// The end of the log with everything that is applied, the open batch included.
    end: Offset,
    /// Everything placed below here has to be durable before it is acknowledged.
    durable_until: Offset,
    pub(super) answers: Answers<M>,
    timers: Timers<M::Key, M::Command>,
    /// The records of this turn that are applied and not yet placed, after the first `placed` offsets, and since when there
    /// are any.
    open: Option<(Moment, BatchBuilder)>,
    /// The end of the log as far as it is placed.
    placed: Offset,
    /// A timer is due, and so many commands came before that: a member whose heartbeat waits in the queue is not lost.
    commands_before_timers: Option<usize>,
    /// Timers wait until then, because the log has refused to be written.
    hold_timers_until: Option<Moment>,
    /// What loading has left to do is carried out.
    started: bool,
    /// When that is tried again, because the log has refused it.
    start_again_at: Option<Moment>,
    /// When the task looks again by itself, while it waits.
    task_wakes_at: Option<Moment>,
    /// Until then nothing is decided on the spot, because something has taken long.
    queued_until: Moment,
}

/// The log no longer takes what it has admitted: the machine may not be believed any more.
pub(super) struct Dropped;

/// What became of a command that was to be decided on the spot.
pub(super) enum OnTheSpot<M: StateMachine> {
    /// It is decided, and placed.
    Done {
        /// Something is left that only the task of the shard sees to.
        call_task: bool,
    },
    /// Something comes before it: it has to be queued.
    NotNow(Ask<M>),
}

/// What became of a decision.
enum Outcome<M: StateMachine> {
    /// It is applied, and will be written.
    Done,
    /// The log does not take it. Nothing has changed, and who asked has been told.
    Refused,
    /// Others have written to a shared log first, which ends here now. Nothing has changed, and who asked still waits.
    Moved(Offset, Option<Responder<M>>),
}

/// What the task of a shard waits for.
struct Wait {
    /// Commands are taken.
    accepts: bool,
    /// Answers or effects wait for a commit.
    commits: bool,
    /// An effect is committed, and nobody has taken it yet.
    effects: bool,
}

type Sleeper = Option<(Moment, BoxFuture<'static, ()>)>;

/// Leads until leadership is lost, or the machine may no longer be believed. Whoever waits is told before this returns.
pub(super) async fn lead<M: StateMachine>(mut leading: Box<Leading<M>>, task: &mut Task<M>) -> End {
    let mut sleeper = None;
    loop {
        if leading.turn(task).await.is_err() {
            leading.answers.fail_all(&AskError::NotLeader);
            return after_drop(task, leading.epoch).await;
        }
        task.leadership.borrow_and_update();
        let marks = *task.watch.borrow_and_update();
        if !marks.leading || marks.epoch != leading.epoch {
            leading.answers.fail_all(&AskError::NotLeader);
            return End::Again;
        }
        leading.release(marks);
        let accepts = leading.accepts();
        if accepts && !task.ready.is_empty() {
            // More is at hand; let others on this thread run first.
            tokio::task::yield_now().await;
            continue;
        }
        let wait = Wait {
            accepts,
            commits: leading.answers.uncommitted() > 0,
            effects: leading.answers.has_committed_effect(leading.acknowledged(marks)),
        };
        leading.task_wakes_at = leading.due();
        set_sleeper(&mut sleeper, leading.task_wakes_at, &*task.shard.surroundings.clock);
        let epoch = leading.epoch;
        task.seat.put(leading);
        let end = wait.something(task, &mut sleeper).await;
        leading = match task.seat.take().await {
            Ok(leading) => leading,
            Err(Away::Dropped) => return after_drop(task, epoch).await,
            // As if it had happened here.
            Err(Away::Panicked(panic)) => std::panic::resume_unwind(panic),
        };
        if let Some(end) = end {
            leading.answers.fail_all(&AskError::NotLeader);
            return end;
        }
    }
}

/// A log that takes nothing although it says it leads must not be asked in a tight loop.
async fn after_drop<M: StateMachine>(task: &mut Task<M>, epoch: LeaderEpoch) -> End {
    let marks = *task.watch.borrow();
    let still_leads = marks.leading && marks.epoch == epoch;
    if still_leads { task.wait_to_retry(&AskError::Loading).await } else { End::Again }
}

/// Keeps one sleep until whatever is due first; a new one is made only when that moves.
fn set_sleeper(sleeper: &mut Sleeper, next: Option<Moment>, clock: &dyn Clock) {
    if next != sleeper.as_ref().map(|(at, _)| *at) {
        *sleeper = next.map(|at| (at, clock.sleep_until(at)));
    }
}

impl Wait {
    /// Waits for something to do. `Some` ends the leadership.
    async fn something<M: StateMachine>(&self, task: &mut Task<M>, sleeper: &mut Sleeper) -> Option<End> {
        tokio::select! {
            biased;
            changed = task.leadership.changed() => changed.is_err().then_some(End::Closed),
            changed = task.watch.changed(), if self.commits => changed.is_err().then_some(End::Closed),
            ask = task.inbox.recv(), if self.accepts => match ask {
                Some(ask) => {
                    task.ready.push_back(ask);
                    None
                }
                None => Some(End::Closed),
            },
            () = task.seat.called() => None,
            () = sleep(sleeper.as_mut()) => {
                *sleeper = None;
                None
            }
            // The permit is given back; the next release takes it.
            permit = task.shard.effects.reserve(), if self.effects => {
                if permit.is_err() {
                    tracing::error!("nobody takes the effects of a state machine any more");
                    return Some(End::Closed);
                }
                None
            }
        }
    }
}

impl<M: StateMachine> Leading<M> {
    pub(super) fn new(
        machine: M,
        epoch: LeaderEpoch,
        end: Offset,
        shard: &Arc<Shard<M>>,
        marks: watch::Receiver<Watermarks>,
    ) -> Leading<M> {
        Leading {
            machine,
            shard: shard.clone(),
            marks,
            epoch,
            end,
            durable_until: Offset::ZERO,
            answers: Answers::new(),
            timers: Timers::new(),
            open: None,
            placed: end,
            commands_before_timers: None,
            hold_timers_until: None,
            started: false,
            start_again_at: None,
            task_wakes_at: None,
            queued_until: Moment::default(),
        }
    }

    /// Decides one command and places what comes of it, unless something comes before it: what loading has left to do, a
    /// timer, what others have written, or a commit that is waited for, since commands that come meanwhile share an append.
    /// Nor after a decision that has held the caller's thread for too long, for the next one may be like it.
    pub(super) fn on_the_spot(&mut self, ask: Ask<M>) -> Result<OnTheSpot<M>, Dropped> {
        let shard = self.shard.clone();
        let begun = ask.since;
        let due = self.due().is_some_and(|at| at <= begun);
        let queued = begun < self.queued_until;
        if M::SHARED_LOG || !self.started || due || queued || self.answers.uncommitted() > 0 {
            return Ok(OnTheSpot::NotNow(ask));
        }
        let admission = match shard.log.admit() {
            Ok(admission) if admission.epoch == self.epoch && admission.end == self.end => Ok(admission),
            Ok(_) | Err(PlaceError::NotLeader(_)) => return Ok(OnTheSpot::NotNow(ask)),
            Err(error) => Err(error),
        };
        let image = shard.surroundings.image();
        let turn = Turn { shard: &shard, image: &image, admission };
        self.attempt(&turn, ask)?;
        self.place_open(&turn)?;
        let marks = *self.marks.borrow();
        if marks.leading && marks.epoch == self.epoch {
            self.release(marks);
        }
        let ended = shard.surroundings.clock.now();
        let took = ended.since(begun);
        if took > shard.limits.on_the_spot_max {
            self.queued_until = ended + took * shard.limits.queued_for_times;
        }
        let sooner = |at: Moment| self.task_wakes_at.is_none_or(|wakes| at < wakes);
        let call_task = self.answers.uncommitted() > 0 || self.due().is_some_and(sooner);
        Ok(OnTheSpot::Done { call_task })
    }

    /// Sends what is committed.
    fn release(&mut self, marks: Watermarks) {
        if self.answers.uncommitted() == 0 {
            return;
        }
        let (committed, now) = (self.acknowledged(marks), self.shard.surroundings.clock.now());
        let witness = &self.shard.witness;
        self.answers.committed(committed, |since| witness.timed(Step::Committed, now.since(since)));
        while self.answers.has_committed_effect(committed) {
            let Ok(permit) = self.shard.effects.try_reserve() else { break };
            if let Some(effect) = self.answers.committed_effect(committed) {
                let (partition, epoch) = (self.shard.partition, self.epoch);
                permit.send(Committed { partition, epoch, effect });
            }
        }
        self.answers.expire(now, self.shard.limits.commit_timeout);
    }

    /// Up to where answers may leave.
    fn acknowledged(&self, marks: Watermarks) -> Offset {
        if marks.flushed >= self.durable_until { marks.high } else { marks.high.min(marks.flushed) }
    }

    fn accepts(&self) -> bool {
        self.answers.uncommitted() < self.shard.limits.uncommitted_max
    }

    /// When something is to be done though nothing happens.
    fn due(&self) -> Option<Moment> {
        let timer = self.timers.next().map(|at| self.hold_timers_until.map_or(at, |hold| at.max(hold)));
        let deadline = self.answers.waiting_since().map(|since| since + self.shard.limits.commit_timeout);
        [timer, self.start_again_at, deadline].into_iter().flatten().min()
    }

    /// One wake-up: everything that is ready is decided and applied, and placed in one batch.
    async fn turn(&mut self, task: &mut Task<M>) -> Result<(), Dropped> {
        if self.accepts() {
            task.take_ready();
        }
        let now = task.shard.surroundings.clock.now();
        let timers_due = self.timers.next().is_some_and(|at| at <= now);
        if task.ready.is_empty() && !timers_due && self.started {
            return Ok(());
        }
        if timers_due && self.commands_before_timers.is_none() {
            self.commands_before_timers = Some(task.ready.len() + task.inbox.len());
        }
        let admission = self.admit(&task.shard).await?;
        let image = task.shard.surroundings.image();
        let turn = Turn { shard: &task.shard, image: &image, admission };
        if !self.started {
            self.start(&turn, now)?;
        }
        let mut decided = 0;
        if self.accepts() {
            while let Some(ask) = task.ready.pop_front() {
                self.answer(&turn, ask).await?;
                decided += 1;
                if task.shard.surroundings.clock.now() >= now + task.shard.limits.turn_max {
                    break;
                }
            }
        }
        if timers_due {
            self.commands_before_timers =
                self.commands_before_timers.map(|before| before.saturating_sub(decided));
            if self.commands_before_timers == Some(0) || !self.accepts() {
                self.fire_timers(&turn, now)?;
                self.commands_before_timers = None;
            }
        }
        self.place_open(&turn)
    }

    /// Carries out what loading has left to do: timers and effects among it, so that it is tried until the log takes it.
    fn start(&mut self, turn: &Turn<'_, M>, now: Moment) -> Result<(), Dropped> {
        let context = turn.shard.surroundings.context(turn.image, now);
        let decision = self.machine.loaded(&context);
        self.started = matches!(self.carry_out(turn, &context, decision, None)?, Outcome::Done);
        self.start_again_at = (!self.started).then(|| now + turn.shard.limits.retry_delay);
        Ok(())
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
            let due = self.timers.next();
            let Some((key, command)) = self.timers.pop(now) else { break };
            let begun = turn.shard.timed(Step::Queued, due.unwrap_or(now));
            let context = turn.shard.surroundings.context(turn.image, begun);
            let decision = self.machine.decide(&context, command.clone());
            let outcome = self.carry_out(turn, &context, decision, None)?;
            turn.shard.timed(Step::Processed, begun);
            if !matches!(outcome, Outcome::Done) {
                // Nothing has changed, so it stays due; the log may take it once it is allowed larger batches.
                self.timers.set(key, now + turn.shard.limits.retry_delay, command);
            }
        }
        Ok(())
    }

    async fn answer(&mut self, turn: &Turn<'_, M>, mut ask: Ask<M>) -> Result<(), Dropped> {
        for _ in 0..turn.shard.limits.decisions_max {
            let Some((end, moved)) = self.attempt(turn, ask)? else { return Ok(()) };
            ask = moved;
            self.catch_up(turn.shard, end).await?;
        }
        refuse(ask, AskError::Overloaded);
        Ok(())
    }

    /// Decides a command once. `Some` gives it back, as others have written to a shared log first, which ends there now.
    fn attempt(&mut self, turn: &Turn<'_, M>, ask: Ask<M>) -> Result<Option<(Offset, Ask<M>)>, Dropped> {
        if self.answers.parked() >= turn.shard.limits.parked_max {
            refuse(ask, AskError::Overloaded);
            return Ok(None);
        }
        let Ask { command, responder, since } = ask;
        let again = M::SHARED_LOG.then(|| command.clone());
        let begun = turn.shard.timed(Step::Queued, since);
        let context = turn.shard.surroundings.context(turn.image, begun);
        let decision = self.machine.decide(&context, command);
        let outcome = self.carry_out(turn, &context, decision, responder)?;
        let since = turn.shard.timed(Step::Processed, begun);
        Ok(match outcome {
            Outcome::Moved(end, responder) => again.map(|command| (end, Ask { command, responder, since })),
            Outcome::Done | Outcome::Refused => None,
        })
    }

    /// Encodes, admits, applies, and sees to who waits.
    fn carry_out(
        &mut self,
        turn: &Turn<'_, M>,
        context: &Context<'_>,
        decision: Decision<M>,
        responder: Option<Responder<M>>,
    ) -> Result<Outcome<M>, Dropped> {
        let encoded: Vec<_> =
            decision.events.iter().map(|event| self.machine.encode(event, turn.image)).collect();
        if let Err(error) = turn.admits(&encoded, decision.transaction.as_ref()) {
            match responder {
                // What the log refuses because of what stands in it is said once that is committed: a marker that was
                // written before is not there until then.
                Some(responder) if turn.admission.is_ok() => {
                    self.answers.commit(self.end, context.now, responder, Err(AskError::Refused(error)));
                }
                Some(responder) => drop(responder.send(Err(AskError::Refused(error)))),
                None => {
                    tracing::error!(partition = %turn.shard.partition, %error, "the log refuses what a timer or loading has decided");
                    // Who would have been answered now must not wait for an end that may never come.
                    for (key, _) in decision.releases {
                        self.answers.fail(&key, AskError::Refused(error.clone()));
                    }
                }
            }
            return Ok(Outcome::Refused);
        }
        if M::SHARED_LOG {
            if let Some(end) = self.place_first(turn, &encoded, context.wall)? {
                return Ok(Outcome::Moved(end, responder));
            }
            self.apply(turn, &decision, &encoded, context.wall);
            self.end = self.placed;
            self.reply(turn.shard.surroundings.clock.now(), decision, responder);
            return Ok(Outcome::Done);
        }
        let transaction = decision.transaction.and_then(|write| write.within());
        self.make_room(turn, &encoded, transaction.is_some())?;
        self.apply(turn, &decision, &encoded, context.wall);
        let applied = Context { now: turn.shard.surroundings.clock.now(), ..*context };
        self.write(turn, &applied, encoded, transaction)?;
        self.reply(applied.now, decision, responder);
        Ok(Outcome::Done)
    }

    /// Places the records of a decision on a shared log, before they are applied. `Some` is where the log ends instead.
    fn place_first(
        &mut self,
        turn: &Turn<'_, M>,
        encoded: &[Encoded],
        wall: Timestamp,
    ) -> Result<Option<Offset>, Dropped> {
        let mut batch = batch::open();
        for record in encoded {
            if let Encoded::Record { key, value } = record {
                batch.append(wall, key.as_deref(), value.as_deref(), &[]);
            }
        }
        if batch::size_max(encoded) == 0 {
            return Ok(None);
        }
        let batch = batch.build().map_err(|error| dropped(turn, &error))?;
        match self.try_place(turn, batch) {
            Ok(()) => Ok(None),
            Err(PlaceError::EndMoved { actual, .. }) => Ok(Some(actual)),
            Err(error) => Err(dropped(turn, &error)),
        }
    }

    /// Places the open batch when these records do not belong into it.
    fn make_room(
        &mut self,
        turn: &Turn<'_, M>,
        encoded: &[Encoded],
        transactional: bool,
    ) -> Result<(), Dropped> {
        let size = batch::size_max(encoded);
        let Some((_, open)) = self.open.as_ref().filter(|_| size > 0) else { return Ok(()) };
        if transactional || open.uncompressed_size() + size > turn.batch_bytes_max() {
            self.place_open(turn)?;
        }
        Ok(())
    }

    fn apply(&mut self, turn: &Turn<'_, M>, decision: &Decision<M>, encoded: &[Encoded], wall: Timestamp) {
        let transaction = decision.transaction.and_then(|write| write.within());
        for (event, offset) in decision.events.iter().zip(batch::offsets(encoded, self.end)) {
            let place = Place { offset, timestamp: wall, transaction };
            self.machine.apply(event, place);
            turn.shard.witness.applied(event);
        }
    }

    /// Adds the records to the open batch; transactions and their ends are batches of their own.
    fn write(
        &mut self,
        turn: &Turn<'_, M>,
        context: &Context<'_>,
        encoded: Vec<Encoded>,
        transaction: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<(), Dropped> {
        for record in encoded {
            match record {
                // One that is unfit is not admitted.
                Encoded::Volatile | Encoded::Unfit { .. } => continue,
                Encoded::Record { key, value } => {
                    let (_, open) = self.open.get_or_insert_with(|| {
                        let batch = transaction.map_or_else(batch::open, batch::open_transactional);
                        (context.now, batch)
                    });
                    open.append(context.wall, key.as_deref(), value.as_deref(), &[]);
                }
                Encoded::End(end) => {
                    self.place_open(turn)?;
                    let marker =
                        batch::end_marker(end, context.wall).map_err(|error| dropped(turn, &error))?;
                    self.place(turn, marker)?;
                }
            }
            self.end = self.end.next();
        }
        if transaction.is_some() { self.place_open(turn) } else { Ok(()) }
    }

    fn reply(&mut self, now: Moment, decision: Decision<M>, responder: Option<Responder<M>>) {
        let until = self.end;
        for (key, answer) in decision.releases {
            self.answers.release(&key, until, now, answer);
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
            Reply::Committed(answer) => self.answers.commit(until, now, responder, Ok(answer)),
            Reply::AtOnce(answer) => drop(responder.send(Ok(answer))),
            Reply::Parked(key) => self.answers.park(key, responder),
            Reply::Nobody => tracing::error!("a state machine has no answer for who asked"),
        }
    }

    fn place_open(&mut self, turn: &Turn<'_, M>) -> Result<(), Dropped> {
        let Some((since, open)) = self.open.take() else { return Ok(()) };
        turn.shard.timed(Step::Lingered, since);
        let batch = open.build().map_err(|error| dropped(turn, &error))?;
        self.place(turn, batch)
    }

    fn place(&mut self, turn: &Turn<'_, M>, batch: Batch) -> Result<(), Dropped> {
        self.try_place(turn, batch).map_err(|error| dropped(turn, &error))
    }

    fn try_place(&mut self, turn: &Turn<'_, M>, batch: Batch) -> Result<(), PlaceError> {
        let begun = turn.shard.surroundings.clock.now();
        let placed = turn.shard.log.place(batch, self.terms())?;
        turn.shard.timed(Step::Flushed, begun);
        self.placed = placed.end;
        if placed.sync {
            self.durable_until = placed.end;
        }
        Ok(())
    }

    /// What belongs to a transaction was judged when it was admitted.
    fn terms(&self) -> PlaceTerms {
        PlaceTerms {
            expected_end: Some(self.placed),
            expected_epoch: Some(self.epoch),
            require_min_insync: false,
            ..PlaceTerms::by(Origin::Coordinator)
        }
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
    fn admits(&self, encoded: &[Encoded], transaction: Option<&TransactionWrite>) -> Result<(), PlaceError> {
        if let Some(why) = encoded.iter().find_map(Encoded::unfit) {
            return Err(PlaceError::Refused {
                code: ErrorCode::UNKNOWN_SERVER_ERROR,
                message: format!("the change cannot be written as a record: {why}"),
                records: Vec::new(),
            });
        }
        let size = batch::size_max(encoded);
        if size == 0 {
            return Ok(());
        }
        let ends = encoded.iter().any(|record| matches!(record, Encoded::End(_)));
        if M::SHARED_LOG && (transaction.is_some() || ends) {
            return Err(PlaceError::Refused {
                code: ErrorCode::INVALID_TXN_STATE,
                message: "a log that others write to as well takes no transactions of its machine".to_owned(),
                records: Vec::new(),
            });
        }
        let admission = self.admission.as_ref().map_err(Clone::clone)?;
        if let Some(write) = transaction {
            self.shard.log.admit_transaction(write)?;
        }
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
