//! In the end: what lives in the coordinators is what their logs say, on every replica, and also what compaction leaves of
//! them; and what was acknowledged is there.

use std::collections::HashMap;
use std::sync::Arc;

use vltava_coordinator::group::command::FetchOffsets;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupCoordinator, GroupId};
use vltava_coordinator::transaction::{
    TransactionAnswer, TransactionCommand, TransactionCoordinator, TransactionSettings, TransactionalId,
};
use vltava_core::id::{Generation, Offset, PartitionIndex, ProducerId, TopicIdPartition};
use vltava_core::log::{LogError, Rewrite};
use vltava_core::machine::{Context, Entry, Place, Reply, StateMachine, TransactionEnd};
use vltava_core::record::{Batch, EndTransactionMarker, TransactionResult};
use vltava_replication::partition::Partition;
use vltava_storage::compaction::{
    AbortedRange, CompactionBudget, CompactionRules, LastOfProducer, Producers, compact, survey,
};

use super::coordinators::group_settings;
use super::{World, consumers, content, members, tills};

/// How often a comparison with what lives is tried: a timer may fire in between.
const ATTEMPTS: usize = 20;

/// Compares everything, and compacts the logs of the coordinators at the end.
pub async fn judge(world: &Arc<World>) -> Result<usize, String> {
    let new_transactions = || TransactionCoordinator::new(TransactionSettings::default());
    let new_groups = || GroupCoordinator::new(group_settings());
    for till in tills::tills() {
        let command = TransactionCommand::Describe(TransactionalId::from(format!("till-{till}")));
        compare(world, world.transactions, command, new_transactions).await?;
        let committed = committed_of(world, new_groups, tills::group(till))?;
        world.ledger.lock().check_offset(till, committed.get(&PartitionIndex(0)).copied())?;
    }
    for group in [members::GROUP, consumers::SHARERS, consumers::MOVERS] {
        let fetch =
            FetchOffsets { group: group.into(), member_epoch: Generation(-1), ..FetchOffsets::default() };
        compare(world, world.groups, GroupCommand::FetchOffsets(fetch), new_groups).await?;
        let there = committed_of(world, new_groups, group.into())?;
        for (index, offset) in world.memberships.lock().committed(group) {
            if there.get(&index).is_none_or(|there| *there < offset) {
                let there = there.get(&index);
                return Err(format!("{group}: {offset} of {index} was acknowledged, and {there:?} is there"));
            }
        }
    }
    let describe = GroupCommand::DescribeConsumerGroup(consumers::SHARERS.into());
    compare(world, world.groups, describe, new_groups).await?;
    let removed = compact_and_compare(world, world.transactions, new_transactions)?;
    Ok(removed + compact_and_compare(world, world.groups, new_groups)?)
}

/// A way to ask a coordinator that lives.
trait Asked: StateMachine {
    async fn ask(world: &Arc<World>, to: usize, command: Self::Command) -> Option<Self::Answer>;
}

impl Asked for GroupCoordinator {
    async fn ask(world: &Arc<World>, to: usize, command: GroupCommand) -> Option<GroupAnswer> {
        world.ask_group(to, command).await?.ok()
    }
}

impl Asked for TransactionCoordinator {
    async fn ask(world: &Arc<World>, to: usize, command: TransactionCommand) -> Option<TransactionAnswer> {
        world.ask_transaction(to, command).await?.ok()
    }
}

/// Asks the coordinator that lives and one that has just read the log.
async fn compare<M: Asked>(
    world: &Arc<World>,
    id: TopicIdPartition,
    command: M::Command,
    new: impl Fn() -> M,
) -> Result<(), String>
where
    M::Answer: PartialEq,
{
    let mut found = String::new();
    for _ in 0..ATTEMPTS {
        let leader = leader(world, id)?;
        let end = leader.1.watermarks().end;
        let live = M::ask(world, leader.0, command.clone()).await;
        let replayed = decide(world, &replay(&content(&leader.1), new()), command.clone());
        if live.is_some() && live == replayed {
            return Ok(());
        }
        found = format!("{}: {live:?} lives, and {replayed:?} is in the log", world.name(id));
        if leader.1.watermarks().end == end {
            break;
        }
    }
    Err(found)
}

fn leader(world: &World, id: TopicIdPartition) -> Result<(usize, Arc<Partition>), String> {
    let index = world.leader(id).ok_or("nobody leads")?;
    let partition = world.life(index).and_then(|life| life.partition(id)).ok_or("the leader is gone")?;
    Ok((index, partition))
}

/// What a machine answers now.
fn decide<M: StateMachine>(world: &World, machine: &M, command: M::Command) -> Option<M::Answer> {
    let image = world.controller.lock().image().clone();
    let context = Context { now: world.clock.now(), wall: world.clock.wall(), entropy: 0, image: &image };
    match machine.decide(&context, command).reply {
        Reply::Committed(answer) | Reply::AtOnce(answer) => Some(answer),
        Reply::Parked(_) | Reply::Nobody => None,
    }
}

/// The offsets of a group, as the log has them.
fn committed_of(
    world: &World,
    new: impl Fn() -> GroupCoordinator,
    group: GroupId,
) -> Result<HashMap<PartitionIndex, Offset>, String> {
    let machine = replay(&content(&leader(world, world.groups)?.1), new());
    let fetch = FetchOffsets { group, member_epoch: Generation(-1), ..FetchOffsets::default() };
    let Some(GroupAnswer::FetchOffsets(Ok(fetched))) =
        decide(world, &machine, GroupCommand::FetchOffsets(fetch))
    else {
        return Err("no offsets can be fetched".to_owned());
    };
    let partitions = fetched.topics.into_iter().flat_map(|topic| topic.partitions);
    Ok(partitions.filter_map(|(index, offset)| Some((index, offset.ok()??.offset))).collect())
}

/// Compacts the log of each replica; returns how many bytes that has removed.
fn compact_and_compare<M: StateMachine>(
    world: &World,
    id: TopicIdPartition,
    new: impl Fn() -> M,
) -> Result<usize, String> {
    let mut removed = 0;
    for replica in world.replicas(id) {
        let before = content(&replica);
        let whole = said(&replay(&before, new()));
        let rules = CompactionRules { delete_retention_ms: 0, ..CompactionRules::default() };
        // The second round removes the tombstones to which the first one gives a horizon.
        for _ in 0..2 {
            compact_once(world, &replica, &rules)?;
            let after = content(&replica);
            removed += before.len().saturating_sub(after.len());
            let compacted = said(&replay(&after, new()));
            if let Some((one, other)) = whole.iter().zip(&compacted).find(|(one, other)| one != other) {
                return Err(format!("{}: compaction makes {other} of {one}", world.name(id)));
            }
            if whole.len() != compacted.len() {
                let (whole, compacted) = (whole.len(), compacted.len());
                return Err(format!("{}: {whole} facts are {compacted} after compaction", world.name(id)));
            }
        }
    }
    Ok(removed)
}

fn compact_once(world: &World, replica: &Partition, rules: &CompactionRules) -> Result<(), String> {
    let (log, now) = (&**replica.log(), world.clock.wall());
    let stable = replica.watermarks().stable;
    let dirt = survey(log, None, stable, rules, now).map_err(|error| error.to_string())?;
    let budget = CompactionBudget { map_bytes_max: 1 << 16, ..CompactionBudget::default() };
    let mut pace = |_| std::ops::ControlFlow::Continue(());
    let compacted = compact(log, &Remembered(replica), &dirt, rules, budget, now, &mut pace);
    compacted.map(drop).map_err(|error| error.to_string())
}

/// What a machine has to say, in an order that does not depend on its maps.
fn said<M: StateMachine>(machine: &M) -> Vec<String> {
    let mut events: Vec<_> = machine.snapshot().iter().map(|event| format!("{event:?}")).collect();
    events.sort_unstable();
    events
}

/// Reads a log into a machine, as a new leader does.
fn replay<M: StateMachine>(bytes: &[u8], mut machine: M) -> M {
    for batch in Batch::split(bytes.to_vec().into()) {
        let batch = batch.unwrap();
        let header = &batch.header;
        let (offset, timestamp) = (header.base_offset, header.max_timestamp);
        if header.is_control() {
            let Some(marker) = EndTransactionMarker::read(&batch).unwrap() else { continue };
            let end = TransactionEnd {
                producer: header.producer_id,
                epoch: header.producer_epoch,
                commit: marker.result == TransactionResult::Commit,
                coordinator_epoch: marker.coordinator_epoch.0,
            };
            apply(&mut machine, Entry::End(end), Place { offset, timestamp, transaction: None });
            continue;
        }
        let transaction = header.is_transactional().then_some((header.producer_id, header.producer_epoch));
        let records = batch.records().unwrap();
        for record in &records {
            let record = record.unwrap();
            let key = record.key.map(|key| records.body().slice_ref(key));
            let value = record.value.map(|value| records.body().slice_ref(value));
            let place = Place { offset: record.offset, timestamp: record.timestamp, transaction };
            apply(&mut machine, Entry::Record { key: key.as_ref(), value: value.as_ref() }, place);
        }
    }
    machine
}

fn apply<M: StateMachine>(machine: &mut M, entry: Entry<'_>, place: Place) {
    if let Some(event) = machine.decode(entry).unwrap() {
        machine.apply(&event, place);
    }
}

/// What a partition remembers of its producers, for compaction.
struct Remembered<'a>(&'a Partition);

impl Producers for Remembered<'_> {
    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer> {
        let last = self.0.last_written().into_iter();
        last.map(|last| (last.producer, LastOfProducer { offset: last.offset, epoch: last.epoch })).collect()
    }

    fn aborted(&self, from: Offset, below: Offset) -> Vec<AbortedRange> {
        let aborted = self.0.aborted(from, below).into_iter();
        aborted
            .map(|one| AbortedRange { producer: one.producer, first: one.first, marker: one.last })
            .collect()
    }

    fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        from: Offset,
        to: Offset,
        markers: &[Offset],
    ) -> Result<(), LogError> {
        self.0.replace(rewrite, from, to, markers)
    }
}
