//! Every message of every API survives in every version, byte by byte.

use std::path::Path;

use vltava_core::testing::messages::{check_round_trips, subjects};
use vltava_core::wire::MessageRow;
use vltava_protocol::OTHER_MESSAGES;
use vltava_protocol::api::APIS;

const SEED: u64 = 20_260_901;

fn check(rows: impl Iterator<Item = MessageRow>, count: usize) {
    let rows: Vec<MessageRow> = rows.collect();
    let subjects = subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("messages"), &rows);
    assert_eq!(subjects.len(), count);
    check_round_trips(&subjects, 60, SEED);
}

#[test]
fn every_request_survives_in_every_version() {
    check(APIS.iter().map(|api| api.request.clone()), 91);
}

#[test]
fn every_response_and_record_survives_in_every_version() {
    let responses = APIS.iter().map(|api| api.response.clone());
    check(responses.chain(OTHER_MESSAGES.iter().cloned()), 94);
}
