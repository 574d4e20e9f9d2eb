//! Texts and bytes that want to do harm: no panic, no overflow of the stack, bounded time and memory.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
};
use vltava_core::testing::Random;

use super::{parse, parse_with, schema};
use crate::schema::protobuf::{IMPORTS_MAX, NESTING_MAX, ProtobufFormat, RANGES_MAX, TEXT_BYTES_MAX};
use crate::schema::{Schema, SchemaFormat, SchemaText, Validation};
use crate::value::Value;

#[track_caller]
fn check_refused(text: &str, reason: &str) {
    let found = parse(text).expect_err(reason);
    assert!(found.to_string().contains(reason), "{found}");
    assert!(found.to_string().len() < 2_000, "{found}");
}

#[test]
fn nesting_is_limited() {
    for (open, close) in [
        ("message M { ", "}"),
        ("option (a) = { a ", "}"),
        ("option (a) = { a: [", "]"),
        ("option (a) = { a <", ">"),
        ("(", ")"),
        ("message M { oneof o { group G = 1 { ", "}}}"),
    ] {
        for depth in [NESTING_MAX + 1, 20_000] {
            let head = "syntax = \"proto2\";";
            check_refused(
                &format!("{head}{}{}", open.repeat(depth), close.repeat(depth)),
                "brackets are open",
            );
        }
        let bearable = NESTING_MAX / 3;
        let _ = parse(&format!("{}{}", open.repeat(bearable), close.repeat(bearable)));
    }
    // Brackets in strings and comments are none.
    let text = format!(
        "// {}\n/* {} */ option java_package = \"{}\";",
        "{".repeat(99),
        "[".repeat(99),
        "(".repeat(99)
    );
    assert!(parse(&text).is_ok());
    // Neither do strings and comments that do not end hide any.
    for start in ["\"", "'\n", "/*", "//\n", "# '\n", "\"\\"] {
        assert!(parse(&format!("{start}{}", "{".repeat(50_000))).is_err());
    }
}

#[test]
fn sizes_are_limited() {
    check_refused(&"/".repeat(TEXT_BYTES_MAX + 1), "more than");
    check_refused(&"x".repeat(TEXT_BYTES_MAX), "");
    let half = "x".repeat(TEXT_BYTES_MAX / 2);
    check_refused(&format!("package {half}; message M {{ optional M m = 1; }}"), "full name");
    check_refused(&format!("message M {{ optional int32 {half} = 1; }}"), "full name");
    let many: Vec<(String, String)> = (0..=IMPORTS_MAX).map(|n| (n.to_string(), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(parse_with("message M {}", &many).is_err());
    let ranges: Vec<String> = (1..=RANGES_MAX + 1).map(|number| (number * 2).to_string()).collect();
    check_refused(&format!("message M {{ reserved {}; }}", ranges.join(",")), "ranges");
    let values = |count: i32| {
        (0..count).map(|number| format!("A{number}={};reserved {};", number * 2, number * 2 + 1))
    };
    check_refused(
        &format!("enum E {{ {} }}", values(6_000).collect::<String>()),
        "reserved ranges for 6000 values",
    );
    assert!(parse(&format!("enum E {{ {} }}", values(1_000).collect::<String>())).is_ok());
}

#[test]
fn imports_are_resolved_without_recursion() {
    let chain: Vec<(String, String)> = (0..IMPORTS_MAX)
        .map(|n| (format!("{n}.proto"), format!("import public \"{}.proto\"; message M{n} {{}}", n + 1)))
        .chain([(format!("{IMPORTS_MAX}.proto"), String::new())])
        .skip(1)
        .collect();
    let chain: Vec<(&str, &str)> = chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let text = "import \"1.proto\"; message M { optional M400 m = 1; }";
    parse_with(text, &chain).unwrap_or_else(|found| panic!("{found}"));
    // Every file imports all that come after it, publicly: as many ways as there are sets of files.
    let many: Vec<(String, String)> = (0..60)
        .map(|n| {
            let imports: String = (n + 1..60).map(|m| format!("import public \"{m}.proto\";")).collect();
            (format!("{n}.proto"), imports + &format!("message M{n} {{}}"))
        })
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let parsed =
        parse_with("import public \"0.proto\"; message M { optional M59 m = 1; }", &many).expect("a schema");
    let again = parse_with(&parsed.render("serialized").expect("a known form"), &many).expect("a schema");
    assert_eq!(again.normalized(), parsed.normalized());
    assert!(
        parsed.normalized().starts_with("import public \"0.proto\";\n\nmessage"),
        "{}",
        parsed.normalized()
    );
    let circle = [("a", "import \"b\";"), ("b", "import \"a\";")];
    let found = parse_with("import \"a\";", &circle).expect_err("a circle");
    assert!(found.message.contains("circle"), "{found}");
    let found = parse_with("import \"a\";", &[("a", "message {")]).expect_err("a bad import");
    assert!(found.message.contains("\"a\""), "{found}");
    assert!(parse_with("import \"default\";", &[("default", "message M {}")]).is_ok());
}

/// What an eighth of the largest text may take, in a build that is not optimised on a machine with other work.
const HUGE_TEXT_TIME_MAX: Duration = Duration::from_secs(60);

/// Much of each kind of thing is parsed, printed and compared in a time that is not felt.
#[test]
fn huge_texts_take_bounded_time() {
    let lines = |head: &str, foot: &str, line: &dyn Fn(usize) -> String| {
        let mut text = format!("syntax = \"proto2\"; {head}");
        let mut n = 1;
        while text.len() < TEXT_BYTES_MAX / 8 {
            text.push_str(&line(n));
            n += 1;
        }
        text + foot
    };
    let texts = [
        lines("message M {", "}", &|n| format!("optional int32 f{n}={n};")),
        lines("message M {", "}", &|n| format!("optional group G{n}={n}{{}}")),
        lines("message M {", "}", &|n| format!("map<int32,int32>m{n}={n};")),
        lines("message M {", "}", &|n| format!("oneof o{n}{{int32 f{n}={n};}}")),
        lines("message M {", "}", &|n| format!("message N{n}{{}}")),
        lines("", "", &|n| format!("message N{n}{{optional N{n} a=1;}}")),
        lines("", "", &|n| format!("message N{n}{{enum E{{Z{n}=0;}}}}")),
        lines("enum E {", "}", &|n| format!("A{n}={n};")),
        lines("enum E { A = 0; ", "}", &|n| format!("reserved {}; ", n + 1)),
        lines("message M {", "}", &|n| format!("optional int32 f{n}={n}[deprecated=true];")),
        lines("message M { extensions 1 to max; }", "", &|n| format!("extend M{{optional int32 f{n}={n};}}")),
        lines("message M {}", "", &|n| format!("service S{n}{{rpc C(M)returns(M);}}")),
    ];
    for text in texts {
        let start = Instant::now();
        let parsed = schema(&text);
        let again = schema(parsed.canonical());
        assert_eq!(again.canonical(), parsed.canonical());
        assert!(!parsed.normalized().is_empty());
        assert!(compared(&*parsed, &*again));
        let elapsed = start.elapsed();
        assert!(elapsed < HUGE_TEXT_TIME_MAX, "{elapsed:?} for {:?}", &text[..90]);
    }
}

fn compared(a: &dyn Schema, b: &dyn Schema) -> bool {
    use crate::schema::{CompatibilityPolicy, Direction};
    a.incompatibilities(b, Direction::NewReadsOld, CompatibilityPolicy::Strict).is_empty()
}

#[test]
fn many_errors_take_bounded_time() {
    let start = Instant::now();
    let mut text = "message M {".to_owned();
    for n in 1.. {
        text.push_str(&format!("optional X f{n} = {n} [x = 1];"));
        if text.len() > TEXT_BYTES_MAX - 100 {
            break;
        }
    }
    check_refused(&(text + "}"), "'X' is not defined");
    assert!(start.elapsed() < HUGE_TEXT_TIME_MAX, "{:?}", start.elapsed());
}

const CORPUS: &[&str] = &[
    r#"syntax = "proto3"; package a.b; import "google/protobuf/timestamp.proto"; import "confluent/meta.proto";
    option (confluent.file_meta).doc = "d"; option java_package = "x";
    message M { reserved 5, 7 to 9; reserved "x"; string s = 1 [(confluent.field_meta) = { tags: ["PII", 'x'] params { key: "k" value: "v" } }];
    optional int32 i = 2 [deprecated = true, json_name = "j"]; map<string, M> m = 3; oneof o { N n = 4; E e = 6; }
    message N { repeated google.protobuf.Timestamp t = 1; } enum E { Z = 0; A = -1; } }
    service S { rpc C (stream M) returns (M) { option idempotency_level = IDEMPOTENT; } }"#,
    r#"syntax = "proto2"; message M { required double d = 1 [default = -1.5e3]; optional group G = 2 { optional bytes b = 3 [default = "\x01\377"]; }
    extensions 100 to max; extend M { optional M x = 100; } repeated sint32 p = 4 [packed = true]; optional E e = 5 [default = B]; }
    enum E { option allow_alias = true; A = 1; B = 1; reserved 2 to max; }"#,
];

/// Replaces, removes, doubles or swaps some of `bytes`.
fn mutate(bytes: &mut Vec<u8>, words: &[&str], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(4) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            2 if at < bytes.len() => bytes[at] = random.bits().to_le_bytes()[0],
            _ => drop(bytes.splice(at..at, random.pick(words).bytes())),
        }
    }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "(",
    ")",
    ";",
    "=",
    ":",
    ",",
    ".",
    "-",
    "\"",
    "'",
    "\\",
    "/*",
    "//",
    "#",
    "0",
    "-1",
    "1e999",
    "536870911",
    "18446744073709551615",
    "message M",
    "enum E",
    "oneof o",
    "option",
    "extend",
    "group",
    "map<",
    "repeated ",
    "optional ",
    "required ",
    "reserved ",
    "extensions ",
    "to max",
    "import",
    "package",
    "option map_entry = true;",
    "inf",
    "é",
    "google.protobuf.Timestamp",
    ".a.b.M",
    "syntax = \"proto2\";",
    "default",
    "json_name",
];

/// What must hold of any text that is a schema.
fn check_sound(parsed: &dyn Schema) {
    let canonical = parsed.canonical();
    let again = parse(canonical).unwrap_or_else(|found| panic!("{found}\n{canonical}"));
    assert_eq!(again.canonical(), canonical);
    assert!(compared(parsed, &*again) && compared(&*again, parsed), "{canonical}");
    let normalized = parsed.normalized();
    let normal = parse(&normalized).unwrap_or_else(|found| panic!("{found}\n{normalized}\n{canonical}"));
    assert_eq!(normal.normalized(), normalized);
    assert!(compared(parsed, &*normal), "{canonical}\n{normalized}");
    let serialized = parsed.render("serialized").expect("a known form");
    let read = parse(&serialized).unwrap_or_else(|found| panic!("{found}\n{canonical}"));
    // A descriptor has no number for an option of nobody, and so not the option.
    let strict = SchemaText { text: canonical, references: &[], validation: Validation::Strict };
    if ProtobufFormat.parse(strict).is_ok() {
        assert_eq!(read.normalized(), normalized, "{canonical}");
    }
    for form in ["ignore_extensions", "no-metadata"] {
        parsed.render(form).expect("a known form");
    }
}

#[test]
fn mutated_texts_are_refused_or_sound() {
    let mut sound = 0;
    for seed in 0..1_500 {
        let mut random = Random::new(seed);
        let mut bytes = random.pick(CORPUS).as_bytes().to_vec();
        mutate(&mut bytes, WORDS, &mut random);
        if let Ok(parsed) = parse(&String::from_utf8_lossy(&bytes)) {
            sound += 1;
            check_sound(&*parsed);
        }
    }
    assert!(sound > 50, "only {sound} texts were schemas");
}

#[test]
fn mutated_descriptors_are_refused_or_sound() {
    let serialized = |text: &&str| {
        let text = schema(text).render("serialized").expect("a known form");
        STANDARD.decode(text).expect("base64")
    };
    let corpus: Vec<Vec<u8>> = CORPUS.iter().map(serialized).collect();
    let mut sound = 0;
    for seed in 0..1_500 {
        let mut random = Random::new(seed);
        let mut bytes = corpus[random.below(corpus.len())].clone();
        if random.once_in(4) {
            mutate(&mut bytes, &["\0", "\u{1}", "\n", "x"], &mut random);
        }
        // Bytes in place leave the lengths as they are, so that more is still a descriptor.
        for _ in 0..=random.below(2) {
            let (at, from) = (random.below(bytes.len()), random.below(bytes.len()));
            bytes[at] = if random.once_in(2) { bytes[from] } else { bytes[at] ^ 1 };
        }
        if let Ok(parsed) = parse(&STANDARD.encode(bytes)) {
            sound += 1;
            check_sound(&*parsed);
        }
    }
    assert!(sound > 50, "only {sound} descriptors were schemas");
}

#[test]
fn descriptors_with_hostile_names_are_refused() {
    let field = |name: &str| FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(1),
        label: Some(1),
        r#type: Some(5),
        ..Default::default()
    };
    let file = |message: DescriptorProto| {
        let file = FileDescriptorProto { message_type: vec![message], ..Default::default() };
        STANDARD.encode(file.encode_to_vec())
    };
    let message = |name: &str, field: FieldDescriptorProto| DescriptorProto {
        name: Some(name.into()),
        field: vec![field],
        ..Default::default()
    };
    assert!(parse(&file(message("M", field("a")))).is_ok());
    for name in ["", "a b", "a = 1; } message N { optional int32 b", "é", "1a", "a\n", "}"] {
        assert!(parse(&file(message("M", field(name)))).is_err(), "{name:?}");
        assert!(parse(&file(message(name, field("a")))).is_err(), "{name:?}");
    }
    let mut entry = message("M", field("a"));
    entry.options = Some(MessageOptions { map_entry: Some(true), ..Default::default() });
    assert!(parse(&file(entry)).is_err());
    let mut deep = message("M", field("a"));
    for _ in 0..90 {
        deep = DescriptorProto { nested_type: vec![deep], ..message("M", field("a")) };
    }
    assert!(parse(&file(deep)).is_err());
}

#[test]
fn hostile_bytes_are_refused_or_read() {
    let texts: Vec<_> = CORPUS.iter().map(|text| schema(text)).collect();
    let record = |fields: &[(&str, Value)]| {
        Value::Struct(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    };
    let values = [
        record(&[
            ("s", Value::String("é".into())),
            ("m", Value::Map(vec![(Value::String("k".into()), record(&[("i", Value::Int32(-1))]))])),
        ]),
        record(&[
            ("d", Value::Float64(1.0)),
            ("g", record(&[("b", Value::Bytes(Bytes::from_static(b"x")))])),
            ("p", Value::Array(vec![Value::Int32(1), Value::Int32(-1)])),
        ]),
    ];
    let mut read = 0;
    for seed in 0..20_000_u64 {
        let mut random = Random::new(seed);
        let (schema, value) = (&texts[seed as usize % 2], &values[seed as usize % 2]);
        let mut bytes = schema.encoded(None, value).expect("a value that fits").to_vec();
        mutate(
            &mut bytes,
            &["\0", "\u{8}", "\u{1b}", "\u{7f}\u{7f}\u{7f}\u{7f}", "\u{a}\u{7f}"],
            &mut random,
        );
        if let Ok(value) = schema.decode(&**schema, bytes.into()) {
            read += 1;
            // What was read can be written, and is then the same.
            if let Ok(bytes) = schema.encoded(None, &value) {
                let again = schema.decode(&**schema, bytes).expect("what was written");
                assert_eq!(format!("{again:?}"), format!("{value:?}"), "seed {seed}");
            }
        }
    }
    assert!(read > 1_000, "only {read} were read");
}

#[test]
fn deep_and_growing_data_is_refused() {
    let schema = schema(
        "syntax = \"proto2\"; message M { optional M m = 1; repeated group G = 2 { optional M n = 1; } }",
    );
    for repeated in [&[0x13_u8][..], &[0x9b, 6]] {
        let mut bytes = vec![0];
        bytes.extend(repeated.repeat(1_000_000));
        assert!(schema.decode(&*schema, bytes.into()).is_err());
    }
    let mut value = Value::record([]);
    for _ in 0..1_000 {
        value = Value::record(vec![("m".into(), value)]);
    }
    assert!(schema.encoded(None, &value).is_err());
    std::mem::forget(value);
    let mut text = "syntax = \"proto3\"; message M { repeated N n = 1; } message N {".to_owned();
    for n in 1..2_000 {
        text.push_str(&format!("int32 f{n} = {n};"));
    }
    let wide = parse(&(text + "}")).expect("a schema");
    let mut bytes = vec![0];
    bytes.extend([0x0a, 0].repeat(500_000));
    let found = wide.decode(&*wide, bytes.into()).expect_err("a thousand million values");
    assert!(found.message.contains("values"), "{found}");
}
