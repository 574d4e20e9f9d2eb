//! Malformed bytes of every message and version: no panic, and memory in proportion to the frame.

use std::path::Path;

use bytes::Bytes;
use vltava_core::testing::messages::{check_hostile_input, subjects};
use vltava_core::testing::{PeakAllocator, Random};
use vltava_core::wire::{MessageRow, Reader};
use vltava_protocol::OTHER_MESSAGES;
use vltava_protocol::api::{APIS, RequestKind};
use vltava_protocol::frame::RequestFrame;

#[global_allocator]
static ALLOCATOR: PeakAllocator = PeakAllocator;

const SEED: u64 = 20_260_902;

/// What a byte of a frame may cost at most, in bytes.
///
/// The worst are arrays of structures of nothing but empty strings: a byte or two each on the wire, 32 bytes in memory
/// (`ListGroupsResponse`: 128 bytes for 3). Twice of that is held for a moment while an array with slightly more than
/// `ITEMS_RESERVED_MAX` elements grows. Requests stay below the half of it.
const RESPONSE_AMPLIFICATION_MAX: usize = 88;
const REQUEST_AMPLIFICATION_MAX: usize = 64;

/// What a frame may cost whatever its size, in bytes.
const FRAME_COST_BYTES: usize = 1024;

#[test]
fn malformed_requests_neither_panic_nor_cost_more_than_their_bytes() {
    let requests = APIS.iter().map(|api| api.request.clone()).collect::<Vec<_>>();
    check(&requests, REQUEST_AMPLIFICATION_MAX);
}

#[test]
fn malformed_responses_neither_panic_nor_cost_more_than_their_bytes() {
    let responses = APIS.iter().map(|api| api.response.clone()).chain(OTHER_MESSAGES.iter().cloned());
    check(&responses.collect::<Vec<_>>(), RESPONSE_AMPLIFICATION_MAX);
}

/// A frame as it comes from a socket, with a header that may be as wrong as the rest.
#[test]
fn malformed_frames_neither_panic_nor_cost_more_than_their_bytes() {
    let mut random = Random::new(SEED);
    for _ in 0..20_000 {
        let length = random.below(120);
        let mut frame: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
        let api = random.pick(&APIS);
        let version = random.bits() as i16 % 16;
        // Most begin like a request, so that the body is reached.
        if length > 14 && !random.once_in(8) {
            frame[..2].copy_from_slice(&api.key.code().to_be_bytes());
            frame[2..4].copy_from_slice(&version.to_be_bytes());
            frame[8..10].copy_from_slice(&[0xff, 0xff]);
            frame[10] = 0;
        }
        let frame = Bytes::from(frame);
        let (_, peak) = PeakAllocator::peak_of(|| {
            RequestFrame::decode(frame.clone())
                .map(|mut request| RequestKind::decode(request.api.key, request.version(), &mut request.body))
        });
        assert!(
            peak <= REQUEST_AMPLIFICATION_MAX * frame.len() + FRAME_COST_BYTES,
            "{frame:?}: {peak} bytes"
        );
    }
}

fn check(rows: &[MessageRow], amplification_max: usize) {
    let subjects = subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("messages"), rows);
    let mut worst = (0.0, String::new());
    let (accepted, refused) = check_hostile_input(&subjects, 24, SEED, |subject, version, bytes| {
        let mut reader = Reader::new(bytes.clone());
        let (_, peak) = PeakAllocator::peak_of(|| (subject.row.check)(&mut reader, version));
        let what = format!("{} {version}: {peak} bytes for {}, seed {SEED}", subject.row.name, bytes.len());
        assert!(peak <= amplification_max * bytes.len() + FRAME_COST_BYTES, "{what}");
        let ratio = peak as f64 / (bytes.len() + 64) as f64;
        if ratio > worst.0 {
            worst = (ratio, what);
        }
        (subject.row.transcode)(&mut Reader::new(bytes.clone()), version)
    });
    println!("{accepted} accepted, {refused} refused, worst {worst:?}");
    assert!(accepted > 1000 && refused > 1000, "the samples are one-sided");
}
