//! The suite of formats.

use crate::schema::Referenced;
use crate::schema::protobuf::ProtobufFormat;
use crate::schema::testing::{FormatCases, PairCase, SchemaCase, format_suite};
use crate::value::Value;

const ORDER: &str = r#"syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "shop/line.proto";
message Order {
  int64 id = 1;
  State state = 2;
  repeated Line lines = 3;
  map<string, double> notes = 4;
  oneof paid { google.protobuf.Timestamp at = 5; bytes proof = 6; }
  enum State { NEW = 0; SENT = 1; }
  message Change { Order order = 1; }
}
"#;
const LINE: &str = "syntax = \"proto3\"; package shop; message Line { string sku = 1; sint32 count = 2; }";
const LIST: &str = "syntax = \"proto2\"; message L { required float v = 1; optional L next = 2; }";

fn record(fields: &[(&str, Value)]) -> Value {
    Value::Struct(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn order() -> Value {
    let line =
        |sku: &str, count| record(&[("sku", Value::String(sku.into())), ("count", Value::Int32(count))]);
    let notes = vec![
        (Value::String("é".into()), Value::Float64(0.5)),
        (Value::String("".into()), Value::Float64(0.0)),
    ];
    record(&[
        ("id", Value::Int64(-7)),
        ("state", Value::String("SENT".into())),
        ("lines", Value::Array(vec![line("a", -2), line("", 0)])),
        ("notes", Value::Map(notes)),
        ("at", record(&[("seconds", Value::Int64(1)), ("nanos", Value::Int32(2))])),
        ("proof", Value::Null),
    ])
}

fn list(length: usize) -> Value {
    (0..length).fold(Value::Null, |next, _| record(&[("v", Value::Float32(1.5)), ("next", next)]))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn pair(reader: &str, writer: &str, reasons: &[(&str, &str)]) -> PairCase {
    PairCase {
        reader: reader.to_owned(),
        writer: writer.to_owned(),
        reasons: reasons.iter().map(|(kind, path)| ((*kind).to_owned(), (*path).to_owned())).collect(),
    }
}

#[test]
fn protobuf_passes_the_suite_of_formats() {
    let order_case = SchemaCase {
        text: ORDER.to_owned(),
        references: vec![Referenced { name: "shop/line.proto".to_owned(), text: LINE.to_owned() }],
        values: vec![
            (None, order()),
            (Some("shop.Order".to_owned()), order()),
            (Some("shop.Order.Change".to_owned()), record(&[("order", order())])),
        ],
        misfits: vec![Value::Null, list(1), record(&[("id", Value::Boolean(true))])],
    };
    let list_case = SchemaCase {
        text: LIST.to_owned(),
        values: vec![(None, list(1)), (None, list(100))],
        misfits: vec![list(0), list(1_000), record(&[])],
        ..SchemaCase::default()
    };
    format_suite(
        &ProtobufFormat,
        &FormatCases {
            schemas: vec![order_case, list_case],
            invalid: strings(&[
                "message",
                "message M {",
                "edition = \"2023\";",
                "syntax = \"proto4\";",
                "AAAA",
            ]),
            same_canonical: vec![strings(&[
                "syntax = \"proto3\"; message M { int32 a = 1; }",
                "// A file.\nsyntax='proto3';message M{int32 a=0x1;;}",
            ])],
            same_normalized: vec![strings(&[
                "syntax = \"proto2\"; package p; message M { optional N b = 2; optional int32 a = 1; message N {} }",
                "package p; message M { message N {} optional int32 a = 1 [json_name = \"a\"]; optional .p.M.N b = 2; }",
            ])],
            pairs: vec![
                pair("message M { optional int64 a = 1; }", "message M { optional int32 a = 1; }", &[]),
                pair(
                    "message M { optional string a = 1; optional float b = 2; }",
                    "message M { optional int32 a = 1; optional double b = 2; }",
                    &[("FIELD_SCALAR_KIND_CHANGED", "#/M/1"), ("FIELD_SCALAR_KIND_CHANGED", "#/M/2")],
                ),
            ],
            openers: strings(&[
                "message M { ",
                "message M { optional group G = 1 { ",
                "option (a) = { a { ",
                "option (a) = { a: [ ",
                "option (a) = { a < ",
                "( ",
            ]),
        },
    );
}
