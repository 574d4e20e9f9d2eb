use proptest::prelude::*;

use super::*;
use crate::id::{ProducerEpoch, ProducerId};
use crate::record::{Attributes, RecordHeader};

const NOW: Timestamp = Timestamp(1_000_000);

/// A batch of records with these timestamps; every second one has no key.
fn batch(codec: Compression, timestamps: &[i64]) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for (index, timestamp) in timestamps.iter().enumerate() {
        let key = (index % 2 == 0).then_some(&b"key"[..]);
        let header = RecordHeader { key: b"h", value: None };
        builder.append(Timestamp(*timestamp), key, Some(&[b'v'; 300]), &[header]);
    }
    builder.build().unwrap()
}

fn resealed(mut batch: Batch, change: impl Fn(&mut BatchHeader)) -> Batch {
    change(&mut batch.header);
    batch.seal();
    batch
}

fn check_refused(batch: Batch, rules: &ValidationRules, code: ErrorCode, fragment: &str) {
    let refusal = validate(batch, rules, Origin::Client, NOW).expect_err(fragment);
    assert_eq!(refusal.code(), code, "{refusal}");
    assert!(refusal.to_string().contains(fragment), "{refusal}");
}

#[test]
fn a_sound_batch_passes_through_untouched() {
    for codec in Compression::ALL {
        let original = batch(codec, &[NOW.0 - 5, NOW.0, NOW.0 - 9]);
        let validated = validate(original.clone(), &ValidationRules::default(), Origin::Client, NOW).unwrap();
        assert_eq!(validated.batch.body.as_ptr(), original.body.as_ptr(), "{codec:?}");
        assert_eq!(
            validated,
            Validated { batch: original, log_append_time: Timestamp::NONE, converted: false }
        );
    }
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_with_kafkas_code() {
    let rules = ValidationRules::default();
    let good = || batch(Compression::None, &[1, 2, 3]);
    let mut wrong_crc = good();
    wrong_crc.header.crc ^= 1;
    check_refused(wrong_crc, &rules, ErrorCode::CORRUPT_MESSAGE, "checksum");
    let invalid = ErrorCode::INVALID_RECORD;
    check_refused(
        resealed(good(), |h| h.base_offset = Offset(4)),
        &rules,
        invalid,
        "should be 0, but it is 4",
    );
    check_refused(resealed(good(), |h| h.last_offset_delta = -1), &rules, invalid, "invalid offset range");
    check_refused(resealed(good(), |h| h.records_count = 0), &rules, invalid, "Invalid reported count");
    check_refused(resealed(good(), |h| h.records_count = -7), &rules, invalid, "Invalid reported count");
    check_refused(
        resealed(good(), |h| h.records_count = 2),
        &rules,
        invalid,
        "Inconsistent batch offset range",
    );
    check_refused(
        resealed(good(), |h| h.attributes = h.attributes.control()),
        &rules,
        invalid,
        "control records",
    );
    check_refused(
        resealed(good(), |h| h.producer_id = ProducerId(7)),
        &rules,
        invalid,
        "Invalid sequence number -1",
    );
    let fewer = |h: &mut BatchHeader| (h.records_count, h.last_offset_delta) = (2, 1);
    check_refused(resealed(good(), fewer), &rules, invalid, "bytes are left");
    let more = |h: &mut BatchHeader| (h.records_count, h.last_offset_delta) = (4, 3);
    for codec in Compression::ALL {
        check_refused(resealed(batch(codec, &[1, 2, 3]), more), &rules, invalid, "end inside a record");
        check_refused(resealed(batch(codec, &[1, 2, 3]), fewer), &rules, invalid, "bytes are left");
    }
    let unknown = |h: &mut BatchHeader| h.attributes = Attributes(5);
    check_refused(resealed(good(), unknown), &rules, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, "codec 5");
    let gzip = |h: &mut BatchHeader| h.attributes = h.attributes.with_compression(Compression::Gzip);
    check_refused(resealed(good(), gzip), &rules, invalid, "gzip compressed records cannot be read");
    let small = ValidationRules { batch_size_max: 100, ..rules.clone() };
    check_refused(good(), &small, ErrorCode::MESSAGE_TOO_LARGE, "maximum configured value of 100");
    let small = ValidationRules { segment_size_max: 100, ..rules };
    check_refused(good(), &small, ErrorCode::RECORD_LIST_TOO_LARGE, "segment size of 100");
}

#[test]
fn a_compressed_record_above_the_limit_is_refused() {
    let rules = |record_size_max| ValidationRules { record_size_max, ..ValidationRules::default() };
    for codec in Compression::ALL {
        if codec == Compression::None {
            validate(batch(codec, &[1, 2]), &rules(300), Origin::Client, NOW).unwrap();
        } else {
            check_refused(batch(codec, &[1, 2]), &rules(300), ErrorCode::INVALID_RECORD, "more than the 300");
            validate(batch(codec, &[1, 2]), &rules(400), Origin::Client, NOW).unwrap();
        }
    }
}

#[test]
fn a_coordinator_may_write_control_batches() {
    let control = resealed(batch(Compression::None, &[1]), |h| {
        h.attributes = h.attributes.control().transactional();
        (h.producer_id, h.producer_epoch) = (ProducerId(7), ProducerEpoch(0));
    });
    let rules = ValidationRules {
        compression: TopicCompression::Codec(Compression::Zstd.into()),
        ..ValidationRules::default()
    };
    assert_eq!(validate(control.clone(), &rules, Origin::Coordinator, NOW).unwrap().batch, control);
}

fn indexes(refusal: &Refusal) -> Vec<i32> {
    refusal.records().iter().map(|record| record.index).collect()
}

#[test]
fn refused_records_are_named_by_their_place() {
    for codec in Compression::ALL {
        let rules = ValidationRules { compacted: true, ..ValidationRules::default() };
        let refusal = validate(batch(codec, &[1, 2, 3, 4]), &rules, Origin::Client, NOW).unwrap_err();
        assert_eq!((refusal.code(), indexes(&refusal)), (ErrorCode::INVALID_RECORD, vec![1, 3]));

        let rules = ValidationRules {
            timestamp_before_max_ms: 1000,
            timestamp_after_max_ms: 500,
            ..ValidationRules::default()
        };
        let times = [NOW.0 - 1001, NOW.0 - 1000, NOW.0 + 500, NOW.0 + 501, -1, i64::MIN, i64::MAX];
        let refusal = validate(batch(codec, &times), &rules, Origin::Client, NOW).unwrap_err();
        assert_eq!((refusal.code(), indexes(&refusal)), (ErrorCode::INVALID_TIMESTAMP, vec![0, 3, 5, 6]));

        let append_time = resealed(batch(codec, &[-1]), |h| {
            h.attributes = h.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        });
        let refusal = validate(append_time, &rules, Origin::Client, NOW).unwrap_err();
        assert_eq!((refusal.code(), indexes(&refusal)), (ErrorCode::INVALID_TIMESTAMP, vec![0]));
    }
    let many = vec![i64::MAX; RECORD_ERRORS_MAX + 5];
    let refusal = validate(batch(Compression::Lz4, &many), &ValidationRules::default(), Origin::Client, NOW);
    assert_eq!(refusal.unwrap_err().records().len(), RECORD_ERRORS_MAX);
}

#[test]
fn log_append_time_overwrites_header_and_checksum() {
    let rules =
        ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..ValidationRules::default() };
    for codec in Compression::ALL {
        let original = batch(codec, &[1, i64::MAX, 3]);
        let validated = validate(original.clone(), &rules, Origin::Client, NOW).unwrap();
        assert_eq!(validated.log_append_time, NOW);
        let header = validated.batch.header;
        assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, NOW));
        assert!(validated.batch.crc_matches());
        assert_eq!(validated.batch.body, original.body);
        let records = validated.batch.records().unwrap();
        assert!(records.iter().all(|record| record.unwrap().timestamp == NOW));
    }
}

#[test]
fn a_wrong_largest_timestamp_is_corrected() {
    let wrong = resealed(batch(Compression::Zstd, &[5, 9, 7]), |h| h.max_timestamp = Timestamp(1));
    let validated = validate(wrong, &ValidationRules::default(), Origin::Client, NOW).unwrap();
    assert_eq!(validated.batch.header.max_timestamp, Timestamp(9));
    assert!(validated.batch.crc_matches());
}

/// Offset, timestamp, key, value and headers of every record.
type Contents = Vec<(i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize)>;

fn contents(batch: &Batch) -> Contents {
    let records = batch.records().unwrap();
    records
        .iter()
        .map(|record| {
            let record = record.unwrap();
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            (
                record.offset.0,
                record.timestamp.0,
                owned(record.key),
                owned(record.value),
                record.headers.len(),
            )
        })
        .collect()
}

#[test]
fn the_codec_of_the_topic_replaces_the_producers() {
    for source in Compression::ALL {
        for target in Compression::ALL {
            let original = batch(source, &[5, 9, 7]);
            let original = resealed(original, |h| {
                (h.producer_id, h.producer_epoch, h.base_sequence) =
                    (ProducerId(3), ProducerEpoch(1), Sequence(40));
            });
            let rules = ValidationRules {
                compression: TopicCompression::Codec(target.into()),
                ..ValidationRules::default()
            };
            let validated = validate(original.clone(), &rules, Origin::Client, NOW).unwrap().batch;
            assert_eq!(validated.header.compression(), Ok(target));
            assert!(validated.crc_matches());
            assert_eq!(contents(&validated), contents(&original));
            let expected = BatchHeader {
                attributes: validated.header.attributes,
                crc: validated.header.crc,
                batch_length: validated.header.batch_length,
                ..original.header
            };
            assert_eq!(validated.header, expected);
        }
    }
}

#[test]
fn inner_offsets_that_do_not_count_up_are_repaired() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec);
        for offset_delta in [0, 5, 2] {
            builder.append_at(offset_delta, Timestamp(1), None, Some(b"v"), std::iter::empty());
        }
        let validated =
            validate(builder.build().unwrap(), &ValidationRules::default(), Origin::Client, NOW).unwrap();
        let offsets: Vec<_> = contents(&validated.batch).iter().map(|record| record.0).collect();
        assert_eq!(offsets, [0, 1, 2], "{codec:?}");
        assert_eq!(validated.batch.header.compression(), Ok(codec));
        assert!(validated.batch.crc_matches());
    }
}

#[test]
fn a_payload_has_exactly_one_batch() {
    let one = batch(Compression::None, &[1]).to_bytes();
    assert!(sole_batch(one.clone()).is_ok());
    let two = Bytes::from(one.repeat(2));
    assert_eq!(sole_batch(two).unwrap_err().code(), ErrorCode::INVALID_RECORD);
    assert_eq!(sole_batch(Bytes::new()).unwrap_err().code(), ErrorCode::INVALID_RECORD);
    let cut = one.slice(..one.len() - 1);
    assert_eq!(sole_batch(cut).unwrap_err().code(), ErrorCode::INVALID_RECORD);
    let tail = Bytes::from([&one[..], b"no batch"].concat());
    assert!(sole_batch(tail).is_ok(), "what follows and is no batch is ignored");
}

proptest! {
    #[test]
    fn what_passes_can_be_read(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        codec in 0usize..5,
        target in 0usize..5,
    ) {
        let mut changed = batch(Compression::ALL[codec], &[1, 2, 3, 4]);
        let mut body = changed.body.to_vec();
        for (at, value) in flips {
            let at = at.index(body.len());
            body[at] = value;
        }
        changed.body = body.into();
        changed.seal();
        let rules = ValidationRules {
            compression: TopicCompression::Codec(Compression::ALL[target].into()),
            ..ValidationRules::default()
        };
        if let Ok(validated) = validate(changed, &rules, Origin::Client, NOW) {
            prop_assert!(validated.batch.crc_matches());
            prop_assert_eq!(contents(&validated.batch).len(), 4);
        }
    }
}
