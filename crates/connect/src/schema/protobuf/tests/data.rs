//! Values as bytes and back.

use bytes::Bytes;

use super::{parse_with, schema};
use crate::schema::Schema;
use crate::value::Value;

/// A struct of these fields.
fn record(fields: &[(&str, Value)]) -> Value {
    Value::Struct(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// Checks the bytes of a value, and that they are read as `read`.
#[track_caller]
fn check(schema: &dyn Schema, type_name: Option<&str>, value: &Value, bytes: &[u8], read: &Value) {
    let written = schema.encoded(type_name, value).expect("a value that fits");
    assert_eq!(&written[..], bytes);
    assert_eq!(schema.decode(schema, written).expect("what was written"), *read);
}

const SCALARS: &str = r#"syntax = "proto3";
package p;
message M {
  int32 a = 1; sint32 b = 2; uint32 c = 3; fixed32 d = 4; sfixed32 e = 5;
  int64 f = 6; sint64 g = 7; uint64 h = 8; fixed64 i = 9; sfixed64 j = 10;
  float k = 11; double l = 12; bool m = 13; string n = 14; bytes o = 15; E p = 16;
}
enum E { ZERO = 0; ONE = 1; }
"#;

#[test]
fn scalars_are_written_as_the_language_says() {
    let schema = schema(SCALARS);
    let value = record(&[
        ("a", Value::Int32(-1)),
        ("b", Value::Int32(-1)),
        ("c", Value::Int64(4_294_967_295)),
        ("d", Value::Int64(1)),
        ("e", Value::Int32(-2)),
        ("f", Value::Int64(300)),
        ("g", Value::Int64(i64::MIN)),
        ("h", Value::Int64(-1)),
        ("i", Value::Int64(1)),
        ("j", Value::Int64(-1)),
        ("k", Value::Float32(1.5)),
        ("l", Value::Float64(-2.5)),
        ("m", Value::Boolean(true)),
        ("n", text("é")),
        ("o", Value::Bytes(Bytes::from_static(&[0, 255]))),
        ("p", text("ONE")),
    ]);
    let mut bytes = vec![0];
    bytes.extend([0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x10, 1]);
    bytes.extend([0x18, 255, 255, 255, 255, 15, 0x25, 1, 0, 0, 0, 0x2d, 254, 255, 255, 255]);
    bytes.extend([0x30, 0xac, 2, 0x38, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    bytes.extend([0x40, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    bytes.extend([0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0x51, 255, 255, 255, 255, 255, 255, 255, 255]);
    bytes.extend([0x5d, 0, 0, 0xc0, 0x3f, 0x61, 0, 0, 0, 0, 0, 0, 4, 0xc0]);
    bytes.extend([0x68, 1, 0x72, 2, 0xc3, 0xa9, 0x7a, 2, 0, 255, 0x80, 1, 1]);
    check(&*schema, None, &value, &bytes, &value);
}

#[test]
fn absent_fields_are_zero_or_nothing() {
    let schema = schema(
        r#"syntax = "proto3";
        message M { int32 i = 1; optional int32 o = 2; M m = 3; repeated M r = 4; map<string, M> s = 5; E e = 6; }
        enum E { ZERO = 0; }"#,
    );
    let read = record(&[
        ("i", Value::Int32(0)),
        ("o", Value::Null),
        ("m", Value::Null),
        ("r", Value::Array(Vec::new())),
        ("s", Value::Map(Vec::new())),
        ("e", text("ZERO")),
    ]);
    check(&*schema, None, &record(&[]), &[0], &read);
    check(&*schema, None, &read, &[0], &read);
}

#[test]
fn a_selector_names_the_message() {
    let schema = schema(
        r#"syntax = "proto3";
        package p;
        message A { map<string, int32> m = 1; message B { message C { int32 i = 1; } } }
        message D { int32 i = 1; }"#,
    );
    let one = record(&[("i", Value::Int32(1))]);
    check(&*schema, Some("p.D"), &one, &[2, 2, 8, 1], &one);
    // The map entry of A is its first message.
    check(&*schema, Some("p.A.B.C"), &one, &[6, 0, 2, 0, 8, 1], &one);
    assert_eq!(schema.encoded(Some("p.A"), &record(&[])).expect("a message")[..], [0]);
    assert_eq!(schema.record_name(), Some("p.A"));
    assert!(schema.encoded(Some("p.A.MEntry"), &record(&[])).is_err());
    assert!(schema.encoded(Some("p.E"), &record(&[])).is_err());
    // The long form of [0] is read as well.
    assert!(schema.decode(&*schema, Bytes::from_static(&[2, 0])).is_ok());
    for bad in [&[][..], &[4, 0], &[1], &[2, 1], &[2, 8], &[6, 0, 2, 8], &[255, 255]] {
        assert!(schema.decode(&*schema, Bytes::from_static(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn canonical_texts_keep_the_place_of_messages() {
    let text = r#"syntax = "proto3";
        message A { message First {} map<string, int32> m = 1; message Second { int32 i = 1; } map<int32, int32> n = 2;
        message Third { int32 i = 1; } }"#;
    let written = schema(text);
    for other in
        [written.canonical().to_owned(), written.normalized(), written.render("serialized").expect("known")]
    {
        let read = schema(&other);
        for name in ["A.First", "A.Second", "A.Third"] {
            let encoded = written.encoded(Some(name), &record(&[])).expect("a message");
            assert_eq!(
                read.encoded(Some(name), &record(&[])).expect("a message"),
                encoded,
                "{name} in {other}"
            );
        }
    }
}

#[test]
fn structures_are_read_as_they_were_written() {
    let schema = parse_with(
        r#"syntax = "proto3";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        message M {
          repeated int32 packed = 1;
          repeated int32 loose = 2 [packed = false];
          map<string, M> map = 3;
          oneof choice { string s = 4; M m = 5; int32 i = 6; }
          google.protobuf.Timestamp at = 7;
          google.protobuf.StringValue maybe = 8;
          repeated E e = 9;
        }
        enum E { ZERO = 0; ONE = 1; }"#,
        &[],
    )
    .expect("a schema");
    let empty = schema.decode(&*schema, Bytes::from_static(&[0])).expect("an empty message");
    let with = |changes: &[(&str, Value)]| {
        let Value::Struct(mut fields) = empty.clone() else { panic!("a struct") };
        for (name, value) in changes {
            let place = fields.names().iter().position(|field| field == name).expect("a field");
            fields.values_mut()[place] = value.clone();
        }
        Value::Struct(fields)
    };
    let numbers = Value::Array(vec![Value::Int32(1), Value::Int32(300)]);
    let value = with(&[("packed", numbers.clone()), ("loose", numbers)]);
    check(&*schema, None, &value, &[0, 0x0a, 3, 1, 0xac, 2, 0x10, 1, 0x10, 0xac, 2], &value);
    let map = Value::Map(vec![(text("b"), empty.clone()), (text("a"), with(&[("i", Value::Int32(0))]))]);
    let value = with(&[("map", map)]);
    check(
        &*schema,
        None,
        &value,
        &[0, 0x1a, 5, 0x0a, 1, b'b', 0x12, 0, 0x1a, 7, 0x0a, 1, b'a', 0x12, 2, 0x30, 0],
        &value,
    );
    let value = with(&[
        ("at", record(&[("seconds", Value::Int64(1)), ("nanos", Value::Int32(2))])),
        ("maybe", record(&[("value", text(""))])),
        ("e", Value::Array(vec![text("ONE"), Value::Int32(7)])),
    ]);
    check(&*schema, None, &value, &[0, 0x3a, 4, 8, 1, 16, 2, 0x42, 0, 0x4a, 2, 1, 7], &value);
    // Of a oneof the last one counts; what is written twice is merged; unknown fields are skipped.
    let read = |bytes: &'static [u8]| schema.decode(&*schema, Bytes::from_static(bytes)).expect("a message");
    assert_eq!(read(&[0, 0x22, 1, b'x', 0x30, 5]), with(&[("i", Value::Int32(5))]));
    let at = record(&[("seconds", Value::Int64(1)), ("nanos", Value::Int32(2))]);
    assert_eq!(read(&[0, 0x3a, 2, 8, 1, 0x3a, 2, 16, 2]), with(&[("at", at)]));
    assert_eq!(read(&[0, 0xa2, 6, 1, 0, 0xa3, 6, 8, 1, 0xa4, 6, 0xa5, 6, 0, 0, 0, 0]), empty);
    assert_eq!(
        read(&[0, 8, 1, 0x0a, 1, 2]),
        with(&[("packed", Value::Array(vec![Value::Int32(1), Value::Int32(2)]))])
    );
}

#[test]
fn proto2_has_groups_and_required_fields() {
    let schema = schema(
        r#"syntax = "proto2";
        message M { required int32 r = 1; optional group G = 2 { optional int32 i = 3; } optional string s = 4 [default = "d"]; }"#,
    );
    let value =
        record(&[("r", Value::Int32(0)), ("g", record(&[("i", Value::Int32(1))])), ("s", Value::Null)]);
    check(&*schema, None, &value, &[0, 8, 0, 0x13, 0x18, 1, 0x14], &value);
    assert!(schema.encoded(None, &record(&[])).is_err());
    assert!(schema.decode(&*schema, Bytes::from_static(&[0])).is_err());
    assert!(schema.decode(&*schema, Bytes::from_static(&[0, 8, 0, 0x13])).is_err());
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_place() {
    let schema = schema(
        r#"syntax = "proto3";
        message M { int32 i = 1; repeated M r = 2; map<string, M> m = 3; oneof o { int32 a = 4; int32 b = 5; } E e = 6; uint32 u = 7; }
        enum E { ZERO = 0; }"#,
    );
    let nested = |value: Value| record(&[("r", Value::Array(vec![record(&[]), record(&[("i", value)])]))]);
    for (value, path) in [
        (Value::Int32(1), ""),
        (record(&[("x", Value::Null)]), ""),
        (record(&[("i", text("1"))]), "/i"),
        (record(&[("i", Value::Int64(1 << 31))]), "/i"),
        (record(&[("u", Value::Int32(-1))]), "/u"),
        (nested(Value::Boolean(true)), "/r/1/i"),
        (record(&[("r", record(&[]))]), "/r"),
        (record(&[("m", Value::Map(vec![(Value::Int32(1), record(&[]))]))]), "/m/0"),
        (record(&[("m", Value::Map(vec![(text(""), Value::Null)]))]), "/m/0"),
        (record(&[("a", Value::Int32(1)), ("b", Value::Int32(0))]), ""),
        (record(&[("e", text("ONE"))]), "/e"),
    ] {
        let found = schema.encoded(None, &value).expect_err("a value that does not fit");
        assert_eq!(found.path, path, "{value:?}: {found}");
    }
}
