use vltava_core::record::{BatchBuilder, Compression};

use super::*;

const PRODUCER: ProducerId = ProducerId(7);

fn header(epoch: i16, sequence: i32, count: i32, base: i64) -> BatchHeader {
    let mut builder =
        BatchBuilder::new(Compression::None).producer(PRODUCER, ProducerEpoch(epoch), Sequence(sequence));
    for index in 0..count {
        builder.append(Timestamp(1000 + i64::from(index)), None, None, &[]);
    }
    builder.base_offset = Offset(base);
    builder.build().unwrap().header
}

fn client() -> PlaceTerms {
    PlaceTerms::by(Origin::Client)
}

fn coordinator() -> PlaceTerms {
    PlaceTerms::by(Origin::Coordinator)
}

fn transactional(mut header: BatchHeader) -> BatchHeader {
    header.attributes = header.attributes.transactional();
    header
}

fn marker(result: TransactionResult, coordinator_epoch: i32) -> EndTransactionMarker {
    EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(coordinator_epoch) }
}

fn end(
    producers: &mut Producers,
    epoch: i16,
    base: i64,
    marker: EndTransactionMarker,
) -> Option<CompletedTransaction> {
    let mut header = marker.batch(PRODUCER, ProducerEpoch(epoch), Timestamp(2000)).unwrap().header;
    header.base_offset = Offset(base);
    producers.apply(&header, Some(&marker))
}

/// `(epoch, first sequence, records)` of batches in the log, then one that wants in, and the first offset of the batch
/// that it repeats or the code it is refused with.
fn check(log: &[(i16, i32, i32)], wants: (i16, i32, i32), expected: Result<Option<i64>, ErrorCode>) {
    let mut producers = Producers::default();
    let mut base = 0;
    for (epoch, sequence, count) in log {
        producers.apply(&header(*epoch, *sequence, *count, base), None);
        base += i64::from(*count);
    }
    let verdict =
        producers.check(&header(wants.0, wants.1, wants.2, 0), None, &client(), &Verifications::default());
    let found = verdict.map_err(|error| error.code()).map(|verdict| match verdict {
        Verdict::Append => None,
        Verdict::Duplicate(batch) => Some(batch.first_offset().0),
    });
    assert_eq!(found, expected, "{log:?} then {wants:?}");
}

#[test]
fn sequences_are_judged_as_kafka_does() {
    let gap = Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let fenced = Err(ErrorCode::INVALID_PRODUCER_EPOCH);
    let six = [(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)];
    let max = i32::MAX;
    for (log, wants, expected) in [
        (&[][..], (0, 0, 3), Ok(None)),
        (&[], (3, 17, 3), Ok(None)),
        (&[(0, 0, 3)], (0, 3, 2), Ok(None)),
        (&[(0, 0, 3)], (0, 0, 3), Ok(Some(0))),
        (&[(0, 0, 3)], (0, 0, 2), gap),
        (&[(0, 0, 3)], (0, 4, 1), gap),
        (&[(0, 0, 3)], (0, 2, 1), gap),
        (&six, (0, 1, 1), Ok(Some(1))),
        (&six, (0, 0, 1), gap),
        (&six, (0, 6, 1), Ok(None)),
        (&[(0, max - 1, 2)], (0, 0, 1), Ok(None)),
        (&[(0, max, 3)], (0, 2, 1), Ok(None)),
        (&[(0, max, 3)], (0, max, 3), Ok(Some(0))),
        (&[(0, max, 3)], (0, 3, 1), gap),
        (&[(1, 0, 3)], (0, 3, 1), fenced),
        (&[(1, 0, 3)], (2, 0, 1), Ok(None)),
        (&[(1, 0, 3)], (2, 3, 1), gap),
        (&[(1, 0, 3), (2, 0, 1)], (1, 0, 3), fenced),
    ] {
        check(log, wants, expected);
    }
}

#[test]
fn a_coordinators_batches_need_no_sequence() {
    let mut producers = Producers::default();
    producers.apply(&transactional(header(1, -1, 2, 0)), None);
    let next = transactional(header(1, -1, 2, 2));
    assert_eq!(producers.check(&next, None, &coordinator(), &Verifications::default()), Ok(Verdict::Append));
    let fenced = producers.check(&header(0, -1, 2, 2), None, &coordinator(), &Verifications::default());
    assert_eq!(fenced.unwrap_err().code(), ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn a_client_cannot_open_a_transaction_by_itself() {
    let mut producers = Producers::default();
    for _ in 0..2 {
        let batch = transactional(header(0, 0, 1, 0));
        let refused = producers.check(&batch, None, &client(), &Verifications::default());
        assert_eq!(refused.unwrap_err().code(), ErrorCode::INVALID_TXN_STATE);
        assert_eq!(
            producers.check(&batch, None, &coordinator(), &Verifications::default()),
            Ok(Verdict::Append)
        );
        producers.apply(&header(0, -1, 1, 0), None);
    }
}

#[test]
fn an_open_transaction_takes_only_transactional_batches() {
    let mut producers = Producers::default();
    producers.apply(&transactional(header(0, 0, 1, 0)), None);
    let plain = producers.check(&header(0, 1, 1, 1), None, &client(), &Verifications::default());
    assert_eq!(plain.unwrap_err().code(), ErrorCode::INVALID_TXN_STATE);
    let next = transactional(header(0, 1, 1, 1));
    assert_eq!(producers.check(&next, None, &client(), &Verifications::default()), Ok(Verdict::Append));
}

#[test]
fn a_transaction_is_unstable_until_its_marker_is_committed() {
    let mut producers = Producers::default();
    producers.apply(&transactional(header(0, 0, 1, 10)), None);
    producers.apply(&transactional(header(0, 1, 1, 11)), None);
    assert_eq!(producers.first_unstable(), Some(Offset(10)));
    let completed = end(&mut producers, 0, 12, marker(TransactionResult::Abort, 3)).unwrap();
    assert_eq!((completed.first, completed.last), (Offset(10), Offset(12)));
    assert_eq!(producers.stable_after(&completed), Offset(13));
    producers.committed(Offset(12));
    assert_eq!(producers.first_unstable(), Some(Offset(10)));
    producers.committed(Offset(13));
    assert_eq!(producers.first_unstable(), None);
    assert_eq!(end(&mut producers, 0, 13, marker(TransactionResult::Commit, 3)), None);
}

#[test]
fn markers_of_replaced_coordinators_and_producers_are_refused() {
    let mut producers = Producers::default();
    end(&mut producers, 2, 0, marker(TransactionResult::Commit, 5));
    for (epoch, zombie, expected) in [
        (2, 5, None),
        (3, 6, None),
        (2, 4, Some(ErrorCode::TRANSACTION_COORDINATOR_FENCED)),
        (1, 5, Some(ErrorCode::INVALID_PRODUCER_EPOCH)),
    ] {
        let marker = marker(TransactionResult::Abort, zombie);
        let header = marker.batch(PRODUCER, ProducerEpoch(epoch), Timestamp(0)).unwrap().header;
        let code = producers
            .check(&header, Some(&marker), &coordinator(), &Verifications::default())
            .err()
            .map(|error| error.code());
        assert_eq!(code, expected, "epoch {epoch}, coordinator {zombie}");
    }
}

#[test]
fn after_a_marker_with_a_new_epoch_sequences_start_at_zero() {
    let mut producers = Producers::default();
    producers.apply(&transactional(header(0, 0, 5, 0)), None);
    end(&mut producers, 1, 5, marker(TransactionResult::Commit, 0));
    assert_eq!(
        producers.check(&header(1, 0, 1, 6), None, &client(), &Verifications::default()),
        Ok(Verdict::Append)
    );
    assert!(producers.check(&header(1, 5, 1, 6), None, &client(), &Verifications::default()).is_err());
}

#[test]
fn silent_producers_are_forgotten_unless_their_transaction_is_open() {
    let mut producers = Producers::default();
    producers.apply(&header(0, 0, 1, 0), None);
    producers.expire(Timestamp(1099), 100);
    assert_eq!(producers.len(), 1);
    producers.expire(Timestamp(1100), 100);
    assert_eq!(producers.len(), 0);
    producers.apply(&transactional(header(0, 0, 1, 0)), None);
    producers.expire(Timestamp(9999), 100);
    assert_eq!(producers.len(), 1);
}

/// A producer with this log, `(epoch, first sequence, transactional)` of batches and `true` after one that has ended, wants
/// to write a transactional batch of this epoch and sequence with this verification.
fn check_opening(
    log: &[(i16, i32, bool)],
    own_epoch: bool,
    (epoch, sequence): (i16, i32),
    show: fn(Verification) -> Verification,
    expected: Option<ErrorCode>,
) {
    let (mut producers, mut verifications) = (Producers::default(), Verifications::default());
    for (base, (epoch, sequence, open)) in log.iter().enumerate() {
        let base = i64::try_from(base).unwrap() * 2;
        producers.apply(&transactional(header(*epoch, *sequence, 1, base)), None);
        if !open {
            let epoch = if own_epoch { epoch + 1 } else { *epoch };
            end(&mut producers, epoch, base + 1, marker(TransactionResult::Commit, 0));
        }
    }
    let opening =
        Opening { producer: PRODUCER, epoch: ProducerEpoch(epoch), sequence: Sequence(sequence), own_epoch };
    let verification = match producers.must_verify(&opening) {
        Ok(true) => show(Verification::Guard(verifications.begin(&opening, Timestamp(0)))),
        Ok(false) => Verification::None,
        Err(error) => {
            assert_eq!(Some(error.code()), expected, "{log:?} then {epoch}, {sequence}");
            return;
        }
    };
    let batch = transactional(header(epoch, sequence, 1, 99));
    let verdict = producers.check(&batch, None, &PlaceTerms { verification, ..client() }, &verifications);
    let code = verdict.err().map(|error| error.code());
    assert_eq!(code, expected, "{log:?} then {epoch}, {sequence} with {verification:?}");
}

#[test]
fn a_transaction_is_opened_with_its_coordinators_knowledge() {
    let (state, gap) = (Some(ErrorCode::INVALID_TXN_STATE), Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    let fenced = Some(ErrorCode::INVALID_PRODUCER_EPOCH);
    let shown: fn(Verification) -> Verification = |verification| verification;
    let hidden: fn(Verification) -> Verification = |_| Verification::None;
    let waived: fn(Verification) -> Verification = |_| Verification::Waived;
    for (log, own_epoch, wants, show, expected) in [
        (&[][..], false, (0, 0), shown, None),
        (&[], false, (0, 0), hidden, state),
        (&[], false, (0, 0), waived, None),
        // Where nothing is known the first version takes any sequence number, the second only 0.
        (&[], false, (0, 7), shown, None),
        (&[], true, (0, 7), shown, gap),
        (&[], true, (0, 0), shown, None),
        (&[(0, 0, true)], false, (0, 1), hidden, None),
        (&[(0, 0, true)], false, (1, 0), hidden, state),
        (&[(0, 0, true)], false, (1, 0), shown, None),
        (&[(0, 0, false)], false, (0, 1), hidden, state),
        (&[(0, 0, false)], false, (0, 1), shown, None),
        (&[(0, 0, false)], false, (0, 2), shown, gap),
        (&[(0, 0, false)], true, (1, 0), shown, None),
        (&[(0, 0, false)], true, (1, 1), shown, gap),
        // A producer that was replaced is told so before its coordinator is asked.
        (&[(0, 0, false)], true, (0, 1), shown, fenced),
        (&[(3, 0, true)], false, (2, 0), shown, fenced),
    ] {
        check_opening(log, own_epoch, wants, show, expected);
    }
}

#[test]
fn a_batch_does_not_overtake_one_that_waits_for_its_verification() {
    let (producers, mut verifications) = (Producers::default(), Verifications::default());
    let opening = |sequence| Opening {
        producer: PRODUCER,
        epoch: ProducerEpoch(0),
        sequence: Sequence(sequence),
        own_epoch: false,
    };
    verifications.begin(&opening(3), Timestamp(0));
    let verification = Verification::Guard(verifications.begin(&opening(4), Timestamp(0)));
    let terms = PlaceTerms { verification, ..client() };
    let check =
        |sequence| producers.check(&transactional(header(0, sequence, 1, 0)), None, &terms, &verifications);
    assert_eq!(check(4).unwrap_err().code(), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(check(3), Ok(Verdict::Append));
}

#[test]
fn a_marker_that_must_raise_the_epoch_does_not_end_the_next_transaction() {
    let mut producers = Producers::default();
    producers.apply(&transactional(header(1, 0, 1, 0)), None);
    for (epoch, expected) in [(0, false), (1, false), (2, true)] {
        let end = TransactionEnd {
            producer: PRODUCER,
            epoch: ProducerEpoch(epoch),
            commit: true,
            coordinator_epoch: 0,
        };
        assert_eq!(producers.check_marker(&end, MarkerEpoch::Above).is_ok(), expected, "epoch {epoch}");
        assert_eq!(producers.check_marker(&end, MarkerEpoch::AtLeast).is_ok(), epoch >= 1, "epoch {epoch}");
    }
}
