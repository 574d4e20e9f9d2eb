//! Where the replicas of new partitions go.
//!
//! The rules are those of Kafka's placer, in this order: no two replicas of a partition on one broker; the first
//! replica on a broker that is not fenced; replicas spread over the racks; brokers that are not fenced before fenced
//! ones; and successive partitions on different brokers. Racks take turns, and in a rack its brokers do: with racks A,
//! B, C of three brokers each, partitions go to `A0 B0 C0`, `B1 C1 A1`, `C2 A2 B2`. Where the turns begin is random, so
//! that small topics do not all land on the first brokers.

use std::collections::BTreeMap;

use vltava_core::id::BrokerId;

use super::random::Random;

/// A broker that may hold replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: BrokerId,
    /// Where it stands. Brokers without a rack are one rack.
    pub rack: Option<String>,
    /// It is fenced: it can hold a replica, but not lead.
    pub fenced: bool,
}

/// Why replicas cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Fewer brokers than replicas.
    #[error(
        "The target replication factor of {replicas} cannot be reached because only {brokers} broker(s) are registered or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers {
        /// How many replicas each partition wants.
        replicas: usize,
        /// How many brokers there are.
        brokers: usize,
    },
    /// No broker can lead.
    #[error("All brokers are currently fenced.")]
    AllFenced,
}

/// Places `partitions` partitions of `replicas` replicas each. The first replica of each is the preferred leader.
///
/// # Errors
/// [`PlacementError`] when there are too few brokers.
pub fn place(
    candidates: &[Candidate],
    partitions: usize,
    replicas: usize,
    random: &mut Random,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let unfenced = candidates.iter().filter(|candidate| !candidate.fenced).count();
    if unfenced == 0 {
        return Err(PlacementError::AllFenced);
    }
    if replicas > candidates.len() {
        return Err(PlacementError::TooFewBrokers { replicas, brokers: candidates.len() });
    }
    let mut racks = Racks::new(candidates, random);
    Ok((0..partitions).map(|turn| racks.place(turn, unfenced, replicas, random)).collect())
}

/// Brokers that take turns: each turn begins one broker further on.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    start: usize,
    taken: usize,
    turn: Option<usize>,
}

impl Ring {
    fn settle(&mut self, random: &mut Random) {
        self.brokers.sort();
        self.start = random.below(self.brokers.len());
    }

    /// The next broker that has not been taken in this turn.
    fn take(&mut self, turn: usize) -> Option<BrokerId> {
        if self.turn != Some(turn) {
            self.start += usize::from(self.turn.is_some());
            self.turn = Some(turn);
            self.taken = 0;
        }
        if self.taken >= self.brokers.len() {
            return None;
        }
        let position = (self.start + self.taken) % self.brokers.len();
        self.taken += 1;
        self.brokers.get(position).copied()
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn take(&mut self, turn: usize) -> Option<BrokerId> {
        self.unfenced.take(turn).or_else(|| self.fenced.take(turn))
    }
}

struct Racks {
    racks: Vec<Rack>,
    start: usize,
}

impl Racks {
    fn new(candidates: &[Candidate], random: &mut Random) -> Racks {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        for candidate in candidates {
            let rack = by_name.entry(candidate.rack.as_deref()).or_default();
            let ring = if candidate.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            ring.brokers.push(candidate.id);
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for rack in &mut racks {
            rack.unfenced.settle(random);
            rack.fenced.settle(random);
        }
        let start = random.below(racks.len());
        Racks { racks, start }
    }

    /// One partition. The caller has made sure that there are enough brokers, and one that can lead.
    fn place(&mut self, turn: usize, unfenced: usize, replicas: usize, random: &mut Random) -> Vec<BrokerId> {
        // After as many partitions as there are brokers, the same sets would come round again.
        if turn > 0 && unfenced > 1 && turn.is_multiple_of(unfenced) {
            self.shuffle(random);
        }
        let mut placed = Vec::with_capacity(replicas);
        let order: Vec<usize> =
            (0..self.racks.len()).map(|step| (self.start + step) % self.racks.len()).collect();
        let mut first = None;
        for &rack in &order {
            if let Some(leader) = self.racks.get_mut(rack).and_then(|rack| rack.unfenced.take(turn)) {
                placed.push(leader);
                first = Some(rack);
                break;
            }
        }
        // The rack of the leader is skipped once, then all racks take turns until enough are found.
        let mut rounds = order.iter().cycle();
        while placed.len() < replicas {
            let Some(&rack) = rounds.next() else { break };
            if first == Some(rack) {
                first = None;
                continue;
            }
            placed.extend(self.racks.get_mut(rack).and_then(|rack| rack.take(turn)));
        }
        self.start = (self.start + 1) % self.racks.len().max(1);
        placed
    }

    fn shuffle(&mut self, random: &mut Random) {
        random.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            random.shuffle(&mut rack.unfenced.brokers);
            random.shuffle(&mut rack.fenced.brokers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    /// `a1 a2 b3!`: rack, id, and `!` for fenced; `-4` has no rack.
    fn brokers(text: &str) -> Vec<Candidate> {
        text.split_whitespace()
            .map(|word| {
                let rack = word[..1].to_owned();
                Candidate {
                    id: BrokerId(word[1..].trim_end_matches('!').parse().unwrap()),
                    rack: (rack != "-").then_some(rack),
                    fenced: word.ends_with('!'),
                }
            })
            .collect()
    }

    fn check(
        candidates: &str,
        partitions: usize,
        replicas: usize,
        law: impl Fn(&[Candidate], &[Vec<BrokerId>]),
    ) {
        let candidates = brokers(candidates);
        for seed in 0..50 {
            let placed = place(&candidates, partitions, replicas, &mut Random::new(seed)).unwrap();
            assert_eq!(placed.len(), partitions, "seed {seed}");
            for set in &placed {
                assert_eq!(set.iter().collect::<BTreeSet<_>>().len(), replicas, "seed {seed}: {set:?}");
                let leader = candidates.iter().find(|candidate| candidate.id == set[0]).unwrap();
                assert!(!leader.fenced, "seed {seed}: {set:?}");
            }
            law(&candidates, &placed);
        }
    }

    fn rack_of(candidates: &[Candidate], id: BrokerId) -> Option<String> {
        candidates.iter().find(|candidate| candidate.id == id).unwrap().rack.clone()
    }

    #[test]
    fn one_broker_holds_everything() {
        check("-1", 3, 1, |_, placed| assert!(placed.iter().all(|set| set == &[BrokerId(1)])));
    }

    #[test]
    fn leaders_spread_evenly_over_brokers() {
        check("-1 -2 -3", 9, 2, |_, placed| {
            for broker in 1..=3 {
                let led = placed.iter().filter(|set| set[0] == BrokerId(broker)).count();
                assert!((2..=4).contains(&led), "{placed:?}");
            }
        });
    }

    #[test]
    fn replicas_spread_over_racks() {
        check("a1 a2 a3 b4 b5 b6 c7 c8 c9", 30, 3, |candidates, placed| {
            for set in placed {
                let racks: HashSet<_> = set.iter().map(|id| rack_of(candidates, *id)).collect();
                assert_eq!(racks.len(), 3, "{placed:?}");
            }
        });
    }

    #[test]
    fn fenced_brokers_come_last_and_never_lead() {
        check("-1 -2 -3! -4!", 8, 2, |_, placed| {
            assert!(placed.iter().flatten().all(|id| id.0 <= 2), "{placed:?}");
        });
        check("-1 -2 -3! -4!", 8, 3, |_, _| {});
    }

    #[test]
    fn too_few_brokers_are_refused() {
        let refused =
            |candidates, replicas| place(&brokers(candidates), 1, replicas, &mut Random::new(1)).unwrap_err();
        assert_eq!(refused("-1", 3), PlacementError::TooFewBrokers { replicas: 3, brokers: 1 });
        assert_eq!(refused("-1!", 1), PlacementError::AllFenced);
    }
}
