//! Randomness out of the 128 bits that a decision is given.

use vltava_core::id::Uuid;

/// A stream of random numbers that one seed fixes (two SplitMix64 generators, mixed).
///
/// Good enough to spread replicas and to name topics; nothing here is a secret.
#[derive(Clone, Debug)]
pub struct Random {
    left: u64,
    right: u64,
}

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u128) -> Random {
        let [left, right] = [(seed >> 64) as u64, (seed & u128::from(u64::MAX)) as u64];
        Random { left, right }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        split_mix(&mut self.left) ^ split_mix(&mut self.right).rotate_left(32)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end as u64;
        usize::try_from(self.bits().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// Puts the items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// A random UUID (version 4). As Kafka's, its base64 form does not begin with `-`, which tools would take for a flag.
    pub fn uuid(&mut self) -> Uuid {
        loop {
            let bits = u128::from(self.bits()) << 64 | u128::from(self.bits());
            let id = bits & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
            // The first base64 digit is the upper six bits; 62 is `-`.
            if id >> 122 != 62 {
                return Uuid::from_u128(id);
            }
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_stream_and_uuids_are_of_version_4() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        for _ in 0..1000 {
            let id = one.uuid();
            assert_eq!(id, other.uuid());
            assert_eq!(id.get_version_num(), 4);
            assert!(!vltava_core::id::uuid_to_base64(id).starts_with('-'));
        }
        assert_eq!(Random::new(1).below(0), 0);
        assert!((0..100).all(|_| one.below(3) < 3));
    }
}
