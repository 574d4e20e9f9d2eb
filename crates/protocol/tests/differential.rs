//! What this crate writes, the published crate `kafka-protocol` reads and writes alike, wherever it has the version.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirKey, RequestKind as Theirs, ResponseKind as TheirResponse};
use vltava_core::testing::messages::{Density, Subject, sample, stream, subjects};
use vltava_core::wire::Reader;
use vltava_protocol::api::APIS;

const SEED: u64 = 20_260_903;
const SAMPLES: u64 = 24;

/// Requests whose newest version was unstable in the release which that crate was made from, so that it refuses them.
const UNSTABLE_THERE: [(&str, i16); 3] =
    [("OffsetCommitRequest", 10), ("OffsetFetchRequest", 10), ("InitProducerIdRequest", 6)];

type Transcode = fn(TheirKey, Bytes, i16) -> Result<Bytes, String>;

#[test]
fn requests_agree() {
    let compared = check(&subjects_of(|api| api.request.clone()), |key, mut bytes, version| {
        let mut written = BytesMut::new();
        let message = Theirs::decode(key, &mut bytes, version).map_err(|error| error.to_string())?;
        message.encode(&mut written, version).map_err(|error| error.to_string())?;
        finished(&bytes, written)
    });
    assert_eq!(compared, 287);
}

#[test]
fn responses_agree() {
    let compared = check(&subjects_of(|api| api.response.clone()), |key, mut bytes, version| {
        let mut written = BytesMut::new();
        let message = TheirResponse::decode(key, &mut bytes, version).map_err(|error| error.to_string())?;
        message.encode(&mut written, version).map_err(|error| error.to_string())?;
        finished(&bytes, written)
    });
    assert_eq!(compared, 290);
}

fn subjects_of(row: fn(&vltava_protocol::api::Api) -> vltava_core::wire::MessageRow) -> Vec<Subject> {
    let rows: Vec<_> = APIS.iter().map(row).collect();
    subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("messages"), &rows)
}

fn finished(left: &Bytes, written: BytesMut) -> Result<Bytes, String> {
    if left.is_empty() { Ok(written.freeze()) } else { Err(format!("{} bytes left", left.len())) }
}

/// Compares every version that both sides have and returns how many there were.
fn check(subjects: &[Subject], theirs: Transcode) -> usize {
    let mut compared = 0;
    let mut failures = Vec::new();
    for (api, subject) in APIS.iter().zip(subjects) {
        let Ok(key) = TheirKey::try_from(api.key.code()) else { continue };
        let versions = key.valid_versions();
        for version in
            subject.row.versions.clone().filter(|version| (versions.min..=versions.max).contains(version))
        {
            if UNSTABLE_THERE.contains(&(subject.row.name, version)) {
                continue;
            }
            compared += 1;
            for round in 0..SAMPLES {
                let mut random = stream(SEED, subject.row.name, version, round);
                let bytes = Bytes::from(sample(&subject.table, version, &mut random, Density::Sparse));
                let ours = (subject.row.transcode)(&mut Reader::new(bytes.clone()), version);
                let theirs = theirs(key, bytes.clone(), version);
                if ours.as_ref().ok() != theirs.as_ref().ok() || ours.is_err() {
                    failures.push(format!(
                        "{} {version}, seed {SEED}, round {round}\n  bytes  {bytes:?}\n  ours   {ours:?}\n  theirs {theirs:?}",
                        subject.row.name
                    ));
                    break;
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {compared} differ:\n{}", failures.len(), failures.join("\n"));
    compared
}
