//! Tills: each writes transactions over two partitions and the offsets of a group, under a transactional id; and an auditor
//! reads what is committed as it comes.
//!
//! A till dies now and then in the middle of a transaction and comes back as another producer; requests arrive a second
//! time, later, where transactions have epochs of their own (before transaction version 2 Kafka does not hold then).
//!
//! What must hold: a transaction is seen whole or not at all, in both partitions and the offset; never before its commit was
//! asked for; none that was aborted; its producer is not refused before its time is over; identities rise; the last stable
//! offset does not stay behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use vltava_coordinator::group::command::{
    CommitInTransaction, CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, FetchTopic,
};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupId};
use vltava_coordinator::transaction::command::{AddPartitions, End, InitProducer, VerifyPartitions};
use vltava_coordinator::transaction::{
    TransactionAnswer, TransactionCommand, TransactionError, TransactionVersion, TransactionalId,
};
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    Generation, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId,
    TopicIdPartition, TopicName, TopicPartition,
};
use vltava_core::record::{Batch, BatchBuilder, Compression, EndTransactionMarker, TransactionResult};
use vltava_core::replicated::{
    AbortedTransaction, Isolation, Origin, PlaceTerms, ReadTerms, ReplicatedLog, Verification,
};
use vltava_core::testing::Random;
use vltava_replication::partition::{Opening, load};

use super::clients::{commit, place};
use super::network::Place;
use super::node::Life;
use super::{Breach, NODES, PAYMENTS, PAYMENTS_PARTITIONS, World};

/// Tills, and the transactions that each tries.
const TILLS: usize = 2;
const TRANSACTIONS: i64 = 9;

/// How long a transaction may be open.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_millis(2500);

/// What faults explain, and what the next attempt may get past.
const RETRIABLE: [ErrorCode; 11] = [
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::CONCURRENT_TRANSACTIONS,
    ErrorCode::NETWORK_EXCEPTION,
];

/// What a producer is told whose transaction was aborted because its time was over.
const FENCING: [ErrorCode; 5] = [
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::PRODUCER_FENCED,
    ErrorCode::INVALID_TXN_STATE,
    ErrorCode::TRANSACTION_ABORTABLE,
    ErrorCode::INVALID_PRODUCER_ID_MAPPING,
];

/// What is known of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its commit was not asked for.
    Open,
    /// Its commit was asked for, and nobody knows what came of it.
    Asked,
    Committed,
    Aborted,
}

/// What tills were told, and what the auditor has seen.
#[derive(Default)]
pub struct Ledger {
    /// By the transactional id's number and its own.
    transactions: BTreeMap<(usize, i64), Fate>,
    identities: BTreeMap<usize, (ProducerId, ProducerEpoch)>,
    producers: i64,
    seen: BTreeMap<(PartitionIndex, Offset), String>,
    /// How often a producer was refused because its time was over.
    pub fenced: usize,
}

impl Ledger {
    /// Transactions that were committed, and those that were not.
    pub fn counts(&self) -> (usize, usize) {
        let committed = self.transactions.values().filter(|fate| **fate == Fate::Committed).count();
        (committed, self.transactions.len() - committed)
    }

    /// A producer has an identity: a new one, and a higher one if the producer is the same.
    fn identify(&mut self, till: usize, identity: (ProducerId, ProducerEpoch)) -> Result<(), String> {
        match self.identities.insert(till, identity) {
            Some(before) if before.0 == identity.0 && before.1 >= identity.1 => {
                Err(format!("till-{till} is {identity:?} after {before:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Of the transactions whose fate is open, the one with this number counts, and no other one.
    fn resolve(&mut self, till: usize, last: i64) -> Result<(), String> {
        for ((_, number), fate) in self.transactions.range_mut((till, i64::MIN)..=(till, i64::MAX)) {
            let expected = match *fate {
                Fate::Asked if *number == last => Fate::Committed,
                Fate::Committed => Fate::Committed,
                Fate::Open | Fate::Asked | Fate::Aborted => Fate::Aborted,
            };
            if (expected == Fate::Committed && *number > last)
                || (expected != Fate::Committed && *number == last)
            {
                return Err(format!("till-{till} has committed {last}, and {number} is {expected:?}"));
            }
            *fate = expected;
        }
        Ok(())
    }

    fn see(&mut self, partition: PartitionIndex, offset: Offset, value: &str) -> Result<(), String> {
        let (till, number, index) = parse(value).ok_or_else(|| format!("{value} is nobody's"))?;
        let fate = self.transactions.get(&(till, number)).copied();
        if !matches!(fate, Some(Fate::Asked | Fate::Committed)) || index != partition {
            return Err(format!(
                "{value} is read in {partition} at {offset}, and its transaction is {fate:?}"
            ));
        }
        match self.seen.insert((partition, offset), value.to_owned()) {
            Some(before) if before != value => {
                Err(format!("{value} is read in {partition} at {offset}, where {before} was"))
            }
            _ => Ok(()),
        }
    }

    /// Compares what readers of committed records find in each partition with what was told.
    pub fn judge(&mut self, found: &[Vec<(Offset, String)>]) -> Result<(), String> {
        for (index, records) in (0..).map(PartitionIndex).zip(found) {
            let there: BTreeMap<Offset, &String> = records.iter().map(|(at, value)| (*at, value)).collect();
            let seen = self.seen.iter().filter(|((partition, _), _)| *partition == index);
            for ((_, offset), value) in seen {
                if there.get(offset) != Some(&value) {
                    return Err(format!("{value} was read in {index} at {offset}, and is not there"));
                }
            }
            for till in 0..TILLS {
                let theirs: Vec<i64> = records
                    .iter()
                    .filter_map(|(_, value)| parse(value))
                    .filter(|(of, ..)| *of == till)
                    .map(|(_, number, _)| number)
                    .collect();
                let committed = |((of, number), fate): (&(usize, i64), &Fate)| {
                    let counts =
                        *fate == Fate::Committed || (*fate == Fate::Asked && theirs.contains(number));
                    (*of == till && counts).then_some(*number)
                };
                let expected: Vec<i64> = self.transactions.iter().filter_map(committed).collect();
                if theirs != expected {
                    return Err(format!(
                        "till-{till} has committed {expected:?}, and {index} has {theirs:?}"
                    ));
                }
                // What the first partition has decides for the others.
                for number in &theirs {
                    self.transactions.insert((till, *number), Fate::Committed);
                }
            }
            self.transactions.values_mut().filter(|fate| **fate == Fate::Asked).for_each(|fate| {
                *fate = Fate::Aborted;
            });
        }
        Ok(())
    }

    /// The offset that a till's group has to have, when it had one; called after [`Ledger::judge`].
    pub fn check_offset(&self, till: usize, offset: Option<Offset>) -> Result<(), String> {
        let committed = self.transactions.range((till, i64::MIN)..=(till, i64::MAX));
        let last = committed
            .filter(|(_, fate)| **fate == Fate::Committed)
            .map(|((_, number), _)| *number)
            .next_back();
        if offset.map(|offset| offset.0 - 1) == last {
            return Ok(());
        }
        Err(format!("till-{till} has committed {last:?}, and its offset is {offset:?}"))
    }
}

fn parse(value: &str) -> Option<(usize, i64, PartitionIndex)> {
    let mut parts = value.strip_prefix("till-")?.split('/');
    let till = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    Some((till, number, PartitionIndex(parts.next()?.parse().ok()?)))
}

/// The group whose offset a till commits.
pub fn group(till: usize) -> GroupId {
    GroupId::from(format!("till-{till}"))
}

pub fn tills() -> std::ops::Range<usize> {
    0..TILLS
}

/// Starts the tills and the auditor.
pub fn start(world: &Arc<World>, random: &mut Random) -> Vec<JoinHandle<()>> {
    let level = world.controller.lock().image().feature("transaction.version");
    let clients: Vec<_> = (0..TILLS)
        .map(|number| {
            let till = Till {
                world: world.clone(),
                number,
                version: TransactionVersion(if level >= 2 { 2 } else { 0 }),
                identity: (ProducerId::NONE, ProducerEpoch::NONE),
                sequences: [0; PAYMENTS_PARTITIONS],
                next: 0,
                // Some leave in the middle of a transaction and do not come back.
                dies_at: (random.once_in(4)).then(|| 2 + i64::try_from(random.below(5)).unwrap()),
                random: Random::new(random.bits()),
            };
            tokio::spawn(till.run())
        })
        .collect();
    for index in 0..PAYMENTS_PARTITIONS {
        tokio::spawn(audit(world.clone(), index, Random::new(random.bits())));
    }
    clients
}

/// Why a till cannot go on with its transaction.
enum Stop {
    /// It was refused, and comes back as another producer.
    Fenced(ErrorCode),
    /// It dies, and comes back.
    Crash,
    /// It dies for good.
    Death,
    /// The world has ended.
    Over,
}

struct Till {
    world: Arc<World>,
    number: usize,
    version: TransactionVersion,
    identity: (ProducerId, ProducerEpoch),
    sequences: [i32; PAYMENTS_PARTITIONS],
    next: i64,
    dies_at: Option<i64>,
    random: Random,
}

impl Till {
    async fn run(mut self) {
        while self.next < TRANSACTIONS {
            if self.begin().await.is_err() {
                return;
            }
            loop {
                if self.next >= TRANSACTIONS {
                    break;
                }
                let number = self.next;
                let began = self.world.clock.now();
                self.next += 1;
                self.set(number, Fate::Open);
                match self.transact(number).await {
                    Ok(()) => {}
                    Err(Stop::Over | Stop::Death) => return,
                    Err(Stop::Crash) => break,
                    Err(Stop::Fenced(code)) => {
                        self.note(&format!("is refused in {number}: {code}"));
                        self.check_time(number, began, code);
                        break;
                    }
                }
                self.pause(5_000, 100_000).await;
            }
        }
        // Says what became of the last one.
        let _ = self.begin().await;
    }

    fn check_time(&self, number: i64, began: Moment, code: ErrorCode) {
        self.world.ledger.lock().fenced += 1;
        let (till, passed) = (self.number, self.world.clock.now().since(began));
        if !FENCING.contains(&code) || passed < TRANSACTION_TIMEOUT {
            self.world.is_broken(format!("till-{till} is refused in {number} after {passed:?}: {code}"));
        }
    }

    fn note(&self, what: &str) {
        self.world.note(&format!("till-{}", self.number), what);
    }

    fn set(&self, number: i64, fate: Fate) {
        self.world.ledger.lock().transactions.insert((self.number, number), fate);
    }

    async fn pause(&mut self, from: u64, spread: u64) {
        sleep(Duration::from_micros(from + self.random.bits() % spread)).await;
    }

    fn id(&self) -> TransactionalId {
        TransactionalId::from(format!("till-{}", self.number))
    }

    /// Begins as a new producer, and learns what became of the transaction before.
    async fn begin(&mut self) -> Result<(), Stop> {
        let init = || InitProducer {
            id: self.id(),
            timeout_ms: i32::try_from(TRANSACTION_TIMEOUT.as_millis()).unwrap(),
            expected: None,
            two_phase: false,
            keep_prepared: false,
            fresh: None,
        };
        let mut init = init();
        loop {
            match self.ask_transaction(TransactionCommand::InitProducer(init.clone())).await? {
                Ok(TransactionAnswer::InitProducer(Ok(identity))) => {
                    self.identity = identity;
                    break;
                }
                Ok(TransactionAnswer::NeedsProducerId) => init.fresh = Some(self.fresh()),
                Ok(TransactionAnswer::InitProducer(Err(TransactionError::Concurrent))) => {}
                Err(code) if RETRIABLE.contains(&code) => {}
                other => return Err(self.surprise("an identity", &other)),
            }
            self.pause(10_000, 60_000).await;
        }
        self.sequences = [0; PAYMENTS_PARTITIONS];
        self.note(&format!("is {:?}", self.identity));
        let identified = self.world.ledger.lock().identify(self.number, self.identity);
        let offset = self.fetch_offset().await?;
        let last = offset.map_or(-1, |offset| offset.0 - 1);
        let resolved = self.world.ledger.lock().resolve(self.number, last);
        identified.and(resolved).map_err(|broken| self.broken(broken))
    }

    fn broken(&self, what: String) -> Stop {
        self.world.is_broken(what);
        Stop::Over
    }

    fn surprise(&self, asked: &str, answer: &dyn std::fmt::Debug) -> Stop {
        self.broken(format!("till-{} asked for {asked} and got {answer:?}", self.number))
    }

    fn fresh(&self) -> ProducerId {
        let mut ledger = self.world.ledger.lock();
        ledger.producers += 1;
        ProducerId(1000 + ledger.producers)
    }

    async fn fetch_offset(&mut self) -> Result<Option<Offset>, Stop> {
        loop {
            let topic =
                FetchTopic { name: payments(), id: TopicId::ZERO, partitions: vec![PartitionIndex(0)] };
            let fetch = FetchOffsets {
                group: group(self.number),
                topics: Some(vec![topic]),
                require_stable: true,
                member_epoch: Generation(-1),
                ..FetchOffsets::default()
            };
            let command = GroupCommand::FetchOffsets(fetch);
            let anybody = self.random.below(NODES);
            let to = self.world.leader(self.world.groups).unwrap_or(anybody);
            let answer = self.world.ask_group(to, command);
            match self.call(to, answer).await? {
                Ok(GroupAnswer::FetchOffsets(Ok(fetched))) => {
                    let offset = fetched.topics[0].partitions[0].1.clone();
                    if let Ok(offset) = offset {
                        return Ok(offset.map(|committed| committed.offset));
                    }
                }
                Err(code) if RETRIABLE.contains(&code) => {}
                other => return Err(self.surprise("its offset", &other)),
            }
            self.pause(10_000, 60_000).await;
        }
    }

    async fn call<T>(
        &self,
        to: usize,
        answer: impl Future<Output = Option<Result<T, ErrorCode>>>,
    ) -> Result<Result<T, ErrorCode>, Stop> {
        if self.world.is_over() {
            return Err(Stop::Over);
        }
        let called = self.world.network.call(Place::Client, Place::Node(to), answer).await;
        Ok(called.unwrap_or(Err(ErrorCode::NETWORK_EXCEPTION)))
    }

    async fn ask_transaction(
        &mut self,
        command: TransactionCommand,
    ) -> Result<Result<TransactionAnswer, ErrorCode>, Stop> {
        let anybody = self.random.below(NODES);
        let to = self.world.leader(self.world.transactions).unwrap_or(anybody);
        // Another InitProducerId would be another producer.
        if !matches!(command, TransactionCommand::InitProducer(_)) {
            let again = command.clone();
            self.echo(|world| async move { world.ask_transaction(to, again).await.map(drop) });
        }
        let world = self.world.clone();
        self.call(to, world.ask_transaction(to, command)).await
    }

    /// Now and then a request arrives a second time, later.
    fn echo<T: Future<Output = Option<()>> + Send + 'static>(&self, again: impl FnOnce(Arc<World>) -> T) {
        if !self.version.raises_epoch() {
            return;
        }
        if let Some(later) = self.world.network.echo() {
            let again = again(self.world.clone());
            tokio::spawn(async move {
                sleep(later).await;
                again.await
            });
        }
    }

    /// One transaction, from its first record to its end.
    async fn transact(&mut self, number: i64) -> Result<(), Stop> {
        let mut steps: VecDeque<usize> = if self.random.once_in(2) { [0, 1] } else { [1, 0] }.into();
        steps.insert(self.random.below(3), PAYMENTS_PARTITIONS);
        let crash_before = self.random.once_in(6).then(|| self.random.below(5));
        if !self.version.raises_epoch() {
            self.add_all().await?;
        }
        for (at, step) in steps.into_iter().enumerate() {
            self.live_on(number, at, crash_before)?;
            if step < PAYMENTS_PARTITIONS {
                self.pay(number, step).await?;
            } else {
                self.note_down(number).await?;
            }
            self.pause(0, 30_000).await;
        }
        self.live_on(number, 3, crash_before)?;
        let commits = !self.random.once_in(4);
        if commits {
            self.set(number, Fate::Asked);
        }
        if crash_before == Some(4) {
            // It asks, and does not live to hear the answer.
            let command = self.end_command(commits);
            let to = self.world.leader(self.world.transactions).unwrap_or(0);
            let world = self.world.clone();
            tokio::spawn(async move {
                let answer = world.ask_transaction(to, command);
                world.network.call(Place::Client, Place::Node(to), answer).await.map(drop)
            });
            return Err(Stop::Crash);
        }
        self.end(commits).await?;
        self.set(number, if commits { Fate::Committed } else { Fate::Aborted });
        self.note(&format!("has ended {number}, commit: {commits}"));
        Ok(())
    }

    fn live_on(&self, number: i64, step: usize, crash_before: Option<usize>) -> Result<(), Stop> {
        if self.dies_at == Some(number) && step == 2 {
            self.note(&format!("dies in {number}"));
            return Err(Stop::Death);
        }
        if crash_before == Some(step) {
            self.note(&format!("crashes in {number}"));
            return Err(Stop::Crash);
        }
        Ok(())
    }

    /// Retries until something is done; says whether it is, or why it cannot be.
    fn verdict(&self, answer: Result<(), ErrorCode>) -> Result<bool, Stop> {
        match answer {
            Ok(()) => Ok(true),
            Err(code) if RETRIABLE.contains(&code) => Ok(false),
            Err(code) => Err(Stop::Fenced(code)),
        }
    }

    async fn add_all(&mut self) -> Result<(), Stop> {
        let mut partitions: BTreeSet<TopicPartition> = (0..PAYMENTS_PARTITIONS)
            .map(|index| self.world.partition_of(self.world.payments[index]))
            .collect();
        partitions.insert(self.world.partition_of(self.world.groups));
        let (producer, epoch) = self.identity;
        let command = TransactionCommand::AddPartitions(AddPartitions {
            id: self.id(),
            producer,
            epoch,
            partitions,
            version: self.version,
            waits: false,
        });
        loop {
            let answer = match self.ask_transaction(command.clone()).await? {
                Ok(TransactionAnswer::AddPartitions(added)) => added.map_err(TransactionError::code),
                Err(code) => Err(code),
                other => return Err(self.surprise("partitions", &other)),
            };
            if self.verdict(answer)? {
                return Ok(());
            }
            self.pause(10_000, 60_000).await;
        }
    }

    /// Writes the transaction's record in one partition.
    async fn pay(&mut self, number: i64, index: usize) -> Result<(), Stop> {
        let value = format!("till-{}/{number}/{index}", self.number);
        let (producer, epoch) = self.identity;
        let mut builder = BatchBuilder::new(Compression::None)
            .producer(producer, epoch, Sequence(self.sequences[index]))
            .transactional();
        builder.append(self.world.clock.wall(), None, Some(value.as_bytes()), &[]);
        let payment = Payment {
            batch: builder.build().unwrap(),
            id: self.id(),
            partition: self.world.payments[index],
            version: self.version,
        };
        loop {
            let anybody = self.random.below(NODES);
            let to = self.world.leader(payment.partition).filter(|_| anybody > 0).unwrap_or(anybody);
            let again = payment.clone();
            self.echo(|world| async move { again.take(&world, to).await.map(drop) });
            let answer = self.call(to, payment.clone().take(&self.world, to)).await?;
            if self.verdict(answer)? {
                self.sequences[index] += 1;
                return Ok(());
            }
            self.pause(10_000, 60_000).await;
        }
    }

    /// Commits the transaction's offset.
    async fn note_down(&mut self, number: i64) -> Result<(), Stop> {
        let partition = CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(number + 1),
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        };
        let note = Note {
            offsets: CommitOffsets {
                group: group(self.number),
                generation: Generation(-1),
                topics: vec![CommitTopic {
                    name: payments(),
                    id: TopicId::ZERO,
                    partitions: vec![partition],
                }],
                ..CommitOffsets::default()
            },
            id: self.id(),
            identity: self.identity,
            version: self.version,
        };
        loop {
            let anybody = self.random.below(NODES);
            let to = self.world.leader(self.world.groups).unwrap_or(anybody);
            let again = note.clone();
            self.echo(|world| async move { again.take(&world, to).await.map(drop) });
            let answer = self.call(to, note.clone().take(&self.world, to)).await?;
            if self.verdict(answer)? {
                return Ok(());
            }
            self.pause(10_000, 60_000).await;
        }
    }

    fn end_command(&self, commit: bool) -> TransactionCommand {
        let (producer, epoch) = self.identity;
        let version = self.version;
        TransactionCommand::End(End { id: self.id(), producer, epoch, commit, version, fresh: None })
    }

    async fn end(&mut self, commits: bool) -> Result<(), Stop> {
        let command = self.end_command(commits);
        loop {
            let answer = match self.ask_transaction(command.clone()).await? {
                Ok(TransactionAnswer::End(Ok(Some(identity)))) => {
                    self.identity = identity;
                    self.sequences = [0; PAYMENTS_PARTITIONS];
                    let identified = self.world.ledger.lock().identify(self.number, identity);
                    identified.map_err(|broken| self.broken(broken))?;
                    Ok(())
                }
                Ok(TransactionAnswer::End(ended)) => ended.map(drop).map_err(TransactionError::code),
                Err(code) => Err(code),
                other => return Err(self.surprise("an end", &other)),
            };
            if self.verdict(answer)? {
                return Ok(());
            }
            self.pause(10_000, 60_000).await;
        }
    }
}

fn payments() -> TopicName {
    TopicName::new(PAYMENTS).unwrap()
}

/// A Produce request of a transaction.
#[derive(Clone)]
struct Payment {
    batch: Batch,
    id: TransactionalId,
    partition: TopicIdPartition,
    version: TransactionVersion,
}

impl Payment {
    /// What a node makes of it, as the broker's handler does.
    async fn take(self, world: &Arc<World>, to: usize) -> Option<Result<(), ErrorCode>> {
        let life = world.life(to)?;
        let header = self.batch.header;
        let question = Question {
            id: self.id,
            partition: self.partition,
            opening: Opening {
                producer: header.producer_id,
                epoch: header.producer_epoch,
                sequence: header.base_sequence,
                own_epoch: self.version.raises_epoch(),
            },
        };
        let verification = match question.settle(world, &life).await {
            Ok(verification) => verification,
            Err(code) => return Some(Err(code)),
        };
        let terms = PlaceTerms { verification, ..PlaceTerms::by(Origin::Client) };
        match place(world, &life, self.partition, self.batch, terms) {
            Ok(placed) => Some(commit(world, &life, self.partition, placed).await?.map(drop)),
            Err(code) => Some(Err(code)),
        }
    }
}

/// A TxnOffsetCommit request.
#[derive(Clone)]
struct Note {
    offsets: CommitOffsets,
    id: TransactionalId,
    identity: (ProducerId, ProducerEpoch),
    version: TransactionVersion,
}

impl Note {
    /// What a node makes of it, as the broker's handler does.
    async fn take(self, world: &Arc<World>, to: usize) -> Option<Result<(), ErrorCode>> {
        let life = world.life(to)?;
        let (producer, epoch) = self.identity;
        let own_epoch = self.version.raises_epoch();
        let opening = Opening { producer, epoch, sequence: Sequence::NONE, own_epoch };
        let question = Question { id: self.id, partition: world.groups, opening };
        let verification = match question.settle(world, &life).await {
            Ok(verification) => verification,
            Err(code) => return Some(Err(code)),
        };
        let offsets = self.offsets;
        let knows_stale_epoch = true;
        let command = GroupCommand::CommitInTransaction(CommitInTransaction {
            offsets,
            producer,
            epoch,
            verification,
            knows_stale_epoch,
        });
        Some(match world.ask_group(to, command).await? {
            Ok(GroupAnswer::CommitOffsets(topics)) => {
                topics[0].partitions[0].1.map_err(vltava_coordinator::group::GroupError::code)
            }
            Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(code) => Err(code),
        })
    }
}

/// What a node asks the coordinator before a transaction is opened in a partition (KIP-890).
struct Question {
    id: TransactionalId,
    partition: TopicIdPartition,
    opening: Opening,
}

impl Question {
    async fn settle(&self, world: &Arc<World>, life: &Life) -> Result<Verification, ErrorCode> {
        if world.options.breach == Some(Breach::NoVerification) {
            return Ok(Verification::Waived);
        }
        let partition = life.partition(self.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let verification = match partition.verify(&self.opening) {
            Ok(verification) => verification,
            // As of every refusal by who was replaced: its word is nothing.
            Err(_) if partition.watermarks().epoch < world.replicas_of(self.partition).leader_epoch => {
                return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
            Err(error) => return Err(error.code()),
        };
        if verification == Verification::None {
            return Ok(verification);
        }
        let unavailable = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        let to = world.leader(world.transactions).ok_or(unavailable)?;
        let answer = world.ask_transaction(to, self.command(world));
        let answered = world.network.call(Place::Node(life.index), Place::Node(to), answer).await;
        match answered.unwrap_or(Err(unavailable))? {
            TransactionAnswer::AddPartitions(added) => added.map_err(TransactionError::code)?,
            TransactionAnswer::VerifyPartitions(verified) => {
                let verified = verified.map_err(TransactionError::code)?;
                if verified.iter().any(|(_, known)| !known) {
                    return Err(ErrorCode::TRANSACTION_ABORTABLE);
                }
            }
            TransactionAnswer::AskAgain => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        }
        Ok(verification)
    }

    fn command(&self, world: &World) -> TransactionCommand {
        let Opening { producer, epoch, own_epoch, .. } = self.opening;
        let (id, partition) = (self.id.clone(), world.partition_of(self.partition));
        if own_epoch {
            TransactionCommand::AddPartitions(AddPartitions {
                id,
                producer,
                epoch,
                partitions: BTreeSet::from([partition]),
                version: TransactionVersion::EPOCH_FOR_EACH,
                waits: true,
            })
        } else {
            let partitions = vec![partition];
            TransactionCommand::VerifyPartitions(VerifyPartitions { id, producer, epoch, partitions })
        }
    }
}

/// Reads what is committed in one partition, until everything is done.
async fn audit(world: Arc<World>, index: usize, mut random: Random) {
    let id = world.payments[index];
    let mut next = Offset(0);
    while !world.is_over() && !world.is_closing() {
        let anybody = random.below(NODES);
        let to = world.leader(id).unwrap_or(anybody);
        let answer = async {
            let life = world.life(to)?;
            Some(read_committed(&world, &life, id, next))
        };
        if let Ok(Ok((records, end))) = world.network.call(Place::Client, Place::Node(to), answer).await {
            next = end;
            for (offset, value) in records {
                let seen = world.ledger.lock().see(partition_index(index), offset, &value);
                if let Err(broken) = seen {
                    return world.is_broken(broken);
                }
            }
        }
        sleep(Duration::from_micros(15_000 + random.bits() % 50_000)).await;
    }
}

fn partition_index(index: usize) -> PartitionIndex {
    PartitionIndex(i32::try_from(index).unwrap())
}

/// The committed records from an offset on as a node gives them, and where to go on.
pub fn read_committed(
    world: &World,
    life: &Life,
    id: TopicIdPartition,
    from: Offset,
) -> Result<(Vec<(Offset, String)>, Offset), ErrorCode> {
    let partition = life.partition(id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let terms = ReadTerms {
        isolation: Isolation::Committed,
        bytes: 2000,
        whole_first_batch: true,
        current_epoch: LeaderEpoch::NONE,
    };
    let read = partition.read(from, terms).map_err(|error| error.code())?;
    world.check();
    let bytes = load(read.data).map_err(|error| error.code())?;
    let aborted = match world.options.breach {
        Some(Breach::ReadsAborted) => Vec::new(),
        _ => read.aborted,
    };
    let mut end = from;
    let records = without_aborted(&bytes, &aborted, &mut end);
    Ok((records.into_iter().filter(|(offset, _)| *offset >= from).collect(), end))
}

/// All committed records of a partition as its leader gives them.
pub fn read_all(world: &World, id: TopicIdPartition) -> Vec<(Offset, String)> {
    let Some(life) = world.leader(id).and_then(|index| world.life(index)) else { return Vec::new() };
    let mut records = Vec::new();
    let mut next = Offset(0);
    while let Ok((found, end)) = read_committed(world, &life, id, next) {
        if end == next {
            break;
        }
        next = end;
        records.extend(found);
    }
    records
}

/// What a consumer leaves of some batches, the last of which may be cut.
fn without_aborted(bytes: &Bytes, aborted: &[AbortedTransaction], end: &mut Offset) -> Vec<(Offset, String)> {
    let mut aborted = aborted.to_vec();
    aborted.sort_by_key(|transaction| transaction.first);
    let mut aborted = VecDeque::from(aborted);
    let mut hidden = BTreeSet::new();
    let mut records = Vec::new();
    for batch in Batch::split(bytes.clone()).map_while(Result::ok) {
        let header = &batch.header;
        *end = header.next_offset();
        while aborted.front().is_some_and(|transaction| transaction.first <= header.last_offset()) {
            hidden.extend(aborted.pop_front().map(|transaction| transaction.producer));
        }
        if header.is_control() {
            let marker = EndTransactionMarker::read(&batch).unwrap();
            if marker.is_some_and(|marker| marker.result == TransactionResult::Abort) {
                hidden.remove(&header.producer_id);
            }
        } else if !(header.is_transactional() && hidden.contains(&header.producer_id)) {
            records.extend(super::records(&batch.to_bytes()).unwrap());
        }
    }
    records
}

/// The committed records of a whole log, from its markers alone.
pub fn committed(bytes: &[u8]) -> Vec<(Offset, String)> {
    let mut open: BTreeMap<ProducerId, Vec<(Offset, String)>> = BTreeMap::new();
    let mut records = Vec::new();
    for batch in Batch::split(bytes.to_vec().into()) {
        let batch = batch.unwrap();
        let producer = batch.header.producer_id;
        if batch.header.is_control() {
            let ended = open.remove(&producer).unwrap_or_default();
            let marker = EndTransactionMarker::read(&batch).unwrap();
            if marker.is_some_and(|marker| marker.result == TransactionResult::Commit) {
                records.extend(ended);
            }
        } else {
            open.entry(producer).or_default().extend(super::records(&batch.to_bytes()).unwrap());
        }
    }
    records.sort();
    records
}
