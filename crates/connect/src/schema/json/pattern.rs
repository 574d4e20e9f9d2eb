//! Regular expressions, as validation understands them.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

/// How often a pattern may go back on one text before it counts as not matching.
pub(super) const BACKTRACKS_MAX: usize = 50_000;

/// The size of one compiled pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// How many names one comparison may match against patterns.
pub(super) const MATCHES_MAX: usize = 100_000;

/// What all patterns are compiled with.
pub(super) fn options() -> PatternOptions<jsonschema::FancyRegex> {
    PatternOptions::fancy_regex()
        .backtrack_limit(BACKTRACKS_MAX)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
}

/// The patterns of one comparison, compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    compiled: HashMap<String, Option<Validator>>,
    matches: usize,
}

impl Patterns {
    /// Whether a pattern occurs in a name; `None` when it is no pattern, or when too much was asked already.
    pub(super) fn matches(&mut self, pattern: &str, name: &str) -> Option<bool> {
        self.matches += 1;
        if self.matches > MATCHES_MAX {
            return None;
        }
        if !self.compiled.contains_key(pattern) {
            self.compiled.insert(pattern.to_owned(), compile(pattern));
        }
        let validator = self.compiled.get(pattern)?.as_ref()?;
        Some(validator.is_valid(&Value::String(name.to_owned())))
    }
}

fn compile(pattern: &str) -> Option<Validator> {
    let schema = json!({ "pattern": pattern });
    jsonschema::options().with_pattern_options(options()).offline().build(&schema).ok()
}
