use super::plugins;
use crate::notation::literal;
use crate::notation::text::display;
use crate::plugins::Plugins;
use crate::record::{
    ConnectSchema, Coordinates, DATE, Datum, Field, Header, Origin, Record, TIMESTAMP, TimestampType, Type,
};
use crate::settings::Config;
use crate::value::Value;

fn all() -> Plugins {
    let mut all = Plugins::default();
    plugins().into_iter().for_each(|row| all.add(row));
    all
}

fn config(given: &[(&str, &str)]) -> Config {
    given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn record(value: Datum) -> Record {
    Record {
        topic: "topic-1".into(),
        partition: Some(3),
        key: Datum::default(),
        value,
        timestamp: Some(1_795_187_045_006),
        headers: vec![Header { name: "h".into(), value: literal::parse("1") }],
        origin: Origin::Topic(Coordinates {
            topic: "topic-1".into(),
            partition: 3,
            offset: 42,
            timestamp_type: TimestampType::CreateTime,
        }),
    }
}

fn field(name: &'static str, schema: ConnectSchema) -> Field {
    Field { name: name.into(), schema: schema.into() }
}

/// A struct with a number, a text with a default, a moment and a struct.
fn structured() -> Datum {
    let mut text = ConnectSchema::new(Type::String).optional();
    text.default = Some(Value::String("none".into()));
    let inner = Type::Struct(vec![
        field("c", ConnectSchema::new(Type::Int8)),
        field("d.e", ConnectSchema::new(Type::Boolean)),
    ]);
    let fields = vec![
        field("a", ConnectSchema::new(Type::Int32)),
        field("b", text),
        field("t", ConnectSchema::new(Type::Int64).named(TIMESTAMP)),
        field("s", ConnectSchema::new(inner)),
    ];
    let inner = Value::record(vec![("c".into(), Value::Int8(5)), ("d.e".into(), Value::Boolean(true))]);
    let value = Value::record(vec![
        ("a".into(), Value::Int32(300)),
        ("b".into(), Value::Null),
        ("t".into(), Value::Int64(86_400_000)),
        ("s".into(), inner),
    ]);
    Datum { schema: Some(ConnectSchema::new(Type::Struct(fields)).named("name").into()), value }
}

fn mapped() -> Datum {
    let entry = |name: &'static str, value: Value| (Value::String(name.into()), value);
    let inner = Value::Map(vec![entry("c", Value::Int8(5)), entry("d.e", Value::Boolean(true))]);
    Datum::schemaless(Value::Map(vec![
        entry("a", Value::Int32(300)),
        entry("b", Value::String("x".into())),
        entry("s", inner),
    ]))
}

/// What a transform makes of a value: topic, key, value and headers, or the error.
fn outcome(class: &str, given: &[(&str, &str)], value: Datum) -> String {
    let all = all();
    let factory = all.transform(class).unwrap_or_else(|| panic!("{class}"));
    let made = factory.settings().values(&config(given)).and_then(|values| factory.make(&values));
    let mut made = match made {
        Ok(made) => made,
        Err(error) => return error.message,
    };
    let before = record(value);
    match made.apply(before.clone()) {
        Ok(None) => "dropped".to_owned(),
        Ok(Some(after)) => {
            let shown = |datum: &Datum| display(datum.schema.as_deref(), &datum.value);
            let mut parts = Vec::new();
            if after.topic != before.topic {
                parts.push(format!("topic {}", after.topic));
            }
            if after.key != before.key {
                parts.push(format!("key {}", shown(&after.key)));
            }
            if after.value != before.value {
                parts.push(shown(&after.value));
            }
            for header in after.headers.iter().filter(|header| !before.headers.contains(header)) {
                parts.push(format!("header {}={}", header.name, shown(&header.value)));
            }
            if after.headers.is_empty() {
                parts.push("no headers".to_owned());
            }
            parts.join(" ")
        }
        Err(error) => error.message,
    }
}

/// A class, its settings, and what becomes of a struct and of a map.
type Transformed = (&'static str, Vec<(&'static str, &'static str)>, String, &'static str);

#[test]
fn structs_and_maps_are_transformed() {
    let day = "t=Fri Jan 02 00:00:00 UTC 1970";
    let inner = "s=Struct{c=5,d.e=true}";
    let cases: Vec<Transformed> = vec![
        ("Cast$Value", vec![("spec", "a:int8, t:string")], format!("Struct{{a=44,b=none,t=1970-01-02,{inner}}}"), "Value (x) was out of range for requested data type"),
        ("Cast$Value", vec![("spec", "s:int8")], "Cast transformation does not support casting from STRUCT; supported types are [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]".to_owned(), "Cast transformation does not support casting from MAP; supported types are [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]"),
        ("ExtractField$Value", vec![("field", "a")], "300".to_owned(), "300"),
        ("ExtractField$Value", vec![("field", "s.`d.e`"), ("field.syntax.version", "v2")], "true".to_owned(), "true"),
        ("ExtractField$Value", vec![("field", "s.c")], "Unknown field: s.c".to_owned(), "null"),
        ("Flatten$Value", vec![("delimiter", "_")], format!("Struct{{a=300,b=none,{day},s_c=5,s_d.e=true}}"), "{a=300, b=x, s_c=5, s_d.e=true}"),
        ("HeaderFrom$Value", vec![("fields", "a"), ("headers", "x"), ("operation", "move")], format!("Struct{{b=none,{day},{inner}}} header x=300"), "{b=x, s={c=5, d.e=true}} header x=300"),
        ("HeaderFrom$Value", vec![("fields", "b"), ("headers", "x"), ("operation", "copy")], "header x=none".to_owned(), "header x=x"),
        ("HoistField$Value", vec![("field", "f")], format!("Struct{{f=Struct{{a=300,{day},{inner}}}}}"), "{f={a=300, b=x, s={c=5, d.e=true}}}"),
        ("InsertField$Value", vec![("topic.field", "n!"), ("offset.field", "o")], format!("Struct{{a=300,b=none,{day},{inner},n=topic-1,o=42}}"), "{a=300, b=x, s={c=5, d.e=true}, n=topic-1, o=42}"),
        ("InsertField$Value", vec![("static.field", "a"), ("static.value", "v")], "Cannot create field because of field name duplication a".to_owned(), "{a=v, b=x, s={c=5, d.e=true}}"),
        ("MaskField$Value", vec![("fields", "a,b")], format!("Struct{{a=0,b=,{day},{inner}}}"), "{a=0, b=, s={c=5, d.e=true}}"),
        ("MaskField$Value", vec![("fields", "a"), ("replacement", "70000")], format!("Struct{{a=70000,b=none,{day},{inner}}}"), "{a=70000, b=x, s={c=5, d.e=true}}"),
        ("MaskField$Value", vec![("fields", "a"), ("replacement", "x")], "Unable to convert x (class java.lang.String) to a number".to_owned(), "Unable to convert x (class java.lang.String) to a number"),
        ("ReplaceField$Value", vec![("exclude", "t,s"), ("renames", "a:z")], "Struct{z=300,b=none}".to_owned(), "{z=300, b=x}"),
        ("ReplaceField$Value", vec![("include", "b"), ("replace.null.with.default", "false")], "Struct{}".to_owned(), "{b=x}"),
        ("TimestampConverter$Value", vec![("field", "t"), ("target.type", "unix"), ("unix.precision", "seconds")], format!("Struct{{a=300,b=none,t=86400,{inner}}}"), "{a=300, b=x, s={c=5, d.e=true}, t=null}"),
        ("TimestampConverter$Value", vec![("field", "a"), ("target.type", "Date")], "Schema Schema{INT32} does not correspond to a known timestamp type format".to_owned(), "TimestampConverter does not support class java.lang.Integer objects as timestamps"),
        ("ValueToKey", vec![("fields", "b,a")], "key Struct{b=none,a=300}".to_owned(), "key {b=x, a=300}"),
        ("ValueToKey", vec![("fields", "q")], "Field does not exist: q".to_owned(), "key {q=null}"),
        ("SetSchemaMetadata$Value", vec![("schema.name", "other")], format!("Struct{{a=300,b=none,{day},{inner}}}"), "Schema required for [updating schema metadata]"),
        ("InsertHeader", vec![("header", "x"), ("value.literal", "[1, 2]")], "header x=[1, 2]".to_owned(), "header x=[1, 2]"),
        ("DropHeaders", vec![("headers", "h")], "no headers".to_owned(), "no headers"),
        ("RegexRouter", vec![("regex", "(.*)-(\\d)"), ("replacement", "$2_$1")], "topic 1_topic".to_owned(), "topic 1_topic"),
        ("TimestampRouter", vec![], "topic topic-1-20261120".to_owned(), "topic topic-1-20261120"),
        ("Filter", vec![], "dropped".to_owned(), "dropped"),
        ("FilterByExpression", vec![("condition", "value.a == 300")], String::new(), ""),
        ("FilterByExpression", vec![("condition", "value.a > 300")], "dropped".to_owned(), "dropped"),
    ];
    for (class, settings, of_struct, of_map) in cases {
        assert_eq!(outcome(class, &settings, structured()), of_struct, "{class} {settings:?} of a struct");
        if of_map.starts_with("Value (x)") {
            let text =
                Datum::schemaless(Value::Map(vec![(Value::String("a".into()), Value::String("x".into()))]));
            assert_eq!(outcome(class, &settings, text), of_map);
            continue;
        }
        assert_eq!(outcome(class, &settings, mapped()), of_map, "{class} {settings:?} of a map");
    }
}

#[test]
fn whole_values_are_transformed() {
    let text = |text: &'static str| Datum::text(text);
    let date =
        || Datum { schema: Some(ConnectSchema::new(Type::Int32).named(DATE).into()), value: Value::Int32(1) };
    let cases = [
        ("Cast$Value", vec![("spec", "int64")], text("12"), "12"),
        ("Cast$Value", vec![("spec", "boolean")], text("TRUE"), "true"),
        ("Cast$Value", vec![("spec", "float64")], text(" 1.5f "), "1.5"),
        ("Cast$Value", vec![("spec", "string")], date(), "1970-01-02"),
        ("Cast$Value", vec![("spec", "int8")], Datum::schemaless(Value::Float64(300.7)), "44"),
        (
            "Cast$Value",
            vec![("spec", "int8")],
            Datum::bytes(&b"a"[..]),
            "Unexpected type in Cast transformation: class [B",
        ),
        (
            "TimestampConverter$Value",
            vec![("target.type", "Timestamp"), ("format", "yyyy-MM-dd")],
            text("1970-01-02"),
            "Fri Jan 02 00:00:00 UTC 1970",
        ),
        (
            "TimestampConverter$Value",
            vec![("target.type", "unix"), ("format", "yyyy")],
            text("x"),
            "Could not parse timestamp: value (x) does not match pattern (yyyy)",
        ),
        (
            "TimestampConverter$Value",
            vec![("target.type", "string"), ("format", "dd.MM.yyyy")],
            date(),
            "02.01.1970",
        ),
        (
            "ExtractField$Value",
            vec![("field", "a")],
            text("x"),
            "Only Struct objects supported for [field extraction], found: java.lang.String",
        ),
        (
            "Flatten$Value",
            vec![],
            Datum::schemaless(Value::Int8(1)),
            "Only Map objects supported in absence of schema for [flattening], found: java.lang.Byte",
        ),
    ];
    for (class, settings, value, expected) in cases {
        assert_eq!(outcome(class, &settings, value), expected, "{class} {settings:?}");
    }
}

#[test]
fn settings_are_checked() {
    let cases = [
        ("Cast$Value", vec![("spec", "a:foo")], "Invalid type found in casting spec: foo"),
        ("Cast$Value", vec![("spec", "int8,int16")], "may only specify a single cast"),
        (
            "HeaderFrom$Key",
            vec![("fields", "a"), ("headers", "a,b"), ("operation", "move")],
            "'fields' config must have the same number of elements as 'headers' config.",
        ),
        (
            "HeaderFrom$Key",
            vec![("fields", "a"), ("headers", "a"), ("operation", "x")],
            "String must be one of: move, copy",
        ),
        ("InsertField$Key", vec![], "No field insertion configured"),
        ("ReplaceField$Key", vec![("renames", "a")], "Invalid rename mapping: a"),
        ("RegexRouter", vec![("regex", "("), ("replacement", "")], "Invalid regex: "),
        ("SetSchemaMetadata$Key", vec![], "Neither schema name nor version configured"),
        ("TimestampConverter$Key", vec![("target.type", "string")], "requires format option"),
        (
            "TimestampConverter$Key",
            vec![("target.type", "string"), ("format", "b")],
            "SimpleDateFormat-compatible pattern",
        ),
        (
            "ExtractField$Key",
            vec![("field", "`a"), ("field.syntax.version", "V2")],
            "Incomplete backtick pair in path: [`a]",
        ),
        ("FilterByExpression", vec![("condition", "what")], "is expected at byte 0"),
    ];
    for (class, settings, expected) in cases {
        let found = outcome(class, &settings, structured());
        assert!(found.contains(expected), "{class} {settings:?}: {found}");
    }
}

#[test]
fn predicates_hold_or_not() {
    let cases = [
        ("HasHeaderKey", vec![("name", "h")], true),
        ("HasHeaderKey", vec![("name", "x")], false),
        ("RecordIsTombstone", vec![], false),
        ("TopicNameMatches", vec![("pattern", "topic-\\d+")], true),
        ("TopicNameMatches", vec![("pattern", "topic")], false),
    ];
    let all = all();
    for (class, settings, holds) in cases {
        let factory = all.predicate(class).expect("a predicate");
        let values = factory.settings().values(&config(&settings)).expect("settings");
        let mut made = factory.make(&values).expect("settings fit");
        assert_eq!(made.test(&record(mapped())).expect("no error"), holds, "{class} {settings:?}");
    }
}
