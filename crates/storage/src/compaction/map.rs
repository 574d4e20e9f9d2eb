//! From keys to their last offsets, in a bounded number of bytes.
//!
//! Why digests and not keys: an entry then takes 24 bytes whatever the key, so a bound in bytes is one in entries. Two
//! keys with one digest would cost the earlier one its record, so the digest is half of a SHA-256: nobody can make up
//! such keys, as can be done with the MD5 that Kafka uses, and 2⁶⁴ keys are needed to meet two by chance.
//!
//! Why linear probing: the table is filled to nine tenths and read at random; the slots probed lie side by side.

use sha2::{Digest, Sha256};
use vltava_core::id::Offset;

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: u64 = 24;

/// A digest, and the offset + 1; an empty slot has 0 there.
#[derive(Clone, Copy, Default)]
struct Slot {
    digest: [u64; 2],
    after: u64,
}

/// The last offset of each key.
pub(super) struct OffsetMap {
    slots: Vec<Slot>,
    used: usize,
    most: usize,
}

impl OffsetMap {
    /// A map for `records` records, or for as many as fit into `bytes_max` when filled to the share `load_max`; for one
    /// at least.
    pub(super) fn new(records: u64, bytes_max: u64, load_max: f64) -> OffsetMap {
        let load = load_max.clamp(0.01, 0.99);
        let wanted = (records.saturating_add(1) as f64 / load).ceil() as u64;
        let slots = wanted.saturating_add(1).min(bytes_max / ENTRY_BYTES).max(2);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX >> 5);
        let most = ((slots as f64 * load) as usize).clamp(1, slots - 1);
        OffsetMap { slots: vec![Slot::default(); slots], used: 0, most }
    }

    /// Takes note of a record of this key; false when the map is full and does not know the key.
    #[must_use]
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let digest = digest(key);
        let place = self.place(digest);
        let Some(slot) = self.slots.get_mut(place) else { return false };
        if slot.after == 0 {
            if self.used >= self.most {
                return false;
            }
            self.used += 1;
        }
        *slot = Slot { digest, after: offset.next().0.cast_unsigned() };
        true
    }

    /// The last offset of this key that is known.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots.get(self.place(digest(key)))?;
        (slot.after > 0).then(|| Offset(slot.after.cast_signed() - 1))
    }

    /// The filled share, 0 to 1.
    pub(super) fn filled(&self) -> f64 {
        self.used as f64 / self.slots.len().max(1) as f64
    }

    /// The slot of a digest: its own, or the empty one where it belongs. There is always an empty one.
    fn place(&self, digest: [u64; 2]) -> usize {
        let count = self.slots.len();
        let [first, _] = digest;
        // The upper half of the product is a number below `count`, whatever that is.
        let mut place = ((u128::from(first) * count as u128) >> 64) as usize;
        while let Some(slot) = self.slots.get(place) {
            if slot.after == 0 || slot.digest == digest {
                break;
            }
            place = if place + 1 == count { 0 } else { place + 1 };
        }
        place
    }
}

fn digest(key: &[u8]) -> [u64; 2] {
    let whole = Sha256::digest(key);
    let word = |at: usize| {
        let bytes = whole.get(at..at + 8).and_then(|bytes| bytes.first_chunk());
        u64::from_be_bytes(bytes.copied().unwrap_or_default())
    };
    [word(0), word(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_is_found() {
        let mut map = OffsetMap::new(1000, 1 << 20, 0.9);
        for number in 0..3000_i64 {
            assert!(map.put(&(number % 1000).to_be_bytes(), Offset(number)));
        }
        for number in 0..1000_i64 {
            assert_eq!(map.get(&number.to_be_bytes()), Some(Offset(2000 + number)));
        }
        assert_eq!(map.get(b"nobody"), None);
        assert_eq!(map.used, 1000);
    }

    #[test]
    fn a_map_keeps_to_its_bytes() {
        for (records, bytes, load, most) in [
            (10, 1 << 20, 0.9, 10..13),
            (1 << 40, 2400, 0.9, 90..91),
            (100, 2400, 0.5, 50..51),
            (0, 0, 0.9, 1..2),
        ] {
            let mut map = OffsetMap::new(records, bytes, load);
            assert!(map.slots.len() as u64 * ENTRY_BYTES <= bytes.max(2 * ENTRY_BYTES), "{records} {bytes}");
            let count = (0..1000_i64).take_while(|key| map.put(&key.to_be_bytes(), Offset(*key))).count();
            assert!(most.contains(&count), "{count} entries of {records} in {bytes} bytes");
            assert!(map.put(&0_i64.to_be_bytes(), Offset(5000)), "a known key always has a place");
            assert_eq!(map.get(&0_i64.to_be_bytes()), Some(Offset(5000)));
            assert_eq!(map.get(b"nobody"), None, "a full map ends its search");
        }
    }
}
