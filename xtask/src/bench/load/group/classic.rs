//! A member of a classic group.

use anyhow::{bail, ensure};

use super::{GROUP, Group, Member, SESSION};
use crate::bench::wire;

/// What a member says of its subscription, and what it is given for each partition: bytes of the usual sizes.
const SUBSCRIPTION_BYTES: usize = 40;
const PARTITION_BYTES: usize = 4;

/// The group's members must join anew.
const REBALANCE_IN_PROGRESS: i16 = 27;

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Join,
    Sync,
    Heartbeat,
}

pub(super) struct ClassicMember {
    id: String,
    generation: i32,
    /// Partitions of the group.
    of_group: usize,
    own: usize,
    /// Counts how often it has joined: a subscription that has changed asks for a new generation.
    joins: u8,
    waits: Waits,
    settled: bool,
}

impl Member for ClassicMember {
    fn new(_: usize, load: &Group) -> ClassicMember {
        ClassicMember {
            id: String::new(),
            generation: -1,
            of_group: load.partitions,
            own: 0,
            joins: 0,
            waits: Waits::Join,
            settled: false,
        }
    }

    fn join(&mut self) -> Vec<u8> {
        self.joins = self.joins.wrapping_add(1);
        self.rejoin()
    }

    fn heartbeat(&mut self) -> Vec<u8> {
        self.waits = Waits::Heartbeat;
        wire::heartbeat(GROUP, self.generation, &self.id)
    }

    fn answered(&mut self, answer: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        match self.waits {
            Waits::Join => self.joined(answer).map(Some),
            Waits::Sync => match wire::synced(answer)? {
                (0, share) => {
                    (self.settled, self.own) = (true, share / PARTITION_BYTES);
                    Ok(None)
                }
                (REBALANCE_IN_PROGRESS, _) => Ok(Some(self.rejoin())),
                (code, _) => bail!("a member was not given its share: error {code}"),
            },
            Waits::Heartbeat => match wire::ended_error(answer)? {
                0 => Ok(None),
                REBALANCE_IN_PROGRESS => Ok(Some(self.rejoin())),
                code => bail!("a heartbeat was refused with error {code}"),
            },
        }
    }

    fn generation(&self) -> i32 {
        self.generation
    }

    fn is_settled(&self) -> bool {
        self.settled
    }

    fn partitions(&self) -> usize {
        self.own
    }
}

impl ClassicMember {
    fn rejoin(&mut self) -> Vec<u8> {
        (self.waits, self.settled) = (Waits::Join, false);
        let session = i32::try_from(SESSION.as_millis()).unwrap_or(i32::MAX);
        wire::join_group(GROUP, session, &self.id, &[self.joins; SUBSCRIPTION_BYTES])
    }

    fn joined(&mut self, answer: &[u8]) -> anyhow::Result<Vec<u8>> {
        let joined = wire::joined(answer)?;
        ensure!(joined.code == 0, "a member could not join: error {}", joined.code);
        (self.id, self.generation, self.waits) = (joined.member, joined.generation, Waits::Sync);
        let share = self.of_group.div_ceil(joined.members.len().max(1)) * PARTITION_BYTES;
        Ok(wire::sync_group(GROUP, self.generation, &self.id, &joined.members, &vec![0; share]))
    }
}
