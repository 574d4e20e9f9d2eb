//! Regular expressions, as validation understands them.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

/// How often a pattern may go back on one text before it counts as not matching.
pub(super) const BACKTRACKS_MAX: usize = 10_000;

/// The size of one compiled pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// The size that one compiled pattern may have in any case, in bytes.
const PATTERN_BYTES_MIN: usize = 16 * 1024;

/// The size of all compiled patterns of a schema, in bytes, which they share evenly.
const PATTERNS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many names one comparison may match against patterns. Long names, and patterns that go back, count as several.
pub(super) const MATCHES_MAX: usize = 100_000;

/// As how many names one counts with a pattern that goes back.
const BACKTRACKING_WEIGHT: usize = 100;

/// So many bytes of a name count as a name.
const NAME_BYTES: usize = 64;

/// What the patterns of a schema that has so many are compiled with.
pub(super) fn options(patterns: usize) -> PatternOptions<jsonschema::FancyRegex> {
    let share = (PATTERNS_BYTES_MAX / patterns.max(1)).clamp(PATTERN_BYTES_MIN, PATTERN_BYTES_MAX);
    PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS_MAX).size_limit(share).dfa_size_limit(share)
}

/// The patterns of one comparison, compiled once.
#[derive(Debug)]
pub(super) struct Patterns {
    /// How many there are in the schemas.
    count: usize,
    compiled: HashMap<String, Option<Validator>>,
    matches: usize,
}

impl Patterns {
    pub(super) fn new(count: usize) -> Patterns {
        Patterns { count, compiled: HashMap::new(), matches: 0 }
    }

    /// Whether a pattern occurs in a name; `None` when it is no pattern, or when too much was asked already.
    pub(super) fn matches(&mut self, pattern: &str, name: &str) -> Option<bool> {
        let each = if backtracks(pattern) { BACKTRACKING_WEIGHT } else { 1 };
        self.matches = self.matches.saturating_add(each + name.len() / NAME_BYTES);
        if self.matches > MATCHES_MAX {
            return None;
        }
        if !self.compiled.contains_key(pattern) {
            self.compiled.insert(pattern.to_owned(), compile(pattern, self.count));
        }
        let validator = self.compiled.get(pattern)?.as_ref()?;
        Some(validator.is_valid(&Value::String(name.to_owned())))
    }
}

/// Whether a pattern has what can only be matched by going back: it looks around, refers to what it found, or takes without giving
/// back. All others take a time that grows with the text alone.
pub(super) fn backtracks(pattern: &str) -> bool {
    let pairs = || pattern.as_bytes().windows(2);
    let groups = pattern.split("(?").skip(1).any(|rest| !rest.starts_with(':'));
    let back = |pair: &[u8]| pair[0] == b'\\' && (pair[1].is_ascii_digit() || b"kKG".contains(&pair[1]));
    let possessive = |pair: &[u8]| b"*+?}".contains(&pair[0]) && pair[1] == b'+';
    groups || pairs().any(|pair| back(pair) || possessive(pair))
}

fn compile(pattern: &str, count: usize) -> Option<Validator> {
    let schema = json!({ "pattern": pattern });
    jsonschema::options().with_pattern_options(options(count)).offline().build(&schema).ok()
}
