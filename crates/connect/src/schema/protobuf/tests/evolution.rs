//! Verdicts against what decoding does: random messages evolve, and data written with one version is read with the other.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use vltava_core::testing::Random;

use super::schema;
use crate::schema::{CompatibilityPolicy, Direction, Schema};
use crate::value::Value;

const KINDS: &[&str] = &[
    "int32", "int64", "uint32", "uint64", "bool", "E", "sint32", "sint64", "fixed32", "sfixed32", "fixed64",
    "sfixed64", "float", "double", "string", "bytes", "N", "O",
];
const SCALARS: usize = 16;
const LABELS: &[&str] = &["", "optional ", "repeated "];

/// A field of the message that evolves.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: String,
    kind: &'static str,
    label: &'static str,
    /// For a map, the type of its keys.
    key: Option<&'static str>,
    oneof: Option<&'static str>,
}

type Model = BTreeMap<usize, Field>;

fn random_field(random: &mut Random, number: usize) -> Field {
    let oneof = random.once_in(3).then(|| *random.pick(&["o", "p"]));
    let key =
        (oneof.is_none() && random.once_in(8)).then(|| *random.pick(&["string", "int32", "int64", "bool"]));
    let label = if oneof.is_some() || key.is_some() { "" } else { *random.pick(LABELS) };
    Field { name: format!("f{number}"), kind: random.pick::<&str>(KINDS), label, key, oneof }
}

fn random_model(random: &mut Random) -> Model {
    (1..=1 + random.below(6)).map(|number| (number, random_field(random, number))).collect()
}

/// One to three changes, most of them small.
fn evolve(model: &Model, random: &mut Random) -> Model {
    let mut model = model.clone();
    for _ in 0..=random.below(3) {
        let number = 1 + random.below(7);
        let fresh = random_field(random, number);
        match (model.get_mut(&number), random.below(6)) {
            (None, _) => drop(model.insert(number, fresh)),
            (Some(_), 0) => drop(model.remove(&number)),
            (Some(field), 1) => field.kind = fresh.kind,
            (Some(field), 2) if field.oneof.is_none() && field.key.is_none() => {
                field.label = *random.pick(LABELS);
            }
            (Some(field), 3) => *field = Field { oneof: fresh.oneof, label: "", key: None, ..field.clone() },
            (Some(field), 4) => field.name = format!("g{number}"),
            (Some(field), _) => *field = fresh,
        }
    }
    model
}

fn text_of(model: &Model) -> String {
    let mut text = "syntax = \"proto3\"; enum E { ZERO = 0; ONE = 1; TWO = -2; } \
        message N { int32 a = 1; repeated N n = 2; } message O { string s = 1; } message M {"
        .to_owned();
    let line = |number: &usize, field: &Field| match field.key {
        Some(key) => format!("map<{key}, {}> {} = {number};", field.kind, field.name),
        None => format!("{}{} {} = {number};", field.label, field.kind, field.name),
    };
    for (number, field) in model.iter().filter(|(_, field)| field.oneof.is_none()) {
        text.push_str(&line(number, field));
    }
    for oneof in ["o", "p"] {
        let members: String = model
            .iter()
            .filter(|(_, field)| field.oneof == Some(oneof))
            .map(|(number, field)| line(number, field))
            .collect();
        if !members.is_empty() {
            write!(text, "oneof {oneof} {{ {members} }}").expect("a string");
        }
    }
    text + "}"
}

/// A value of a kind; bytes are text too, since texts are read as bytes and bytes as texts.
fn random_value(kind: &str, random: &mut Random) -> Value {
    let bits = if random.once_in(3) { random.bits() % 3 } else { random.bits() };
    let low = (bits & 0xffff_ffff) as u32;
    match kind {
        "int32" | "sint32" | "sfixed32" => Value::Int32(low.cast_signed()),
        "uint32" | "fixed32" => Value::Int64(i64::from(low)),
        "int64" | "uint64" | "sint64" | "fixed64" | "sfixed64" => Value::Int64(bits.cast_signed()),
        "bool" => Value::Boolean(bits % 2 == 1),
        "float" => Value::Float32(low as f32 / 7.0),
        "double" => Value::Float64(low as f64 / 7.0),
        "string" => Value::String(format!("é{bits}").into()),
        "bytes" => Value::Bytes(format!("b{bits}").into()),
        "E" => Value::String((*random.pick(&["ZERO", "ONE", "TWO"])).into()),
        "N" => Value::record(vec![
            ("a".into(), Value::Int32(low.cast_signed())),
            ("n".into(), Value::Array(Vec::new())),
        ]),
        _ => Value::record(vec![("s".into(), Value::String("x".into()))]),
    }
}

fn random_record(model: &Model, random: &mut Random) -> Value {
    let mut set: Vec<&str> = Vec::new();
    let mut fields = Vec::new();
    for field in model.values() {
        if field.oneof.is_some_and(|oneof| set.contains(&oneof)) || random.once_in(4) {
            continue;
        }
        set.extend(field.oneof);
        let value = match (field.key, field.label) {
            (Some(key), _) => Value::Map(vec![
                (random_value(key, random), random_value(field.kind, random));
                random.below(3)
            ]),
            (None, "repeated ") => {
                Value::Array((0..random.below(4)).map(|_| random_value(field.kind, random)).collect())
            }
            _ => random_value(field.kind, random),
        };
        fields.push((field.name.as_str().into(), value));
    }
    Value::record(fields)
}

fn written(schema: &dyn Schema, value: &Value) -> Bytes {
    schema.encoded(Some("M"), value).unwrap_or_else(|found| panic!("{found}: {value:?}"))
}

fn kinds_of(reader: &dyn Schema, writer: &dyn Schema) -> Vec<&'static str> {
    let found = reader.incompatibilities(writer, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    found.into_iter().map(|found| found.kind).collect()
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Struct(fields) = value else { return None };
    fields.get(name)
}

#[test]
fn what_is_called_compatible_can_be_read() {
    let mut compatible = 0;
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let before = random_model(&mut random);
        let after = evolve(&before, &mut random);
        let (old, new) = (schema(&text_of(&before)), schema(&text_of(&after)));
        if !kinds_of(&*new, &*old).is_empty() {
            continue;
        }
        compatible += 1;
        for _ in 0..4 {
            let value = random_record(&before, &mut random);
            let bytes = written(&*old, &value);
            let same = old.decode(&*old, bytes.clone()).expect("its own data");
            let read = new.decode(&*old, bytes).unwrap_or_else(|found| {
                panic!("seed {seed}: {found}\n{}\n{}\n{value:?}", text_of(&before), text_of(&after))
            });
            for (number, kept) in &before {
                let is_kept = kept.oneof.is_none() && after.get(number) == Some(kept);
                let (was, is) = (field(&same, &kept.name), field(&read, &kept.name));
                assert!(!is_kept || was == is, "seed {seed}, field {number}: {was:?} became {is:?}");
            }
        }
    }
    assert!((500..2_500).contains(&compatible), "{compatible} compatible pairs say little about both");
}

/// A value of each kind that would be seen to be another one if it were read wrongly.
fn telling(kind: &str) -> Value {
    match kind {
        "int32" | "sint32" | "sfixed32" => Value::Int32(-3),
        "uint32" | "fixed32" => Value::Int64(3_000_000_001),
        "int64" | "uint64" | "sint64" | "fixed64" | "sfixed64" => Value::Int64(-3_000_000_001),
        "bool" => Value::Boolean(true),
        "float" => Value::Float32(1.5),
        "double" => Value::Float64(1.5),
        "string" => Value::String("é".into()),
        "bytes" => Value::Bytes("é".into()),
        _ => Value::String("TWO".into()),
    }
}

/// Whether `read` is `written` as another type of the same group shows it: cut to its width.
fn shows(read: &Value, written: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        Value::Boolean(truth) => Some(i64::from(*truth)),
        Value::String(name) if **name == *"TWO" => Some(-2),
        Value::String(name) if **name == *"ONE" => Some(1),
        _ => None,
    };
    let bytes = |value: &Value| match value {
        Value::String(text) => Some(text.as_bytes().clone()),
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    match (number(read), number(written)) {
        (Some(read_number), Some(number)) => match read {
            Value::Boolean(truth) => *truth == (number != 0),
            _ => read_number & 0xffff_ffff == number & 0xffff_ffff,
        },
        (None, None) => read == written || (bytes(read).is_some() && bytes(read) == bytes(written)),
        _ => false,
    }
}

#[test]
fn the_verdict_on_two_scalars_is_what_reading_shows() {
    for before in &KINDS[..SCALARS] {
        let text = |kind: &str| {
            format!(
                "syntax = \"proto3\"; enum E {{ ZERO = 0; ONE = 1; TWO = -2; }} message M {{ {kind} a = 1; }}"
            )
        };
        let old = schema(&text(before));
        let value = telling(before);
        let bytes = written(&*old, &Value::record(vec![("a".into(), value.clone())]));
        for after in &KINDS[..SCALARS] {
            // Whether it is zero is all that a number shows as a truth, in whatever way it was written.
            if *after == "bool" && before.starts_with("sint") {
                continue;
            }
            let new = schema(&text(after));
            let read = new.decode(&*old, bytes.clone()).ok().and_then(|read| field(&read, "a").cloned());
            let is_compatible = kinds_of(&*new, &*old).is_empty();
            let is_read = read.as_ref().is_some_and(|read| shows(read, &value));
            assert_eq!(is_compatible, is_read, "{before} to {after}: {value:?} became {read:?}");
        }
    }
}

#[test]
fn the_verdict_on_labels_is_what_reading_shows() {
    for kind in &KINDS[..SCALARS] {
        for (before, after) in
            [("", "repeated "), ("repeated ", ""), ("", "optional "), ("optional ", "repeated ")]
        {
            let text = |label: &str| {
                schema(&format!(
                    "syntax = \"proto3\"; enum E {{ ZERO = 0; ONE = 1; TWO = -2; }} message M {{ {label}{kind} a = 1; }}"
                ))
            };
            let (old, new) = (text(before), text(after));
            let value = if before == "repeated " {
                Value::Array(vec![telling(kind), telling(kind)])
            } else {
                telling(kind)
            };
            let bytes = written(&*old, &Value::record(vec![("a".into(), value)]));
            let read = new.decode(&*old, bytes).is_ok();
            let both = kinds_of(&*new, &*old).is_empty();
            assert!(read || !both, "{kind}: {before:?} to {after:?}");
            let must_fail = before == "repeated " && !matches!(*kind, "string" | "bytes");
            assert_eq!(read, !must_fail, "{kind}: {before:?} to {after:?}");
        }
    }
}
