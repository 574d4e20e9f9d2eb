//! The life of a source task: poll, transform, convert, send; store positions; tell the source.
//!
//! At least once, records are sent while the next are polled, and a position is stored once everything before it was
//! acknowledged. Exactly once, records and positions are one transaction, which fences whoever had the task before.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tracing::warn;
use vltava_core::meter::Members;

use super::failure::{Problem, Stage};
use super::pipeline::Pipeline;
use super::tables::{OffsetState, State, Table};
use super::task::{Order, TaskShell, TopicCreation};
use super::ticks::until_next;
use crate::connector::{OffsetReader, Source, TransactionContext, TransactionMark};
use crate::error::{ConnectError, ErrorKind};
use crate::record::{Origin, Position, Record, SourceMap};
use crate::topics::{Acknowledgement, Message, Placed, Producer, TopicsError, TopicsErrorKind};

/// The most batches that are sent and not acknowledged.
const IN_FLIGHT_MAX: usize = 8;
/// How long a source rests after an error that may pass.
const POLL_PAUSE: Duration = Duration::from_millis(500);
/// How often a producer that has nothing to send is flushed. The client looks at it once a second, counted from when it was
/// last asked for something: those that are asked together are looked at together.
const CALM: Duration = Duration::from_secs(10);

/// A source task and what it works with.
#[derive(Debug)]
pub struct SourceTask {
    /// What the worker gives.
    pub shell: TaskShell,
    /// The task.
    pub source: Box<dyn Source>,
    /// The transforms and converters.
    pub pipeline: Pipeline,
    /// The producer; transactional where `delivery` says so.
    pub producer: Box<dyn Producer>,
    /// How topics come to be.
    pub creation: TopicCreation,
    /// How records are delivered.
    pub delivery: Delivery,
}

/// How records are delivered.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// At least once.
    AtLeastOnce,
    /// Exactly once, a transaction for each poll.
    EachPoll,
    /// Exactly once, a transaction for each time.
    EachInterval(Duration),
    /// Exactly once, where the task says so.
    ByConnector(TransactionContext),
}

/// Reads the offsets of a connector from the table.
#[derive(Debug)]
pub struct StoredOffsets {
    /// The connector.
    pub connector: String,
    /// The table.
    pub offsets: Arc<Table<OffsetState>>,
}

#[async_trait]
impl OffsetReader for StoredOffsets {
    async fn offsets(&self, partitions: &[SourceMap]) -> Result<Vec<Option<SourceMap>>, ConnectError> {
        let table = self.offsets.read();
        let offset = |partition| table.offset(&self.connector, partition).map(|stored| stored.offset.clone());
        Ok(partitions.iter().map(offset).collect())
    }
}

impl SourceTask {
    /// Runs the task until it is told to stop.
    ///
    /// # Errors
    /// What the task fails with.
    pub async fn run(mut self) -> Result<(), ConnectError> {
        let shell = self.shell.clone();
        let started = shell.unless_stopped(shell.calls.wait("start", self.source.start())).await;
        let outcome = match started.map(Result::flatten) {
            Some(Ok(())) => self.work().await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        shell.closed(self.source.close()).await;
        self.producer.close(self.shell.settings.offset_flush_timeout).await;
        outcome
    }

    async fn work(&mut self) -> Result<(), ConnectError> {
        match self.delivery.clone() {
            Delivery::AtLeastOnce => self.at_least_once().await,
            delivery => self.exactly_once(delivery).await,
        }
    }

    async fn at_least_once(&mut self) -> Result<(), ConnectError> {
        let mut flow = Flow::default();
        let outcome = self.flow(&mut flow).await;
        // What was sent before the end counts, also before an error.
        let patience = self.shell.settings.offset_flush_timeout;
        let drained = timeout(patience, self.drain(&mut flow)).await;
        let stored = self.store(&mut flow).await;
        outcome.and(drained.unwrap_or(Ok(()))).and(stored)
    }

    async fn drain(&mut self, flow: &mut Flow) -> Result<(), ConnectError> {
        while let Some(mut sent) = flow.sent.pop_front() {
            let outcomes = (&mut sent.acknowledgement).await;
            self.arrived(flow, sent, outcomes).await?;
        }
        Ok(())
    }

    async fn flow(&mut self, flow: &mut Flow) -> Result<(), ConnectError> {
        let every = self.shell.settings.offset_flush_interval;
        let mut flush = interval_at(Instant::now() + every, every);
        let mut order = self.shell.order();
        let (meters, lease) = (self.shell.meters.clone(), self.shell.calls.lease.clone());
        self.say(order).await;
        loop {
            let polls = order == Order::Run && flow.sent.len() < IN_FLIGHT_MAX;
            let calm = flow.sent.is_empty().then_some(&*self.producer);
            let polled = tokio::select! {
                biased;
                next = self.shell.ordered() => {
                    if next == Order::Stop {
                        return Ok(());
                    }
                    order = next;
                    self.say(order).await;
                    continue;
                }
                outcomes = first(&mut flow.sent) => {
                    if let Some(sent) = flow.sent.pop_front() {
                        self.arrived(flow, sent, outcomes).await?;
                    }
                    continue;
                }
                _ = flush.tick() => None,
                polled = meters.calling(lease.hold(poll(&mut *self.source, calm))), if polls => Some(polled),
            };
            match polled {
                None => self.store(flow).await?,
                Some(Ok(records)) if records.is_empty() => tokio::task::yield_now().await,
                Some(Ok(records)) => {
                    let active = meters.took(records.len());
                    let Prepared { messages, origins, positions } = self.prepare(records).await?;
                    let acknowledgement = self.producer.send(messages).await;
                    flow.sent.push_back(Sent { acknowledgement, origins, positions, _active: active });
                }
                Some(Err(error)) => self.rest(error).await?,
            }
        }
    }

    /// Takes in what was acknowledged, and tells the source.
    async fn arrived(&mut self, flow: &mut Flow, sent: Sent, outcomes: Outcomes) -> Result<(), ConnectError> {
        let written = self.settle(outcomes, sent.origins)?;
        flow.settled(sent.positions);
        self.shell.calls.wait("written", self.source.written(written)).await
    }

    async fn say(&mut self, order: Order) {
        self.shell.tell(if order == Order::Pause { State::Paused } else { State::Running }).await;
    }

    /// Rests after an error that may pass; others are the task's end.
    async fn rest(&mut self, error: ConnectError) -> Result<(), ConnectError> {
        if error.kind != ErrorKind::Retriable {
            return Err(error);
        }
        let (connector, task) = (&self.shell.connector, self.shell.task);
        warn!(connector, task, error = error.line(), "a source cannot be polled; trying again");
        self.shell.meters.errors.again(self.shell.clock.wall());
        // An order to stop ends the rest.
        let _ = self.shell.unless_stopped(sleep(POLL_PAUSE)).await;
        Ok(())
    }

    async fn prepare(&mut self, records: Vec<Record>) -> Result<Prepared, ConnectError> {
        let positions = last_positions(&records);
        let records = if self.pipeline.is_plain() { records } else { self.transform(records).await? };
        for at in 0..records.len() {
            let topic = match (records.get(at), at.checked_sub(1).and_then(|before| records.get(before))) {
                (Some(record), Some(before)) if record.topic == before.topic => continue,
                (Some(record), _) => record.topic.clone(),
                (None, _) => break,
            };
            self.creation.ensure(&topic, &*self.shell.topics).await?;
            self.shell.track(&topic).await;
        }
        let encoded = self.pipeline.encode(&records).await;
        let (mut messages, mut origins) =
            (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for (encoded, record) in encoded.into_iter().zip(records) {
            match encoded {
                Ok(message) => {
                    messages.push(message);
                    origins.push(record.origin);
                }
                Err(problem) => self.tolerate(problem, &record.origin)?,
            }
        }
        Ok(Prepared { messages, origins, positions })
    }

    async fn transform(&mut self, records: Vec<Record>) -> Result<Vec<Record>, ConnectError> {
        let mut transformed = Vec::with_capacity(records.len());
        for record in records {
            let place = record.origin.clone();
            match self.pipeline.transform(record).await {
                Ok(record) => transformed.extend(record),
                Err(problem) => self.tolerate(problem, &place)?,
            }
        }
        Ok(transformed)
    }

    fn tolerate(&self, problem: Problem, origin: &Origin) -> Result<(), ConnectError> {
        let tolerance = &self.pipeline.tolerance;
        tolerance.note(&problem, &place(origin));
        tolerance.judge(problem)
    }

    /// Looks at what became of messages; those that the broker refuses for what they are may be tolerated. Where the
    /// others lie.
    fn settle(&self, outcomes: Outcomes, origins: Vec<Origin>) -> Result<Vec<(Position, i64)>, ConnectError> {
        let given = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        self.shell.meters.given.add(given as u64);
        let mut written = Vec::with_capacity(given);
        for (outcome, origin) in outcomes.into_iter().zip(origins) {
            let error = match (outcome, origin) {
                (Ok(Placed { offset: Some(offset), .. }), Origin::Source(position)) => {
                    written.push((position, offset));
                    continue;
                }
                (Ok(_), _) => continue,
                (Err(error), _) => error,
            };
            let refused = error.kind == TopicsErrorKind::Message;
            let class = "org.apache.kafka.clients.producer.KafkaProducer".to_owned();
            let problem = Problem { stage: Stage::KafkaProduce, class, error: error.into() };
            let tolerance = &self.pipeline.tolerance;
            tolerance.note(&problem, "");
            if !(refused && tolerance.skips) {
                let message = "Unrecoverable exception from producer send callback";
                return Err(ConnectError::failed(message).because(problem.error));
            }
            tolerance.judge(problem)?;
        }
        Ok(written)
    }

    /// Stores the positions that are settled, and tells the source. What cannot be stored now is stored next time.
    async fn store(&mut self, flow: &mut Flow) -> Result<(), ConnectError> {
        if flow.positions.is_empty() {
            return Ok(());
        }
        let positions: Vec<Position> = flow.positions.values().cloned().collect();
        let records = self.records(&positions);
        let (connector, task) = (self.shell.connector.clone(), self.shell.task);
        let writing = async {
            let written = self.shell.offsets.post(records).await;
            let late = Err(ConnectError::failed("the time for it is up"));
            timeout(self.shell.settings.offset_flush_timeout, written)
                .await
                .map_or(late, |outcomes| Ok(outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(drop)?))
        };
        let written = self.shell.meters.committing(writing).await;
        if let Err(error) = written {
            warn!(connector, task, error = error.line(), "offsets cannot be stored; trying again");
            return Ok(());
        }
        flow.positions.clear();
        self.tell(&positions).await
    }

    /// Tells the source which positions are stored.
    async fn tell(&mut self, positions: &[Position]) -> Result<(), ConnectError> {
        let (connector, task) = (&self.shell.connector, self.shell.task);
        if let Err(error) = self.shell.calls.wait("commit", self.source.commit(positions)).await? {
            warn!(connector, task, error = error.line(), "a source cannot commit");
        }
        Ok(())
    }

    fn records(&self, positions: &[Position]) -> Vec<(String, Option<bytes::Bytes>)> {
        let table = self.shell.offsets.read();
        let record = |position: &Position| {
            table.record(&self.shell.connector, &position.partition, Some(&position.offset.to_map()))
        };
        positions.iter().map(record).collect()
    }

    async fn exactly_once(&mut self, delivery: Delivery) -> Result<(), ConnectError> {
        let mut open = Transaction::default();
        let outcome = self.transact(&delivery, &mut open).await;
        if outcome.is_ok() { self.commit(&mut open).await } else { outcome }
    }

    async fn transact(&mut self, delivery: &Delivery, open: &mut Transaction) -> Result<(), ConnectError> {
        let every = match delivery {
            Delivery::EachInterval(every) => *every,
            _ => self.shell.settings.offset_flush_interval,
        };
        let every = every.max(Duration::from_millis(1));
        let mut boundary = interval_at(Instant::now() + every, every);
        let mut order = self.shell.order();
        let (meters, lease) = (self.shell.meters.clone(), self.shell.calls.lease.clone());
        self.say(order).await;
        loop {
            let calm = (!open.begun).then_some(&*self.producer);
            let polled = tokio::select! {
                biased;
                next = self.shell.ordered() => {
                    if next == Order::Stop {
                        return Ok(());
                    }
                    order = next;
                    self.say(order).await;
                    continue;
                }
                _ = boundary.tick(), if matches!(delivery, Delivery::EachInterval(_)) => None,
                polled = meters.calling(lease.hold(poll(&mut *self.source, calm))), if order == Order::Run => {
                    Some(polled)
                }
            };
            match polled {
                None => self.commit(open).await?,
                Some(Ok(records)) => self.write(delivery, open, records).await?,
                Some(Err(error)) => self.rest(error).await?,
            }
        }
    }

    async fn write(
        &mut self,
        delivery: &Delivery,
        open: &mut Transaction,
        mut records: Vec<Record>,
    ) -> Result<(), ConnectError> {
        let Delivery::ByConnector(context) = delivery else {
            self.add(open, records).await?;
            return if matches!(delivery, Delivery::EachPoll) { self.commit(open).await } else { Ok(()) };
        };
        let (mut whole, mut after) = (None, Vec::new());
        for mark in context.take() {
            match mark {
                TransactionMark::CommitBatch | TransactionMark::AbortBatch => whole = Some(mark),
                TransactionMark::CommitAfter(record) => after.push((record, true)),
                TransactionMark::AbortAfter(record) => after.push((record, false)),
            }
        }
        for (record, commits) in after {
            let Some(at) = records.iter().position(|known| *known == record) else { continue };
            let rest = records.split_off(at + 1);
            let head = std::mem::replace(&mut records, rest);
            self.add(open, head).await?;
            if commits { self.commit(open).await? } else { self.abort(open).await? }
        }
        self.add(open, records).await?;
        match whole {
            Some(TransactionMark::CommitBatch) => self.commit(open).await,
            Some(_) => self.abort(open).await,
            None => Ok(()),
        }
    }

    async fn add(&mut self, open: &mut Transaction, records: Vec<Record>) -> Result<(), ConnectError> {
        if records.is_empty() {
            return Ok(());
        }
        let active = self.shell.meters.took(records.len());
        let Prepared { messages, origins, positions } = self.prepare(records).await?;
        if !open.begun {
            self.producer.begin().await?;
            open.begun = true;
        }
        open.records += messages.len() as u64;
        open.active.push(active);
        open.sent.push((self.producer.send(messages).await, origins));
        open.positions.extend(positions.into_iter().map(|position| (key(&position), position)));
        Ok(())
    }

    async fn commit(&mut self, open: &mut Transaction) -> Result<(), ConnectError> {
        if !open.begun {
            return Ok(());
        }
        let positions: Vec<Position> = std::mem::take(&mut open.positions).into_values().collect();
        let topic = bytestring::ByteString::from(self.shell.offsets.topic());
        let message = |(key, value): (String, _)| Message {
            topic: topic.clone(),
            key: Some(key.into()),
            value,
            ..Message::default()
        };
        let offsets = self.records(&positions).into_iter().map(message).collect();
        let stored = self.producer.send(offsets).await;
        let meters = self.shell.meters.clone();
        let written = meters.committing(self.conclude(open, stored)).await?;
        meters.transactions.record(std::mem::take(&mut open.records));
        open.active.clear();
        open.begun = false;
        self.shell.calls.wait("written", self.source.written(written)).await?;
        self.tell(&positions).await
    }

    /// Ends a transaction once everything in it has arrived; the positions must, whatever is tolerated of records. Where
    /// its records lie.
    async fn conclude(
        &mut self,
        open: &mut Transaction,
        stored: Acknowledgement,
    ) -> Result<Vec<(Position, i64)>, ConnectError> {
        let mut written = Vec::new();
        for (sent, origins) in std::mem::take(&mut open.sent) {
            let outcomes = sent.await;
            written.extend(self.settle(outcomes, origins)?);
        }
        stored.await.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.producer.commit().await?;
        Ok(written)
    }

    /// Gives up what was sent, and stores the positions all the same: what a task aborts it does not want again.
    async fn abort(&mut self, open: &mut Transaction) -> Result<(), ConnectError> {
        if !open.begun {
            return Ok(());
        }
        open.sent.clear();
        open.active.clear();
        open.records = 0;
        self.producer.abort().await?;
        self.producer.begin().await?;
        self.commit(open).await
    }
}

type Outcomes = Vec<Result<Placed, TopicsError>>;

/// Records as they are sent.
struct Prepared {
    messages: Vec<Message>,
    /// Where each message comes from.
    origins: Vec<Origin>,
    /// The last position of each partition, also of records that are not sent.
    positions: Vec<Position>,
}

/// What is on its way, and what has arrived and is not stored.
#[derive(Default)]
struct Flow {
    sent: VecDeque<Sent>,
    positions: BTreeMap<String, Position>,
}

struct Sent {
    acknowledgement: Acknowledgement,
    origins: Vec<Origin>,
    positions: Vec<Position>,
    _active: Members,
}

impl Flow {
    fn settled(&mut self, positions: Vec<Position>) {
        self.positions.extend(positions.into_iter().map(|position| (key(&position), position)));
    }
}

#[derive(Default)]
struct Transaction {
    begun: bool,
    sent: Vec<(Acknowledgement, Vec<Origin>)>,
    positions: BTreeMap<String, Position>,
    /// How many records were sent, and that they are on their way.
    records: u64,
    active: Vec<Members>,
}

fn key(position: &Position) -> String {
    serde_json::to_string(&*position.partition).unwrap_or_default()
}

/// Polls a source. Meanwhile a producer that has nothing to send is flushed now and then.
async fn poll(source: &mut dyn Source, calm: Option<&dyn Producer>) -> Result<Vec<Record>, ConnectError> {
    let Some(producer) = calm else { return source.poll().await };
    let mut polling = source.poll();
    loop {
        tokio::select! {
            biased;
            polled = &mut polling => return polled,
            () = sleep(until_next(CALM)) => producer.flush().await,
        }
    }
}

/// The outcomes of what was sent first; never, when nothing was.
async fn first(sent: &mut VecDeque<Sent>) -> Outcomes {
    match sent.front_mut() {
        Some(sent) => (&mut sent.acknowledgement).await,
        None => pending().await,
    }
}

/// The last position of each partition. Records of a batch mostly share one, by pointer.
fn last_positions(records: &[Record]) -> Vec<Position> {
    let mut last: Vec<&Position> = Vec::new();
    for record in records {
        let Origin::Source(position) = &record.origin else { continue };
        let same = |known: &&mut &Position| {
            Arc::ptr_eq(&known.partition, &position.partition) || known.partition == position.partition
        };
        match last.iter_mut().find(same) {
            Some(known) => *known = position,
            None => last.push(position),
        }
    }
    last.into_iter().cloned().collect()
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Source(position) => format!("{:?} at {:?}", position.partition, position.offset),
        Origin::Topic(place) => format!("{}-{} at {}", place.topic, place.partition, place.offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;
    use crate::testing::MemoryTopics;
    use crate::topics::Topics;

    /// Takes longer for a poll than producers rest.
    #[derive(Debug)]
    struct Slow;

    #[async_trait]
    impl Source for Slow {
        async fn start(&mut self) -> Result<(), ConnectError> {
            Ok(())
        }

        async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
            sleep(CALM * 5 / 2).await;
            Ok(Vec::new())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_poll_is_not_begun_anew() {
        let producer = MemoryTopics::default().producer(None, &Config::new()).await.expect("a producer");
        let begun = Instant::now();
        poll(&mut Slow, Some(&*producer)).await.expect("polled");
        assert_eq!(begun.elapsed().as_secs(), (CALM * 5 / 2).as_secs());
    }
}
