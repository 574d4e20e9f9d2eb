//! Every message of every API survives in every version, byte by byte.

use std::path::Path;

use vltava_core::testing::messages::{Subject, check_round_trips, subjects};
use vltava_protocol::OTHER_MESSAGES;
use vltava_protocol::api::APIS;

const SEED: u64 = 20_260_901;

fn all() -> Vec<Subject> {
    let rows: Vec<_> = APIS
        .iter()
        .flat_map(|api| [api.request.clone(), api.response.clone()])
        .chain(OTHER_MESSAGES.iter().cloned())
        .collect();
    subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("messages"), &rows)
}

#[test]
fn every_message_survives_in_every_version() {
    let all = all();
    assert_eq!(all.len(), 185);
    check_round_trips(&all, 60, SEED);
}
