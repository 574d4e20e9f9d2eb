//! The coordinator of a group of the classic protocol, with its times: sessions end, and rounds do not wait for ever.
//!
//! It looks into what passes, and tells the [`Ledger`] what must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::group::protocol::{Assignment, Metadata};
use super::super::group::{Piece, Work};
use super::ledger::{Assigned, Ledger};
use super::link::Link;
use crate::membership::{Joined, Membership, MembershipError};

type Offers = Vec<(String, Bytes)>;

/// The coordinator.
#[derive(Debug)]
pub(super) struct Coordinator {
    state: Mutex<State>,
    moved: watch::Sender<u64>,
    ledger: Arc<Ledger>,
    session: Duration,
    rebalance: Duration,
}

#[derive(Debug, Default)]
struct State {
    generation: i32,
    phase: Phase,
    members: BTreeMap<String, Member>,
    leader: String,
    protocol: String,
    /// The members of the last round that was complete, and what they said when they joined it.
    round: BTreeMap<String, Bytes>,
    assignments: BTreeMap<String, Bytes>,
    named: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Empty,
    /// Until all have joined, or it is too late.
    Preparing(Instant),
    /// Until the leader has said who does what.
    Completing,
    Stable,
}

#[derive(Debug)]
struct Member {
    incarnation: usize,
    /// What it offers in the round that is on.
    offers: Option<Offers>,
    expires: Instant,
}

impl Coordinator {
    pub(super) fn new(ledger: Arc<Ledger>, session: Duration, rebalance: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), moved: watch::Sender::new(0), ledger, session, rebalance })
    }

    /// The generation, and which incarnations are members.
    pub(super) fn members(&self) -> (i32, BTreeSet<usize>) {
        let state = self.state.lock();
        (state.generation, state.members.values().map(|member| member.incarnation).collect())
    }

    /// What the passing of time does.
    fn tick(&self, state: &mut State) {
        let now = Instant::now();
        let late = |member: &Member| match state.phase {
            // Who waits for a round is there.
            Phase::Preparing(until) => now >= until && member.offers.is_none(),
            _ => false,
        };
        let gone: Vec<String> = state
            .members
            .iter()
            .filter(|(_, member)| late(member) || (member.expires <= now && member.offers.is_none()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove(state, &id);
        }
        self.complete(state);
    }

    fn remove(&self, state: &mut State, id: &str) {
        if let Some(member) = state.members.remove(id) {
            self.ledger.given_up(member.incarnation);
            self.prepare(state);
        }
    }

    fn prepare(&self, state: &mut State) {
        if state.members.is_empty() {
            state.phase = Phase::Empty;
        } else if !matches!(state.phase, Phase::Preparing(_)) {
            state.phase = Phase::Preparing(Instant::now() + self.rebalance);
        }
    }

    fn complete(&self, state: &mut State) {
        let joined = state.members.values().all(|member| member.offers.is_some());
        if !matches!(state.phase, Phase::Preparing(_)) || !joined || state.members.is_empty() {
            return;
        }
        let offered = |member: &Member, name: &str| {
            member.offers.iter().flatten().find(|(known, _)| known == name).map(|(_, bytes)| bytes.clone())
        };
        let first =
            state.members.values().next().and_then(|member| member.offers.clone()).unwrap_or_default();
        let common = first.into_iter().map(|(name, _)| name);
        let common = common
            .into_iter()
            .find(|name| state.members.values().all(|member| offered(member, name).is_some()));
        let Some(protocol) = common else { return };
        let (now, session) = (Instant::now(), self.session);
        state.round.clear();
        for (id, member) in &mut state.members {
            state.round.insert(id.clone(), offered(member, &protocol).unwrap_or_default());
            member.offers = None;
            member.expires = now + session;
        }
        if !state.members.contains_key(&state.leader) {
            state.leader = state.members.keys().next().cloned().unwrap_or_default();
        }
        state.generation += 1;
        state.protocol = protocol;
        state.assignments.clear();
        state.phase = Phase::Completing;
        self.moved.send_modify(|moves| *moves += 1);
    }

    /// Waits until something can be said.
    async fn wait<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Option<Result<T, MembershipError>>,
    ) -> Result<T, MembershipError> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.mark_unchanged();
            let next = {
                let mut state = self.state.lock();
                self.tick(&mut state);
                if let Some(outcome) = look(&mut state) {
                    return outcome;
                }
                let expiries = state.members.values().map(|member| member.expires);
                let late = if let Phase::Preparing(until) = state.phase { Some(until) } else { None };
                expiries.chain(late).filter(|at| *at > Instant::now()).min()
            };
            let next = next.unwrap_or_else(|| Instant::now() + self.session);
            tokio::select! {
                biased;
                _ = moved.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Looks at what a leader has decided, before anybody hears of it.
    fn judge(&self, state: &State, assignments: &[(String, Bytes)]) {
        let mut owners: BTreeMap<Piece, &String> = BTreeMap::new();
        let running: BTreeMap<&String, Work> =
            state.round.iter().map(|(id, metadata)| (id, said(metadata).1)).collect();
        let newest = state.round.values().map(|metadata| said(metadata).0).max().unwrap_or(-1);
        for (id, bytes) in assignments {
            let Ok(assignment) = Assignment::decode(bytes.clone()) else {
                self.ledger.object(format!("an assignment of {id} cannot be read"));
                continue;
            };
            let none = Work::new();
            let own = running.get(id).unwrap_or(&none);
            if assignment.offset < newest {
                self.ledger.object(format!("an assignment at {} where {newest} was read", assignment.offset));
            }
            if state.protocol != "default" && !assignment.stops.is_subset(own) {
                self.ledger.object(format!("{id} is to stop what it does not run: {:?}", assignment.stops));
            }
            for (other, theirs) in running.iter().filter(|(other, _)| **other != id) {
                let early: Work = &assignment.starts & theirs;
                if !early.is_empty() {
                    self.ledger.object(format!("{id} is given what {other} runs: {early:?}"));
                }
            }
            for piece in &(own - &assignment.stops) | &assignment.starts {
                if let Some(other) = owners.insert(piece.clone(), id) {
                    self.ledger.object(format!("{piece:?} is of {other} and {id}"));
                }
            }
        }
    }
}

/// How far a member has read settings, and what it runs, as it says.
fn said(metadata: &Bytes) -> (i64, Work) {
    let Ok(metadata) = Metadata::decode(metadata.clone()) else { return (-1, Work::new()) };
    (metadata.offset, metadata.assignment.map(|known| known.starts).unwrap_or_default())
}

/// The way of one worker to the coordinator.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) link: Arc<Link>,
    pub(super) incarnation: usize,
}

impl Way {
    async fn travel(&self) -> Result<(), MembershipError> {
        self.link.travel().await.ok_or_else(|| MembershipError::Unreachable("nobody answers".to_owned()))
    }

    fn known<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Member, MembershipError> {
        state.members.get_mut(id).ok_or(MembershipError::Forgotten)
    }
}

#[async_trait]
impl Membership for Way {
    async fn join(&self, member: &str, offers: Offers) -> Result<Joined, MembershipError> {
        if let Some((_, metadata)) = offers.first() {
            self.coordinator.ledger.joins(self.incarnation, &said(metadata).1);
        }
        self.travel().await?;
        let (coordinator, incarnation) = (&*self.coordinator, self.incarnation);
        let (id, before) = {
            let mut state = coordinator.state.lock();
            coordinator.tick(&mut state);
            let (id, expires) = match member {
                "" => {
                    state.named += 1;
                    (format!("m{:03}", state.named), Instant::now() + coordinator.session)
                }
                known => (known.to_owned(), Way::known(&mut state, known)?.expires),
            };
            state.members.insert(id.clone(), Member { incarnation, offers: Some(offers), expires });
            coordinator.prepare(&mut state);
            let before = state.generation;
            coordinator.complete(&mut state);
            (id, before)
        };
        coordinator.moved.send_modify(|moves| *moves += 1);
        let joined = coordinator
            .wait(|state| {
                if let Err(error) = Way::known(state, &id) {
                    return Some(Err(error));
                }
                (state.generation > before).then(|| {
                    let leads = state.leader == id;
                    let round = || state.round.clone().into_iter().collect();
                    Ok(Joined {
                        generation: state.generation,
                        protocol: state.protocol.clone(),
                        member: id.clone(),
                        leader: state.leader.clone(),
                        members: if leads { round() } else { Vec::new() },
                    })
                })
            })
            .await?;
        self.travel().await?;
        Ok(joined)
    }

    async fn sync(
        &self,
        joined: &Joined,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, MembershipError> {
        self.travel().await?;
        let coordinator = &*self.coordinator;
        {
            let mut state = coordinator.state.lock();
            coordinator.tick(&mut state);
            let expires = Instant::now() + coordinator.session;
            Way::known(&mut state, &joined.member)?.expires = expires;
            let leads = state.leader == joined.member && state.generation == joined.generation;
            if leads && state.phase == Phase::Completing {
                coordinator.judge(&state, &assignments);
                state.assignments = assignments.into_iter().collect();
                state.phase = Phase::Stable;
            }
        }
        coordinator.moved.send_modify(|moves| *moves += 1);
        let (bytes, before) = coordinator
            .wait(|state| {
                if let Err(error) = Way::known(state, &joined.member) {
                    return Some(Err(error));
                }
                match state.phase {
                    _ if state.generation != joined.generation => Some(Err(MembershipError::Stale)),
                    Phase::Stable => {
                        let bytes = state.assignments.get(&joined.member).cloned().unwrap_or_default();
                        let before = state.round.get(&joined.member).map(|metadata| said(metadata).1);
                        Some(Ok((bytes, before.unwrap_or_default())))
                    }
                    Phase::Completing => None,
                    _ => Some(Err(MembershipError::Rebalance)),
                }
            })
            .await?;
        self.travel().await?;
        if let Ok(assignment) = Assignment::decode(bytes.clone())
            && assignment.error == 0
        {
            let before = if joined.protocol == "default" { Work::new() } else { before };
            let (generation, offset) = (joined.generation, assignment.offset);
            let may = &before | &assignment.starts;
            let assigned = Assigned { generation, offset, may, stops: assignment.stops };
            coordinator.ledger.assigned(self.incarnation, assigned);
        }
        Ok(bytes)
    }

    async fn heartbeat(&self, member: &str, generation: i32) -> Result<(), MembershipError> {
        self.travel().await?;
        let coordinator = &*self.coordinator;
        let answer = {
            let mut state = coordinator.state.lock();
            coordinator.tick(&mut state);
            let (current, phase) = (state.generation, state.phase);
            let expires = Instant::now() + coordinator.session;
            let known = Way::known(&mut state, member)?;
            known.expires = expires;
            match phase {
                _ if current != generation => Err(MembershipError::Stale),
                Phase::Preparing(_) => Err(MembershipError::Rebalance),
                _ => Ok(()),
            }
        };
        self.travel().await?;
        answer
    }

    async fn leave(&self, member: &str) -> Result<(), MembershipError> {
        self.travel().await?;
        {
            let mut state = self.coordinator.state.lock();
            self.coordinator.tick(&mut state);
            self.coordinator.remove(&mut state, member);
            self.coordinator.complete(&mut state);
        }
        self.coordinator.moved.send_modify(|moves| *moves += 1);
        self.travel().await
    }
}
