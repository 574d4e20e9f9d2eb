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
