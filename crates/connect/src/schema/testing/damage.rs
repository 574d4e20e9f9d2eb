//! Damage, the same in every run.

use vltava_core::testing::Random;

/// Where damage is done next.
pub(super) struct Damage {
    random: Random,
}

impl Damage {
    /// Damage of its own for each seed.
    pub(super) fn new(seed: usize) -> Self {
        Self { random: Random::new(seed as u64) }
    }

    /// A copy with a few bytes changed, cut or repeated.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut copy = bytes.to_vec();
        for _ in 0..=self.random.below(3) {
            self.hurt(&mut copy);
        }
        copy
    }

    /// A copy of a text, damaged but still UTF-8.
    pub(super) fn text(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// A part of one text in the place of a part of another.
    pub(super) fn mixed(&mut self, one: &str, other: &str) -> String {
        let mut part = |text: &str| {
            let ends = (self.random.below(text.len() + 1), self.random.below(text.len() + 1));
            (ends.0.min(ends.1), ends.0.max(ends.1))
        };
        let ((from, to), (start, end)) = (part(one), part(other));
        let pieces = [&one.as_bytes()[..from], &other.as_bytes()[start..end], &one.as_bytes()[to..]];
        String::from_utf8_lossy(&pieces.concat()).into_owned()
    }

    /// Bytes at random, up to so many.
    pub(super) fn noise(&mut self, bytes_max: usize) -> Vec<u8> {
        let length = self.random.below(bytes_max + 1);
        // Small numbers are lengths and indexes in all formats: half of the bytes are such.
        (0..length)
            .map(|_| {
                let byte = self.random.bits().to_le_bytes()[0];
                if self.random.once_in(2) { byte & 7 } else { byte }
            })
            .collect()
    }

    /// One of several.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.random.below(all.len())) }
    }

    fn hurt(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = (self.random.below(bytes.len() + 1), self.random.below(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match self.random.below(6) {
            0 => bytes.truncate(from),
            1 => {
                bytes.drain(from..to.min(from + 8));
            }
            2 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(to..to, part);
            }
            3 => bytes.insert(from, [0, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'0'][self.random.below(8)]),
            4 if from < bytes.len() => bytes[from] = self.random.bits().to_le_bytes()[0],
            _ if from < bytes.len() => bytes[from] ^= 1 << self.random.below(8),
            _ => {}
        }
    }
}
