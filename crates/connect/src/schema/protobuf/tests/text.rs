//! What is a schema, and the texts that stand for it.

use super::{Position, ProtobufFormat, parse, parse_with, schema};
use crate::schema::{Referenced, SchemaFormat, SchemaText, Validation};

/// Checks the canonical text, and that it stands for itself.
#[track_caller]
fn check_canonical(text: &str, references: &[(&str, &str)], canonical: &str) {
    let parsed = parse_with(text, references).unwrap_or_else(|found| panic!("{found}\n{text}"));
    assert_eq!(parsed.canonical(), canonical);
    let again = parse_with(canonical, references).unwrap_or_else(|found| panic!("{found}\n{canonical}"));
    assert_eq!(again.canonical(), canonical);
}

#[test]
fn a_canonical_text_has_no_layout_of_its_own() {
    check_canonical(
        "syntax='proto3' ; package a.b; // of a file\n/* and of a message */ message M{string s=1;int32 i = 2 [deprecated=true];}",
        &[],
        "syntax = \"proto3\";\npackage a.b;\n\nmessage M {\n  string s = 1;\n  int32 i = 2 [deprecated = true];\n}\n",
    );
}

#[test]
fn a_canonical_text_keeps_everything() {
    let text = r#"syntax = "proto2";
package a.b;

import "google/protobuf/descriptor.proto";
import public "google/protobuf/timestamp.proto";

option java_package = "x.\"y\"";
option optimize_for = SPEED;
option (file_note) = "f";

message M {
  reserved 15, 9 to 11, 1000 to max;
  reserved "old", "older";

  option deprecated = true;
  option (note) = {
    text: "a\nb",
    deep: {
      list: [
        1,
        -2
      ]
    }
  };

  required string s = 1 [default = "a\"b\\c"];
  optional bytes b = 2 [default = "\001\377x"];
  repeated int32 packed = 3 [packed = true];
  optional double d = 4 [
    deprecated = true,
    (weight) = -1.5,
    default = -inf,
    json_name = "D"
  ];
  optional float f = 5 [default = 1e30];
  optional E e = 6 [default = TWO];
  map<string, .a.b.M.Inner> map = 7;
  optional group Group = 8 {
    optional int32 g = 1;
  }

  oneof choice {
    option (choice_note) = "c";

    string x = 20;
    Inner y = 21;
  }

  extensions 100 to 199, 300;

  extend Other {
    optional int32 in_m = 101;
  }

  message Inner {
    optional M up = 1;
  }
  enum E {
    reserved 5 to max;
    reserved "FIVE";
    option allow_alias = true;
    ONE = 1;
    UNO = 1 [(value_note) = "v"];
    TWO = -2;
  }
}
message Other {
  extensions 100 to max;
}
message Note {
  optional string text = 1;
  optional Deep deep = 2;
}
message Deep {
  repeated int32 list = 1;
}
enum Empty {
  ZERO = 0;
}

extend google.protobuf.FileOptions {
  optional string file_note = 50001;
}
extend google.protobuf.MessageOptions {
  optional Note note = 50001;
}
extend google.protobuf.FieldOptions {
  optional double weight = 50001;
}
extend google.protobuf.OneofOptions {
  optional string choice_note = 50001;
}
extend google.protobuf.EnumValueOptions {
  optional string value_note = 50001;
}

service S {
  option deprecated = true;

  rpc Call (M) returns (.a.b.Other);
  rpc Flow (stream M) returns (stream Other) {
    option idempotency_level = IDEMPOTENT;
  }
}
"#;
    check_canonical(text, &[], text);
    let parsed = schema(text);
    let normalized = parsed.normalized();
    assert_eq!(schema(&normalized).normalized(), normalized);
    let serialized = parsed.render("serialized").expect("a known form");
    assert_eq!(schema(&serialized).normalized(), normalized);
}

#[test]
fn errors_have_a_place() {
    let at = |text: &str| {
        let found = parse(text).expect_err(text);
        found.position.map(|Position { line, column }| (line, column))
    };
    assert_eq!(at("syntax = \"proto3\";\nmessage M {\n  string é = 1;\n}"), Some((3, 10)));
    assert_eq!(at("syntax = \"proto3\";\nmessage M {\n  Missing m = 1;\n}"), Some((3, 3)));
    assert_eq!(at("syntax = \"proto3\";\nimport \"x.proto\";\n"), Some((2, 1)));
    assert_eq!(at("syntax = \"proto3\";\nmessage M {"), Some((2, 12)));
    assert_eq!(at("\n  edition = \"2023\";"), Some((2, 3)));
}

const FORMS: &str = r#"syntax = "proto3";
package p;

import "google/protobuf/descriptor.proto";
import "confluent/meta.proto";

message M {
  option (confluent.message_meta).doc = "d";
  option (note) = "n";

  N b = 2 [(confluent.field_meta) = {
    tags: "PII"
  }];
  int32 a = 1 [json_name = "a"];

  message N {}
}

extend google.protobuf.MessageOptions {
  string note = 50001;
}
"#;

#[test]
fn forms_leave_out_what_they_say() {
    let parsed = schema(FORMS);
    assert_eq!(parsed.canonical(), FORMS);
    let without_note = FORMS.replace("  option (note) = \"n\";\n", "");
    let (without_extensions, _) = without_note.split_once("\nextend").expect("an extension");
    assert_eq!(parsed.render("ignore_extensions").as_deref(), Ok(without_extensions));
    let without_metadata = FORMS
        .replace("  option (confluent.message_meta).doc = \"d\";\n", "")
        .replace(" [(confluent.field_meta) = {\n    tags: \"PII\"\n  }]", "");
    assert_eq!(parsed.render("no-metadata").as_deref(), Ok(without_metadata.as_str()));
    assert!(parsed.render("avro").is_err());
}

#[test]
fn a_normalized_text_has_full_names_and_the_order_of_numbers() {
    let normalized = r#"syntax = "proto3";
package p;

import "confluent/meta.proto";
import "google/protobuf/descriptor.proto";

message M {
  option (confluent.message_meta) = {
    doc: "d"
  };
  option (p.note) = "n";

  int32 a = 1;
  .p.M.N b = 2 [(confluent.field_meta) = {
    tags: "PII"
  }];

  message N {}
}

extend .google.protobuf.MessageOptions {
  string note = 50001;
}
"#;
    assert_eq!(schema(FORMS).normalized(), normalized);
}

/// What existing registries take and a compiler does not: options of nobody, options of metadata without their import, and types
/// of references that are not imported.
#[test]
fn texts_are_linked_leniently_unless_all_is_to_be_checked() {
    const SUIT: &str = r#"syntax = "proto3";

import "google/protobuf/descriptor.proto";

option php_namespace = "Bug\\V1";

message Card {
  option (some_ref) = "https://test.example";

  Suit suit = 1;

  oneof owner {
    option (some_ref) = "https://test.example";

    string name = 2 [(own.note) = 7];
    int32 age = 3;
  }

  enum Suit {
    option (some_ref) = "https://test.example";
    SPADES = 0;
  }
}
"#;
    const TAGGED: &str = "syntax = \"proto3\";\n\nmessage M {\n  string s = 1 [(confluent.field_meta) = {\n    tags: \"A\"\n  }];\n}\n";
    const UNIMPORTED: &str =
        "syntax = \"proto3\";\npackage p;\n\nmessage Data {\n  map<string, Floats> floats = 1;\n}\n";
    let floats = [Referenced {
        name: "floats.proto".into(),
        text: "syntax = \"proto3\"; package p; message Floats { repeated float values = 1; }".into(),
    }];
    for (text, references) in [(SUIT, &[][..]), (TAGGED, &[]), (UNIMPORTED, &floats)] {
        let parse =
            |text: &str, validation| ProtobufFormat.parse(SchemaText { text, references, validation });
        assert!(parse(text, Validation::Strict).is_err(), "{text}");
        for validation in [Validation::New, Validation::Stored] {
            let schema = parse(text, validation).unwrap_or_else(|found| panic!("{found}\n{text}"));
            assert_eq!(schema.canonical(), text);
            let normalized = schema.normalized();
            let again =
                parse(&normalized, validation).unwrap_or_else(|found| panic!("{found}\n{normalized}"));
            assert_eq!(again.normalized(), normalized);
            let options = |text: &str| text.matches(") = ").count();
            assert_eq!(options(&normalized), options(text), "no option is lost: {normalized}");
        }
    }
    let missing = "syntax = \"proto3\"; message M { p.Floats floats = 1; }";
    assert!(parse(missing).is_err() && parse_with(missing, &[("other.proto", "message N {}")]).is_err());
}

#[test]
fn entries_of_maps_that_registries_print_are_maps() {
    check_canonical(
        "message M { repeated .M.AEntry a = 1; message AEntry { option map_entry = true; \
         optional string key = 1; optional int32 value = 2; } }",
        &[],
        "message M {\n  map<string, int32> a = 1;\n}\n",
    );
}
