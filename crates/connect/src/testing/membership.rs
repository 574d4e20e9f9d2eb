//! A group in memory, which loses sight of members where it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::membership::{Joined, Membership, MembershipError};

/// A way into a group in memory; each worker has its own.
#[derive(Debug, Default)]
pub struct MemoryMembership {
    group: Arc<Group>,
    cut: AtomicBool,
}

#[derive(Debug, Default)]
struct Group {
    state: Mutex<State>,
    moved: watch::Sender<u64>,
}

type Offers = Vec<(String, Bytes)>;

#[derive(Debug, Default)]
struct State {
    generation: i32,
    /// Members, and what they offered in the round that is on.
    members: BTreeMap<String, Option<Offers>>,
    /// What the last round was complete with.
    round: Option<Round>,
    named: usize,
}

#[derive(Clone, Debug)]
struct Round {
    leader: String,
    protocol: String,
    metadata: Vec<(String, Bytes)>,
    assignments: Option<BTreeMap<String, Bytes>>,
}

impl State {
    /// Completes the round once all members have joined.
    fn complete(&mut self) {
        let all: Option<Vec<_>> =
            self.members.iter().map(|(id, offers)| Some((id.clone(), offers.clone()?))).collect();
        let Some(all) = all.filter(|all| !all.is_empty()) else { return };
        let common =
            |name: &String| all.iter().all(|(_, offers)| offers.iter().any(|(known, _)| known == name));
        let first = &all[0];
        let Some(protocol) = first.1.iter().map(|(name, _)| name.clone()).find(common) else { return };
        let of = |offers: &Offers| {
            offers.iter().find(|(name, _)| *name == protocol).map(|(_, bytes)| bytes.clone())
        };
        let metadata = all.iter().filter_map(|(id, offers)| Some((id.clone(), of(offers)?))).collect();
        let known = self.round.as_ref().map(|round| round.leader.clone());
        let leader =
            known.filter(|known| self.members.contains_key(known)).unwrap_or_else(|| first.0.clone());
        self.generation += 1;
        self.members.values_mut().for_each(|offers| *offers = None);
        self.round = Some(Round { leader, protocol, metadata, assignments: None });
    }

    fn is_joining(&self) -> bool {
        self.round.is_none() || self.members.values().any(Option::is_some)
    }
}

impl MemoryMembership {
    /// Another way into the same group.
    pub fn another(&self) -> Self {
        Self { group: self.group.clone(), cut: AtomicBool::new(false) }
    }

    /// From now on nobody is reached this way.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.group.moved.send_modify(|moves| *moves += 1);
    }

    /// Gives up a member, by its place among them; the others hear of it with their next heartbeats.
    pub fn expire(&self, place: usize) {
        {
            let mut state = self.group.state.lock();
            if let Some(gone) = state.members.keys().nth(place).cloned() {
                state.members.remove(&gone);
            }
            let state = &mut *state;
            if let Some(round) = &mut state.round {
                round.assignments = None;
            }
        }
        self.group.moved.send_modify(|moves| *moves += 1);
    }

    fn reach(&self) -> Result<(), MembershipError> {
        match self.cut.load(Ordering::Acquire) {
            true => Err(MembershipError::Unreachable("it is cut off".to_owned())),
            false => Ok(()),
        }
    }

    /// Waits until something can be said.
    async fn wait<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Option<Result<T, MembershipError>>,
    ) -> Result<T, MembershipError> {
        let mut moved = self.group.moved.subscribe();
        loop {
            self.reach()?;
            moved.mark_unchanged();
            if let Some(outcome) = look(&mut self.group.state.lock()) {
                return outcome;
            }
            let gone = |_| MembershipError::Unreachable("the group is gone".to_owned());
            moved.changed().await.map_err(gone)?;
        }
    }
}

#[async_trait]
impl Membership for MemoryMembership {
    async fn join(&self, member: &str, offers: Offers) -> Result<Joined, MembershipError> {
        self.reach()?;
        let (id, before) = {
            let mut state = self.group.state.lock();
            if !member.is_empty() && !state.members.contains_key(member) {
                return Err(MembershipError::Forgotten);
            }
            state.named += 1;
            let id = if member.is_empty() { format!("m{}", state.named) } else { member.to_owned() };
            state.members.insert(id.clone(), Some(offers));
            let before = state.generation;
            state.complete();
            (id, before)
        };
        self.group.moved.send_modify(|moves| *moves += 1);
        self.wait(|state| {
            if !state.members.contains_key(&id) {
                return Some(Err(MembershipError::Forgotten));
            }
            if state.generation == before {
                state.complete();
            }
            let round = state.round.as_ref().filter(|_| state.generation > before)?;
            let leads = round.leader == id;
            Some(Ok(Joined {
                generation: state.generation,
                protocol: round.protocol.clone(),
                member: id.clone(),
                leader: round.leader.clone(),
                members: if leads { round.metadata.clone() } else { Vec::new() },
            }))
        })
        .await
        .inspect(|_| self.group.moved.send_modify(|moves| *moves += 1))
    }

    async fn sync(
        &self,
        joined: &Joined,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, MembershipError> {
        if joined.leader == joined.member {
            self.reach()?;
            let mut state = self.group.state.lock();
            if state.generation == joined.generation
                && let Some(round) = &mut state.round
            {
                round.assignments = Some(assignments.into_iter().collect());
            }
        }
        self.group.moved.send_modify(|moves| *moves += 1);
        self.wait(|state| {
            if !state.members.contains_key(&joined.member) {
                return Some(Err(MembershipError::Forgotten));
            }
            let led = state.round.as_ref().is_some_and(|round| state.members.contains_key(&round.leader));
            if state.generation != joined.generation || state.is_joining() || !led {
                return Some(Err(MembershipError::Rebalance));
            }
            let given = state.round.as_ref()?.assignments.as_ref()?;
            Some(Ok(given.get(&joined.member).cloned().unwrap_or_default()))
        })
        .await
    }

    async fn heartbeat(&self, member: &str, generation: i32) -> Result<(), MembershipError> {
        self.reach()?;
        let state = self.group.state.lock();
        let settled = state.round.as_ref().is_some_and(|round| round.assignments.is_some());
        match () {
            () if !state.members.contains_key(member) => Err(MembershipError::Forgotten),
            () if state.is_joining() || !settled => Err(MembershipError::Rebalance),
            () if state.generation != generation => Err(MembershipError::Stale),
            () => Ok(()),
        }
    }

    async fn leave(&self, member: &str) -> Result<(), MembershipError> {
        self.reach()?;
        let place = self.group.state.lock().members.keys().position(|known| known == member);
        if let Some(place) = place {
            self.expire(place);
        }
        Ok(())
    }
}
