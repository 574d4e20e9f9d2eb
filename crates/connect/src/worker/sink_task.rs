//! The life of a sink task: consume, convert, transform, put; let the sink decide what may be committed.
//!
//! There is one batch at a time, so what a stalled sink holds is bounded by what a poll returns; meanwhile its partitions
//! are paused, and it stays a member of its group.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep, sleep_until};
use tracing::warn;
use vltava_core::meter::Members;

use super::failure::{DeadLetters, Problem, Stage};
use super::pipeline::Pipeline;
use super::tables::State;
use super::task::{Order, TaskShell, whole};
use super::ticks::until_next;
use crate::connector::{Sink, SinkContext, SinkRequest, TopicOffsets, TopicPartition};
use crate::error::{ConnectError, ErrorKind};
use crate::record::{Origin, Record};
use crate::settings::Config;
use crate::topics::{
    Acknowledgement, Consumer, NewTopic, Polled, Producer, Reads, Received, TopicsErrorKind,
};

/// How long a poll waits, at first and at most: longer and longer while nothing comes. Records end a wait, and so do orders; a
/// rebalance is heard of between polls, and so no later than twice the usual time between heartbeats. The longest waits of all
/// tasks end together.
const POLL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// The first and the longest pause after an error that may pass.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// How long a task rests after a poll that failed.
const REST: Duration = Duration::from_secs(1);
/// How often topics are looked at: whether others match the pattern, or some have more partitions.
const REFRESH: Duration = Duration::from_secs(60);
/// How often, while some that are named are not there yet.
const LOOK: Duration = Duration::from_secs(1);

/// A sink task and what it works with.
#[derive(Debug)]
pub struct SinkTask {
    /// What the worker gives.
    pub shell: TaskShell,
    /// The task.
    pub sink: Box<dyn Sink>,
    /// What the task asks for.
    pub context: SinkContext,
    /// The transforms and converters.
    pub pipeline: Pipeline,
    /// Where errant records go.
    pub dead: Option<DeadLetters>,
}

/// The group of a sink connector.
pub fn group(connector: &str, config: &Config) -> String {
    let named = config.get("consumer.override.group.id").cloned();
    named.unwrap_or_else(|| format!("connect-{connector}"))
}

impl SinkTask {
    /// Runs the task until it is told to stop.
    ///
    /// # Errors
    /// What the task fails with.
    pub async fn run(mut self) -> Result<(), ConnectError> {
        let shell = self.shell.clone();
        let started = shell.unless_stopped(shell.calls.wait("start", self.sink.start())).await;
        let outcome = match started.map(Result::flatten) {
            Some(Ok(())) => self.lives().await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        shell.closed(self.sink.close()).await;
        outcome
    }

    /// One life after another: each with the topics that there are when it begins.
    async fn lives(&mut self) -> Result<(), ConnectError> {
        loop {
            let mut life = match self.begin().await {
                Ok(life) => life,
                Err(error) if error.kind == ErrorKind::Retriable => {
                    warn!(
                        connector = self.shell.connector,
                        error = error.line(),
                        "topics cannot be asked about; trying again"
                    );
                    match self.shell.unless_stopped(sleep(REST)).await {
                        Some(()) => continue,
                        None => return Ok(()),
                    }
                }
                Err(error) => return Err(error),
            };
            let mut outcome = self.live(&mut life).await;
            if outcome.is_ok() {
                outcome = self.hand_back(&mut life).await.and(outcome);
            }
            life.consumer.close().await;
            if let Some((_, producer)) = life.dead.take() {
                producer.close(self.shell.settings.offset_flush_timeout).await;
            }
            if outcome? == Order::Stop {
                return Ok(());
            }
        }
    }

    async fn begin(&mut self) -> Result<Life, ConnectError> {
        let topics = self.topics().await?;
        let counts = self.counts(&topics).await?;
        let group = group(&self.shell.connector, &self.shell.config);
        let reads = Reads::Subscribed { group, topics: topics.clone() };
        let consumer = self.shell.topics.consumer(reads, &self.shell.client("consumer")).await?;
        Ok(Life::new(consumer, topics, counts))
    }

    /// How many partitions topics have; `None` for those that are not there.
    async fn counts(&mut self, topics: &[String]) -> Result<Vec<Option<i32>>, ConnectError> {
        let mut counts = Vec::with_capacity(topics.len());
        for topic in topics {
            counts.push(self.shell.topics.partitions(topic).await?);
        }
        Ok(counts)
    }

    /// Whether there is more to read than when a life began: what its consumer knows, it knows since then.
    async fn is_more(&mut self, topics: &[String], counts: &[Option<i32>]) -> Result<bool, ConnectError> {
        Ok(self.topics().await? != topics || self.counts(topics).await? != counts)
    }

    async fn topics(&mut self) -> Result<Vec<String>, ConnectError> {
        let config = &self.shell.config;
        if let Some(pattern) = config.get("topics.regex").filter(|pattern| !pattern.is_empty()) {
            let pattern = whole(pattern)?;
            return Ok(self
                .shell
                .topics
                .list()
                .await?
                .into_iter()
                .filter(|topic| pattern.is_match(topic))
                .collect());
        }
        Ok(super::common::aliases(config, "topics"))
    }

    async fn say(&mut self, order: Order) {
        self.shell.tell(if order == Order::Pause { State::Paused } else { State::Running }).await;
    }

    /// Until it is told to stop, or the topics are others: then it is to run on.
    async fn live(&mut self, life: &mut Life) -> Result<Order, ConnectError> {
        let every = self.shell.settings.offset_flush_interval;
        let mut flush = interval_at(Instant::now() + every, every);
        let every = if life.counts.contains(&None) { LOOK } else { REFRESH };
        let mut refresh = interval_at(Instant::now() + every, every);
        life.order = self.shell.order();
        self.say(life.order).await;
        loop {
            enum Event {
                Polled(Polled),
                Flush,
                Retry,
                Refresh,
            }
            let retry = life.waiting.as_ref().map_or_else(Instant::now, |waiting| waiting.until);
            let event = tokio::select! {
                biased;
                next = self.shell.ordered() => {
                    if next == Order::Stop {
                        return Ok(Order::Stop);
                    }
                    life.order = next;
                    life.pace().await;
                    self.say(next).await;
                    continue;
                }
                () = sleep_until(retry), if life.waiting.is_some() => Event::Retry,
                _ = flush.tick() => Event::Flush,
                _ = refresh.tick() => Event::Refresh,
                polled = life.consumer.poll(life.wait()) => match polled {
                    Ok(polled) => Event::Polled(life.rested(polled)),
                    Err(error) if error.kind == TopicsErrorKind::Retriable => {
                        warn!(connector = self.shell.connector, %error, "topics cannot be read; trying again");
                        // An order to stop ends the rest.
                        let _ = self.shell.unless_stopped(sleep(REST)).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            match event {
                Event::Polled(Polled::Records(received)) => self.take(life, received).await?,
                Event::Polled(Polled::Assigned(partitions)) => self.open(life, &partitions).await?,
                Event::Polled(Polled::Revoked { partitions, lost, release }) => {
                    self.revoke(life, &partitions, lost).await?;
                    drop(release);
                }
                Event::Retry => self.put(life).await?,
                Event::Flush => self.commit(life).await?,
                Event::Refresh => match self.is_more(&life.topics, &life.counts).await {
                    Ok(true) => return Ok(Order::Run),
                    Ok(false) => {}
                    Err(error) => {
                        warn!(connector = self.shell.connector, %error, "topics cannot be looked for");
                    }
                },
            }
            self.requests(life).await?;
        }
    }

    async fn open(&mut self, life: &mut Life, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        life.assigned.extend(partitions.iter().cloned());
        self.shell.meters.partitions.store(life.assigned.len(), Ordering::Relaxed);
        life.pace().await;
        self.shell.calls.wait("open", self.sink.open(partitions)).await?
    }

    async fn revoke(
        &mut self,
        life: &mut Life,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<(), ConnectError> {
        if !lost {
            self.commit(life).await?;
        }
        self.shell.calls.wait("revoke", self.sink.revoke(partitions, lost)).await?;
        for place in partitions {
            life.assigned.remove(place);
            life.taken.remove(place);
            life.committed.remove(place);
        }
        self.shell.meters.partitions.store(life.assigned.len(), Ordering::Relaxed);
        if let Some(waiting) = &mut life.waiting {
            // They come again to whoever owns the partition now.
            waiting.records.retain(|record| !partitions.contains(&origin(record)));
        }
        Ok(())
    }

    /// What is left to do when the task ends in peace.
    async fn hand_back(&mut self, life: &mut Life) -> Result<(), ConnectError> {
        self.commit(life).await?;
        let assigned: Vec<_> = life.assigned.iter().cloned().collect();
        self.shell.calls.wait("revoke", self.sink.revoke(&assigned, false)).await
    }

    async fn take(&mut self, life: &mut Life, received: Vec<Received>) -> Result<(), ConnectError> {
        if received.is_empty() {
            return Ok(());
        }
        let active = self.shell.meters.took(received.len());
        let mut after = TopicOffsets::new();
        for run in received.chunk_by(Received::is_beside) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            life.committed.entry(first.place()).or_insert(first.offset);
            after.insert(last.place(), last.offset + 1);
            self.shell.track(&first.topic).await;
        }
        let mut records = Vec::with_capacity(received.len());
        for (decoded, message) in self.pipeline.decode(&received).await.into_iter().zip(&received) {
            let changed = match decoded {
                Ok(record) if self.pipeline.is_plain() => Ok(Some(record)),
                Ok(record) => self.pipeline.transform(record).await,
                Err(problem) => Err(problem),
            };
            match changed {
                Ok(record) => records.extend(record),
                Err(problem) => self.set_aside(life, message, problem).await?,
            }
        }
        life.received = received;
        life.waiting =
            Some(Waiting { records, after, until: Instant::now(), pause: PAUSE.0, _active: active });
        self.put(life).await
    }

    /// Hands the waiting records to the sink; they wait on after an error that may pass.
    async fn put(&mut self, life: &mut Life) -> Result<(), ConnectError> {
        let Some(mut waiting) = life.waiting.take() else { return Ok(()) };
        let meters = self.shell.meters.clone();
        let outcome = match waiting.records.as_slice() {
            [] => Ok(()),
            records => self.shell.calls.wait("put", meters.calling(self.sink.put(records))).await?,
        };
        match outcome {
            Ok(()) => {
                meters.given.add(waiting.records.len() as u64);
                let kept = waiting.after.into_iter().filter(|(place, _)| life.assigned.contains(place));
                life.taken.extend(kept);
                let errant = self.context.take_errant();
                for errant in errant {
                    let class = self.shell.config.get("connector.class").cloned().unwrap_or_default();
                    let problem = Problem { stage: Stage::TaskPut, class, error: errant.error };
                    match life.message(&errant.record) {
                        Some(message) => self.set_aside(life, &message, problem).await?,
                        None => return Err(problem.fatal()),
                    }
                }
                life.pace().await;
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Retriable => {
                let (connector, task) = (&self.shell.connector, self.shell.task);
                warn!(connector, task, error = error.line(), "a sink does not take records; trying again");
                meters.errors.again(self.shell.clock.wall());
                waiting.until = Instant::now() + waiting.pause;
                waiting.pause = waiting.pause.saturating_mul(2).min(PAUSE.1);
                life.waiting = Some(waiting);
                life.pace().await;
                Ok(())
            }
            Err(error) => {
                let message = "Exiting WorkerSinkTask due to unrecoverable exception.";
                Err(ConnectError::failed(message).because(error))
            }
        }
    }

    /// Puts a record aside, where that is tolerated.
    async fn set_aside(
        &mut self,
        life: &mut Life,
        received: &Received,
        problem: Problem,
    ) -> Result<(), ConnectError> {
        let tolerance = &self.pipeline.tolerance;
        let place = format!("{}-{} at {}", received.topic, received.partition, received.offset);
        tolerance.note(&problem, &place);
        if let Some(dead) = &self.dead {
            let (message, dead) = (dead.message(received, &problem, tolerance), dead.clone());
            let producer = self.undertaker(life, &dead).await?;
            let sent = producer.send(vec![message]).await;
            self.shell.meters.errors.dead_letters.add(1);
            life.buried.push(sent);
        }
        self.pipeline.tolerance.judge(problem)
    }

    async fn undertaker<'a>(
        &mut self,
        life: &'a mut Life,
        dead: &DeadLetters,
    ) -> Result<&'a dyn Producer, ConnectError> {
        if life.dead.is_none() {
            let topics = &self.shell.topics;
            if topics.partitions(&dead.topic).await?.is_none() {
                let (name, replication_factor) = (dead.topic.clone(), dead.replication_factor);
                topics
                    .create(&NewTopic { name, partitions: 1, replication_factor, settings: Config::new() })
                    .await?;
            }
            let producer = topics.producer(None, &self.shell.client("producer")).await?;
            life.dead = Some((dead.topic.clone(), producer));
        }
        match &life.dead {
            Some((_, producer)) => Ok(&**producer),
            None => Err(ConnectError::failed("there is no producer for dead letters")),
        }
    }

    /// Commits what the sink allows. What fails is read again from the last commit; only a commit that does not end is an
    /// error.
    async fn commit(&mut self, life: &mut Life) -> Result<(), ConnectError> {
        if life.taken.is_empty() {
            return Ok(());
        }
        let (meters, calls) = (self.shell.meters.clone(), self.shell.calls.clone());
        let committed = calls.wait("precommit", meters.committing(self.try_commit(life))).await?;
        if let Err(error) = committed {
            let (connector, task) = (&self.shell.connector, self.shell.task);
            warn!(
                connector,
                task,
                error = error.line(),
                "offsets cannot be committed; going back to the last that were"
            );
            life.waiting = None;
            life.taken.clear();
            let back = life.committed.clone();
            if let Err(error) = life.consumer.seek(&back).await {
                warn!(connector, task, %error, "and going back failed");
            }
            life.pace().await;
        }
        Ok(())
    }

    async fn try_commit(&mut self, life: &mut Life) -> Result<(), ConnectError> {
        for sent in std::mem::take(&mut life.buried) {
            let outcomes = sent.await;
            let lost = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            self.shell.meters.errors.dead_letter_failures.add(lost as u64);
            outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        let taken = life.taken.clone();
        let mut allowed = self.sink.precommit(taken.clone()).await?;
        // Nothing can be committed that was not read.
        allowed.retain(|place, offset| taken.get(place).is_some_and(|taken| *offset <= *taken));
        allowed.retain(|place, offset| life.committed.get(place) != Some(offset));
        if allowed.is_empty() {
            return Ok(());
        }
        match life.consumer.commit(&allowed).await {
            Ok(()) => life.committed.extend(allowed),
            // The next commit is as good, and says the same or more.
            Err(error) if error.kind == TopicsErrorKind::Retriable => {
                warn!(connector = self.shell.connector, %error, "a commit failed; the next one says more");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn requests(&mut self, life: &mut Life) -> Result<(), ConnectError> {
        for request in self.context.take_requests() {
            match request {
                SinkRequest::Pause(partitions) => life.held.extend(partitions),
                SinkRequest::Resume(partitions) => partitions.iter().for_each(|place| {
                    life.held.remove(place);
                }),
                SinkRequest::Seek(offsets) => {
                    life.consumer.seek(&offsets).await?;
                    life.taken.extend(offsets.clone());
                    life.committed.extend(offsets);
                }
                SinkRequest::Commit => self.commit(life).await?,
                SinkRequest::RetryAfter(pause) => {
                    if let Some(waiting) = &mut life.waiting {
                        waiting.until = Instant::now() + pause;
                    }
                    continue;
                }
            }
            life.pace().await;
        }
        Ok(())
    }
}

fn origin(record: &Record) -> TopicPartition {
    match &record.origin {
        Origin::Topic(place) => TopicPartition { topic: place.topic.clone(), partition: place.partition },
        Origin::Source(_) => TopicPartition { topic: record.topic.clone(), partition: -1 },
    }
}

/// A consumer and what was read with it.
struct Life {
    consumer: Box<dyn Consumer>,
    topics: Vec<String>,
    /// How many partitions each of them had, if it was there.
    counts: Vec<Option<i32>>,
    order: Order,
    assigned: BTreeSet<TopicPartition>,
    /// Partitions that the sink wants nothing of.
    held: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
    /// Offsets after what the sink has taken.
    taken: TopicOffsets,
    /// Offsets that were committed, or where reading began.
    committed: TopicOffsets,
    waiting: Option<Waiting>,
    /// How long the next poll waits.
    patience: Duration,
    /// The messages of the last batch.
    received: Vec<Received>,
    dead: Option<(String, Box<dyn Producer>)>,
    buried: Vec<Acknowledgement>,
}

/// Records that the sink has not taken.
struct Waiting {
    records: Vec<Record>,
    after: TopicOffsets,
    until: Instant,
    pause: Duration,
    _active: Members,
}

impl Life {
    fn new(consumer: Box<dyn Consumer>, topics: Vec<String>, counts: Vec<Option<i32>>) -> Self {
        Self {
            consumer,
            topics,
            counts,
            order: Order::Run,
            assigned: BTreeSet::new(),
            held: BTreeSet::new(),
            paused: BTreeSet::new(),
            taken: TopicOffsets::new(),
            committed: TopicOffsets::new(),
            waiting: None,
            patience: POLL.0,
            received: Vec::new(),
            dead: None,
            buried: Vec::new(),
        }
    }

    /// Waits longer after a poll that told of nothing, unless something is paused that could be read again meanwhile.
    fn rested(&mut self, polled: Polled) -> Polled {
        let quiet = matches!(&polled, Polled::Records(none) if none.is_empty()) && self.paused.is_empty();
        self.patience = if quiet { (self.patience * 2).min(POLL.1) } else { POLL.0 };
        polled
    }

    /// How long the next poll waits.
    fn wait(&self) -> Duration {
        if self.patience == POLL.1 { until_next(POLL.1) } else { self.patience }
    }

    /// Reads what may be read now: nothing, while the task is paused or the sink has not taken what it was given.
    async fn pace(&mut self) {
        let all = self.order == Order::Pause || self.waiting.is_some();
        if !all && self.held.is_empty() && self.paused.is_empty() {
            return;
        }
        let (idle, busy): (Vec<_>, Vec<_>) =
            self.assigned.iter().cloned().partition(|place| all || self.held.contains(place));
        self.consumer.pause(&idle).await;
        let again: Vec<_> = busy.into_iter().filter(|place| self.paused.contains(place)).collect();
        if !again.is_empty() {
            self.consumer.resume(&again).await;
        }
        self.paused = idle.into_iter().collect();
    }

    /// The message that a record of the last batch was made of.
    fn message(&self, record: &Record) -> Option<Received> {
        let Origin::Topic(place) = &record.origin else { return None };
        let same = |message: &&Received| {
            message.offset == place.offset
                && message.partition == place.partition
                && message.topic == place.topic
        };
        self.received.iter().find(same).cloned()
    }
}
