//! What changes between two texts, in both directions, and which changes do harm.

use super::{parse_with, schema};
use crate::schema::protobuf::ProtobufSchema;
use crate::schema::protobuf::difference::differences;
use crate::schema::{CompatibilityPolicy, Direction, Schema};
use std::any::Any;
use std::sync::Arc;

/// Two texts, and the changes from the first to the second and back, each as `KIND path`; those that do harm have a `!`.
pub(in crate::schema) struct Case {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    forth: &'static [&'static str],
    back: &'static [&'static str],
}

fn changes(before: &Arc<dyn Schema>, after: &Arc<dyn Schema>) -> Vec<String> {
    let typed = |schema: &Arc<dyn Schema>| {
        let schema: Arc<dyn Any + Send + Sync> = schema.clone();
        schema.downcast::<ProtobufSchema>().expect("a schema of this format")
    };
    let harms: Vec<(String, String)> = after
        .incompatibilities(&**before, Direction::NewReadsOld, CompatibilityPolicy::Strict)
        .into_iter()
        .map(|found| {
            assert!(
                found.message.contains("new schema") && found.message.contains("old schema"),
                "{found:?}"
            );
            (found.kind.to_owned(), found.path)
        })
        .collect();
    differences(&typed(before).types, &typed(after).types)
        .into_iter()
        .map(|found| {
            let harm = harms.contains(&(found.change.name().to_owned(), found.path.clone()));
            format!("{}{} {}", if harm { "!" } else { "" }, found.change.name(), found.path)
        })
        .collect()
}

const GOOGLE_HOME: &str = "syntax = \"proto3\"; package home; message GoogleHome { int32 id = 1; bool on = 2; } \
    message outer { message GoogleHome { int32 id = 1; Deep deep = 2; } message Deep { string s = 1; } }";
const GOOGLE_HOME_OTHER_PACKAGE: &str =
    "syntax = \"proto3\"; package home2; message GoogleHome { int32 id = 1; bool on = 2; }";
const GOOGLE_HOME_OTHER_TYPE: &str = "syntax = \"proto3\"; package home; message GoogleHome { string id = 1; bool on = 2; } \
    message outer { message GoogleHome { int32 id = 1; Deep deep = 2; } message Deep { int32 s = 1; } }";

#[track_caller]
fn check(case: &Case) {
    let references = [
        ("home.proto", GOOGLE_HOME),
        ("home2.proto", GOOGLE_HOME_OTHER_PACKAGE),
        ("home3.proto", GOOGLE_HOME_OTHER_TYPE),
    ];
    let parse = |text: &str| {
        let text =
            if text.starts_with("syntax") { text.to_owned() } else { format!("syntax = \"proto3\"; {text}") };
        parse_with(&text, &references).unwrap_or_else(|found| panic!("{}: {found}\n{text}", case.name))
    };
    let (before, after) = (parse(case.before), parse(case.after));
    assert_eq!(changes(&before, &after), case.forth, "{}, forth", case.name);
    assert_eq!(changes(&after, &before), case.back, "{}, back", case.name);
    assert_eq!(changes(&before, &before), Vec::<String>::new(), "{}, itself", case.name);
}

macro_rules! cases {
    ($($name:literal: $before:literal => $after:literal, [$($forth:literal),*], [$($back:literal),*];)+) => {
        &[$(Case { name: $name, before: $before, after: $after, forth: &[$($forth),*], back: &[$($back),*] }),+]
    };
}

#[rustfmt::skip]
pub(in crate::schema) const CASES: &[Case] = cases![
    // Files, messages and enums.
    "the same": "message M { int32 a = 1; }" => "message M { int32 a = 1; }", [], [];
    "only options": "message M { int32 a = 1; }" => "option java_package = \"x\"; message M { int32 a = 1 [deprecated = true]; }", [], [];
    "a service": "message M {}" => "message M {} service S { rpc C (M) returns (M); }", [], [];
    "the package": "package a; message M { N n = 1; } message N {}" => "package b; message M { N n = 1; } message N {}", ["!PACKAGE_CHANGED #/"], ["!PACKAGE_CHANGED #/"];
    "a package where there was none": "message M {}" => "package b; message M {}", ["!PACKAGE_CHANGED #/"], ["!PACKAGE_CHANGED #/"];
    "a message more": "message M {}" => "message M {} message N {}", ["MESSAGE_ADDED #/N"], ["!MESSAGE_REMOVED #/N"];
    "a message more in a message": "message M {}" => "message M { message N {} }", ["MESSAGE_ADDED #/M/N"], ["!MESSAGE_REMOVED #/M/N"];
    "a message with another name": "message M { int32 a = 1; }" => "message N { int32 a = 1; }", ["!MESSAGE_REMOVED #/M", "MESSAGE_ADDED #/N"], ["!MESSAGE_REMOVED #/N", "MESSAGE_ADDED #/M"];
    "messages that change places": "message M {} message N {}" => "message N {} message M {}", ["MESSAGE_MOVED #/M", "MESSAGE_MOVED #/N"], ["MESSAGE_MOVED #/N", "MESSAGE_MOVED #/M"];
    "a message before the first": "message M {}" => "message N {} message M {}", ["MESSAGE_MOVED #/M", "MESSAGE_ADDED #/N"], ["!MESSAGE_REMOVED #/N", "MESSAGE_MOVED #/M"];
    "a message that moves into another": "message M { N n = 1; } message N {}" => "message M { N n = 1; message N {} }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "MESSAGE_ADDED #/M/N", "!MESSAGE_REMOVED #/N"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!MESSAGE_REMOVED #/M/N", "MESSAGE_ADDED #/N"];
    "a message becomes an enum": "message M { E e = 1; } message E {}" => "message M { E e = 1; } enum E { Z = 0; }", ["!FIELD_KIND_CHANGED #/M/1", "!MESSAGE_REMOVED #/E", "ENUM_ADDED #/E"], ["!FIELD_KIND_CHANGED #/M/1", "MESSAGE_ADDED #/E", "ENUM_REMOVED #/E"];
    "an enum more": "message M {}" => "message M {} enum E { Z = 0; }", ["ENUM_ADDED #/E"], ["ENUM_REMOVED #/E"];
    "an enum more in a message": "message M {}" => "message M { enum E { Z = 0; } }", ["ENUM_ADDED #/M/E"], ["ENUM_REMOVED #/M/E"];
    "a constant more": "enum E { Z = 0; }" => "enum E { Z = 0; A = 1; }", ["ENUM_CONST_ADDED #/E/1"], ["ENUM_CONST_REMOVED #/E/1"];
    "a constant with another name": "enum E { Z = 0; A = 1; }" => "enum E { Z = 0; B = 1; }", ["ENUM_CONST_CHANGED #/E/1"], ["ENUM_CONST_CHANGED #/E/1"];
    "a constant with another number": "enum E { Z = 0; A = 1; }" => "enum E { Z = 0; A = 2; }", ["ENUM_CONST_REMOVED #/E/1", "ENUM_CONST_ADDED #/E/2"], ["ENUM_CONST_ADDED #/E/1", "ENUM_CONST_REMOVED #/E/2"];
    "a negative constant": "enum E { Z = 0; }" => "enum E { Z = 0; A = -1; }", ["ENUM_CONST_ADDED #/E/-1"], ["ENUM_CONST_REMOVED #/E/-1"];
    "an alias": "enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }" => "enum E { Z = 0; A = 1; }", [], [];
    // Fields.
    "a field more": "message M { int32 a = 1; }" => "message M { int32 a = 1; string b = 2; }", ["FIELD_ADDED #/M/2"], ["FIELD_REMOVED #/M/2"];
    "a field more in a nested message": "message M { message N { int32 a = 1; } }" => "message M { message N { int32 a = 1; int32 b = 2; } }", ["FIELD_ADDED #/M/N/2"], ["FIELD_REMOVED #/M/N/2"];
    "a reserved field": "message M { int32 a = 1; }" => "message M { reserved 1; }", ["FIELD_REMOVED #/M/1"], ["FIELD_ADDED #/M/1"];
    "a field with another name": "message M { int32 a = 1; }" => "message M { int32 b = 1; }", ["FIELD_NAME_CHANGED #/M/1"], ["FIELD_NAME_CHANGED #/M/1"];
    "a field with another number": "message M { int32 a = 1; }" => "message M { int32 a = 2; }", ["FIELD_REMOVED #/M/1", "FIELD_ADDED #/M/2"], ["FIELD_ADDED #/M/1", "FIELD_REMOVED #/M/2"];
    "fields in another order": "message M { int32 a = 1; int32 b = 2; }" => "message M { int32 b = 2; int32 a = 1; }", [], [];
    "another name in JSON": "message M { int32 a = 1; }" => "message M { int32 a = 1 [json_name = \"x\"]; }", [], [];
    // Scalars: what is written alike is no difference.
    "int32 and int64": "message M { int32 a = 1; }" => "message M { int64 a = 1; }", [], [];
    "int32 and uint32": "message M { int32 a = 1; }" => "message M { uint32 a = 1; }", [], [];
    "uint32 and uint64": "message M { uint32 a = 1; }" => "message M { uint64 a = 1; }", [], [];
    "int64 and bool": "message M { int64 a = 1; }" => "message M { bool a = 1; }", [], [];
    "sint32 and sint64": "message M { sint32 a = 1; }" => "message M { sint64 a = 1; }", [], [];
    "fixed32 and sfixed32": "message M { fixed32 a = 1; }" => "message M { sfixed32 a = 1; }", [], [];
    "fixed64 and sfixed64": "message M { fixed64 a = 1; }" => "message M { sfixed64 a = 1; }", [], [];
    "string and bytes": "message M { string a = 1; }" => "message M { bytes a = 1; }", [], [];
    "int32 and an enum": "message M { int32 a = 1; } enum E { Z = 0; }" => "message M { E a = 1; } enum E { Z = 0; }", [], [];
    "bool and an enum": "message M { bool a = 1; } enum E { Z = 0; }" => "message M { E a = 1; } enum E { Z = 0; }", [], [];
    "two enums": "message M { E a = 1; } enum E { Z = 0; } enum F { Y = 0; }" => "message M { F a = 1; } enum E { Z = 0; } enum F { Y = 0; }", [], [];
    "int32 and sint32": "message M { int32 a = 1; }" => "message M { sint32 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "int64 and sint64": "message M { int64 a = 1; }" => "message M { sint64 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "int32 and fixed32": "message M { int32 a = 1; }" => "message M { fixed32 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "int32 and string": "message M { int32 a = 1; }" => "message M { string a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "int32 and double": "message M { int32 a = 1; }" => "message M { double a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "float and double": "message M { float a = 1; }" => "message M { double a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "float and fixed32": "message M { float a = 1; }" => "message M { fixed32 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "double and fixed64": "message M { double a = 1; }" => "message M { fixed64 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "fixed32 and fixed64": "message M { fixed32 a = 1; }" => "message M { fixed64 a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "sint32 and an enum": "message M { sint32 a = 1; } enum E { Z = 0; }" => "message M { E a = 1; } enum E { Z = 0; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "string and an enum": "message M { string a = 1; } enum E { Z = 0; }" => "message M { E a = 1; } enum E { Z = 0; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "every difference, not the first": "message M { int32 a = 1; float b = 2; }" => "message M { string x = 1; double b = 2; }", ["FIELD_NAME_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/2"], ["FIELD_NAME_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/2"];
    // Scalars, messages and maps.
    "int32 and a message": "message M { int32 a = 1; message N {} }" => "message M { N a = 1; message N {} }", ["!FIELD_KIND_CHANGED #/M/1"], ["!FIELD_KIND_CHANGED #/M/1"];
    "bytes and a message": "message M { bytes a = 1; message N {} }" => "message M { N a = 1; message N {} }", ["!FIELD_KIND_CHANGED #/M/1"], ["!FIELD_KIND_CHANGED #/M/1"];
    "string and a map": "message M { string a = 1; }" => "message M { map<string, string> a = 1; }", ["!FIELD_KIND_CHANGED #/M/1"], ["!FIELD_KIND_CHANGED #/M/1"];
    "a message and a map": "message M { repeated N a = 1; message N { string key = 1; string value = 2; } }" => "message M { map<string, string> a = 1; message N { string key = 1; string value = 2; } }", ["!FIELD_KIND_CHANGED #/M/1"], ["!FIELD_KIND_CHANGED #/M/1"];
    "the values of a map alike": "message M { map<string, int32> a = 1; }" => "message M { map<string, int64> a = 1; }", [], [];
    "the values of a map": "message M { map<string, int32> a = 1; }" => "message M { map<string, string> a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "the keys of a map": "message M { map<string, int32> a = 1; }" => "message M { map<int32, int32> a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "keys and values of a map": "message M { map<string, int32> a = 1; }" => "message M { map<int32, string> a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/M/1"];
    "a map of messages": "message M { map<string, N> a = 1; message N {} message O {} }" => "message M { map<string, O> a = 1; message N {} message O {} }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1"];
    "a map and its messages by another name": "message M { map<string, N> a = 1; message N {} }" => "message M { map<string, M.N> a = 1; message N {} }", [], [];
    "a map more": "message M {}" => "message M { map<string, int32> a = 1; }", ["FIELD_ADDED #/M/1"], ["FIELD_REMOVED #/M/1"];
    "a map written as its entries": "message M { map<string, int32> a = 1; }" => "message M { repeated AEntry a = 1; message AEntry { option map_entry = true; string key = 1; int32 value = 2; } }", [], [];
    "another message": "message M { N n = 1; } message N {} message O {}" => "message M { O n = 1; } message N {} message O {}", ["!FIELD_NAMED_TYPE_CHANGED #/M/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1"];
    "the same message by its full name": "package p; message M { N n = 1; message N {} }" => "package p; message M { .p.M.N n = 1; message N {} }", [], [];
    "a message that refers to itself": "message M { M m = 1; }" => "message M { M m = 1; int32 a = 2; }", ["FIELD_ADDED #/M/2"], ["FIELD_REMOVED #/M/2"];
    "the message of a field changes": "message M { N n = 1; } message N { int32 a = 1; }" => "message M { N n = 1; } message N { string a = 1; }", ["!FIELD_SCALAR_KIND_CHANGED #/N/1"], ["!FIELD_SCALAR_KIND_CHANGED #/N/1"];
    // Labels.
    "optional": "message M { int32 a = 1; }" => "message M { optional int32 a = 1; }", [], [];
    "repeated strings": "message M { string a = 1; }" => "message M { repeated string a = 1; }", ["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"], ["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"];
    "repeated bytes": "message M { optional bytes a = 1; }" => "message M { repeated bytes a = 1; }", ["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"], ["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"];
    "repeated messages": "message M { M a = 1; }" => "message M { repeated M a = 1; }", [], [];
    "repeated numbers": "message M { optional int32 a = 1; }" => "message M { repeated int32 a = 1; }", ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"], ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"];
    "repeated numbers, no label": "message M { fixed64 a = 1; }" => "message M { repeated fixed64 a = 1; }", ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"], ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"];
    "repeated enums": "message M { E a = 1; } enum E { Z = 0; }" => "message M { repeated E a = 1; } enum E { Z = 0; }", ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"], ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"];
    "repeated floats": "message M { float a = 1; }" => "message M { repeated float a = 1; }", ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"], ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"];
    "packed or not": "message M { repeated int32 a = 1; }" => "message M { repeated int32 a = 1 [packed = false]; }", [], [];
    "a required field more": "syntax = \"proto2\"; message M {}" => "syntax = \"proto2\"; message M { required int32 a = 1; }", ["!REQUIRED_FIELD_ADDED #/M/1"], ["!REQUIRED_FIELD_REMOVED #/M/1"];
    "a number becomes required": "syntax = \"proto2\"; message M { optional int32 a = 1; }" => "syntax = \"proto2\"; message M { required int32 a = 1; }", ["!REQUIRED_FIELD_ADDED #/M/1"], ["!FIELD_NUMERIC_LABEL_CHANGED #/M/1"];
    "a text becomes required": "syntax = \"proto2\"; message M { optional string a = 1; }" => "syntax = \"proto2\"; message M { required string a = 1; }", ["!REQUIRED_FIELD_ADDED #/M/1"], ["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"];
    "a message becomes required": "syntax = \"proto2\"; message M { optional M a = 1; }" => "syntax = \"proto2\"; message M { required M a = 1; }", ["!REQUIRED_FIELD_ADDED #/M/1"], [];
    "a default": "syntax = \"proto2\"; message M { optional int32 a = 1; }" => "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 1]; }", [], [];
    "proto2 becomes proto3": "syntax = \"proto2\"; message M { optional int32 a = 1; repeated string b = 2; }" => "message M { int32 a = 1; repeated string b = 2; }", [], [];
    "a group": "syntax = \"proto2\"; message M { optional group G = 1 { optional int32 a = 1; } }" => "syntax = \"proto2\"; message M { optional group G = 1 { optional int32 a = 1; optional int32 b = 2; } }", ["FIELD_ADDED #/M/G/2"], ["FIELD_REMOVED #/M/G/2"];
    "a group becomes a message": "syntax = \"proto2\"; message M { optional group G = 1 { optional int32 a = 1; } }" => "syntax = \"proto2\"; message M { optional G g = 1; message G { optional int32 a = 1; } }", ["!FIELD_KIND_CHANGED #/M/1"], ["!FIELD_KIND_CHANGED #/M/1"];
    // Oneofs.
    "a oneof more": "message M {}" => "message M { oneof o { int32 a = 1; string b = 2; } }", ["ONEOF_ADDED #/M/o", "ONEOF_FIELD_ADDED #/M/o/1", "ONEOF_FIELD_ADDED #/M/o/2"], ["ONEOF_REMOVED #/M/o"];
    "a field more in a oneof": "message M { oneof o { int32 a = 1; } }" => "message M { oneof o { int32 a = 1; int32 b = 2; } }", ["ONEOF_FIELD_ADDED #/M/o/2"], ["!ONEOF_FIELD_REMOVED #/M/o/2"];
    "one field into a new oneof": "message M { int32 a = 1; }" => "message M { oneof o { int32 a = 1; } }", ["ONEOF_ADDED #/M/o"], ["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1"];
    "one field into a new oneof with others": "message M { int32 a = 1; }" => "message M { oneof o { int32 a = 1; int32 b = 2; } }", ["ONEOF_ADDED #/M/o", "ONEOF_FIELD_ADDED #/M/o/2"], ["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "!ONEOF_FIELD_REMOVED #/M/o/2"];
    "several fields into a new oneof": "message M { int32 a = 1; int32 b = 2; }" => "message M { oneof o { int32 a = 1; int32 b = 2; } }", ["!MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o", "ONEOF_ADDED #/M/o"], ["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/2"];
    "a field into an existing oneof": "message M { int32 a = 1; oneof o { int32 b = 2; } }" => "message M { oneof o { int32 a = 1; int32 b = 2; } }", ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"], ["ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1"];
    "several fields into an existing oneof": "message M { int32 a = 1; int32 c = 3; oneof o { int32 b = 2; } }" => "message M { oneof o { int32 a = 1; int32 b = 2; int32 c = 3; } }", ["!MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o"], ["ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/3"];
    "a oneof with another name": "message M { oneof o { int32 a = 1; int32 b = 2; } }" => "message M { oneof p { int32 a = 1; int32 b = 2; } }", ["ONEOF_REMOVED #/M/o", "ONEOF_ADDED #/M/p"], ["ONEOF_ADDED #/M/o", "ONEOF_REMOVED #/M/p"];
    "a oneof with another name and fewer fields": "message M { oneof o { int32 a = 1; int32 b = 2; } }" => "message M { oneof p { int32 a = 1; } }", ["ONEOF_REMOVED #/M/o", "ONEOF_ADDED #/M/p", "!ONEOF_FIELD_REMOVED #/M/o/2"], ["ONEOF_ADDED #/M/o", "ONEOF_REMOVED #/M/p", "ONEOF_FIELD_ADDED #/M/o/2"];
    "a field from one oneof to another": "message M { oneof o { int32 a = 1; int32 b = 2; } oneof p { int32 c = 3; } }" => "message M { oneof o { int32 a = 1; } oneof p { int32 c = 3; int32 b = 2; } }", ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/p"], ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"];
    "a field from a oneof to a new one": "message M { oneof o { int32 a = 1; int32 b = 2; } }" => "message M { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }", ["ONEOF_ADDED #/M/p"], ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/o", "ONEOF_REMOVED #/M/p"];
    "two oneofs become one": "message M { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }" => "message M { oneof q { int32 a = 1; int32 b = 2; } }", ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/q", "ONEOF_REMOVED #/M/o", "ONEOF_REMOVED #/M/p", "ONEOF_ADDED #/M/q"], ["ONEOF_ADDED #/M/o", "ONEOF_ADDED #/M/p", "ONEOF_REMOVED #/M/q"];
    "the type of a field of a oneof": "message M { oneof o { int32 a = 1; } }" => "message M { oneof o { string a = 1; } }", ["!FIELD_SCALAR_KIND_CHANGED #/M/o/1"], ["!FIELD_SCALAR_KIND_CHANGED #/M/o/1"];
    "the type and the name of a oneof": "message M { oneof o { int32 a = 1; } }" => "message M { oneof p { string a = 1; } }", ["ONEOF_REMOVED #/M/o", "ONEOF_ADDED #/M/p", "!FIELD_SCALAR_KIND_CHANGED #/M/p/1"], ["ONEOF_ADDED #/M/o", "ONEOF_REMOVED #/M/p", "!FIELD_SCALAR_KIND_CHANGED #/M/o/1"];
    "a type, out of a oneof": "message M { oneof o { int32 a = 1; int32 b = 2; } }" => "message M { oneof o { int32 a = 1; } string b = 2; }", ["ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/2", "!FIELD_SCALAR_KIND_CHANGED #/M/2"], ["!FIELD_MOVED_TO_EXISTING_ONEOF #/M/o", "!FIELD_SCALAR_KIND_CHANGED #/M/o/2"];
    "a oneof field becomes repeated": "message M { oneof o { string a = 1; } }" => "message M { repeated string a = 1; }", ["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"], ["ONEOF_ADDED #/M/o", "FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/o/1"];
    "optional is no oneof": "message M { optional int32 a = 1; }" => "message M { int32 a = 1; }", [], [];
    "from optional into a oneof": "message M { optional int32 a = 1; optional int32 b = 2; }" => "message M { oneof o { int32 a = 1; int32 b = 2; } }", ["!MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o", "ONEOF_ADDED #/M/o"], ["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/2"];
    // Imports.
    "the same import": "import \"home.proto\"; message M { home.GoogleHome h = 1; }" => "import \"home.proto\"; message M { .home.GoogleHome h = 1; }", [], [];
    "an import of another package": "import \"home.proto\"; message M { home.GoogleHome h = 1; }" => "import \"home2.proto\"; message M { home2.GoogleHome h = 1; }", [], [];
    "an import with another type": "import \"home.proto\"; message M { home.GoogleHome h = 1; }" => "import \"home3.proto\"; message M { home.GoogleHome h = 1; }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/GoogleHome/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/GoogleHome/1"];
    "an import with another type farther away": "import \"home.proto\"; message M { home.outer.GoogleHome h = 1; }" => "import \"home3.proto\"; message M { home.outer.GoogleHome h = 1; }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_NAMED_TYPE_CHANGED #/outer/GoogleHome/2", "!FIELD_SCALAR_KIND_CHANGED #/outer/Deep/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_NAMED_TYPE_CHANGED #/outer/GoogleHome/2", "!FIELD_SCALAR_KIND_CHANGED #/outer/Deep/1"];
    "a message that moves into an import": "message M { GoogleHome h = 1; } message GoogleHome { int32 id = 1; bool on = 2; }" => "import \"home.proto\"; message M { home.GoogleHome h = 1; }", ["!MESSAGE_REMOVED #/GoogleHome"], ["MESSAGE_ADDED #/GoogleHome"];
    "a map of imported messages": "import \"home.proto\"; message M { map<string, home.GoogleHome> h = 1; }" => "import \"home3.proto\"; message M { map<string, home.GoogleHome> h = 1; }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/GoogleHome/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1", "!FIELD_SCALAR_KIND_CHANGED #/GoogleHome/1"];
    "a well-known type": "import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp t = 1; }" => "import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp t = 1; google.protobuf.Timestamp u = 2; }", ["FIELD_ADDED #/M/2"], ["FIELD_REMOVED #/M/2"];
    "another well-known type": "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\"; message M { google.protobuf.Timestamp t = 1; }" => "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\"; message M { google.protobuf.Duration t = 1; }", ["!FIELD_NAMED_TYPE_CHANGED #/M/1"], ["!FIELD_NAMED_TYPE_CHANGED #/M/1"];
];

#[test]
fn every_change_is_found_and_judged() {
    CASES.iter().for_each(check);
}

#[test]
fn messages_name_the_schemas_of_their_direction() {
    let (old, new) =
        (schema("message M { optional int32 a = 1; }"), schema("message M { optional string b = 1; }"));
    let found = new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        found.message,
        "field #/M/1 is written in another way in the new schema than in the old schema"
    );
    assert_eq!(found.detail, "int32 and string");
    let found = old.incompatibilities(&*new, Direction::OldReadsNew, CompatibilityPolicy::Strict);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        found.message,
        "field #/M/1 is written in another way in the old schema than in the new schema"
    );
}
