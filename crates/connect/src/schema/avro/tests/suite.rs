//! The suite of formats.

use bytes::Bytes;

use super::{AvroFormat, record, text};
use crate::schema::Referenced;
use crate::schema::testing::{FormatCases, PairCase, SchemaCase, format_suite};
use crate::value::Value;

const ORDER: &str = r#"{"type":"record","name":"shop.Order","doc":"é","fields":[{"name":"id","type":"long"},{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","SENT"],"default":"NEW"}},{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"count","type":"int","default":1}]}}},{"name":"notes","type":{"type":"map","values":["null","string","double"]}},{"name":"hash","type":{"type":"fixed","name":"Hash","size":2}},{"name":"raw","type":"bytes"}]}"#;
const LIST: &str = r#"{"type":"record","name":"L","fields":[{"name":"v","type":"float"},{"name":"next","type":["null","L"],"default":null}]}"#;

fn order() -> Value {
    record(vec![
        ("id", Value::Int64(-7)),
        ("state", text("SENT")),
        ("lines", Value::Array(vec![record(vec![("sku", text("a")), ("count", Value::Int32(2))])])),
        (
            "notes",
            Value::Map(vec![
                (text("x"), Value::Null),
                (text("y"), text("é")),
                (text("z"), Value::Float64(0.5)),
            ]),
        ),
        ("hash", Value::Bytes(Bytes::from_static(&[1, 2]))),
        ("raw", Value::Bytes(Bytes::from_static(&[0xff]))),
    ])
}

fn list(length: usize) -> Value {
    (0..length).fold(Value::Null, |next, _| record(vec![("v", Value::Float32(1.5)), ("next", next)]))
}

#[test]
fn avro_passes_the_suite_of_formats() {
    let order_case = SchemaCase {
        text: ORDER.to_owned(),
        values: vec![(None, order())],
        misfits: vec![Value::Null, list(1)],
        ..SchemaCase::default()
    };
    let list_case = SchemaCase {
        text: LIST.to_owned(),
        values: vec![(None, list(1)), (None, list(100))],
        misfits: vec![list(0), list(10_000)],
        ..SchemaCase::default()
    };
    let union_case = SchemaCase {
        text: r#"["int",{"type":"record","name":"A","fields":[]},{"type":"record","name":"B","fields":[]},"n.F"]"#.to_owned(),
        references: vec![Referenced { name: "n.F".to_owned(), text: r#"{"type":"fixed","name":"n.F","size":1}"#.to_owned() }],
        values: vec![
            (None, Value::Int32(1)),
            (Some("B".to_owned()), record(vec![])),
            (None, Value::Bytes(Bytes::from_static(&[1]))),
        ],
        misfits: vec![Value::Bytes(Bytes::new()), text("A")],
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pair = |reader: &str, writer: &str, reasons: &[(&str, &str)]| PairCase {
        reader: reader.to_owned(),
        writer: writer.to_owned(),
        reasons: reasons.iter().map(|(kind, path)| ((*kind).to_owned(), (*path).to_owned())).collect(),
    };
    format_suite(
        &AvroFormat,
        &FormatCases {
            schemas: vec![order_case, list_case, union_case],
            invalid: strings(&["", "int", "{}", r#"{"type":"record"}"#, r#"["int","int"]"#]),
            same_canonical: vec![strings(&[
                r#"{"type":"array","items":"int"}"#,
                " { \"items\" : {\"type\":\"int\"} ,\n\"type\": \"array\"}",
            ])],
            same_normalized: vec![strings(&[
                r#"{"type":"fixed","name":"F","size":1,"aliases":["A","B"]}"#,
                r#"{"type":"fixed","name":"F","size":1,"aliases":["B","A"],"doc":""}"#,
            ])],
            pairs: vec![
                pair(r#""long""#, r#""int""#, &[]),
                pair(r#""int""#, r#""long""#, &[("TYPE_MISMATCH", "/")]),
                pair(
                    r#"["null"]"#,
                    r#"["int","string"]"#,
                    &[("MISSING_UNION_BRANCH", "/0"), ("MISSING_UNION_BRANCH", "/1")],
                ),
            ],
            openers: strings(&[
                r#"{"type":"array","items":"#,
                r#"{"type":"record","name":"R","fields":[{"name":"f","type":"#,
                "[",
                "/*",
            ]),
        },
    );
}
