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

/// How many names one comparison may match against patterns.
pub(super) const MATCHES_MAX: usize = 100_000;

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
        self.matches += 1;
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

fn compile(pattern: &str, count: usize) -> Option<Validator> {
    let schema = json!({ "pattern": pattern });
    jsonschema::options().with_pattern_options(options(count)).offline().build(&schema).ok()
}
