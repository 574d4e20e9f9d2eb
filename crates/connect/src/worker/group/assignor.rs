//! Who runs what: the decision of the group's leader, by incremental cooperative rebalancing (KIP-415).
//!
//! Members say what they run; the leader says what each starts and what each stops. It is pure: time is an argument, and
//! what a leader remembers between rounds is a hint that may be lost. What holds without it:
//!
//! 1. A piece that a member runs is given to nobody else. Whoever stops one joins again without it, and then it is placed.
//! 2. A piece stops only when it is no more, runs twice, or its member has more than its share and nobody is missing.
//! 3. What a lost member ran waits for `scheduled.rebalance.max.delay.ms`, and goes to workers that came meanwhile.
//!
//! Connectors and tasks are shared out apart: of each, no member has two more than another once all is placed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Piece, Work};

/// How much longer each pause between rounds is that only move work.
const PAUSE_FACTOR: i64 = 40;

/// What members run, by their ids.
pub type Members = BTreeMap<String, Work>;

/// What a leader remembers from round to round.
#[derive(Clone, Debug, Default)]
pub struct Assignor {
    delay_max_ms: i64,
    /// What was given out, and what was lost then and waits.
    given: Work,
    /// What was to be stopped.
    stopped: Work,
    generation: i32,
    members: BTreeSet<String>,
    /// When lost work is placed, or work may move again.
    scheduled_ms: Option<i64>,
    delay_ms: i64,
    /// Workers without work that came while others are missed.
    newcomers: BTreeSet<String>,
    /// Whether the last round moved work for balance.
    moved: bool,
    moves: u32,
}

/// What a round is about.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// The time.
    pub now_ms: i64,
    /// The generation that this leader completed last; -1 when none.
    pub completed: i32,
    /// The generation that begins.
    pub generation: i32,
    /// Everything that should run.
    pub configured: &'a Work,
    /// What members run.
    pub members: &'a Members,
}

/// What a round decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// What each member starts.
    pub starts: Members,
    /// What each member stops.
    pub stops: Members,
    /// After how long the members are to join again; 0 is never.
    pub delay_ms: i64,
    /// What nobody runs, and waits.
    pub waiting: Work,
}

impl Assignor {
    /// A leader that lets lost work wait for so long.
    pub fn new(delay_max_ms: i64) -> Self {
        Self { delay_max_ms, generation: -1, ..Self::default() }
    }

    /// Decides a round.
    pub fn assign(&mut self, round: &Round) -> Shares {
        let active: Work = round.members.values().flatten().cloned().collect();
        self.recall(round, &active);
        let known = &self.given | &active;
        let lost = &(&self.given - &active) & round.configured;
        let mut next = round.members.clone();
        let mut stops = Members::new();
        let twice = twice(round.members);
        for (member, work) in &mut next {
            let over = |piece: &Piece| !round.configured.contains(piece) || twice.contains(piece);
            let gone: Work = work.extract_if(.., |piece| over(piece)).collect();
            stops.insert(member.clone(), gone);
        }
        let kept = next.clone();
        let mut placed = round.configured - &known;
        placed.extend(self.find(round.now_ms, &lost, &mut next));
        if self.delay_ms == 0 {
            self.balance(round, &kept, &mut next, &mut stops, &mut placed);
        } else {
            self.moved = false;
        }
        place(&mut next, placed);
        let starts = |(member, work): (&String, &Work)| {
            (member.clone(), kept.get(member).map_or_else(|| work.clone(), |kept| work - kept))
        };
        let starts: Members = next.iter().map(starts).collect();
        let begun: Work = starts.values().flatten().cloned().collect();
        self.stopped = stops.values().flatten().cloned().collect();
        self.given = &(&next.into_values().flatten().collect::<Work>() - &self.stopped) | &lost;
        self.generation = round.generation;
        self.members = round.members.keys().cloned().collect();
        Shares { starts, stops, delay_ms: self.delay_ms, waiting: &lost - &begun }
    }

    /// Forgets what did not come to be: rounds that another led, and stops that nobody heard of.
    fn recall(&mut self, round: &Round, active: &Work) {
        if self.generation != round.completed {
            self.given.clear();
        }
        if !self.stopped.is_disjoint(active) {
            self.given.clone_from(active);
        }
        self.stopped.clear();
    }

    /// What of the lost work is placed like new work now. The rest waits, or goes to newcomers.
    fn find(&mut self, now_ms: i64, lost: &Work, next: &mut Members) -> Work {
        if lost.is_empty() && !self.moved {
            self.rest();
            return Work::new();
        }
        let all_here = self.members.iter().all(|member| next.contains_key(member));
        if self.delay_max_ms == 0 || (self.scheduled_ms.is_none() && all_here) {
            // Nobody is missing: somebody did not hear what was given.
            return lost.clone();
        }
        match self.scheduled_ms {
            Some(at) if now_ms >= at => {
                let newcomers: Vec<String> = std::mem::take(&mut self.newcomers).into_iter().collect();
                self.rest();
                self.moved = false;
                let mut chosen: Members =
                    newcomers.into_iter().filter_map(|member| next.remove_entry(&member)).collect();
                if chosen.is_empty() {
                    return lost.clone();
                }
                place(&mut chosen, lost.clone());
                next.append(&mut chosen);
                Work::new()
            }
            scheduled => {
                let idle = next.iter().filter(|(_, work)| work.is_empty()).map(|(member, _)| member.clone());
                self.newcomers.extend(idle);
                let left = scheduled.map_or(self.delay_max_ms, |at| at - now_ms);
                self.delay_ms = left.min(self.delay_max_ms);
                self.scheduled_ms = Some(now_ms + self.delay_ms);
                Work::new()
            }
        }
    }

    fn rest(&mut self) {
        self.newcomers.clear();
        self.scheduled_ms = None;
        self.delay_ms = 0;
    }

    /// Takes from members what they have above their shares. Rounds that follow each other and only move work are put off,
    /// longer each time.
    fn balance(
        &mut self,
        round: &Round,
        kept: &Members,
        next: &mut Members,
        stops: &mut Members,
        placed: &mut Work,
    ) {
        let surplus = surplus(round.configured, next, kept);
        if surplus.is_empty() {
            (self.moved, self.moves) = (false, 0);
            return;
        }
        if self.moved {
            self.moves = self.moves.saturating_add(1);
            self.delay_ms = PAUSE_FACTOR.saturating_pow(self.moves).min(self.delay_max_ms);
            if self.delay_ms > 0 {
                self.scheduled_ms = Some(round.now_ms + self.delay_ms);
                return;
            }
        }
        self.moved = true;
        for (member, piece) in surplus {
            next.entry(member.clone()).or_default().remove(&piece);
            if kept.get(&member).is_some_and(|work| work.contains(&piece)) {
                stops.entry(member).or_default().insert(piece);
            } else {
                // It was about to start there, and may start elsewhere.
                placed.insert(piece);
            }
        }
    }
}

/// What more than one member runs.
fn twice(members: &Members) -> Work {
    let mut seen = BTreeSet::new();
    members.values().flatten().filter(|piece| !seen.insert(*piece)).cloned().collect()
}

/// What members have above their shares of all that should run; first what they do not run yet.
fn surplus(configured: &Work, members: &Members, kept: &Members) -> Vec<(String, Piece)> {
    let mut surplus = Vec::new();
    for connectors in [true, false] {
        let of_kind = |piece: &&Piece| piece.is_connector() == connectors;
        let total = configured.iter().filter(of_kind).count();
        let (least, mut extra) = (total / members.len().max(1), total % members.len().max(1));
        for (member, work) in members {
            let mut own: Vec<&Piece> = work.iter().filter(of_kind).collect();
            let count = own.len();
            own.sort_by_key(|piece| kept.get(member).is_some_and(|kept| kept.contains(piece)));
            let mut most = least;
            if count > least && extra > 0 {
                extra -= 1;
                most += 1;
            }
            let over = own.into_iter().take(count.saturating_sub(most));
            surplus.extend(over.map(|piece| (member.clone(), piece.clone())));
        }
    }
    surplus
}

/// Gives each piece to the member that has the least of its kind.
fn place(members: &mut Members, work: Work) {
    for connectors in [true, false] {
        let of_kind = |piece: &&Piece| piece.is_connector() == connectors;
        let load = |(member, work): (&String, &Work)| (work.iter().filter(of_kind).count(), member.clone());
        let mut loads: BTreeSet<(usize, String)> = members.iter().map(load).collect();
        for piece in work.iter().filter(of_kind) {
            let Some((count, member)) = loads.pop_first() else { return };
            members.entry(member.clone()).or_default().insert(piece.clone());
            loads.insert((count + 1, member));
        }
    }
}

/// Everything round-robin, for groups whose members stop everything before each round.
pub fn eager(configured: &Work, members: impl Iterator<Item = String>) -> Members {
    let mut shares = members.map(|member| (member, Work::new())).collect();
    place(&mut shares, configured.clone());
    shares
}

#[cfg(test)]
mod tests;
