//! Behaviour of the format, through its seam.

use std::sync::Arc;

use super::ProtobufFormat;
use crate::schema::{ParseError, Position, Referenced, Schema, SchemaFormat, SchemaText, Validation};

mod compatibility;
mod data;
mod evolution;
mod hostile;
mod suite;
mod tags;
mod text;

/// Parses a text without references.
fn parse(text: &str) -> Result<Arc<dyn Schema>, ParseError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, references: &[(&str, &str)]) -> Result<Arc<dyn Schema>, ParseError> {
    let references: Vec<Referenced> = references
        .iter()
        .map(|(name, text)| Referenced { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    ProtobufFormat.parse(SchemaText { text, references: &references, validation: Validation::New })
}

fn schema(text: &str) -> Arc<dyn Schema> {
    parse(text).unwrap_or_else(|found| panic!("{found}\n{text}"))
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("a small number")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
