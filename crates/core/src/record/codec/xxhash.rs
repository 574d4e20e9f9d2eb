//! The 32-bit xxHash with seed 0, which lz4 frames use for their checksums.

const PRIMES: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];

pub(super) fn xxh32(bytes: &[u8]) -> u32 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (stripes, tail) = bytes.as_chunks::<16>();
    let mut hash = if stripes.is_empty() { p5 } else { stripes_hash(stripes) };
    hash = hash.wrapping_add(u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0));
    let (words, rest) = tail.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p3)).rotate_left(17).wrapping_mul(p4);
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(p3);
    hash ^ (hash >> 16)
}

fn stripes_hash(stripes: &[[u8; 16]]) -> u32 {
    let [p1, p2, ..] = PRIMES;
    let mut lanes = [p1.wrapping_add(p2), p2, 0, 0_u32.wrapping_sub(p1)];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            let sum = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p2));
            *lane = sum.rotate_left(13).wrapping_mul(p1);
        }
    }
    let [a, b, c, d] = lanes;
    a.rotate_left(1)
        .wrapping_add(b.rotate_left(7))
        .wrapping_add(c.rotate_left(12))
        .wrapping_add(d.rotate_left(18))
}

#[cfg(test)]
mod tests {
    use super::xxh32;

    #[test]
    fn hashes_are_those_of_the_reference() {
        for (text, hash) in [
            ("", 0x02CC_5D05),
            ("a", 0x550D_7456),
            ("abc", 0x32D1_53FF),
            ("Nobody inspects the spammish repetition", 0xE229_3B2F),
        ] {
            assert_eq!(xxh32(text.as_bytes()), hash, "{text:?}");
        }
    }
}
