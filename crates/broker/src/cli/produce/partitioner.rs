//! Which partition a key belongs to, as Kafka's clients decide it.

/// The partition of a key among `count` partitions: murmur2 as Kafka's Java client computes it.
pub fn partition_of(key: &[u8], count: i32) -> i32 {
    let hash = i32::from_ne_bytes(murmur2(key).to_ne_bytes()) & i32::MAX;
    hash.checked_rem(count).unwrap_or(0)
}

/// MurmurHash2 with the seed of Kafka's clients.
fn murmur2(data: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mix = |word: u32| {
        let word = word.wrapping_mul(MULTIPLIER);
        (word ^ (word >> 24)).wrapping_mul(MULTIPLIER)
    };
    let (words, rest) = data.as_chunks::<4>();
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = words
        .iter()
        .fold(SEED ^ length, |hash, word| hash.wrapping_mul(MULTIPLIER) ^ mix(u32::from_le_bytes(*word)));
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0u32, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_java_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_partition_lies_within_the_count() {
        for count in [1, 2, 7, 100] {
            for key in ["", "a", "some key"] {
                assert!((0..count).contains(&partition_of(key.as_bytes(), count)), "{key} {count}");
            }
        }
    }
}
