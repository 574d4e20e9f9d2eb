//! Tags of messages and fields, in every form that a text may have them in.

use super::schema;
use crate::schema::{Entity, EntityTags, EntityType, TagChange, TagError};

const TEXT: &str = r#"syntax = "proto3";
package com.example;

import "confluent/meta.proto";

message Sample {
  option (confluent.message_meta).tags = "OTHER";

  int32 one = 1 [
    (confluent.field_meta).tags = "OTHER",
    (confluent.field_meta).tags = "PRIVATE",
    deprecated = true
  ];
  double two = 2 [(confluent.field_meta) = {
    tags: "PRIVATE"
    doc: "two"
  }];
  Nested three = 3 [(confluent.field_meta).doc = "three"];
  map<string, int32> four = 4;

  oneof choice {
    string five = 5;
  }

  message Nested {
    int64 six = 6;
  }
}
"#;

fn entity(path: &str) -> Entity {
    let fields = ["one", "two", "three", "four", "five", "six"];
    let is_field = path.rsplit('.').next().is_some_and(|last| fields.contains(&last));
    let entity_type = if is_field { EntityType::Field } else { EntityType::Record };
    Entity { entity_path: path.to_owned(), entity_type }
}

fn change(path: &str, add: &[&str], remove: &[&str]) -> TagChange {
    let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    TagChange { entity: entity(path), add: owned(add), remove: owned(remove) }
}

fn shown(tags: &[EntityTags]) -> Vec<(String, String)> {
    tags.iter().map(|found| (found.schema_entity.entity_path.clone(), found.tags.join(" "))).collect()
}

#[track_caller]
fn check(changes: &[TagChange], expected: &[(&str, &str)]) -> String {
    let text = schema(TEXT).with_tags(changes).expect("tags that can be changed");
    let again = schema(&text);
    assert_eq!(again.canonical(), text);
    let expected: Vec<(String, String)> =
        expected.iter().map(|(path, tags)| ((*path).to_owned(), (*tags).to_owned())).collect();
    assert_eq!(shown(&again.tags()), expected, "{text}");
    text
}

#[test]
fn tags_are_read_in_every_form() {
    let found = schema(TEXT).tags();
    let expected = [("Sample", "OTHER"), ("Sample.one", "OTHER PRIVATE"), ("Sample.two", "PRIVATE")];
    assert_eq!(shown(&found), expected.map(|(path, tags)| (path.to_owned(), tags.to_owned())));
}

#[test]
fn tags_are_added_and_removed() {
    let text = check(
        &[
            change("Sample", &["PII"], &["OTHER"]),
            change("Sample.one", &["PII", "OTHER"], &["PRIVATE"]),
            change("Sample.two", &[], &["PRIVATE"]),
            change("Sample.three", &["PII"], &[]),
            change("Sample.four", &["MAP"], &[]),
            change("Sample.choice.five", &["A"], &[]),
            change("Sample.five", &["B\"C"], &[]),
            change("Sample.Nested", &["N"], &[]),
            change("Sample.Nested.six", &["S"], &["NONE"]),
        ],
        &[
            ("Sample", "PII"),
            ("Sample.one", "OTHER PII"),
            ("Sample.three", "PII"),
            ("Sample.four", "MAP"),
            ("Sample.five", "A B\"C"),
            ("Sample.Nested", "N"),
            ("Sample.Nested.six", "S"),
        ],
    );
    for part in [
        "  option (confluent.message_meta) = {\n    tags: [\n      \"PII\"\n    ]\n  };\n",
        "  double two = 2 [(confluent.field_meta) = {\n    doc: \"two\"\n  }];\n",
        "{\n    doc: \"three\",\n    tags: [\n      \"PII\"\n    ]\n  }",
        "deprecated = true",
    ] {
        assert!(text.contains(part), "{text}\nlacks\n{part}");
    }
}

#[test]
fn the_last_tag_takes_its_option_with_it() {
    let text = check(
        &[change("Sample", &[], &["OTHER"]), change("Sample.one", &[], &["OTHER", "PRIVATE"])],
        &[("Sample.two", "PRIVATE")],
    );
    assert!(!text.contains("message_meta") && text.contains("int32 one = 1 [deprecated = true];"), "{text}");
}

#[test]
fn what_declares_the_options_need_not_be_imported() {
    let plain = schema("syntax = \"proto3\"; message Sample { int32 one = 1; }");
    let text = plain.with_tags(&[change("Sample.one", &["A"], &[])]).expect("a field");
    assert_eq!(
        text,
        "syntax = \"proto3\";\n\nmessage Sample {\n  int32 one = 1 [(confluent.field_meta) = {\n    tags: [\n      \"A\"\n    ]\n  }];\n}\n"
    );
    let tagged = schema(&text);
    assert_eq!(shown(&tagged.tags()), [("Sample.one".to_owned(), "A".to_owned())]);
    assert!(tagged.normalized().contains("tags: \"A\""), "{}", tagged.normalized());
}

#[test]
fn what_is_not_there_has_no_tags() {
    for path in ["Sample.bad.five", "Sample.Nested.one", "Bad", "com.example.Sample", "Sample.FourEntry", ""]
    {
        let refused = schema(TEXT).with_tags(&[change(path, &["A"], &[])]);
        assert_eq!(refused, Err(TagError::NoEntity(path.to_owned())));
    }
}
