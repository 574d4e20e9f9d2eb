//! Producer snapshots and records of remote segments survive byte by byte, and malformed ones are refused.

use std::path::Path;

use bytes::Bytes;
use vltava_core::testing::messages::{
    Density, Subject, check_hostile_input, check_round_trips, sample, stream, subjects,
};
use vltava_core::wire::Reader;
use vltava_replication::generated::MESSAGES;
use vltava_replication::generated::remote_log::RemoteLogRecord;

const SEED: u64 = 20_260_905;

fn all() -> Vec<Subject> {
    subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/messages"), MESSAGES)
}

#[test]
fn every_record_survives_in_every_version() {
    let all = all();
    assert_eq!(all.len(), 5);
    check_round_trips(&all, 200, SEED);
}

#[test]
fn malformed_records_are_refused_without_harm() {
    let (accepted, refused) = check_hostile_input(&all(), 500, SEED, |subject, version, bytes| {
        (subject.row.transcode)(&mut Reader::new(bytes.clone()), version)
    });
    assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
}

#[test]
fn records_of_remote_segments_carry_their_type_and_version() {
    for subject in all() {
        let Some(record_type) = subject.table.api_key else { continue };
        let mut random = stream(SEED, subject.row.name, 0, 0);
        let mut bytes = vec![1, record_type as u8, 0];
        bytes.extend(sample(&subject.table, 0, &mut random, Density::Sparse));
        let bytes = Bytes::from(bytes);
        let (record, version) = RemoteLogRecord::decode(bytes.clone()).expect(subject.row.name);
        assert_eq!((record.record_type(), version), (record_type, 0));
        assert_eq!(record.encode(version), Ok(bytes));
    }
}
