//! The suite of formats.

use super::JsonFormat;
use crate::schema::Referenced;
use crate::schema::testing::{FormatCases, PairCase, SchemaCase, format_suite};
use crate::value::Value;

const ORDER: &str = r##"{"$schema":"http://json-schema.org/draft-07/schema#","title":"Order","type":"object","properties":{"id":{"type":"integer","minimum":1},"lines":{"type":"array","items":{"$ref":"#/definitions/line"}},"note":{"oneOf":[{"type":"null"},{"type":"string","maxLength":5}]}},"required":["id"],"additionalProperties":false,"definitions":{"line":{"type":"object","properties":{"price":{"type":"number","exclusiveMinimum":0},"parts":{"type":"array","items":{"$ref":"#/definitions/line"}}}}}}"##;
const MODERN: &str = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":["string","null"]},{"$ref":"money.json#/$defs/amount"}],"items":{"$ref":"#"},"unevaluatedItems":false,"contains":{"type":"string"},"minContains":0}"##;
const MONEY: &str = r#"{"$defs":{"amount":{"type":"number","multipleOf":0.5}}}"#;

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Struct(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn line(depth: usize) -> Value {
    let parts = if depth == 0 { vec![] } else { vec![line(depth - 1)] };
    object(vec![("price", Value::Float64(0.1)), ("parts", Value::Array(parts))])
}

fn order(depth: usize) -> Value {
    object(vec![("lines", Value::Array(vec![line(depth)])), ("id", Value::Int64(7)), ("note", Value::Null)])
}

#[test]
fn json_schema_passes_the_suite_of_formats() {
    let order_case = SchemaCase {
        text: ORDER.to_owned(),
        values: vec![(None, order(0)), (None, order(20))],
        misfits: vec![Value::Null, object(vec![]), object(vec![("id", Value::Int64(0))]), order(1_000)],
        ..SchemaCase::default()
    };
    let modern_case = SchemaCase {
        text: MODERN.to_owned(),
        references: vec![Referenced { name: "money.json".to_owned(), text: MONEY.to_owned() }],
        values: vec![
            (None, Value::Array(vec![])),
            (
                None,
                Value::Array(vec![
                    Value::Null,
                    Value::Float64(1.5),
                    Value::Array(vec![Value::String("é".into())]),
                ]),
            ),
        ],
        misfits: vec![
            Value::Array(vec![Value::Null, Value::Float64(0.3)]),
            Value::Array(vec![Value::Int64(1)]),
        ],
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pair = |reader: &str, writer: &str, reasons: &[(&str, &str)]| PairCase {
        reader: reader.to_owned(),
        writer: writer.to_owned(),
        reasons: reasons.iter().map(|(kind, path)| ((*kind).to_owned(), (*path).to_owned())).collect(),
    };
    format_suite(
        &JsonFormat,
        &FormatCases {
            schemas: vec![order_case, modern_case],
            invalid: strings(&[
                "",
                "5",
                "[]",
                r#"{"type":"strin"}"#,
                r##"{"$ref":"#/definitions/x"}"##,
                r#"{"pattern":"("}"#,
            ]),
            same_canonical: vec![strings(&[
                r#"{"type":"array","items":{}}"#,
                " {\t\"type\" : \"array\",\n\"items\": { } } ",
            ])],
            same_normalized: vec![strings(&[
                r#"{"maximum":10,"minimum":0.50}"#,
                r#"{"minimum":5e-1,"maximum":1E1}"#,
            ])],
            pairs: vec![
                pair(r#"{"type":"number"}"#, r#"{"type":"integer"}"#, &[]),
                pair(
                    r#"{"properties":{"a":{"type":"string"},"b":{"maximum":1}},"required":["a"]}"#,
                    r#"{"properties":{"a":{"type":"integer"},"b":{"maximum":2}}}"#,
                    &[
                        ("REQUIRED_ATTRIBUTE_ADDED", "#/required/a"),
                        ("TYPE_CHANGED", "#/properties/a"),
                        ("MAXIMUM_DECREASED", "#/properties/b/maximum"),
                    ],
                ),
            ],
            openers: strings(&[r#"{"items":"#, r#"{"not":"#, r#"{"allOf":["#, r#"{"properties":{"a":"#]),
        },
    );
}
