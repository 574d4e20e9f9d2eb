//! Schemas and data that are made to hurt: nothing panics, overflows the stack, or takes long. Tests have the stack of a
//! worker thread (2 MiB), so an overflow would end them.

use std::time::{Duration, Instant};

use vltava_core::testing::PeakAllocator;

use super::*;
use crate::schema::json::{compare, effort, model, tree};

/// How long one thing may take: far more than it does, far less than without limits.
const PATIENCE: Duration = Duration::from_secs(30);

const DRAFTS: [&str; 3] = [
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

fn patiently<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    assert!(start.elapsed() < PATIENCE, "{what} took {:?}", start.elapsed());
    result
}

fn nest(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

fn rooted(draft: &str, members: &str) -> String {
    format!("{{\"$schema\":\"{draft}\",{members}}}")
}

fn documents() -> Vec<String> {
    let depth = tree::NESTING_MAX;
    vec![
        nest("[", "1", "]", depth),
        nest("{\"a\":", "1", "}", depth),
        format!("\"{}!\"", "a".repeat(1_000)),
        format!("[{}]", vec!["\"aaaa\""; 500].join(",")),
        "{}".to_owned(),
    ]
}

/// Parses a text, compares it with one that differs in its depth, and reads documents; tells the first error.
fn endure(text: &str) -> Option<String> {
    let schema = match patiently("parsing", || parse_with(text, &[])) {
        Ok(schema) => schema,
        Err(error) => return Some(error.to_string()),
    };
    let other = parse_with(&text.replace("\"old\"", "\"new\""), &[]).expect("a schema of the same form");
    let found = patiently("comparing", || {
        other.incompatibilities(&*schema, Direction::NewReadsOld, CompatibilityPolicy::Strict)
    });
    assert!(found.len() <= compare::DIFFERENCES_MAX);
    let mut first = found
        .iter()
        .find(|found| found.kind == "COMPARISON_LIMIT_EXCEEDED")
        .map(|found| found.message.clone());
    for document in documents() {
        let read = patiently("reading", || schema.decode(&*schema, Bytes::from(document)));
        first = first
            .or(read.err().map(|error| error.message).filter(|message| message.contains("would take more")));
    }
    first
}

fn check(members: &str, expected: Option<&str>) {
    for draft in DRAFTS {
        let text = rooted(draft, members);
        let error = endure(&text);
        let shown = text.chars().take(300).collect::<String>();
        match (error, expected) {
            (None, None) => {}
            (Some(error), Some(expected)) if error.contains(expected) => {}
            (error, _) => panic!("{error:?} instead of {expected:?}: {shown}"),
        }
    }
}

fn chain(length: usize, link: impl Fn(String) -> String) -> String {
    let links = (0..length).map(|at| {
        let schema = match at + 1 {
            next if next == length => "{\"const\":\"old\"}".to_owned(),
            next => link(format!("\"$ref\":\"#/definitions/d{next}\"")),
        };
        format!("\"d{at}\":{schema}")
    });
    format!("\"definitions\":{{{}}}", links.collect::<Vec<_>>().join(","))
}

#[test]
fn nesting_is_limited() {
    check(&format!("\"items\":{}", nest("{\"items\":", "{\"const\":\"old\"}", "}", 98)), None);
    check(
        &format!("\"not\":{}", nest("{\"items\":{\"properties\":{\"a\":", "{\"const\":\"old\"}", "}}}", 32)),
        None,
    );
    check(
        &format!("\"items\":{}", nest("{\"items\":", "{}", "}", 101)),
        Some("nested deeper than 100 levels"),
    );
    check(&format!("\"default\":{}", nest("[", "", "]", 100_000)), Some("nested deeper than 100 levels"));
    let data = parse("true").decode(&*parse("true"), Bytes::from("[".repeat(100_000)));
    assert!(data.is_err_and(|error| error.message.contains("nested deeper than 100 levels")));
    let mut value = Value::Null;
    for _ in 0..200 {
        value = Value::Array(vec![value]);
    }
    assert!(
        parse("true")
            .encoded(None, &value)
            .is_err_and(|error| error.message.contains("nested deeper than 100"))
    );
}

#[test]
fn schemas_that_judge_the_same_data_are_limited() {
    let deep = |open: &str, close: &str| {
        nest(open, "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"items\":{\"$ref\":\"#\"}}", close, 17)
    };
    check(&format!("\"allOf\":[{}]", deep("{\"allOf\":[{\"minProperties\":0},", "]}")), None);
    check(&format!("\"oneOf\":[{}]", deep("{\"oneOf\":[{\"const\":\"old\"},", "]}")), None);
    check(&format!("\"if\":{}", deep("{\"if\":", ",\"then\":{\"maxItems\":5}}")), None);
    check(
        &format!("\"not\":{}", nest("{\"not\":", "{\"const\":\"old\"}", "}", 60)),
        Some("more than 40 schemas judge the same data"),
    );
    let twice = |reference: String| format!("{{\"anyOf\":[{{{reference}}},{{\"not\":{{{reference}}}}}]}}");
    check(&format!("\"allOf\":[{{\"$ref\":\"#/definitions/d0\"}}],{}", chain(9, twice)), None);
    check(
        &format!(
            "\"allOf\":[{{\"$ref\":\"#/definitions/d0\"}}],{}",
            chain(13, |reference| {
                let parts = vec![format!("{{\"title\":\"x\",\"allOf\":[{{{reference}}}]}}"); 1].join(",");
                format!("{{\"anyOf\":[{{{reference}}},{parts},{{\"not\":{{{reference}}}}}]}}")
            })
        ),
        Some("judge the same data"),
    );
}

#[test]
fn chains_of_references_are_limited() {
    let direct = |reference: String| format!("{{{reference}}}");
    let member = |reference: String| format!("{{\"properties\":{{\"a\":{{{reference}}}}}}}");
    check(&format!("\"items\":{{\"$ref\":\"#/definitions/d0\"}},{}", chain(30, direct)), None);
    check(&format!("\"items\":{{\"$ref\":\"#/definitions/d0\"}},{}", chain(70, member)), None);
    check(
        &format!("\"items\":{{\"$ref\":\"#/definitions/d0\"}},{}", chain(60, direct)),
        Some("one by way of another"),
    );
    let limit = format!("more than {} schemas lead to this one", model::DEPTH_MAX);
    check(&format!("\"items\":{{\"$ref\":\"#/definitions/d0\"}},{}", chain(5_000, member)), Some(&limit));
    // Each is entered from its end, where it is short; whoever goes by the names enters it at its beginning.
    let length = 500;
    let uses: Vec<String> =
        (0..length).rev().map(|at| format!("\"p{at:05}\":{{\"$ref\":\"#/definitions/d{at}\"}}")).collect();
    check(&format!("\"properties\":{{{}}},{}", uses.join(","), chain(length, member)), None);
}

#[test]
fn circles_without_data_are_refused() {
    for text in [
        "{\"$ref\":\"#\"}",
        "{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"$ref\":\"#/definitions/b\"},\"b\":{\"$ref\":\"#/definitions/a\"}}}",
        "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}",
        "{\"not\":{\"$ref\":\"#\"}}",
        "{\"if\":{\"type\":\"null\"},\"then\":{\"$ref\":\"#\"}}",
        "{\"dependencies\":{\"a\":{\"$ref\":\"#\"}}}",
    ] {
        assert!(refusal(text).contains("refers to itself without going into the data"), "{text}");
    }
}

#[test]
fn effort_that_multiplies_with_the_depth_of_the_data_is_refused() {
    let limit = format!("more than {} steps", effort::EVALUATIONS_MAX);
    check(
        "\"anyOf\":[{\"const\":\"old\"},{\"items\":{\"$ref\":\"#\"},\"minItems\":1},{\"items\":{\"$ref\":\"#\"},\"maxItems\":3}]",
        Some(&limit),
    );
    check(
        "\"const\":\"old\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"patternProperties\":{\"a\":{\"$ref\":\"#\"},\"^a\":{\"$ref\":\"#\"}}",
        Some(&limit),
    );
    check(
        "\"const\":\"old\",\"oneOf\":[{\"type\":\"null\"},{\"properties\":{\"a\":{\"$ref\":\"#\"}}}]",
        None,
    );
}

#[test]
fn regular_expressions_are_limited() {
    for pattern in [
        "^(a+)+$",
        "^(a|aa)+$",
        "(?=(a+))\\\\1b",
        "^(?!.*(a+)+!x).*$",
        "\\\\w{2000}",
        "[\\\\s\\\\S]*[\\\\s\\\\S]*x",
    ] {
        check(
            &format!("\"title\":\"old\",\"pattern\":\"{pattern}\",\"items\":{{\"pattern\":\"{pattern}\"}}"),
            None,
        );
    }
    for pattern in ["(a{1000}){1000}", "(((a{50}){50}){50}){50}", "(", "(?:(?:(?:a?){50}){50}){50}"] {
        check(&format!("\"pattern\":\"{pattern}\""), Some("no regular expression, or one that is too large"));
    }
    let many = |count: usize| {
        let patterns: Vec<String> =
            (0..count).map(|at| format!("\"^a{at}[a-z]{{1,5}}$\":{{\"const\":\"old\"}}")).collect();
        format!("\"patternProperties\":{{{}}}", patterns.join(","))
    };
    check(&many(100), None);
    check(&many(model::PATTERNS_MAX + 1), Some("at most 2000 are taken"));
}

#[test]
fn large_schemas_are_limited() {
    let flat: Vec<String> =
        (0..2_000).map(|at| format!("\"p{at}\":{{\"const\":\"old\",\"maxLength\":{at}}}")).collect();
    check(&format!("\"properties\":{{{}}}", flat.join(",")), None);
    // No part has a counterpart at its own place, and each resembles every other.
    let parts: Vec<String> =
        (0..400).map(|at| format!("{{\"title\":\"{at}\",\"enum\":[\"old\",{at}]}}")).collect();
    check(&format!("\"oneOf\":[{}]", parts.join(",")), Some("too deeply entangled"));
    let padding = " ".repeat(tree::TEXT_BYTES_MAX);
    assert!(refusal(&format!("{{}}{padding}")).contains("at most 1048576 are taken"));
    let text = format!("{{{}}}", " ".repeat(tree::TEXT_BYTES_MAX - 10));
    let names: Vec<String> = (0..5).map(|at| at.to_string()).collect();
    let references: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
    let refused = parse_with("{}", &references).expect_err("more than all texts may have");
    assert!(refused.message.contains("at most 4194304 are taken"), "{refused}");
}

fn stored(text: &str) -> Result<Arc<dyn Schema>, ParseError> {
    JsonFormat.parse(SchemaText { text, references: &[], validation: Validation::Stored })
}

fn members(count: usize, member: impl Fn(usize) -> String) -> String {
    (0..count).map(|at| format!("\"p{at}\":{}", member(at))).collect::<Vec<_>>().join(",")
}

/// Far more than what is held, far less than what a few letters could be made to stand for.
const HELD_BYTES_MAX: usize = 100 << 20;

fn sparingly<T>(act: impl FnOnce() -> T) -> T {
    let (result, bytes) = PeakAllocator::peak_of(|| patiently("this", act));
    assert!(bytes < HELD_BYTES_MAX, "{bytes} bytes");
    result
}

#[test]
fn types_that_are_listed_again_are_not_built_again() {
    let types = vec!["\"object\""; 300].join(",");
    let text = format!("{{\"type\":[{types}],\"properties\":{{{}}}}}", members(5_000, |_| "{}".to_owned()));
    assert!(sparingly(|| stored(&text)).is_ok());
    assert!(refusal(&text).contains("'#/type' is not valid"), "{}", refusal(&text));
}

#[test]
fn addresses_are_limited_together() {
    let long = "k".repeat(400_000);
    let refers = |to: &str| members(100, |_| format!("{{\"$ref\":\"{to}\"}}"));
    for text in [
        format!(
            "{{\"definitions\":{{\"{long}\":{{{}}}}}}}",
            members(100, |at| format!("{{\"$id\":\"#a{at}\"}}"))
        ),
        format!(
            "{{\"$id\":\"http://a/{long}\",\"definitions\":{{{}}}}}",
            members(100, |at| format!("{{\"$id\":\"{at}\"}}"))
        ),
        format!(
            "{{\"$id\":\"http://a/{long}\",\"definitions\":{{\"a\":{{}}}},\"properties\":{{{}}}}}",
            refers("#/definitions/a")
        ),
        format!("{{\"definitions\":{{\"{long}\":{{\"$id\":\"#a\"}}}},\"properties\":{{{}}}}}", refers("#a")),
        format!(
            "{{\"properties\":{{\"{long}\":{{\"properties\":{{{}}}}}}}}}",
            members(1_000, |at| format!("{{\"maxLength\":{at}}}"))
        ),
    ] {
        let refused = sparingly(|| stored(&text)).expect_err("more than all addresses may have");
        assert!(refused.message.contains("addresses with more than 16777216 bytes"), "{refused}");
    }
    let names: Vec<String> = (0..100).map(|at| at.to_string()).collect();
    let references: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let refused = sparingly(|| parse_with(&format!("{{\"$id\":\"http://a/{long}/\"}}"), &references));
    assert!(refused.is_err_and(|error| error.message.contains("addresses")));
}

#[test]
fn differences_are_told_in_bounded_memory() {
    let compare = |old: &str, new: &str| {
        let (old, new) = (parse(old), parse(new));
        sparingly(|| new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict))
    };
    let many = |length| members(1_000, |_| format!("{{\"maxLength\":{length}}}"));
    let long = "k".repeat(5_000);
    let below = |length| format!("{{\"properties\":{{\"{long}\":{{\"properties\":{{{}}}}}}}}}", many(length));
    let found = compare(&below(2), &below(1));
    assert_eq!(found.len(), 1_000);
    assert!(
        found.iter().all(|found| found.path.len() < 1_100 && found.message.len() < 1_300),
        "{}",
        found[0].path.len()
    );
    // Many schemas lead to the same differences.
    let shared = |length| {
        let uses =
            members(3_000, |at| format!("{{\"minItems\":{at},\"items\":{{\"$ref\":\"#/definitions/d\"}}}}"));
        format!(
            "{{\"properties\":{{{uses}}},\"definitions\":{{\"d\":{{\"properties\":{{{}}}}}}}}}",
            many(length)
        )
    };
    assert_eq!(compare(&shared(2), &shared(1)).len(), 1_000);
    // A limit with many digits.
    let digits = |digit: &str| {
        let uses = members(500, |_| "{\"$ref\":\"#/definitions/d\"}".to_owned());
        let limit = digit.repeat(9_000);
        format!("{{\"properties\":{{{uses}}},\"definitions\":{{\"d\":{{\"maximum\":{limit}}}}}}}")
    };
    assert!(compare(&digits("2"), &digits("1")).iter().all(|found| found.detail.len() < 200));
}

#[test]
fn lists_that_are_compared_with_each_other_are_limited() {
    let names = members(300, |_| "0".to_owned()).replace(":0", "");
    let any = |from: usize| {
        let parts = (from..from + 200).map(|at| format!("{{\"const\":{at},\"required\":[{names}]}}"));
        parse(&format!("{{\"anyOf\":[{}]}}", parts.collect::<Vec<_>>().join(",")))
    };
    let (old, new) = (any(0), any(1_000));
    let found = patiently("comparing", || {
        new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict)
    });
    assert!(found.iter().any(|found| found.kind == "COMPARISON_LIMIT_EXCEEDED"), "{found:?}");
}

#[test]
fn what_is_looked_through_for_each_value_counts_as_effort() {
    let limit = format!("more than {} steps", effort::EVALUATIONS_MAX);
    let refused = |schema: &str, document: &str| {
        let schema = parse(schema);
        let read = sparingly(|| schema.decode(&*schema, Bytes::copy_from_slice(document.as_bytes())));
        assert!(read.is_err_and(|error| error.message.contains(&limit)), "{schema:.200?}");
    };
    let mixed: Vec<String> = (0..10_000).map(|at| format!("{at}.5")).collect();
    let numbers = |count: usize| format!("[{}]", vec!["9999.5"; count].join(","));
    let schema = format!("{{\"items\":{{\"enum\":[{}]}}}}", mixed.join(","));
    refused(&schema, &numbers(20_000));
    let schema = parse(&schema);
    assert!(patiently("reading", || schema.decode(&*schema, Bytes::from(numbers(1_000)))).is_ok());
    let dependencies = members(10_000, |_| "[\"a\"]".to_owned());
    refused(
        &format!("{{\"items\":{{\"dependencies\":{{{dependencies}}}}}}}"),
        &format!("[{}]", vec!["{}"; 20_000].join(",")),
    );
    let patterns = (0..500).map(|at| format!("\"^a{at}\":{{\"maxLength\":1}}")).collect::<Vec<_>>().join(",");
    let document = members(20_000, |_| "0".to_owned());
    refused(&format!("{{\"patternProperties\":{{{patterns}}}}}"), &format!("{{{document}}}"));
}

#[test]
fn patterns_that_go_back_count_as_effort() {
    let too_much = |old: &dyn Schema, new: &dyn Schema| {
        let found = patiently("comparing", || {
            new.incompatibilities(old, Direction::NewReadsOld, CompatibilityPolicy::Strict)
        });
        assert!(found.iter().any(|found| found.kind == "COMPARISON_LIMIT_EXCEEDED"), "{found:?}");
    };
    let name = |at: usize| format!("\"{}{at}\":{{\"const\":1}}", "x".repeat(40));
    let names = (0..60).map(name).collect::<Vec<_>>().join(",");
    let old = parse(&format!("{{\"additionalProperties\":false,\"properties\":{{{names}}}}}"));
    let pattern = |at: usize| format!("\"^(?=x)(x|xx)+(?<!y)z{at}\":{{\"const\":1}}");
    let patterns = (0..60).map(pattern).collect::<Vec<_>>().join(",");
    let new = parse(&format!("{{\"patternProperties\":{{{patterns}}}}}"));
    too_much(&*old, &*new);
    let limit = format!("more than {} steps", effort::EVALUATIONS_MAX);
    let schema = parse("{\"items\":{\"pattern\":\"^(?!x+y)(x|xx)+z?$\"}}");
    let texts = |count: usize| format!("[{}]", vec!["\"xxx\""; count].join(","));
    let read = patiently("reading", || schema.decode(&*schema, Bytes::from(texts(50_000))));
    assert!(read.is_err_and(|error| error.message.contains(&limit)));
    assert!(patiently("reading", || schema.decode(&*schema, Bytes::from(texts(5_000)))).is_ok());
    let long = "x".repeat(800_000);
    let old =
        parse(&format!("{{\"additionalProperties\":false,\"properties\":{{\"{long}\":{{\"const\":1}}}}}}"));
    let pattern = |at: usize| format!("\"[xy]+(z|w)+{at}\":{{\"const\":1}}");
    let patterns = (0..100).map(pattern).collect::<Vec<_>>().join(",");
    let new = parse(&format!("{{\"patternProperties\":{{{patterns}}}}}"));
    too_much(&*old, &*new);
}

#[test]
fn numbers_that_cannot_be_written_in_one_form_are_refused() {
    for text in ["{\"maximum\":0.001e-9999}", "{\"maximum\":100e9999}"] {
        assert!(refusal(text).contains("out of range"), "{text}");
    }
    for text in ["{\"maximum\":1e9999}", "{\"maximum\":0.1e-9998}"] {
        assert_eq!(parse(&parse(text).normalized()).normalized(), parse(text).normalized());
    }
}

#[test]
fn recursive_unions_are_compared_in_a_few_rounds() {
    let types: Vec<String> = (0..14).map(|at| format!("t{at}")).collect();
    let union = types
        .iter()
        .map(|name| format!("{{\"$ref\":\"#/definitions/{name}\"}}"))
        .collect::<Vec<_>>()
        .join(",");
    let definitions: Vec<String> = types
        .iter()
        .map(|name| format!("\"{name}\":{{\"type\":\"object\",\"properties\":{{\"{name}\":{{\"const\":\"old\"}},\"next\":{{\"oneOf\":[{union}]}},\"other\":{{\"oneOf\":[{union}]}}}}}}"))
        .collect();
    let old = format!("{{\"oneOf\":[{union}],\"definitions\":{{{}}}}}", definitions.join(","));
    let new = old.replacen("\"old\"", "\"new\"", 1);
    let (old, new) = (parse(&old), parse(&new));
    let compare = |reader: &Arc<dyn Schema>, writer: &Arc<dyn Schema>| {
        patiently("comparing", || {
            reader.incompatibilities(&**writer, Direction::NewReadsOld, CompatibilityPolicy::Strict)
        })
    };
    assert_eq!(compare(&old, &old), []);
    assert!(!compare(&new, &old).is_empty());
}

#[test]
fn mutated_texts_and_data_never_hurt() {
    let seeds = [
        r##"{"$schema":"http://json-schema.org/draft-07/schema#","$id":"http://a/order","title":"Order","type":"object","properties":{"id":{"type":"integer","minimum":1},"lines":{"type":"array","items":{"$ref":"#/definitions/line"},"minItems":1},"note":{"oneOf":[{"type":"null"},{"type":"string","maxLength":1e2,"pattern":"^[a-z]+$"}]}},"required":["id"],"additionalProperties":false,"definitions":{"line":{"type":"object","properties":{"price":{"type":"number","multipleOf":0.01},"parts":{"$ref":"#/definitions/line"}},"dependencies":{"a":["b"],"c":{"not":{"const":null}}}}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"n":{"$anchor":"n","type":["string","null"],"enum":["\u00e9","b",null]}},"prefixItems":[{"$ref":"#n"},{"if":{"type":"number"},"then":{"exclusiveMinimum":0},"else":false}],"items":{"$ref":"#"},"contains":{"type":"array"},"minContains":0,"maxContains":3,"unevaluatedItems":false,"patternProperties":{"^x-":{}},"propertyNames":{"maxLength":9},"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{"minProperties":2}},"unevaluatedProperties":{"anyOf":[true,{"allOf":[{}]}]}}"##,
    ];
    let pieces: [&[u8]; 16] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u",
        b"-",
        b"1e9",
        b"$ref",
        b"#/",
        b"\xff",
        b"null",
        b"true",
        b"\"$id\":",
    ];
    let mut state = 7u64;
    let mut next = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % end.max(1)
    };
    let originals = seeds.map(parse);
    let mut parsed = 0;
    for round in 0..1_500 {
        let mut bytes = seeds[round % 2].as_bytes().to_vec();
        for _ in 0..1 + next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => drop(bytes.remove(at)),
                1 => drop(bytes.splice(at..at, pieces[next(pieces.len())].iter().copied())),
                2 => {
                    let end = (at + next(30)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = next(bytes.len());
                    drop(bytes.splice(to..to, copy));
                }
                _ => bytes[at] = b"0123456789abt\"{}[],:"[next(20)],
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let original = &originals[round % 2];
        let _ = original.decode(&**original, Bytes::from(bytes));
        if let Ok(schema) = patiently("parsing", || parse_with(&text, &[])) {
            parsed += 1;
            assert_eq!(parse(schema.canonical()).canonical(), schema.canonical());
            let _ =
                schema.incompatibilities(&**original, Direction::NewReadsOld, CompatibilityPolicy::Lenient);
            let _ = original.incompatibilities(&*schema, Direction::OldReadsNew, CompatibilityPolicy::Strict);
        }
    }
    assert!(parsed > 50, "only {parsed} of the mutated texts were schemas");
}
