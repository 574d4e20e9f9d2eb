//! What the formats together are judged by.

use std::io::Write;

use super::{avro, json, protobuf};

#[test]
fn compatibility_is_judged_in_three_hundred_cases_and_more() {
    let avro = avro::tests::compatibility::cases().len();
    let (protobuf, json) = (protobuf::tests::compatibility::CASES.len(), json::tests::table::CASES.len());
    let all = avro + protobuf + json;
    // Past what catches the output of tests that hold: the number is to be seen.
    let told = writeln!(
        std::io::stderr(),
        "compatibility: {all} cases ({avro} Avro, {protobuf} Protobuf, {json} JSON Schema), each in both directions"
    );
    assert!(told.is_ok() && avro >= 150 && protobuf >= 90 && all >= 300, "{all} cases");
}
