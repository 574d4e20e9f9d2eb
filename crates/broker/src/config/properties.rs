//! Java properties files: the syntax of `server.properties`.
//!
//! A key ends at the first `=`, `:` or white space that is not escaped; a line that ends in an odd number of backslashes
//! goes on in the next one, whose leading white space is dropped; `\uXXXX`, `\t`, `\n`, `\r` and `\f` are escapes, and any
//! other escaped character stands for itself. Lines that start with `#` or `!` are comments.

/// One key of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, without escapes.
    pub key: String,
    /// Its value, without escapes.
    pub value: String,
    /// The line it starts at, counted from 1.
    pub line: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SyntaxError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads the entries of a file in their order; a key may stand several times.
///
/// # Errors
/// A `\u` escape without four hexadecimal digits, or one half of a surrogate pair alone.
pub fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    logical_lines(text).into_iter().map(|(line, text)| entry(line, &text)).collect()
}

/// Joins continued lines and drops comments and empty lines; each with the number it starts at.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, natural) in text.split('\n').enumerate() {
        let natural = natural.strip_suffix('\r').unwrap_or(natural).trim_start_matches([' ', '\t', '\x0c']);
        if open.is_none() && (natural.is_empty() || natural.starts_with(['#', '!'])) {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        if continues(natural) {
            joined.push_str(natural.get(..natural.len() - 1).unwrap_or(""));
            open = Some((start, joined));
        } else {
            joined.push_str(natural);
            lines.push((start, joined));
        }
    }
    lines.extend(open);
    lines
}

fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn entry(line: usize, text: &str) -> Result<Entry, SyntaxError> {
    let end = key_end(text);
    let (key, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_space);
    let unescape = |text: &str| unescape(text).map_err(|problem| SyntaxError { line, problem });
    Ok(Entry { key: unescape(key)?, value: unescape(rest)?, line })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Where the key ends: at the first separator that no backslash escapes.
fn key_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if !escaped && (is_space(c) || c == '=' || c == ':') {
            return index;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn unescape(text: &str) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = characters.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        match characters.next() {
            None => {}
            Some('u') => units.push(hexadecimal(&mut characters)?),
            Some(escaped) => units.extend_from_slice(named(escaped).encode_utf16(&mut buffer)),
        }
    }
    String::from_utf16(&units)
        .map_err(|_| "a \\u escape is one half of a surrogate pair; write both halves".to_owned())
}

fn named(escaped: char) -> char {
    match escaped {
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'f' => '\x0c',
        other => other,
    }
}

fn hexadecimal(characters: &mut std::str::Chars<'_>) -> Result<u16, String> {
    let digits: String = characters.take(4).collect();
    let valid = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
    valid.then(|| u16::from_str_radix(&digits, 16).ok()).flatten().ok_or_else(|| {
        format!("\\u{digits} is no escape; write \\u and four hexadecimal digits, or \\\\ for a backslash")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let entries = parse(text).unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.value.as_str(), e.line)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn files_are_read_as_java_reads_them() {
        check("a=b", &[("a", "b", 1)]);
        check("a = b ", &[("a", "b ", 1)]);
        check("a:b\nc d\ne\tf", &[("a", "b", 1), ("c", "d", 2), ("e", "f", 3)]);
        check("a : b=c", &[("a", "b=c", 1)]);
        check("  # x\n! y\n\n  a=1\r\nb=2\r\n", &[("a", "1", 4), ("b", "2", 5)]);
        check("a=1,\\\n   2,\\\n\t3\nb=4", &[("a", "1,2,3", 1), ("b", "4", 4)]);
        check("a=1\\\\\nb=2", &[("a", "1\\", 1), ("b", "2", 2)]);
        check("a=1\\\n#2", &[("a", "1#2", 1)]);
        check("a\\ b\\=c=d", &[("a b=c", "d", 1)]);
        check("a=\\u0041\\t\\q\\ud83d\\ude00", &[("a", "A\tq\u{1f600}", 1)]);
        check("empty\nalso=", &[("empty", "", 1), ("also", "", 2)]);
        check("a=x\\", &[("a", "x", 1)]);
        check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092", 1)]);
        check("ä=ö", &[("ä", "ö", 1)]);
    }

    #[test]
    fn broken_escapes_are_refused_with_their_line() {
        for (text, line) in [("a=1\nb=\\u12", 2), ("a=\\uzzzz", 1), ("\n\na=\\ud83d", 3), ("a=\\u+123", 1)] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
