//! Schemas and data that are made to cost much.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::varint;
use super::{parse, try_parse};
use crate::schema::{CompatibilityPolicy, Direction, Schema, Validation};
use crate::value::Value;

/// The longest that any of it may take, in a debug build on a busy machine.
const CALL_MAX: Duration = Duration::from_secs(120);

fn timely<T>(call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = call();
    assert!(start.elapsed() < CALL_MAX, "{:?}", start.elapsed());
    outcome
}

fn kinds(reader: &dyn Schema, writer: &dyn Schema) -> Vec<&'static str> {
    let reasons =
        timely(|| reader.incompatibilities(writer, Direction::NewReadsOld, CompatibilityPolicy::Strict));
    reasons.iter().map(|reason| reason.kind).collect()
}

/// A union of records, each made from its place.
fn union(count: usize, record: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..count).map(record).collect::<Vec<_>>().join(","))
}

/// Records that hold the one before: nested as deep as there are records, though the text is flat.
fn chain(count: usize, last: &str) -> String {
    union(count, |place| {
        let ty = if place == 0 { format!("\"{last}\"") } else { format!("\"n{}.R\"", place - 1) };
        format!(r#"{{"type":"record","name":"n{place}.R","fields":[{{"name":"f","type":{ty}}}]}}"#)
    })
}

#[test]
fn records_nested_by_name_without_end_overflow_nothing() {
    let schema = timely(|| parse(&chain(3000, "int")));
    assert!(timely(|| schema.render("resolved")).unwrap().len() > 3000);
    assert_eq!(timely(|| schema.normalized()), parse(schema.canonical()).normalized());
    let deep = Value::record([]);
    assert!(timely(|| schema.encoded(Some("n2999.R"), &deep)).is_err());
    let mut bytes = Vec::new();
    varint::write(&mut bytes, 2999);
    assert!(timely(|| schema.decode(&*schema, Bytes::from(bytes))).is_err());
}

#[test]
fn circles_of_different_lengths_are_compared() {
    let circle = |length: usize, last: &str| {
        let record = |place: usize| {
            let next = (place + 1) % length;
            let extra =
                if place == 0 { format!(r#",{{"name":"x","type":"{last}"}}"#) } else { String::new() };
            format!(
                r#"{{"type":"record","name":"n{place}.R","fields":[{{"name":"f","type":["null","n{next}.R"]}}{extra}]}}"#
            )
        };
        format!(
            r#"{{"type":"record","name":"T","fields":[{{"name":"a","type":{}}}]}}"#,
            union(length, record)
        )
    };
    let (short, long) = (parse(&circle(89, "int")), parse(&circle(97, "int")));
    // Every record of the one meets every record of the other, and only one of each has the field.
    assert_eq!(kinds(&*short, &*long), vec!["MISSING_UNION_BRANCH"; 97]);
    assert!(kinds(&*short, &*short).is_empty());
}

#[test]
fn what_is_too_large_to_compare_says_so() {
    let wide = |count| {
        parse(&union(count, |place| format!(r#"{{"type":"record","name":"n{place}.R","fields":[]}}"#)))
    };
    let (small, large) = (wide(100), wide(1000));
    assert!(kinds(&*small, &*small).is_empty());
    assert_eq!(kinds(&*large, &*large), ["TYPE_MISMATCH"]);
    assert!(timely(|| large.decode(&*small, Bytes::from_static(&[0]))).is_ok());
    let symbols = (0..100_000).map(|place| format!("\"S{place}\"")).collect::<Vec<_>>().join(",");
    let many = parse(&format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#));
    let one = parse(r#"{"type":"enum","name":"E","symbols":["S1"]}"#);
    let reasons = one.incompatibilities(&*many, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    assert_eq!((reasons.len(), reasons[0].detail.len() < 1000), (1, true));
}

#[test]
fn defaults_that_multiply_are_refused() {
    let level = |place: usize| {
        let ty = if place == 0 { "\"int\"".to_owned() } else { format!("\"R{}\"", place - 1) };
        let default = if place == 0 { "1" } else { "{}" };
        let field = |name| format!(r#"{{"name":"{name}","type":{ty},"default":{default}}}"#);
        format!(r#"{{"type":"record","name":"R{place}","fields":[{},{}]}}"#, field("a"), field("b"))
    };
    let bomb = union(64, level);
    assert!(timely(|| try_parse(&bomb, &[], Validation::New)).is_err());
    let stored = try_parse(&bomb, &[], Validation::Stored).unwrap();
    assert!(timely(|| stored.encoded(Some("R63"), &Value::record([]))).is_err());
}

#[test]
fn few_bytes_do_not_become_many_values() {
    let check = |schema: &str, bytes: &[u8]| {
        let schema = parse(schema);
        let decoded = timely(|| schema.decode(&*schema, Bytes::copy_from_slice(bytes)));
        assert!(decoded.is_err(), "{schema:?}");
    };
    let mut huge = Vec::new();
    varint::write(&mut huge, i64::MAX);
    check(r#"{"type":"array","items":"null"}"#, &huge);
    check(r#"{"type":"array","items":"int"}"#, &huge);
    check(r#"{"type":"map","values":"null"}"#, &huge);
    check(r#""string""#, &huge);
    check(r#""bytes""#, &[1]);
    check(
        r#"{"type":"array","items":{"type":"fixed","name":"F","size":0}}"#,
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    );
    check(r#"{"type":"fixed","name":"F","size":2147483647}"#, &[0; 8]);
    check(r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#, &[]);
    check(r#"{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}"#, &[2; 100_000]);
    check(
        r#"{"type":"record","name":"T","fields":[{"name":"c","type":{"type":"array","items":"T"}}]}"#,
        &[2; 100_000],
    );
}
