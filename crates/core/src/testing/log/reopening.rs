//! What comes back when a store is opened again.

use super::{Reopen, all_batches, log_id, open, plain_batch, small_spans, works};
use crate::id::Offset;
use crate::log::{LogSettings, Sidecar, SidecarKind};
use crate::record::Batch;

pub(super) fn run(fresh: &mut dyn FnMut() -> Reopen) {
    for clean in [true, false] {
        batches_come_back(&mut fresh(), clean);
        sidecars_come_back(&mut fresh(), clean);
        bounds_come_back(&mut fresh(), clean);
        removed_logs_stay_gone(&mut fresh(), clean);
    }
    another_topic_of_the_same_name_starts_empty(&mut fresh());
}

fn batches_come_back(reopen: &mut Reopen, clean: bool) {
    let mut expected: Vec<Batch> = Vec::new();
    for round in 0..5 {
        let store = reopen();
        let log = open(&*store, small_spans());
        assert_eq!(all_batches(&*log), expected, "after {round} rounds, stopped cleanly: {clean}");
        let end = log.bounds().end.0;
        assert_eq!(log.bounds().flushed, Offset(end), "what was flushed is known to be");
        for number in 0..20 {
            expected.push(plain_batch(end + number * 3, 3, 1_000_000 + end, 120));
        }
        works("append", log.append(&expected[expected.len() - 20..]));
        works("flush", log.flush());
        works("maintain", store.maintain(&[]));
        if clean {
            works("close", store.close());
        }
    }
}

fn sidecars_come_back(reopen: &mut Reopen, clean: bool) {
    let sidecars = [
        Sidecar { kind: SidecarKind::ProducerSnapshot, at: Offset(5) },
        Sidecar { kind: SidecarKind::AbortedTransactions, at: Offset(0) },
        Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset(0) },
    ];
    {
        let store = reopen();
        let log = open(&*store, LogSettings::default());
        works("append", log.append(&[plain_batch(0, 10, 1000, 10)]));
        for sidecar in sidecars {
            works("write", log.sidecars().write(sidecar, format!("{sidecar:?}").as_bytes()));
        }
        works("flush", log.flush());
        if clean {
            works("close", store.close());
        }
    }
    let store = reopen();
    let log = open(&*store, LogSettings::default());
    for sidecar in sidecars {
        let content = works("read", log.sidecars().read(sidecar));
        assert_eq!(
            content.as_deref(),
            Some(format!("{sidecar:?}").as_bytes()),
            "{sidecar:?}, clean: {clean}"
        );
        assert_eq!(log.sidecars().list(sidecar.kind), [sidecar.at], "the list of {sidecar:?}");
    }
}

fn bounds_come_back(reopen: &mut Reopen, clean: bool) {
    {
        let store = reopen();
        let log = open(&*store, small_spans());
        for number in 0..100 {
            works("append", log.append(&[plain_batch(number * 3, 3, 1000, 100)]));
        }
        works("trim", log.trim(Offset(100)));
        works("truncate", log.truncate(Offset(200)));
        works("flush", log.flush());
        works("maintain", store.maintain(&[(log_id("suite", 7), Offset(150))]));
        if clean {
            works("close", store.close());
        }
    }
    let store = reopen();
    let listed = works("list", store.list());
    assert_eq!(listed.len(), 1, "a log that is not open is listed");
    assert_eq!(listed[0].high_watermark, Offset(150), "with its high watermark");
    let log = open(&*store, small_spans());
    let bounds = log.bounds();
    assert_eq!((bounds.start, bounds.end), (Offset(100), Offset(198)), "the bounds, clean: {clean}");
    assert_eq!(listed[0].bytes, log.spans().iter().map(|span| span.bytes).sum::<u64>(), "and its bytes");
}

fn removed_logs_stay_gone(reopen: &mut Reopen, clean: bool) {
    {
        let store = reopen();
        let log = open(&*store, small_spans());
        works("append", log.append(&[plain_batch(0, 3, 1000, 100)]));
        works("remove", store.remove(&log_id("suite", 7)));
        if clean {
            works("close", store.close());
        }
    }
    let store = reopen();
    assert_eq!(works("list", store.list()), [], "a removed log does not come back");
    assert_eq!(open(&*store, small_spans()).bounds().end, Offset::ZERO, "nor do its batches");
}

fn another_topic_of_the_same_name_starts_empty(reopen: &mut Reopen) {
    {
        let store = reopen();
        let log = works("open", store.open(&log_id("name", 1), small_spans(), None));
        works("append", log.append(&[plain_batch(0, 3, 1000, 100)]));
        works("close", store.close());
    }
    let store = reopen();
    let log = works("open", store.open(&log_id("name", 2), small_spans(), None));
    assert_eq!(log.bounds().end, Offset::ZERO, "another topic of the same name is another log");
}
