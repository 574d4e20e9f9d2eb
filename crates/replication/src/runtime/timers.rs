//! The timers of a machine: one under each key.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use vltava_core::clock::Moment;

/// Commands by the moment they are due, and one under each key. Those due at the same moment come in the order they
/// were set, so that the same run gives the same trace.
#[derive(Debug)]
pub(super) struct Timers<K, C> {
    due: BTreeMap<(Moment, u64), (K, C)>,
    keys: HashMap<K, (Moment, u64)>,
    set: u64,
}

impl<K: Clone + Eq + Hash, C> Timers<K, C> {
    pub(super) fn new() -> Timers<K, C> {
        Timers { due: BTreeMap::new(), keys: HashMap::new(), set: 0 }
    }

    /// Sets the timer of a key, or moves it.
    pub(super) fn set(&mut self, key: K, at: Moment, command: C) {
        self.cancel(&key);
        self.set += 1;
        self.keys.insert(key.clone(), (at, self.set));
        self.due.insert((at, self.set), (key, command));
    }

    pub(super) fn cancel(&mut self, key: &K) {
        if let Some(place) = self.keys.remove(key) {
            self.due.remove(&place);
        }
    }

    /// When the earliest timer is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the earliest timer that is due, with its key.
    pub(super) fn pop(&mut self, now: Moment) -> Option<(K, C)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let (key, command) = first.remove();
        self.keys.remove(&key);
        Some((key, command))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> Moment {
        Moment(Duration::from_secs(second))
    }

    #[test]
    fn a_key_has_one_timer_and_the_earliest_comes_first() {
        let mut timers = Timers::new();
        timers.set("a", at(5), 1);
        timers.set("b", at(3), 2);
        timers.set("c", at(3), 3);
        timers.set("a", at(4), 4);
        timers.set("d", at(1), 5);
        timers.cancel(&"d");
        assert_eq!((timers.next(), timers.pop(at(2))), (Some(at(3)), None));
        let popped: Vec<_> = std::iter::from_fn(|| timers.pop(at(9))).collect();
        assert_eq!((popped, timers.next()), (vec![("b", 2), ("c", 3), ("a", 4)], None));
    }
}
