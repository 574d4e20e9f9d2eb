//! Parsing, printing and data. Compatibility has tests of its own.

mod agreement;
mod bounds;
pub(in crate::schema) mod compatibility;
mod suite;

use std::sync::Arc;

use bytes::Bytes;

use super::AvroFormat;
use crate::schema::{ParseError, Position, Referenced, Schema, SchemaFormat, SchemaText, Validation};
use crate::value::Value;

pub(super) fn try_parse(
    text: &str,
    references: &[Referenced],
    validation: Validation,
) -> Result<Arc<dyn Schema>, ParseError> {
    AvroFormat.parse(SchemaText { text, references, validation })
}

pub(super) fn parse(text: &str) -> Arc<dyn Schema> {
    try_parse(text, &[], Validation::New).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check_canonical(text: &str, expected: &str) {
    let schema = parse(text);
    assert_eq!(schema.canonical(), expected);
    assert_eq!(parse(expected).canonical(), expected);
}

#[test]
fn the_canonical_text_is_the_one_that_avros_own_library_writes() {
    for (text, expected) in [
        (r#" "int" "#, r#""int""#),
        (r#"{"type":"string"}"#, r#""string""#),
        ("// why\n[ \"null\" /* or */ , \"long\"]", r#"["null","long"]"#),
        (
            r#"{"type":"int","doc":"x","logicalType":"date","a":null}"#,
            r#"{"type":"int","logicalType":"date","a":null}"#,
        ),
        (
            r#"{"type":"array","items":"string","default":[],"name":"x"}"#,
            r#"{"type":"array","items":"string","default":[]}"#,
        ),
        (
            r#"{"fields":[],"name":"X","namespace":"a.b","doc":"d","type":"record","q":{"b":1.50,"a":1e10}}"#,
            r#"{"type":"record","name":"X","namespace":"a.b","doc":"d","fields":[],"q":{"b":1.5,"a":1.0E10}}"#,
        ),
        (
            r#"{"type":"record","name":"X","fields":[{"name":"e","type":{"type":"enum","name":"q.E","namespace":"r","symbols":["A"],"default":"A","z":1,"aliases":["ZZ"],"doc":"d"},"doc":"","order":"ignore"},{"name":"h","type":{"type":"fixed","namespace":"","name":"H","size":3,"size":4,"logicalType":"decimal","precision":2}},{"name":"k","type":{"type":"q.E","foo":1},"default":"A"}]}"#,
            r#"{"type":"record","name":"X","fields":[{"name":"e","type":{"type":"enum","name":"E","namespace":"q","doc":"d","symbols":["A"],"default":"A","z":1,"aliases":["ZZ"]},"doc":"","order":"ignore"},{"name":"h","type":{"type":"fixed","name":"H","size":4,"logicalType":"decimal","precision":2}},{"name":"k","type":"q.E","default":"A"}]}"#,
        ),
        (
            r#"{"type":"record","name":"a.X","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":2}},{"name":"g","type":{"type":"fixed","name":"F","size":2}}]}"#,
            r#"{"type":"record","name":"X","namespace":"a","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":2}},{"name":"g","type":"F"}]}"#,
        ),
        (
            r#"{"type":"record","name":"a.int","fields":[{"name":"b","type":["null","a.int"]},{"name":"c","type":"int"}]}"#,
            r#"{"type":"record","name":"int","namespace":"a","fields":[{"name":"b","type":["null","a.int"]},{"name":"c","type":"int"}]}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"float","default":"NaN"},{"name":"e","type":"float","default":1e400},{"name":"g","type":"float","default":1e-7},{"name":"h","type":"float","default":2e-3},{"name":"i","type":"float","default":"3"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"float","default":"NaN"},{"name":"e","type":"float","default":"Infinity"},{"name":"g","type":"float","default":1.0E-7},{"name":"h","type":"float","default":0.002},{"name":"i","type":"float","default":3.0}]}"#,
        ),
        (
            r#"{"type":"record","name":"c.X","aliases":["Y",".b","d.Z"],"fields":[{"name":"f","type":{"type":"record","namespace":"","name":"N","fields":[]}}]}"#,
            r#"{"type":"record","name":"X","namespace":"c","fields":[{"name":"f","type":{"type":"record","name":"N","namespace":"","fields":[]}}],"aliases":["Y",".b","d.Z"]}"#,
        ),
    ] {
        check_canonical(text, expected);
    }
}

#[test]
fn normalizing_removes_what_means_nothing() {
    let check =
        |left: &str, right: &str| assert_eq!(parse(left).normalized(), parse(right).normalized(), "{left}");
    check(
        r#"{"type":"error","name":"E","fields":[]}"#,
        r#"{"doc":"","type":"record","name":"E","fields":[]}"#,
    );
    check(
        r#"{"type":"fixed","name":"F","size":4,"b":{"y":1,"x":2},"precision":4,"a":1,"logicalType":"decimal"}"#,
        r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":4,"a":1,"b":{"x":2,"y":1}}"#,
    );
    check(
        r#"{"type":"record","name":"E","aliases":["B","A"],"fields":[{"name":"f","type":"double","default":1}]}"#,
        r#"{"type":"record","name":"E","aliases":["A","B"],"fields":[{"name":"f","type":"double","default":1.0}]}"#,
    );
    let text = r#"{"type":"record","name":"E","aliases":["B","A"],"fields":[]}"#;
    let normalized = parse(text).normalized();
    assert_eq!(parse(&normalized).canonical(), normalized);
    assert_ne!(parse(text).canonical(), normalized);
}

#[test]
fn references_stay_names_unless_all_is_asked_for() {
    let references = [
        Referenced { name: "a.N".to_owned(), text: r#"{"type":"fixed","name":"a.N","size":2}"#.to_owned() },
        Referenced {
            name: "a.M".to_owned(),
            text: r#"{"type":"record","name":"a.M","fields":[{"name":"n","type":"N"}]}"#.to_owned(),
        },
    ];
    let text =
        r#"{"type":"record","name":"b.R","fields":[{"name":"m","type":"a.M"},{"name":"n","type":"a.N"}]}"#;
    let schema = try_parse(text, &references, Validation::New).unwrap();
    assert_eq!(
        schema.canonical(),
        r#"{"type":"record","name":"R","namespace":"b","fields":[{"name":"m","type":"a.M"},{"name":"n","type":"a.N"}]}"#
    );
    assert_eq!(
        schema.render("resolved").unwrap(),
        r#"{"type":"record","name":"R","namespace":"b","fields":[{"name":"m","type":{"type":"record","name":"M","namespace":"a","fields":[{"name":"n","type":{"type":"fixed","name":"N","size":2}}]}},{"name":"n","type":"a.N"}]}"#
    );
    assert_eq!(schema.record_name(), Some("b.R"));
    assert_eq!(schema.render("short").unwrap_err().known, ["resolved"]);
    assert!(try_parse(text, &references[..1], Validation::New).is_err());
}

fn check_error(text: &str, line: usize, column: usize, part: &str) {
    let error = try_parse(text, &[], Validation::New).map(|schema| panic!("{schema:?}")).unwrap_err();
    assert!(error.message.contains(part), "{text}: {error}");
    assert_eq!(error.position, Some(Position { line, column }), "{text}: {error}");
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (text, line, column, part) in [
        ("", 1, 1, "the text ends"),
        ("int", 1, 1, "a value of JSON"),
        ("\"int\"\n x", 2, 2, "the end of the text"),
        ("[\"int\",\n]", 2, 1, "a value of JSON"),
        ("[\"int\"", 1, 7, "',' or ']'"),
        ("{\"type\":\"int\",\"é\": 01}", 1, 21, "',' or '}'"),
        ("\"foo", 1, 5, "the end of a string"),
        ("/* x", 1, 1, "comment"),
        (r#""foo""#, 1, 1, "Undefined schema: foo, which is neither"),
        (r#"{"name":"x"}"#, 1, 1, "`type` is missing"),
        (r#"{"type":{"type":"int"}}"#, 1, 9, "only fields"),
        (r#"["int", {"type":"int"}]"#, 1, 1, "\"int\" twice"),
        (r#"["null", ["int"]]"#, 1, 10, "union"),
        (r#"{"type":"array"}"#, 1, 1, "items"),
        (r#"{"type":"map"}"#, 1, 1, "values"),
        (r#"{"type":"record","fields":[]}"#, 1, 1, "`name`"),
        (r#"{"type":"record","name":"1R","fields":[]}"#, 1, 25, "letter"),
        (r#"{"type":"record","name":"é","fields":[]}"#, 1, 25, "letter"),
        (r#"{"type":"record","name":"a.2b.R","fields":[]}"#, 1, 25, "\"2b\""),
        (r#"{"type":"record","name":"int","fields":[]}"#, 1, 25, "type of Avro"),
        (r#"{"type":"record","name":"R"}"#, 1, 1, "`fields`"),
        (r#"{"type":"record","name":"R","fields":{}}"#, 1, 38, "array"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, 1, 39, "`type`"),
        (r#"{"type":"record","name":"R","fields":[{"type":"int"}]}"#, 1, 39, "`name`"),
        (
            "{\"type\":\"record\",\"name\":\"R\",\"fields\":[\n {\"name\":\"a\",\"type\":\"int\"},\n {\"name\":\"a\",\"type\":\"int\"}]}",
            3,
            2,
            "two fields",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"1"}]}"#,
            1,
            74,
            "default",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":1.0}]}"#,
            1,
            75,
            "default",
        ),
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}}]}"#, 1, 72, "default"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#, 1, 72, "order"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","aliases":"b"}]}"#,
            1,
            74,
            "aliases",
        ),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, 1, 37, "twice"),
        (r#"{"type":"enum","name":"E","symbols":["A-"]}"#, 1, 38, "letter"),
        (r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#, 1, 1, "no symbol"),
        (r#"{"type":"fixed","name":"F"}"#, 1, 1, "size"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, 1, 35, "size"),
        (
            r#"[{"type":"fixed","name":"F","size":1},{"type":"array","items":{"type":"fixed","name":"F","size":2}}]"#,
            1,
            63,
            "defined twice",
        ),
        (r#""\ud800""#, 1, 4, "pair"),
        (r#""\x""#, 1, 3, "after a backslash"),
    ] {
        check_error(text, line, column, part);
    }
}

#[test]
fn what_a_registry_accepted_before_is_read_though_it_is_wrong() {
    for text in [
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"1"}]}"#,
        r#"{"type":"record","name":"Ré","namespace":"a-b","fields":[]}"#,
    ] {
        assert!(try_parse(text, &[], Validation::New).is_err(), "{text}");
        let schema = try_parse(text, &[], Validation::Stored).unwrap();
        assert_eq!(schema.canonical(), text);
    }
}

fn text(text: &'static str) -> Value {
    Value::String(text.into())
}

fn record(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Struct(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[test]
fn values_are_written_as_the_specification_says() {
    let check = |schema: &str, value: Value, bytes: &[u8]| {
        let schema = parse(schema);
        let encoded = schema.encoded(None, &value).unwrap();
        assert_eq!(encoded, bytes, "{value:?}");
        assert_eq!(schema.decode(&*schema, encoded).unwrap(), value);
    };
    check(r#""null""#, Value::Null, &[]);
    check(r#""boolean""#, Value::Boolean(true), &[1]);
    check(r#""int""#, Value::Int32(-64), &[0x7f]);
    check(r#""int""#, Value::Int32(64), &[0x80, 1]);
    check(r#""long""#, Value::Int64(i64::MIN), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    check(r#""float""#, Value::Float32(1.0), &[0, 0, 0x80, 0x3f]);
    check(r#""double""#, Value::Float64(-2.0), &[0, 0, 0, 0, 0, 0, 0, 0xc0]);
    check(r#""string""#, text("foo"), &[6, 0x66, 0x6f, 0x6f]);
    check(r#""bytes""#, Value::Bytes(Bytes::from_static(&[1, 2])), &[4, 1, 2]);
    check(r#"{"type":"fixed","name":"F","size":2}"#, Value::Bytes(Bytes::from_static(&[1, 2])), &[1, 2]);
    check(r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, text("B"), &[2]);
    check(
        r#"{"type":"array","items":"long"}"#,
        Value::Array(vec![Value::Int64(3), Value::Int64(27)]),
        &[4, 6, 0x36, 0],
    );
    check(
        r#"{"type":"map","values":"int"}"#,
        Value::Map(vec![(text("a"), Value::Int32(1))]),
        &[2, 2, 0x61, 2, 0],
    );
    check(r#"["null","string"]"#, text("a"), &[2, 2, 0x61]);
    check(r#"["double","long","int"]"#, Value::Int64(1), &[2, 2]);
    check(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#,
        record(vec![("a", Value::Int64(27)), ("b", text("foo"))]),
        &[0x36, 6, 0x66, 0x6f, 0x6f],
    );
}
