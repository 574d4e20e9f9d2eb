//! What goes wrong in a run, and when: by the seed, at shares of the work that is done, so that all of it happens.

use super::random::Random;

/// Something that is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The broker is killed and started again.
    KillBroker,
    /// A worker is killed and another one takes its place.
    KillWorker,
    /// A worker is stopped, another one takes its place, and then the first one goes on.
    StallWorker,
}

/// How many of each.
const EACH: [(Fault, usize); 3] = [(Fault::KillBroker, 3), (Fault::KillWorker, 4), (Fault::StallWorker, 2)];

/// The faults of a run of so many transactions, each with the number of transactions after which it comes.
pub fn plan(transactions: usize, random: &mut Random) -> Vec<(usize, Fault)> {
    let mut faults: Vec<Fault> =
        EACH.iter().flat_map(|(fault, count)| std::iter::repeat_n(*fault, *count)).collect();
    for place in (1..faults.len()).rev() {
        faults.swap(place, random.below(place as u64 + 1) as usize);
    }
    // None in the first and the last tenth: there must be work before and after.
    let (first, room) = (transactions / 10, transactions * 8 / 10);
    let step = room / faults.len();
    let jitter = |random: &mut Random| random.below(step.max(1) as u64) as usize;
    faults.into_iter().enumerate().map(|(n, fault)| (first + n * step + jitter(random), fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_while_there_is_work() {
        for seed in 0..50 {
            let plan = plan(10_000, &mut Random::new(seed));
            for (fault, count) in EACH {
                assert_eq!(plan.iter().filter(|(_, planned)| *planned == fault).count(), count);
            }
            assert!(plan.iter().all(|(after, _)| (1_000..9_000).contains(after)), "{plan:?}");
            assert!(plan.is_sorted_by_key(|(after, _)| *after), "{plan:?}");
        }
    }
}
