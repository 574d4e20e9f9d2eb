//! Which seeds a test runs.

use std::ops::Range;

/// The seeds that the environment variable `variable` asks for: a number of seeds from 0 on, or a range such as
/// `40..50`; `usual` when it is not set. Campaigns set it to ranges that nobody ran before, and whoever looks into a
/// failure to the one seed that failed.
///
/// # Panics
/// When the variable holds neither.
#[must_use]
pub fn seeds(variable: &str, usual: Range<u64>) -> Range<u64> {
    match std::env::var(variable) {
        Ok(text) => {
            read(&text).unwrap_or_else(|| panic!("{variable}={text}: use a number, or a range as 40..50"))
        }
        Err(_) => usual,
    }
}

/// How to run one seed again, for the message of a failing test.
#[must_use]
pub fn replay(variable: &str, seed: u64) -> String {
    format!("seed {seed}; replay with {variable}={seed}..{}", seed.wrapping_add(1))
}

fn read(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..to.parse().ok()?),
        None => Some(0..text.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_counted_or_ranged() {
        for (text, expected) in [
            ("7", Some(0..7)),
            ("40..50", Some(40..50)),
            ("", None),
            ("..5", None),
            ("a", None),
            ("5..", None),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(replay("SEEDS", 4), "seed 4; replay with SEEDS=4..5");
        assert_eq!(seeds("VLTAVA_SEEDS_OF_NOBODY", 3..9), 3..9);
    }
}
