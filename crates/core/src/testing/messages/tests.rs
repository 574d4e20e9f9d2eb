use std::path::Path;

use super::*;
use crate::generated::MESSAGES;

const SEED: u64 = 20_260_906;

fn all() -> Vec<Subject> {
    subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/messages"), MESSAGES)
}

#[test]
fn control_records_survive_in_every_version() {
    let all = all();
    assert_eq!(all.len(), 9);
    check_round_trips(&all, 200, SEED);
}

#[test]
fn malformed_control_records_are_refused_without_harm() {
    let (accepted, refused) = check_hostile_input(&all(), 300, SEED, |subject, version, bytes| {
        (subject.row.transcode)(&mut Reader::new(bytes.clone()), version)
    });
    assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
}
