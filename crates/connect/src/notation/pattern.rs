//! Regular expressions as the JVM writes them, with limits: look-around and references back are understood, and a match
//! that takes too many steps is an error of the record.

use fancy_regex::{Regex, RegexBuilder};

use crate::error::ConnectError;

/// How often a pattern may go back on one text.
const BACKTRACKS_MAX: usize = 100_000;
/// The size of a compiled pattern, in bytes.
const COMPILED_MAX: usize = 1024 * 1024;
/// The longest pattern, in bytes.
const LENGTH_MAX: usize = 10_000;

/// A pattern, for the whole of a text and for the first match in it.
#[derive(Debug)]
pub(crate) struct Pattern {
    whole: Regex,
    first: Regex,
}

/// What is wrong with a pattern, if anything, in Kafka's words.
pub(crate) fn check(text: &str) -> Result<(), String> {
    Pattern::read(text).map(drop).map_err(|why| format!("Invalid regex: {why}"))
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Self, ConnectError> {
        Self::read(text).map_err(|why| ConnectError::config(format!("Invalid regex: {why}")))
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("a pattern has at most {LENGTH_MAX} bytes"));
        }
        let text = unquoted(text);
        let compile = |text: &str| {
            let mut builder = RegexBuilder::new(text);
            builder.backtrack_limit(BACKTRACKS_MAX).delegate_size_limit(COMPILED_MAX);
            builder.build().map_err(|error| error.to_string())
        };
        Ok(Self { whole: compile(&format!(r"\A(?:{text})\z"))?, first: compile(&text)? })
    }

    /// Whether the whole text is meant.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, ConnectError> {
        self.whole.is_match(text).map_err(exhausted)
    }

    /// The text with another in the place of its first match. In it, `$1` and `${name}` stand for groups, and a backslash
    /// takes the meaning of what follows it.
    pub(crate) fn replace_first(&self, text: &str, replacement: &str) -> Result<String, ConnectError> {
        let Some(captures) = self.first.captures(text).map_err(exhausted)? else {
            return Ok(text.to_owned());
        };
        let Some(found) = captures.get(0) else { return Ok(text.to_owned()) };
        let mut replaced = text.get(..found.start()).unwrap_or_default().to_owned();
        let mut rest = replacement.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '\\' => {
                    replaced.push(rest.next().ok_or_else(|| illegal("character to be escaped is missing"))?);
                }
                '$' if rest.next_if_eq(&'{').is_some() => {
                    let name: String = rest.by_ref().take_while(|letter| *letter != '}').collect();
                    if !self.first.capture_names().flatten().any(|known| known == name) {
                        return Err(illegal(&format!("No group with name {{{name}}}")));
                    }
                    replaced.push_str(captures.name(&name).map_or("", |group| group.as_str()));
                }
                '$' => {
                    let group = number(&mut rest, captures.len())?;
                    replaced.push_str(captures.get(group).map_or("", |group| group.as_str()));
                }
                other => replaced.push(other),
            }
        }
        replaced.push_str(text.get(found.end()..).unwrap_or_default());
        Ok(replaced)
    }
}

/// The number of a group: as many digits as there is a group for.
fn number(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, groups: usize) -> Result<usize, ConnectError> {
    let digit = |letter: &char| letter.to_digit(10).map(|digit| digit as usize);
    let mut group = rest.peek().and_then(digit).ok_or_else(|| illegal("Illegal group reference"))?;
    rest.next();
    if group >= groups {
        return Err(illegal(&format!("No group {group}")));
    }
    while let Some(next) = rest.peek().and_then(digit) {
        let longer = group * 10 + next;
        if longer >= groups {
            break;
        }
        group = longer;
        rest.next();
    }
    Ok(group)
}

fn illegal(why: &str) -> ConnectError {
    ConnectError::data(why)
}

fn exhausted(error: fancy_regex::Error) -> ConnectError {
    ConnectError::data("the pattern takes too many steps to match the topic").because(error)
}

/// Without `\Q` and `\E`: what stands between them means itself.
fn unquoted(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once(r"\Q") {
        let (inside, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        plain.push_str(before);
        plain.push_str(&fancy_regex::escape(inside));
        rest = after;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn matches_are_replaced() {
        let cases = [
            ("(.*)-(\\d+)", "a-12", "$2.$1", Ok("12.a")),
            ("(?<base>.*)-x", "a-x", "${base}", Ok("a")),
            ("a", "a", "\\$1\\\\", Ok("$1\\")),
            ("(a)", "a", "$12", Ok("a2")),
            ("a", "a", "$1", Err("No group 1")),
            ("a", "a", "$", Err("Illegal group reference")),
            ("\\Qa.b\\E(.*)", "a.bc", "$1", Ok("c")),
            ("(?!x)(\\w)\\1", "aa", "$1", Ok("a")),
        ];
        for (pattern, text, replacement, expected) in cases {
            let pattern = Pattern::new(pattern).expect("a pattern");
            assert!(pattern.matches(text).expect("few steps"), "{text}");
            let replaced = pattern.replace_first(text, replacement).map_err(|error| error.message);
            assert_eq!(replaced, expected.map(str::to_owned).map_err(str::to_owned), "{replacement}");
        }
        assert!(Pattern::new("(").is_err());
        let slow = Pattern::new("(?=(a+)+$)(a+)+b").expect("a pattern");
        assert!(slow.matches(&"a".repeat(60)).is_err() || !slow.matches(&"a".repeat(60)).expect("no"));
    }
}
