//! Calls that hand-written product code must not make, with their replacement.

use super::Finding;
use super::exceptions::{EXCEPTIONS, Exception};
use super::source::Source;

/// A call that must not be made.
struct Ban {
    /// What is looked for in code, as whole words.
    call: &'static str,
    /// What to do instead.
    instead: &'static str,
}

const CALLS: &[Ban] = &[
    Ban { call: "SystemTime::now", instead: "ask a `Clock`: simulation and tests own the time" },
    Ban { call: "Instant::now", instead: "ask a `Clock`: simulation and tests own the time" },
    Ban { call: "unbounded_channel", instead: "use a channel with a named limit" },
    Ban { call: "unbounded", instead: "use a channel with a named limit" },
    Ban { call: "std::sync::mpsc", instead: "use a channel of tokio with a named limit" },
    Ban { call: "std::fs", instead: "go through `vltava_storage::files::Files`" },
    Ban { call: "tokio::fs", instead: "go through `vltava_storage::files::Files`" },
    Ban { call: ".unwrap()", instead: "return an error, or make the case impossible by types" },
    Ban { call: ".expect(", instead: "return an error, or make the case impossible by types" },
    Ban { call: "todo!", instead: "write it" },
    Ban { call: "unimplemented!", instead: "write it" },
    Ban { call: "dbg!", instead: "use `tracing`" },
];

/// Notes to oneself, in comments as well. Written in two halves, so that this file passes.
const NOTES: &[&str] = &[concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

/// Checks every source against the bans, less the exceptions.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    check_with(sources, EXCEPTIONS)
}

fn check_with(sources: &[Source], exceptions: &[Exception]) -> Vec<Finding> {
    let mut needed = vec![false; exceptions.len()];
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.code.lines().enumerate() {
            for ban in CALLS.iter().filter(|ban| contains(line, ban.call)) {
                match exceptions.iter().position(|exception| exception.covers(&source.path, ban.call)) {
                    Some(exception) => needed[exception] = true,
                    None => findings.push(finding(source, number, ban.call, ban.instead)),
                }
            }
        }
        for (number, line) in source.text.lines().enumerate() {
            for note in NOTES.iter().filter(|note| contains(line, note)) {
                findings.push(finding(source, number, note, "do it now, or open an issue"));
            }
        }
    }
    let idle = exceptions.iter().zip(needed).filter(|(_, needed)| !needed);
    findings.extend(idle.map(|(exception, _)| {
        Finding::new(
            exception.path,
            format!("the exception for `{}` is no longer needed", exception.calls.join("`, `")),
        )
    }));
    findings
}

fn finding(source: &Source, line: usize, what: &str, instead: &str) -> Finding {
    Finding::new(format!("{}:{}", source.path, line + 1), format!("`{what}`: {instead}"))
}

/// Whether `line` has `wanted` with no letter or digit on either side that would make it part of a longer word.
fn contains(line: &str, wanted: &str) -> bool {
    let word = |character: Option<char>| {
        character.is_some_and(|character| character == '_' || character.is_alphanumeric())
    };
    line.match_indices(wanted).any(|(place, _)| {
        let before = word(wanted.chars().next()) && word(line[..place].chars().next_back());
        let after = word(wanted.chars().next_back()) && word(line[place + wanted.len()..].chars().next());
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tidy::source::SourceTree;

    fn check_one(text: &str, exceptions: &[Exception]) -> Vec<String> {
        let mut tree = SourceTree::default();
        tree.add(Path::new("crates/x/src/lib.rs"), text);
        check_with(&tree.outside_tests(), exceptions).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn banned_calls_are_found_where_they_are_called() {
        for (text, lines) in [
            ("fn f() {\n    let now = Instant::now();\n}", vec![2]),
            ("// Instant::now()\nlet x = \"Instant::now\";", vec![]),
            ("my_unbounded(); unbounded();", vec![1]),
            ("a.unwrap_or(b); a.unwrap()", vec![1]),
            ("a.expect_err(b);\n\na.expect(b)", vec![3]),
            ("#[cfg(test)]\nmod tests { fn f() { a.unwrap() } }", vec![]),
            (concat!("// TO", "DO: more"), vec![1]),
            (r"// \uXXXX", vec![]),
        ] {
            let found = check_one(text, &[]);
            let places: Vec<String> =
                found.iter().filter_map(|line| line.split(':').nth(1)).map(str::to_owned).collect();
            let wanted: Vec<String> = lines.iter().map(ToString::to_string).collect();
            assert_eq!(places, wanted, "{text}: {found:?}");
        }
    }

    #[test]
    fn an_exception_counts_for_its_place_and_must_be_needed() {
        let exceptions = [Exception { path: "crates/x/src/", calls: &["std::fs"], why: "it reads" }];
        assert_eq!(check_one("std::fs::read(x);", &exceptions), Vec::<String>::new());
        let found = check_one("read(x);", &exceptions);
        assert_eq!(found, ["crates/x/src/: the exception for `std::fs` is no longer needed"]);
    }
}
