//! Tests of the format as a whole.

mod hostile;
mod random;
mod suite;
pub(in crate::schema) mod table;

use super::*;

fn parse_with(text: &str, references: &[(&str, &str)]) -> Result<Arc<dyn Schema>, ParseError> {
    let references: Vec<Referenced> = references
        .iter()
        .map(|(name, text)| Referenced { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    JsonFormat.parse(SchemaText { text, references: &references, validation: Validation::New })
}

fn parse(text: &str) -> Arc<dyn Schema> {
    parse_with(text, &[]).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refusal(text: &str) -> String {
    match parse_with(text, &[]) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_line_and_column() {
    for (text, expected) in [
        ("", "line 1, column 1: the text ends where a value of JSON should be"),
        ("{\n  \"type\": string\n}", "line 2, column 11: found 's' where a value of JSON should be"),
        ("{\"a\": 1,}", "line 1, column 9: found '}' where a key in quotes should be"),
        ("{} {}", "line 1, column 4: found '{' where the end of the text should be"),
        (
            "{\"a\": \"\u{e9}\u{e9}\\q\"}",
            "line 1, column 11: found 'q' where one of \"\\/bfnrtu after a backslash should be",
        ),
        ("{\"a\": \"\\ud800\"}", "line 1, column 10: half of a surrogate pair is no character"),
        ("{\"maximum\": 1e99999}", "line 1, column 13: the number 1e99999 is out of range"),
        ("[]", "line 1, column 1: a schema must be an object or a boolean"),
        ("{\n \"properties\": {\n  \"a\": 5}}", "line 3, column 8: a schema must be an object or a boolean"),
        ("{\n \"type\": \"strin\"}", "line 1, column 1: \"strin\" is no type of JSON"),
        (
            "{\n \"minLength\": \"3\"}",
            "line 2, column 15: '#/minLength' is not valid: the value is not of type \"integer\"",
        ),
        (
            "{\"$ref\": \"other.json\"}",
            "line 1, column 10: $ref leads to \"other.json\", which is neither in the text nor among the references; nothing \
             is fetched: register it and name it in the references",
        ),
        (
            "{\"allOf\": [{\"$ref\": \"#\"}]}",
            "line 1, column 12: the schema refers to itself without going into the data; put the reference under \
             properties or items",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn the_canonical_text_has_no_layout_and_the_normalized_one_no_meaningless_difference() {
    for (text, canonical, normalized) in [
        ("true", "true", "true"),
        (
            " { \"type\" : \"object\" ,\n\"maxProperties\":1.0}",
            "{\"type\":\"object\",\"maxProperties\":1.0}",
            "{\"maxProperties\":1,\"type\":\"object\"}",
        ),
        ("{\"enum\":[1e2,0.10,-0]}", "{\"enum\":[1e2,0.10,-0]}", "{\"enum\":[100,0.1,0]}"),
        ("{\"title\":\"\\u00e9\\/\\n\"}", "{\"title\":\"\u{e9}/\\n\"}", "{\"title\":\"\u{e9}/\\n\"}"),
        (
            "{\"title\":\"a\",\"type\":\"null\",\"title\":\"b\"}",
            "{\"title\":\"b\",\"type\":\"null\"}",
            "{\"title\":\"b\",\"type\":\"null\"}",
        ),
    ] {
        let schema = parse(text);
        assert_eq!(schema.canonical(), canonical, "{text}");
        assert_eq!(schema.normalized(), normalized, "{text}");
        assert_eq!(parse(canonical).canonical(), canonical, "{text}");
        assert_eq!(parse(normalized).normalized(), normalized, "{text}");
    }
}

#[test]
fn the_title_is_the_name() {
    assert_eq!(parse(r#"{"title":"Order"}"#).record_name(), Some("Order"));
    assert_eq!(parse("{}").record_name(), None);
}

fn model(text: &str) -> Model {
    let item = super::tree::parse(text).expect("JSON");
    let documents = Documents::new(&item, &[]).expect("short addresses");
    Loader::load(&documents, &[text]).expect("a schema").0
}

#[test]
fn references_lead_into_what_was_handed_in() {
    let line = r#"{"type":"object","properties":{"price":{"$ref":"money.json#/definitions/amount"}}}"#;
    let money = r#"{"$id":"http://else/where.json","definitions":{"amount":{"type":"number"}}}"#;
    let known: &[(&str, &str)] = &[("money.json", money), ("line.json", line)];
    for (text, references) in [
        (r#"{"items":{"$ref":"line.json"}}"#, known),
        (r#"{"$id":"http://a/b/order.json","items":{"$ref":"line.json#"}}"#, known),
        (
            r#"{"items":{"properties":{"price":{"$ref":"http://else/where.json#/definitions/amount"}}}}"#,
            known,
        ),
        (r#"{"items":{"properties":{"price":{"$ref":"money.json#/$defs/amount"}}}}"#, known),
        (r#"{"items":{"$ref":"http://a/line"}}"#, &[("http://a/money.json", money), ("http://a/line", line)]),
        (
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":{"$ref":"line.json","minProperties":1}}"#,
            known,
        ),
    ] {
        let schema = parse_with(text, references).unwrap_or_else(|error| panic!("{error}: {text}"));
        let read = |data: &'static str| {
            schema.decode(&*schema, Bytes::from_static(data.as_bytes())).map_err(|error| error.path)
        };
        assert!(read(r#"[{"price":1}]"#).is_ok(), "{text}");
        assert_eq!(read(r#"[{"price":"1"}]"#), Err("/0/price".to_owned()), "{text}");
        assert!(
            parse_with(text, &references[..1]).is_err() || text.contains("where") || text.contains("money"),
            "{text}"
        );
    }
    let changed = money.replace("number", "string");
    let text = r#"{"items":{"$ref":"line.json"}}"#;
    let old = parse_with(text, known).expect("a schema");
    let new = parse_with(text, &[("money.json", &changed), ("line.json", line)]).expect("a schema");
    let found = new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    assert_eq!(
        found.iter().map(|found| (found.kind, found.path.as_str())).collect::<Vec<_>>(),
        [("TYPE_CHANGED", "#/items/properties/price")]
    );
    assert_eq!(parse_with(text, &[("line.json", "{")]).expect_err("no JSON").position, None);
}

#[test]
fn schemas_that_were_accepted_before_stay_readable() {
    let text = r#"{"type":"object","examples":"none","properties":{"a":{"type":"string","pattern":"("}}}"#;
    assert!(parse_with(text, &[]).is_err());
    let stored = SchemaText { text, references: &[], validation: Validation::Stored };
    let stored = JsonFormat.parse(stored).expect("a stored schema");
    let reader = parse(r#"{"type":"object","properties":{"a":{"type":"string"}}}"#);
    assert_eq!(reader.incompatibilities(&*stored, Direction::NewReadsOld, CompatibilityPolicy::Strict), []);
    let unusable = stored.decode(&*stored, Bytes::from_static(b"{}")).expect_err("no validator");
    assert!(unusable.message.contains("cannot be used to check data"), "{unusable}");
}

#[test]
fn values_are_written_and_read_without_loss() {
    let field = |name: &'static str, value: Value| (bytestring::ByteString::from_static(name), value);
    let any = parse("true");
    for (value, text, back) in [
        (Value::Null, "null", None),
        (Value::Boolean(true), "true", None),
        (Value::Int8(-5), "-5", Some(Value::Int64(-5))),
        (Value::Int64(i64::MIN), "-9223372036854775808", None),
        (Value::Float32(0.1), "0.1", Some(Value::Float64(0.1))),
        (Value::Float64(0.1), "0.1", None),
        (Value::Float64(5.0), "5.0", None),
        (Value::Float64(1e300), "1e300", None),
        (Value::Float64(-0.0), "-0.0", None),
        (Value::String("a\"\n\u{e9}\u{1}".into()), "\"a\\\"\\n\u{e9}\\u0001\"", None),
        (Value::Bytes(Bytes::from_static(b"\0\xff\xfe")), "\"AP/+\"", Some(Value::String("AP/+".into()))),
        (Value::Array(vec![Value::Null, Value::Int64(1)]), "[null,1]", None),
        (
            Value::record(vec![field("b", Value::Int64(1)), field("a", Value::record(vec![]))]),
            "{\"b\":1,\"a\":{}}",
            None,
        ),
        (
            Value::Map(vec![(Value::String("k".into()), Value::Boolean(false))]),
            "{\"k\":false}",
            Some(Value::record(vec![field("k", Value::Boolean(false))])),
        ),
    ] {
        let bytes = any.encoded(None, &value).unwrap_or_else(|error| panic!("{error}: {value:?}"));
        assert_eq!(bytes, text, "{value:?}");
        assert_eq!(any.decode(&*any, bytes), Ok(back.unwrap_or(value)), "{text}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_place() {
    let schema = parse(r#"{"type":"object","properties":{"a":{"items":{"maximum":5}}},"required":["a"]}"#);
    for (data, message, path) in [
        ("{\"a\":[1,9]}", "the value is greater than the maximum of 5", "/a/1"),
        ("{}", "\"a\" is a required property", ""),
        ("{\"a\":[12345678901234567890]}", "fits neither 64 bits nor a double without loss", "/a/0"),
        ("{\"a\":[0.12345678901234567891]}", "fits neither 64 bits nor a double without loss", "/a/0"),
        ("{\"a\":", "the data is no JSON: line 1, column 6: the text ends", ""),
        ("\u{0}", "the data is no JSON", ""),
    ] {
        let error = schema.decode(&*schema, Bytes::from(data)).expect_err(data);
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.path, path, "{data}");
    }
    assert!(
        schema
            .decode(&*schema, Bytes::from_static(b"\xff"))
            .is_err_and(|error| error.message.contains("no text"))
    );
    let map = Value::record(vec![("a".into(), Value::Map(vec![(Value::Int8(1), Value::Null)]))]);
    for (value, message, path) in [
        (Value::Int64(1), "is not of type \"object\"", ""),
        (
            Value::record(vec![("a".into(), Value::Array(vec![Value::Float64(f64::NAN)]))]),
            "JSON has no number NaN",
            "/a/0",
        ),
        (map, "keys of a JSON object are strings", "/a"),
    ] {
        let error = schema.encoded(None, &value).expect_err("no such value");
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.path, path, "{error}");
    }
}

#[test]
fn messages_name_who_reads_and_forms_are_refused() {
    let (old, new) = (parse(r#"{"enum":["a","b"]}"#), parse(r#"{"enum":["a"]}"#));
    let found = new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    let message = "At '#/enum', the new schema lacks values that the old schema lists";
    assert_eq!(
        found,
        [Incompatibility {
            kind: "ENUM_ARRAY_NARROWED",
            path: "#/enum".to_owned(),
            message: message.to_owned(),
            detail: "\"b\"".to_owned(),
        }]
    );
    let found = new.incompatibilities(&*old, Direction::OldReadsNew, CompatibilityPolicy::Strict);
    assert_eq!(found[0].message, "At '#/enum', the old schema lacks values that the new schema lists");
    let (old, new) =
        (parse(r#"{"type":"string","enum":["a","b"]}"#), parse(r#"{"type":"string","enum":["a"]}"#));
    let found = new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    assert_eq!(found[0].kind, "COMBINED_TYPE_SUBSCHEMAS_CHANGED");
    assert_eq!(found[0].detail, "part 0: ENUM_ARRAY_NARROWED at #/enum");
    assert_eq!(new.render(""), Ok(new.canonical().to_owned()));
    assert!(new.render("resolved").is_err());
}

#[test]
fn references_in_equal_parts_lead_where_they_lead_in_the_first() {
    let part = r##"{"not":{"$ref":"#/definitions/number"}}"##;
    let schema =
        parse(&format!(r#"{{"allOf":[{part},{part}],"definitions":{{"number":{{"type":"number"}}}}}}"#));
    assert!(schema.decode(&*schema, Bytes::from_static(b"false")).is_ok());
    assert!(schema.decode(&*schema, Bytes::from_static(b"5")).is_err());
}
