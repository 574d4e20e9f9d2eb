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
