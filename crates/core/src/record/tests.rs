use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// A batch that a Java producer sent: three records "a", "b", "c" without keys at 1,000 ms.
fn sample(base_offset: i64) -> Batch {
    let body = Bytes::from_static(&[
        0x0e, 0, 0, 0, 1, 2, b'a', 0, // length 7, attributes, timestamp +0, offset +0, null key, "a"
        0x0e, 0, 0, 2, 1, 2, b'b', 0, //
        0x0e, 0, 0, 4, 1, 2, b'c', 0,
    ]);
    let header = BatchHeader {
        base_offset: Offset(base_offset),
        batch_length: 49 + 24,
        partition_leader_epoch: LeaderEpoch(-1),
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: 2,
        base_timestamp: Timestamp(1000),
        max_timestamp: Timestamp(1000),
        producer_id: ProducerId(-1),
        producer_epoch: ProducerEpoch(-1),
        base_sequence: Sequence::NONE,
        records_count: 3,
    };
    let mut batch = Batch { header, body };
    batch.seal();
    batch
}

fn region(batches: &[Batch]) -> Bytes {
    let mut out = BytesMut::new();
    batches.iter().for_each(|batch| batch.encode_into(&mut out));
    out.freeze()
}

#[test]
fn a_region_splits_into_its_batches_without_copying() {
    let bytes = region(&[sample(0), sample(3), sample(6)]);
    let batches: Vec<_> = Batch::split(bytes.clone()).map(Result::unwrap).collect();
    assert_eq!(batches, [sample(0), sample(3), sample(6)]);
    assert_eq!(batches[1].body.as_ptr(), bytes[batches[0].size() + BatchHeader::SIZE..].as_ptr());
    let headers: Vec<_> = HeaderWalk::new(&bytes).map(Result::unwrap).collect();
    assert_eq!(headers, [(0, sample(0).header), (85, sample(3).header), (170, sample(6).header)]);
}

#[test]
fn stamping_keeps_the_checksum_and_changing_an_attribute_breaks_it() {
    let mut batch = sample(0);
    batch.header.base_offset = Offset(77);
    batch.header.partition_leader_epoch = LeaderEpoch(5);
    assert!(batch.crc_matches());
    assert_eq!((batch.header.last_offset(), batch.header.next_offset()), (Offset(79), Offset(80)));
    batch.header.attributes = batch.header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    assert!(matches!(batch.check_crc(), Err(RecordError::Checksum { .. })));
    batch.seal();
    assert!(batch.crc_matches());
}

#[test]
fn the_checksum_is_crc_32c_of_everything_from_the_attributes() {
    let bytes = sample(9).to_bytes();
    let computed = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[21..]);
    assert_eq!(u64::from(sample(9).header.crc), computed);
}

fn check_refused(change: impl Fn(&mut Vec<u8>), expected: &RecordError) {
    let mut bytes = sample(0).to_bytes().to_vec();
    change(&mut bytes);
    let mut split = Batch::split(bytes.clone().into());
    assert_eq!(split.next(), Some(Err(expected.clone())));
    assert_eq!(split.next(), None);
    assert_eq!(split.rest().len(), bytes.len());
    let mut walk = HeaderWalk::new(&bytes);
    assert_eq!(walk.next(), Some(Err(expected.clone())));
    assert_eq!((walk.next(), walk.position()), (None, 0));
}

#[test]
fn what_is_not_a_whole_batch_is_refused_with_its_reason() {
    check_refused(|b| b[16] = 1, &RecordError::OldMagic(1));
    check_refused(|b| b[16] = 0, &RecordError::OldMagic(0));
    check_refused(|b| b[16] = 3, &RecordError::Magic(3));
    check_refused(|b| b[16] = 0xff, &RecordError::Magic(-1));
    check_refused(|b| b[8..12].copy_from_slice(&48_i32.to_be_bytes()), &RecordError::BatchLength(48));
    check_refused(|b| b[8..12].copy_from_slice(&(-1_i32).to_be_bytes()), &RecordError::BatchLength(-1));
    check_refused(|b| b.truncate(60), &RecordError::Truncated { needed: 61, available: 60 });
    check_refused(|b| b.truncate(10), &RecordError::Truncated { needed: 61, available: 10 });
    check_refused(|b| b.truncate(84), &RecordError::Truncated { needed: 85, available: 84 });
    check_refused(
        |b| b[8..12].copy_from_slice(&i32::MAX.to_be_bytes()),
        &RecordError::Truncated { needed: 2_147_483_659, available: 85 },
    );
}

#[test]
fn attribute_bits_are_kafkas() {
    let bits = Attributes(0).with_compression(Compression::Lz4).transactional().control().delete_horizon();
    assert_eq!(bits.0, 0x73);
    assert_eq!(bits.with_timestamp_type(TimestampType::LogAppendTime).0, 0x7b);
    assert_eq!(Attributes(5).compression(), Err(5));
    for codec in Compression::ALL {
        assert_eq!(Attributes(0x70).with_compression(codec).compression(), Ok(codec));
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
    assert_eq!(Sequence(i32::MAX - 1).plus(5), Sequence(3));
    assert_eq!(Sequence(7).plus(i32::MAX), Sequence(6));
    let mut header = sample(0).header;
    assert_eq!(header.last_sequence(), Sequence::NONE);
    header.base_sequence = Sequence(i32::MAX);
    assert_eq!(header.last_sequence(), Sequence(1));
}

proptest! {
    #[test]
    fn every_header_survives_its_bytes(bytes in prop::array::uniform32(any::<u8>()), tail in prop::array::uniform29(any::<u8>())) {
        let mut all = [0; 61];
        all[..32].copy_from_slice(&bytes);
        all[32..].copy_from_slice(&tail);
        prop_assert_eq!(BatchHeader::from_bytes(&all).to_bytes(), all);
    }

    #[test]
    fn mutated_regions_never_panic_and_yield_only_what_they_hold(flips in prop::collection::vec((0usize..255, any::<u8>()), 0..12), cut in 0usize..256) {
        let mut bytes = region(&[sample(0), sample(3), sample(6)]).to_vec();
        for (at, value) in flips {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        let total = bytes.len();
        let size: usize = Batch::split(bytes.into()).filter_map(Result::ok).map(|batch| {
            let _ = (batch.check_crc(), batch.header.last_offset(), batch.header.last_sequence(), batch.header.compression());
            batch.size()
        }).sum();
        prop_assert!(size <= total);
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn any_record() -> impl Strategy<Value = Owned> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let headers = prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4);
    (any::<i64>(), prop::option::of(bytes()), prop::option::of(bytes()), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn owned(record: &Record<'_>) -> Owned {
    Owned {
        timestamp: record.timestamp.0,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
    }
}

#[test]
fn the_records_of_a_java_batch_are_views_of_its_body() {
    let batch = sample(40);
    let records = batch.records().unwrap();
    let found: Vec<_> = records.iter().map(Result::unwrap).collect();
    let values: Vec<_> = found.iter().map(|r| (r.offset.0, r.timestamp.0, r.key, r.value.unwrap())).collect();
    assert_eq!(values, [(40, 1000, None, &b"a"[..]), (41, 1000, None, b"b"), (42, 1000, None, b"c")]);
    assert_eq!(records.body().as_ptr(), batch.body.as_ptr());
}

#[test]
fn the_builder_writes_what_a_java_producer_writes() {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in [b"a", b"b", b"c"] {
        builder.append(Timestamp(1000), None, Some(value), &[]);
    }
    assert_eq!(builder.build().unwrap(), sample(0));
}

#[test]
fn malformed_records_end_the_walk_with_one_error() {
    let short_value = [0x0e, 0, 0, 0, 1, 4, b'a', 0];
    let negative_headers = [0x0e, 0, 0, 0, 1, 2, b'a', 1];
    let null_header_key = [0x12, 0, 0, 0, 1, 2, b'a', 2, 1, 1];
    let many_headers = [0x16, 0, 0, 0, 1, 2, b'a', 0xfe, 0xff, 0xff, 0x0f];
    let endless = [0xff; 12];
    for body in [&short_value[..], &negative_headers, &null_header_key, &many_headers, &endless, &[1], &[]] {
        let mut batch = Batch { body: Bytes::copy_from_slice(body), ..sample(0) };
        batch.header.records_count = 1;
        let records = batch.records().unwrap();
        let results: Vec<_> = records.iter().collect();
        assert!(matches!(results[..], [Err(RecordError::Structure(_))]), "{body:?}: {results:?}");
    }
}

#[test]
fn transaction_markers_survive_their_batch() {
    for result in [TransactionResult::Abort, TransactionResult::Commit] {
        let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(12) };
        let batch = marker.batch(ProducerId(5), ProducerEpoch(2), Timestamp(9)).unwrap();
        assert!(batch.header.is_control() && batch.header.is_transactional() && batch.crc_matches());
        assert_eq!(EndTransactionMarker::read(&batch), Ok(Some(marker)));
    }
    assert_eq!(EndTransactionMarker::read(&sample(0)), Ok(None));
    assert_eq!(ControlRecordType::from_key(&[0, 0, 0, 99]), Ok(None));
    assert!(ControlRecordType::from_key(&[0, 0, 0]).is_err());
    assert!(ControlRecordType::from_key(&[0xff, 0, 0, 0]).is_err());
}

proptest! {
    #[test]
    fn records_survive_every_codec(records in prop::collection::vec(any_record(), 1..20), codec in 0usize..5) {
        let mut builder = BatchBuilder::new(Compression::ALL[codec]);
        builder.base_offset = Offset(100);
        for record in &records {
            let headers: Vec<_> = record.headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
            let bound = builder.uncompressed_size_with(record.key.as_deref(), record.value.as_deref());
            builder.append(Timestamp(record.timestamp), record.key.as_deref(), record.value.as_deref(), &headers);
            prop_assert!(!headers.is_empty() || builder.uncompressed_size() <= bound);
        }
        let batch = builder.build().unwrap();
        prop_assert!(batch.crc_matches());
        let read = batch.records().unwrap();
        let found: Vec<_> = read.iter().map(|record| owned(&record.unwrap())).collect();
        prop_assert_eq!(&found, &records);
        let last = read.iter().last().unwrap().unwrap();
        prop_assert_eq!(last.offset, batch.header.last_offset());
    }

    #[test]
    fn mutated_bodies_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), count in any::<i32>()) {
        let mut batch = sample(0);
        let mut body = batch.body.to_vec();
        for (at, value) in flips {
            let at = at.index(body.len());
            body[at] = value;
        }
        batch.body = body.into();
        batch.header.records_count = count;
        for record in batch.records().unwrap().iter().flatten() {
            prop_assert_eq!(record.headers.iter().count(), record.headers.len());
        }
    }
}
