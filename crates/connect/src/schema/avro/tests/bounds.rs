//! Schemas and data that are made to cost much.

use std::time::{Duration, Instant};

use bytes::Bytes;
use vltava_core::testing::PeakAllocator;

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

/// Far more than what is held, far less than what a few letters could be made to stand for.
const HELD_BYTES_MAX: usize = 200 << 20;

fn sparingly<T>(call: impl FnOnce() -> T) -> T {
    let (outcome, bytes) = PeakAllocator::peak_of(|| timely(call));
    assert!(bytes < HELD_BYTES_MAX, "{bytes} bytes");
    outcome
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

#[test]
fn many_aliases_take_no_more_time_than_many_names() {
    let aliases = list(300_000, |place| format!("\"a{place}\""));
    let field = format!(r#"{{"name":"f","type":"int","aliases":[{aliases}]}}"#);
    timely(|| parse(&format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)));
    let reader =
        timely(|| parse(&format!(r#"[{{"type":"fixed","name":"R","size":1,"aliases":[{aliases}]}}]"#)));
    let writer = parse(&union(30_000, |place| format!(r#"{{"type":"fixed","name":"F{place}","size":1}}"#)));
    assert_eq!(kinds(&*reader, &*writer).len(), 1000);
}

#[test]
fn names_in_a_long_namespace_are_limited_together() {
    let record = |name: &str, inner: &str| {
        let namespace = "n".repeat(4000);
        format!(
            r#"{{"type":"record","name":"{name}","namespace":"{namespace}","aliases":[{inner}],"fields":[]}}"#
        )
    };
    let used = |name: &str, count: usize| {
        let fields = list(count, |place| format!(r#"{{"name":"f{place}","type":"{name}"}}"#));
        record(name, "").replace("[]}", &format!("[{fields}]}}"))
    };
    for text in [
        record("R", &list(100_000, |place| format!("\"a{place}\""))),
        used("R", 20_000),
        // Its name is written in full wherever it is used, since it would mean something else without the namespace.
        used("record", 20_000),
    ] {
        for validation in [Validation::New, Validation::Stored] {
            let refused = sparingly(|| try_parse(&text, &[], validation)).unwrap_err();
            assert!(refused.message.contains("all names in full have more than 33554432 bytes"), "{refused}");
        }
    }
    assert!(try_parse(&used("record", 1000), &[], Validation::New).is_ok());
}

#[test]
fn definitions_that_come_again_within_each_other_are_limited() {
    let chain = (0..150).fold("\"int\"".to_owned(), |inner, place| {
        format!(r#"{{"type":"record","name":"N{place}","fields":[{{"name":"f","type":{inner}}}]}}"#)
    });
    let copies = |count| {
        let fields = list(count, |place| format!(r#"{{"name":"f{place}","type":{chain}}}"#));
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    };
    assert!(try_parse(&copies(2), &[], Validation::New).is_ok());
    let refused = timely(|| try_parse(&copies(100), &[], Validation::New)).unwrap_err();
    assert!(refused.message.contains("defined again, like too many others"), "{refused}");
}

#[test]
fn symbols_are_compared_and_told_within_bounds() {
    let enums = |prefix: &str, count: usize, symbols: &str| {
        union(count, |place| format!(r#"{{"type":"enum","name":"{prefix}{place}.E","symbols":[{symbols}]}}"#))
    };
    let symbols = list(150, |place| format!("\"S{place}\""));
    let (some, more) = (enums("n", 100, &symbols), enums("m", 100, &format!("{symbols},\"Z\"")));
    assert_eq!(kinds(&*parse(&more), &*parse(&some)), ["TYPE_MISMATCH"]);
    let long = format!("\"S{}\"", "x".repeat(400_000));
    let one = parse(&format!(r#"{{"type":"enum","name":"E","symbols":[{long}]}}"#));
    let other = parse(r#"{"type":"enum","name":"E","symbols":["A"]}"#);
    let reasons = other.incompatibilities(&*one, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    assert!(
        reasons.iter().all(|reason| reason.message.len() < 500 && reason.detail.len() < 200),
        "{reasons:?}"
    );
    assert_eq!(reasons.len(), 1);
}

#[test]
fn fields_of_a_plan_do_not_multiply() {
    let fields = list(10_000, |place| format!(r#"{{"name":"x{place}","type":"null"}}"#));
    let record = |namespace: &str, fields: &str| {
        format!(r#"{{"type":"record","name":"{namespace}.R","fields":[{fields}]}}"#)
    };
    let writer = format!(
        r#"{{"type":"record","name":"T","fields":[{{"name":"f","type":{}}}]}}"#,
        record("n", &fields)
    );
    let readers = list(200, |place| {
        format!(r#"{{"name":"f{place}","aliases":["f"],"type":{}}}"#, record(&format!("n{place}"), ""))
    });
    let reader = parse(&format!(r#"{{"type":"record","name":"T","fields":[{readers}]}}"#));
    let read = timely(|| reader.decode(&*parse(&writer), Bytes::new()));
    assert!(read.unwrap_err().message.contains("too large to be resolved"));
}

#[test]
fn a_schema_reads_itself_whatever_its_aliases_are() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","aliases":["b"]},{"name":"b","type":"long","aliases":["c"]}]}"#;
    let schema = parse(text);
    assert!(kinds(&*schema, &*parse(text)).is_empty());
    let value = Value::record([("a".into(), Value::Int32(1)), ("b".into(), Value::Int64(2))]);
    let bytes = schema.encoded(None, &value).unwrap();
    assert_eq!(schema.decode(&*schema, bytes), Ok(value));
    // Of two that are only aliases, or one name and another's old one, it is still not known which is meant.
    let writer =
        r#"{"type":"record","name":"R","fields":[{"name":"b","type":"int"},{"name":"c","type":"long"}]}"#;
    assert_eq!(kinds(&*schema, &*parse(writer)), ["NAME_MISMATCH"]);
}
