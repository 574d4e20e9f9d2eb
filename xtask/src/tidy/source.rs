//! Rust source as `tidy` sees it: comments and literals are blank, and what is compiled for tests only is gone.
//!
//! This is no parser. It knows just enough of Rust's lexical grammar not to be misled by a word in a string.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders and files that are tests, examples, published fakes, or generated.
const APART: [&str; 7] = ["tests", "tests.rs", "benches", "examples", "testing", "generated", "build.rs"];

/// What marks an item as a test's.
const TEST_ITEM: &str = "#[cfg(test)]";

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// The text with blanks in place of comments, literals and test items; as long, and with the same lines.
    pub(crate) code: String,
}

/// Files whose test modules may be other files.
#[derive(Debug, Default)]
pub(crate) struct SourceTree {
    sources: Vec<Source>,
    /// Modules that only tests have, as paths without their extension.
    test_modules: BTreeSet<PathBuf>,
}

/// Whether a file is no hand-written product code by its place alone.
pub(crate) fn is_apart(path: &Path) -> bool {
    path.iter().any(|part| APART.iter().any(|apart| part == *apart))
}

impl SourceTree {
    pub(crate) fn add(&mut self, path: &Path, text: &str) {
        let mut code = blank_literals(text);
        for module in blank_test_items(&mut code) {
            self.test_modules.insert(children(path).join(module));
        }
        self.sources.push(Source {
            path: path.display().to_string().replace('\\', "/"),
            text: text.to_owned(),
            code,
        });
    }

    pub(crate) fn outside_tests(self) -> Vec<Source> {
        let SourceTree { sources, test_modules } = self;
        let is_test = |path: &str| {
            Path::new(path).ancestors().any(|place| test_modules.contains(&place.with_extension("")))
        };
        sources.into_iter().filter(|source| !is_test(&source.path)).collect()
    }
}

/// The folder of the modules that a file declares.
fn children(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => folder.to_owned(),
        Some(stem) => folder.join(stem),
    }
}

/// Blanks every item under [`TEST_ITEM`]; returns the names of modules that are other files.
fn blank_test_items(code: &mut String) -> Vec<String> {
    let mut bytes = std::mem::take(code).into_bytes();
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(start) = find(&bytes, TEST_ITEM.as_bytes(), from) {
        let end = item_end(&bytes, start + TEST_ITEM.len());
        let item = String::from_utf8_lossy(&bytes[start..end]).into_owned();
        if let Some((_, name)) = item.strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
            modules.push(name.trim().to_owned());
        }
        blank(&mut bytes[start..end]);
        from = end;
    }
    *code = String::from_utf8_lossy(&bytes).into_owned();
    modules
}

/// Where an item ends: behind its semicolon, or behind the brace that closes its first.
fn item_end(code: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    for (place, byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return place + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return place + 1,
            _ => {}
        }
    }
    code.len()
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|place| from + place)
}

/// Puts blanks in the place of everything but line ends.
fn blank(text: &mut [u8]) {
    text.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// Blanks comments, strings and characters.
fn blank_literals(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut place = 0;
    while place < bytes.len() {
        let end = literal_end(&bytes, place);
        if end > place {
            blank(&mut bytes[place..end]);
        }
        place = end.max(place + 1);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the comment or literal that starts at `start` ends; `start` when there is none.
fn literal_end(code: &[u8], start: usize) -> usize {
    let rest = &code[start..];
    let identifier_before = start > 0 && is_identifier(code[start - 1]);
    match rest {
        [b'/', b'/', ..] => find(code, b"\n", start).unwrap_or(code.len()),
        [b'/', b'*', ..] => comment_end(code, start),
        [b'"', ..] => string_end(code, start + 1),
        [b'r', b'"' | b'#', ..] if !identifier_before => raw_end(code, start + 1).unwrap_or(start),
        [b'b', b'r', b'"' | b'#', ..] if !identifier_before => raw_end(code, start + 2).unwrap_or(start),
        [b'\'', b'\\', ..] => find(code, b"'", start + 3).map_or(code.len(), |end| end + 1),
        // A character, of up to four bytes; anything else is a lifetime.
        [b'\'', rest @ ..] => match rest.iter().take(5).skip(1).position(|byte| *byte == b'\'') {
            Some(length) if length == 0 || !is_identifier(rest[0]) => start + length + 3,
            _ => start,
        },
        _ => start,
    }
}

fn is_identifier(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn comment_end(code: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut place = start;
    while place + 1 < code.len() {
        match &code[place..place + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                place += 1;
                continue;
            }
        }
        place += 2;
        if depth == 0 {
            return place;
        }
    }
    code.len()
}

fn string_end(code: &[u8], from: usize) -> usize {
    let mut place = from;
    while place < code.len() {
        match code[place] {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    code.len()
}

/// The end of a raw string whose hashes start at `from`; nothing when it is a raw identifier.
fn raw_end(code: &[u8], from: usize) -> Option<usize> {
    let hashes = code[from..].iter().take_while(|byte| **byte == b'#').count();
    if code.get(from + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let opened = from + hashes + 1;
    Some(find(code, &close, opened).map_or(code.len(), |end| end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str) {
        let mut seen = blank_literals(text);
        blank_test_items(&mut seen);
        assert_eq!(seen.len(), text.len(), "{text}");
        let squeezed: Vec<&str> = seen.split_whitespace().collect();
        assert_eq!(squeezed.join(" "), code, "{text}");
    }

    #[test]
    fn only_code_that_is_not_a_test_is_seen() {
        for (text, code) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("x \" y", z)"#, "f( , z)"),
            (r##"f(r#"x " y"#, z)"##, "f( , z)"),
            ("r#type + bar\"x\"", "r#type + bar"),
            (r"['a', '\'', '\u{1}', 'ä', z]", "[ , , , , z]"),
            ("fn f<'a>(x: &'a str, y: &'a str)", "fn f<'a>(x: &'a str, y: &'a str)"),
            ("a #[cfg(test)] mod tests { b { c } d } e", "a e"),
            ("a #[cfg(test)] use b; c", "a c"),
            ("a #[cfg(not(test))] use b;", "a #[cfg(not(test))] use b;"),
        ] {
            check(text, code);
        }
    }

    #[test]
    fn a_file_that_only_tests_declare_is_a_test() {
        let mut tree = SourceTree::default();
        tree.add(Path::new("crates/x/src/log.rs"), "#[cfg(test)]\nmod fake;\nmod real;");
        tree.add(Path::new("crates/x/src/log/fake.rs"), "");
        tree.add(Path::new("crates/x/src/log/fake/more.rs"), "");
        tree.add(Path::new("crates/x/src/log/real.rs"), "");
        let left: Vec<String> = tree.outside_tests().into_iter().map(|source| source.path).collect();
        assert_eq!(left, ["crates/x/src/log.rs", "crates/x/src/log/real.rs"]);
    }

    #[test]
    fn tests_examples_and_generated_files_stand_apart() {
        for (path, apart) in [
            ("crates/x/src/log.rs", false),
            ("crates/x/src/log/tests.rs", true),
            ("crates/x/tests/log.rs", true),
            ("crates/x/src/generated/mod.rs", true),
            ("crates/core/src/testing/fake.rs", true),
        ] {
            assert_eq!(is_apart(Path::new(path)), apart, "{path}");
        }
    }
}
