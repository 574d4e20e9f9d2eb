//! Producers that send until everything is acknowledged, and a consumer that reads what is committed as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicIdPartition};
use vltava_core::record::Batch;
use vltava_core::replicated::{Isolation, Origin, PlaceError, PlaceTerms, Placed, ReadTerms, ReplicatedLog};
use vltava_core::testing::Random;
use vltava_replication::partition::{EpochEnd, load};

use super::network::Place;
use super::node::Life;
use super::{NODES, World, records};
use crate::client::batch;

/// Idempotent producers, and the batches that each producer sends.
const IDEMPOTENT: usize = 2;
const BATCHES: usize = 25;

/// How long a leader lets a producer wait (`request.timeout.ms`).
const REQUEST: Duration = Duration::from_millis(700);

/// The retriable codes that faults explain; anything else is a broken promise.
const EXPECTED: [ErrorCode; 6] = [
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
];

/// What clients were told.
#[derive(Default)]
pub struct Promises {
    /// What each producer sends, and whether it must be there exactly once.
    sent: BTreeMap<String, (Vec<String>, bool)>,
    acknowledged: Vec<(Offset, String)>,
    /// How often a producer was refused because too few replicas were in sync.
    pub refusals: usize,
    /// What a consumer has seen.
    read: BTreeMap<Offset, String>,
}

impl Promises {
    /// Compares the records that are there with what was promised, where what was committed at some offsets may be lost.
    pub fn judge(
        &self,
        found: &[(Offset, String)],
        may_lose: bool,
        is_lost: impl Fn(Offset) -> bool,
    ) -> Result<(), String> {
        let there: BTreeMap<Offset, &String> = found.iter().map(|(offset, value)| (*offset, value)).collect();
        let told = self.acknowledged.iter().map(|(offset, value)| ("acknowledged", offset, value));
        for (how, offset, value) in
            told.chain(self.read.iter().map(|(offset, value)| ("read", offset, value)))
        {
            if there.get(offset) != Some(&value) && !is_lost(*offset) {
                return Err(format!("{value} was {how} at {offset}, where {:?} is now", there.get(offset)));
            }
        }
        let lost = self.lost(is_lost);
        for (name, (values, exactly_once)) in &self.sent {
            let prefix = format!("{name}/");
            let mut theirs: Vec<&String> =
                found.iter().map(|(_, value)| value).filter(|value| value.starts_with(&prefix)).collect();
            if !exactly_once || may_lose {
                // One that sends again without an id, or with a new epoch after a loss, leaves duplicates, but the first
                // ones are in order.
                let mut seen = BTreeSet::new();
                theirs.retain(|value| seen.insert(*value));
            }
            let kept: BTreeSet<&String> = theirs.iter().copied().collect();
            let expected: Vec<&String> =
                values.iter().filter(|value| kept.contains(value) || !lost.contains(value)).collect();
            let is_ordered = *exactly_once || !may_lose;
            if (is_ordered && theirs != expected) || kept != expected.iter().copied().collect() {
                return Err(format!("{name} sent {values:?}, lost {lost:?}, and {theirs:?} is there"));
            }
        }
        Ok(())
    }

    /// The values that were acknowledged at offsets where something is lost.
    fn lost(&self, is_lost: impl Fn(Offset) -> bool) -> BTreeSet<&String> {
        let lost = self.acknowledged.iter().filter(|(offset, _)| is_lost(*offset));
        lost.map(|(_, value)| value).collect()
    }
}

/// Starts all clients of the partition of records.
pub fn start(world: &Arc<World>, random: &mut Random) -> Vec<JoinHandle<()>> {
    let mut clients: Vec<_> = (0..=IDEMPOTENT)
        .map(|number| {
            let idempotent = number < IDEMPOTENT;
            let id = if idempotent { ProducerId(i64::try_from(number).unwrap()) } else { ProducerId::NONE };
            let name = format!("producer-{number}");
            let producer = Producer::new(world, id, name, Random::new(random.bits()));
            tokio::spawn(producer.run())
        })
        .collect();
    clients.push(tokio::spawn(read_everything(world.clone(), Random::new(random.bits()))));
    clients
}

struct Producer {
    world: Arc<World>,
    id: ProducerId,
    /// Its epoch, which rises when what it had sent before is lost, and the sequence that comes next in it.
    epoch: ProducerEpoch,
    sequence: i32,
    name: String,
    batches: Vec<Vec<String>>,
    random: Random,
}

impl Producer {
    fn new(world: &Arc<World>, id: ProducerId, name: String, mut random: Random) -> Producer {
        let batches: Vec<Vec<String>> = (0..BATCHES)
            .map(|number| (0..=random.below(3)).map(|record| format!("{name}/{number}/{record}")).collect())
            .collect();
        world.promises.lock().sent.insert(name.clone(), (batches.concat(), id != ProducerId::NONE));
        Producer { world: world.clone(), id, epoch: ProducerEpoch(0), sequence: 0, name, batches, random }
    }

    async fn run(mut self) {
        for (number, values) in std::mem::take(&mut self.batches).into_iter().enumerate() {
            sleep(Duration::from_micros(self.random.bits() % 250_000)).await;
            loop {
                if self.world.is_over() {
                    return;
                }
                let batch = batch(self.id, self.epoch, self.sequence, &values);
                match self.send(&batch).await {
                    Some(Ok(base)) => {
                        self.world.note(&self.name, &format!("has {number} acknowledged at {base}"));
                        self.sequence += batch.header.records_count;
                        let records = (0..).zip(values).map(|(at, value)| (base.plus(at), value));
                        self.world.promises.lock().acknowledged.extend(records);
                        break;
                    }
                    Some(Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)) if self.has_lost() => {
                        self.begin_anew();
                    }
                    Some(Err(code)) if !EXPECTED.contains(&code) => {
                        return self.world.is_broken(format!("{} {number} is refused: {code}", self.name));
                    }
                    Some(Err(code @ ErrorCode::NOT_ENOUGH_REPLICAS)) => {
                        self.world.promises.lock().refusals += 1;
                        self.world.note(&self.name, &format!("sends {number} again: {code}"));
                    }
                    Some(Err(code)) => self.world.note(&self.name, &format!("sends {number} again: {code}")),
                    None => self.world.note(&self.name, &format!("sends {number} again")),
                }
                sleep(Duration::from_micros(10_000 + self.random.bits() % 60_000)).await;
            }
        }
    }

    /// Something that it was told is there is lost.
    fn has_lost(&self) -> bool {
        let world = &self.world;
        let prefix = format!("{}/", self.name);
        let promises = world.promises.lock();
        let lost = promises.lost(|offset| world.is_lost(world.orders, offset));
        lost.iter().any(|value| value.starts_with(&prefix))
    }

    /// Goes on in an epoch of its own, as a producer does whose sequence is refused.
    fn begin_anew(&mut self) {
        (self.epoch, self.sequence) = (ProducerEpoch(self.epoch.0 + 1), 0);
        self.world.note(&self.name, &format!("goes on in epoch {}", self.epoch));
    }

    async fn send(&mut self, batch: &Batch) -> Option<Result<Offset, ErrorCode>> {
        let to = whom(&self.world, &mut self.random);
        let answer = produce(&self.world, to, batch.clone());
        self.world.network.call(Place::Client, Place::Node(to), answer).await.ok()
    }
}

/// Mostly the leader, sometimes anybody: a client's view is often old.
fn whom(world: &World, random: &mut Random) -> usize {
    let anybody = random.below(NODES);
    if random.once_in(8) { anybody } else { world.leader(world.orders).unwrap_or(anybody) }
}

/// What a node answers to a producer that wants all in sync to have its batch. `None` when the node goes away.
async fn produce(world: &World, to: usize, batch: Batch) -> Option<Result<Offset, ErrorCode>> {
    let life = world.life(to)?;
    match place(world, &life, world.orders, batch, PlaceTerms::by(Origin::Client)) {
        Ok(placed) => commit(world, &life, world.orders, placed).await,
        Err(code) => Some(Err(code)),
    }
}

/// Places a batch at a node; one that was placed before has its place.
pub fn place(
    world: &World,
    life: &Life,
    id: TopicIdPartition,
    batch: Batch,
    terms: PlaceTerms,
) -> Result<Placed, ErrorCode> {
    let partition = life.partition(id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let placed: Placed = match partition.place(batch, terms) {
        Ok(placed) | Err(PlaceError::Duplicate(placed)) => placed,
        // Who was replaced and has not heard of it may miss what came before: its word is nothing.
        Err(_) if partition.watermarks().epoch < world.replicas_of(id).leader_epoch => {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Err(error) => return Err(error.code()),
    };
    let (base, epoch, name) = (placed.base, placed.epoch, world.name(id));
    world.note(&format!("node {}", life.id), &format!("has a batch of {name} at {base} in epoch {epoch}"));
    world.check();
    Ok(placed)
}

/// Waits until what was placed is committed. `None` when the node goes away.
pub async fn commit(
    world: &World,
    life: &Life,
    id: TopicIdPartition,
    placed: Placed,
) -> Option<Result<Offset, ErrorCode>> {
    let partition = life.partition(id)?;
    let until = world.clock.now() + REQUEST;
    while !life.is_over() {
        match partition.watermarks().verdict(placed) {
            Some(Ok(())) => {
                world.check();
                if !world.is_committed(id, placed.end) {
                    let (name, base) = (world.name(id), placed.base);
                    world.is_broken(format!("{name}: {base} is acknowledged before it is committed"));
                }
                return Some(Ok(placed.base));
            }
            Some(Err(error)) => return Some(Err(error.code())),
            None if world.clock.now() >= until => return Some(Err(ErrorCode::REQUEST_TIMED_OUT)),
            None => sleep(Duration::from_millis(4)).await,
        }
    }
    None
}

/// Reads from the beginning on, until every producer's last record was seen, or is known to be lost. As consumers do (KIP-320)
/// it asks where the epoch of its last record has ended, and goes back to there.
async fn read_everything(world: Arc<World>, mut random: Random) {
    let mut position = Position { next: Offset(0), epoch: LeaderEpoch::NONE };
    loop {
        let wanted = {
            let promises = world.promises.lock();
            let seen: BTreeSet<&String> = promises.read.values().collect();
            let lost = promises.lost(|offset| world.is_lost(world.orders, offset));
            let is_settled = |value: &String| seen.contains(value) || lost.contains(value);
            promises.sent.values().any(|(values, _)| !values.iter().all(is_settled))
        };
        if !wanted || world.is_over() {
            return;
        }
        let to = whom(&world, &mut random);
        let answer = async { Some(consume(&world, to, position)) };
        let read = world.network.call(Place::Client, Place::Node(to), answer).await;
        match read {
            Ok(Ok(Consumed::Records(bytes, epoch))) => match records(&bytes) {
                Ok(found) if found.is_empty() => {}
                Ok(found) => position = Position { next: take(&world, position.next, found), epoch },
                Err(error) => return world.is_broken(format!("a consumer reads garbage: {error}")),
            },
            Ok(Ok(Consumed::Truncated(end))) if world.options.unclean => {
                world.note("consumer", &format!("goes back from {} to {}", position.next, end.end));
                position = Position { next: end.end, epoch: end.epoch };
            }
            // Who was replaced and has not heard of it may lack what another one has committed.
            Ok(Ok(Consumed::Truncated(_)) | Err(_)) | Err(_) => {}
        }
        sleep(Duration::from_micros(10_000 + random.bits() % 40_000)).await;
    }
}

/// Where a consumer goes on, and the epoch of its last record.
#[derive(Clone, Copy)]
struct Position {
    next: Offset,
    epoch: LeaderEpoch,
}

/// What a consumer is given.
enum Consumed {
    /// Batches, and the epoch of the last one.
    Records(Vec<u8>, LeaderEpoch),
    /// The log has parted from what it has read.
    Truncated(EpochEnd),
}

fn consume(world: &World, at: usize, from: Position) -> Result<Consumed, ErrorCode> {
    let life = world.life(at).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
    let partition = life.partition(world.orders).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let (isolation, current_epoch) = (Isolation::Uncommitted, LeaderEpoch::NONE);
    let end = partition.epoch_end(from.epoch, current_epoch).map_err(|error| error.code())?;
    if let Some(end) = end.filter(|end| end.end < from.next || end.epoch < from.epoch) {
        return Ok(Consumed::Truncated(EpochEnd { end: end.end.min(from.next), ..end }));
    }
    let terms = ReadTerms { isolation, bytes: 2000, whole_first_batch: true, current_epoch };
    let read = partition.read(from.next, terms).map_err(|error| error.code())?;
    world.check();
    let bytes = load(read.data).map_err(|error| error.code())?;
    // The last batch may be cut.
    let whole: Vec<Batch> = Batch::split(bytes.clone()).map_while(Result::ok).collect();
    let size = whole.iter().map(Batch::size).sum();
    let epoch = whole.last().map_or(from.epoch, |batch| batch.header.partition_leader_epoch);
    Ok(Consumed::Records(bytes[..size].to_vec(), epoch))
}

fn take(world: &World, next: Offset, found: Vec<(Offset, String)>) -> Offset {
    let mut after = next;
    let mut promises = world.promises.lock();
    for (offset, value) in found.into_iter().filter(|(offset, _)| *offset >= next) {
        after = offset.next();
        promises.read.insert(offset, value);
    }
    drop(promises);
    if after > next && !world.is_committed(world.orders, after) {
        world.is_broken(format!("a consumer has read up to {after}, which is not committed"));
    }
    after
}
