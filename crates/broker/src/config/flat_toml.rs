//! TOML as configuration: one flat table of quoted keys.
//!
//! Why flat: Kafka's names are prefixes of each other (`max.connections`, `max.connections.per.ip`), which nested tables
//! cannot express. An unquoted dotted key would nest, so it is refused with the quoted form.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::{Spanned, Value};

use super::properties::{Entry, SyntaxError};

/// Reads the entries of a file. Booleans and numbers are taken as written, arrays as lists.
///
/// # Errors
/// When the file is no TOML, or a value is a table, a date or an array of such.
pub fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let table: BTreeMap<Spanned<String>, Spanned<Value>> =
        toml::from_str(text).map_err(|error| SyntaxError {
            line: error.span().map_or(1, |span| line_of(text, &span)),
            problem: error.message().to_owned(),
        })?;
    let mut entries =
        table.into_iter().map(|(key, value)| entry(text, key, value)).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn entry(text: &str, key: Spanned<String>, value: Spanned<Value>) -> Result<Entry, SyntaxError> {
    let line = line_of(text, &key.span());
    let key = key.into_inner();
    let value = plain(&key, value.into_inner()).map_err(|problem| SyntaxError { line, problem })?;
    Ok(Entry { key, value, line })
}

fn plain(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Array(values) => {
            let parts = values.into_iter().map(|value| plain(key, value)).collect::<Result<Vec<_>, _>>()?;
            Ok(parts.join(","))
        }
        Value::Table(table) => {
            let inner = table.keys().next().map_or("…", String::as_str);
            Err(format!("quote the whole key: \"{key}.{inner}\" = … (the file is one flat table)"))
        }
        Value::Datetime(_) => Err(format!("{key} cannot be a date; quote the value")),
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.get(..span.start).unwrap_or(text).matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_table_is_read_with_its_lines() {
        let text = "# node\n\"node.id\" = 1\n\"log.dirs\" = [\"a\", \"b\"]\n\"log.cleaner.enable\" = true\n\n\"x\" = 0.5\n";
        let entries = parse(text).unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.value.as_str(), e.line)).collect();
        assert_eq!(
            found,
            [("node.id", "1", 2), ("log.dirs", "a,b", 3), ("log.cleaner.enable", "true", 4), ("x", "0.5", 6)]
        );
    }

    #[test]
    fn nesting_and_other_mistakes_name_their_line() {
        for (text, line, part) in [
            ("\n[log]\ndirs = \"a\"", 2, "\"log.dirs\""),
            ("log.dirs = \"a\"", 1, "\"log.dirs\""),
            ("\"a\" = 1\n\"b\" = ", 2, ""),
            ("\"a\" = 1\n\"a\" = 2", 2, "duplicate"),
            ("\"a\" = 2020-01-01", 1, "date"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.problem.contains(part), "{text:?}: {error}");
        }
    }
}
