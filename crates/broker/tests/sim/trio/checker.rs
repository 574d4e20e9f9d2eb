//! What must hold after every step, as `replication::partition` writes it down, and at the end.

use std::collections::BTreeMap;

use vltava_core::id::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use vltava_core::image::{Image, Partition as Replicas};
use vltava_core::log::ReadLimit;
use vltava_core::record::Batch;
use vltava_core::replicated::Watermarks;
use vltava_core::testing::bytes_of;
use vltava_replication::partition::Partition;

use super::node::Life;

/// A batch of a log: enough to tell it from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    base: Offset,
    end: Offset,
    epoch: LeaderEpoch,
    crc: u32,
}

/// What was seen of the partitions so far.
#[derive(Default)]
pub struct Checker {
    partitions: BTreeMap<TopicIdPartition, Seen>,
    /// How often a replica has cut batches off its log.
    pub truncations: usize,
}

#[derive(Default)]
struct Seen {
    /// What any leader's high watermark has passed, and is not lost.
    committed: Vec<Entry>,
    /// What was committed, and lost when somebody led who lacked it, as far as nobody has brought it back.
    lost: Vec<Entry>,
    losses: Vec<Loss>,
    /// Who leads in each epoch.
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    replicas: BTreeMap<BrokerId, Replica>,
}

/// A leader who may lack what is committed has begun: whatever was written in earlier epochs from `floor` on is lost, for it
/// did not have that.
#[derive(Clone, Copy)]
struct Loss {
    epoch: LeaderEpoch,
    floor: Offset,
}

/// A replica of a life of its node.
#[derive(Default)]
struct Replica {
    life: u64,
    entries: Vec<Entry>,
    /// How many of them are the committed ones.
    matched: usize,
    before: Option<Watermarks>,
}

/// A replica whose node is up.
struct Live<'a> {
    id: BrokerId,
    life: &'a Life,
    partition: &'a Partition,
    marks: Watermarks,
}

impl Checker {
    /// Checks one partition: its replicas on the nodes that are up, and what the controller says.
    pub fn check(
        &mut self,
        id: TopicIdPartition,
        controller: &Image,
        truth: &Replicas,
        unclean: &[LeaderEpoch],
        lives: &[&Life],
    ) -> Result<(), String> {
        let seen = self.partitions.entry(id).or_default();
        let opened: Vec<_> = lives.iter().filter_map(|life| Some((*life, life.partition(id)?))).collect();
        let mut live = Vec::new();
        for (life, partition) in &opened {
            let marks = partition.watermarks();
            let cut = seen.replicas.entry(life.id).or_default().refresh(life, partition, marks)?;
            self.truncations += usize::from(cut);
            live.push(Live { id: life.id, life, partition, marks });
        }
        if truth.leader != BrokerId::NONE && !truth.isr.contains(&truth.leader) {
            return Err(format!("leader {} is not among those in sync: {:?}", truth.leader, truth.isr));
        }
        seen.check_leaders(&live, unclean)?;
        seen.check_replicas(&live)?;
        live.iter().try_for_each(|leader| seen.check_in_sync(leader, &live, controller, truth))
    }

    /// Everything below `end` is committed, or was and is lost.
    pub fn is_committed(&self, id: TopicIdPartition, end: Offset) -> bool {
        let Some(seen) = self.partitions.get(&id) else { return false };
        seen.committed.last().into_iter().chain(&seen.lost).any(|entry| entry.end >= end)
    }

    /// What was committed at this offset is lost.
    pub fn is_lost(&self, id: TopicIdPartition, offset: Offset) -> bool {
        let covers = |entry: &Entry| entry.base <= offset && offset < entry.end;
        self.partitions.get(&id).is_some_and(|seen| seen.lost.iter().any(covers))
    }

    /// How often somebody has led a partition who may have lacked something, and how many batches are lost.
    pub fn losses(&self, id: TopicIdPartition) -> (usize, usize) {
        self.partitions.get(&id).map_or((0, 0), |seen| (seen.losses.len(), seen.lost.len()))
    }

    /// How many batches are committed.
    pub fn committed(&self, id: TopicIdPartition) -> usize {
        self.partitions.get(&id).map_or(0, |seen| seen.committed.len())
    }
}

impl Seen {
    /// One leader an epoch; what it commits is what was committed, and goes on from there. Who has led in its epoch may lead no
    /// longer, because its disk has failed since: what it had committed by then counts. What somebody commits whose successor
    /// has not waited for it is lost.
    fn check_leaders(&mut self, live: &[Live<'_>], unclean: &[LeaderEpoch]) -> Result<(), String> {
        for leader in live {
            let (id, epoch) = (leader.id, leader.marks.epoch);
            if !leader.marks.leading && self.leaders.get(&epoch) != Some(&id) {
                continue;
            }
            let first = *self.leaders.entry(epoch).or_insert(id);
            if first != id {
                return Err(format!("{first} and {id} both lead in epoch {epoch}"));
            }
            let begun = unclean.iter().rfind(|begun| **begun <= epoch).copied();
            if let Some(begun) = begun.filter(|begun| *begun > last_loss(&self.losses)) {
                self.lose(id, begun);
            }
            let Some(replica) = self.replicas.get_mut(&id) else { continue };
            replica.match_with(&self.committed);
            let below = replica.below(leader.marks.high);
            if epoch < last_loss(&self.losses) {
                let dead = replica.entries.get(replica.matched..below).unwrap_or_default();
                let new = dead.iter().filter(|entry| !self.lost.contains(entry));
                let new: Vec<_> = new.copied().collect();
                self.lost.extend(new);
                continue;
            }
            let known = below.min(self.committed.len());
            if replica.matched < known {
                return Err(format!(
                    "leader {id} of epoch {epoch} commits other records than were committed"
                ));
            }
            let new = &replica.entries[known..below];
            self.committed.extend_from_slice(new);
            self.lost.retain(|lost| !new.contains(lost));
        }
        Ok(())
    }

    /// `leader` has begun without having been known to have everything, in this epoch: what it lacks is lost.
    fn lose(&mut self, leader: BrokerId, epoch: LeaderEpoch) {
        let Some(replica) = self.replicas.get_mut(&leader) else { return };
        replica.match_with(&self.committed);
        let kept = replica.matched;
        self.lost.extend(self.committed.drain(kept..));
        self.replicas.values_mut().for_each(|replica| replica.matched = replica.matched.min(kept));
        let floor = self.committed.last().map_or(Offset::ZERO, |last| last.end);
        self.losses.push(Loss { epoch, floor });
    }

    /// Below its high watermark every replica holds what is committed; one that has not heard of a loss, as far as that.
    fn check_replicas(&mut self, live: &[Live<'_>]) -> Result<(), String> {
        for replica in live {
            let Some(seen) = self.replicas.get_mut(&replica.id) else { continue };
            seen.match_with(&self.committed);
            let newest = seen.entries.last().map_or(LeaderEpoch::NONE, |entry| entry.epoch);
            let unheard = self.losses.iter().filter(|loss| loss.epoch > newest).map(|loss| loss.floor);
            let high = unheard.chain([replica.marks.high]).min().unwrap_or_default();
            if seen.matched < seen.below(high) {
                let id = replica.id;
                return Err(format!("{id} differs from what is committed below its high watermark {high}"));
            }
        }
        Ok(())
    }

    /// Whoever is in sync with a leader holds what it has committed; the leader of the newest epoch holds everything.
    fn check_in_sync(
        &self,
        leader: &Live<'_>,
        live: &[Live<'_>],
        controller: &Image,
        truth: &Replicas,
    ) -> Result<(), String> {
        if !leader.marks.leading || leader.marks.epoch < last_loss(&self.losses) {
            return Ok(());
        }
        let Some(mine) = self.replicas.get(&leader.id) else { return Ok(()) };
        let wanted = mine.below(leader.marks.high);
        let newest = leader.id == truth.leader && leader.marks.epoch == truth.leader_epoch;
        if newest && mine.matched < self.committed.len() {
            let (epoch, end) = (leader.marks.epoch, leader.marks.end);
            return Err(format!(
                "leader {} of epoch {epoch} ends at {end} and lacks committed records: it has {} of {} batches",
                leader.id,
                mine.matched,
                self.committed.len()
            ));
        }
        let known = leader.life.image();
        let weak = leader.partition.isr().unwrap_or_default().into_iter().map(|id| ("weak", id, &*known));
        let strong = truth.isr.iter().filter(|_| newest).map(|id| ("strong", *id, controller));
        for (which, id, image) in weak.chain(strong) {
            let Some(member) = live.iter().find(|replica| replica.id == id) else { continue };
            // A life that the image does not know has not been counted in.
            let counted = image.brokers.get(&id).is_some_and(|broker| broker.epoch == member.life.epoch());
            let held = self.replicas.get(&id).map_or(0, |replica| replica.matched);
            if counted && held < wanted {
                let (leader, high) = (leader.id, leader.marks.high);
                return Err(format!(
                    "{which} in-sync replica {id} lacks records below {high}, the high watermark of {leader}"
                ));
            }
        }
        Ok(())
    }
}

impl Replica {
    /// Takes in what has changed since the last step; returns whether batches were cut off.
    fn refresh(&mut self, life: &Life, partition: &Partition, marks: Watermarks) -> Result<bool, String> {
        if self.life != life.number {
            *self = Replica { life: life.number, ..Replica::default() };
        }
        let Watermarks { start, stable, high, end, .. } = marks;
        if !(start <= stable && stable <= high && high <= end) {
            return Err(format!("{}: {start} ≤ {stable} ≤ {high} ≤ {end} does not hold", life.id));
        }
        if let Some(before) = self.before.replace(marks)
            && (marks.epoch < before.epoch
                || (marks.epoch == before.epoch
                    && marks.leading
                    && (high < before.high || stable < before.stable)))
        {
            return Err(format!("{} goes back from {before:?} to {marks:?}", life.id));
        }
        let known = self.entries.len();
        while self.entries.last().is_some_and(|last| last.end > end) {
            self.entries.pop();
        }
        let cut = self.entries.len() < known;
        self.matched = self.matched.min(self.entries.len());
        let from = self.entries.last().map_or(start, |last| last.end);
        if from < end {
            self.entries.extend(read(partition, from, end)?);
        }
        Ok(cut)
    }

    fn match_with(&mut self, committed: &[Entry]) {
        let rest = self.entries.iter().zip(committed).skip(self.matched);
        self.matched += rest.take_while(|(mine, theirs)| mine == theirs).count();
    }

    /// How many batches lie below an offset.
    fn below(&self, offset: Offset) -> usize {
        self.entries.partition_point(|entry| entry.end <= offset)
    }
}

/// The newest epoch that has begun with a loss.
fn last_loss(losses: &[Loss]) -> LeaderEpoch {
    losses.last().map_or(LeaderEpoch::NONE, |loss| loss.epoch)
}

fn read(partition: &Partition, from: Offset, end: Offset) -> Result<Vec<Entry>, String> {
    let limit = ReadLimit { below: end, bytes: usize::MAX >> 1, whole_first_batch: true };
    let mut entries = Vec::new();
    let mut next = from;
    while next < end {
        let data = partition.log().read(next, limit).map_err(|error| error.to_string())?;
        for batch in Batch::split(bytes_of(data).into()) {
            let header = batch.map_err(|error| error.to_string())?.header;
            let (base, end) = (header.base_offset, header.next_offset());
            entries.push(Entry { base, end, epoch: header.partition_leader_epoch, crc: header.crc });
            next = end;
        }
    }
    Ok(entries)
}
