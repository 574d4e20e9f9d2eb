use bytes::Bytes;
use tokio::sync::mpsc;
use vltava_core::error::ErrorCode;
use vltava_core::image::Image;
use vltava_core::machine::{Encoded, StateMachine};
use vltava_core::record::{BatchBuilder, Compression, ControlRecordType};
use vltava_core::replicated::{CommitError, Origin, committed};
use vltava_core::testing::{Led, ManualClock, Random, VolatileLog, replicated_suite};

use super::*;
use crate::runtime::tests::ledger::{Answer, Command, Ledger};
use crate::runtime::{Limits, Phase, Replica, Shard, Surroundings};

/// A disk with the two logs and the files of a controller.
#[derive(Clone)]
struct Disk {
    metadata: Arc<VolatileLog>,
    raft: Arc<VolatileLog>,
    files: Arc<MemoryFiles>,
    clock: ManualClock,
}

impl Disk {
    fn new() -> Disk {
        Disk {
            metadata: VolatileLog::new(),
            raft: VolatileLog::new(),
            files: Arc::default(),
            clock: ManualClock::default(),
        }
    }

    fn after_power_loss(&self) -> Disk {
        Disk {
            metadata: self.metadata.after_power_loss(),
            raft: self.raft.after_power_loss(),
            ..self.clone()
        }
    }

    fn settings(&self) -> QuorumSettings {
        let directory = DirectoryId(Uuid::from_u128(77));
        QuorumSettings::new(BrokerId(1), directory, Arc::new(self.clock.clone()))
    }

    async fn open_with(&self, settings: QuorumSettings) -> Arc<Quorum> {
        let storage = QuorumStorage {
            metadata: self.metadata.clone(),
            raft: self.raft.clone(),
            files: self.files.clone(),
        };
        let quorum = Quorum::open(storage, settings).await.unwrap();
        quorum.watch().wait_for(|marks| marks.leading).await.unwrap();
        quorum
    }

    async fn open(&self) -> Arc<Quorum> {
        self.open_with(self.settings()).await
    }
}

fn batch(text: &str) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(5), None, Some(text.as_bytes()), &[]);
    builder.build().unwrap()
}

fn terms() -> PlaceTerms {
    PlaceTerms { require_min_insync: false, ..PlaceTerms::by(Origin::Coordinator) }
}

async fn write(quorum: &Quorum, text: &str) -> Offset {
    let placed = quorum.place(batch(text), terms()).unwrap();
    committed(quorum.watch(), placed).await.unwrap();
    placed.base
}

fn kinds(batch: &Batch) -> Vec<ControlRecordType> {
    let records = batch.records().unwrap();
    records
        .iter()
        .map(|record| ControlRecordType::from_key(record.unwrap().key.unwrap()).unwrap().unwrap())
        .collect()
}

fn texts(disk: &Disk) -> Vec<(i64, String)> {
    let batches = disk.metadata.batches();
    let data = batches.iter().filter(|batch| !batch.header.is_control());
    data.map(|batch| {
        let records = batch.records().unwrap();
        let record = records.iter().next().unwrap().unwrap();
        (record.offset.0, String::from_utf8_lossy(record.value.unwrap()).into_owned())
    })
    .collect()
}

#[tokio::test]
async fn a_fresh_node_leads_and_opens_its_log_as_kafka_does() {
    let disk = Disk::new();
    let quorum = disk.open().await;
    let first = &disk.metadata.batches()[0];
    assert_eq!(
        kinds(first),
        [ControlRecordType::LeaderChange, ControlRecordType::KraftVersion, ControlRecordType::KraftVoters]
    );
    assert_eq!((first.header.base_offset, first.header.partition_leader_epoch), (Offset(0), LeaderEpoch(1)));
    assert!(disk.raft.flushes() <= 4, "{} syncs", disk.raft.flushes());
    let state = disk.files.read("quorum-state").unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&state),
        r#"{"leaderId":-1,"leaderEpoch":1,"votedId":1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAATQ","data_version":1}"#
    );
    let status = quorum.status();
    assert_eq!(
        (status.leader, status.epoch, status.high_watermark),
        (BrokerId(1), LeaderEpoch(1), Offset(3))
    );
    assert_eq!((status.voters.len(), status.voters[0].log_end), (1, Offset(3)));
}

#[tokio::test]
async fn batches_placed_together_share_a_sync_and_keep_their_order() {
    let disk = Disk::new();
    let quorum = disk.open().await;
    let before = disk.raft.flushes();
    let placed: Vec<_> =
        (0..200).map(|number| quorum.place(batch(&format!("{number}")), terms()).unwrap()).collect();
    for (number, placed) in (3..).zip(&placed) {
        assert_eq!((placed.base, placed.epoch), (Offset(number), LeaderEpoch(1)));
        committed(quorum.watch(), *placed).await.unwrap();
    }
    assert!(disk.raft.flushes() - before <= 3, "{} syncs", disk.raft.flushes() - before);
    let expected: Vec<_> = (0..200).map(|number| (number + 3, number.to_string())).collect();
    assert_eq!(texts(&disk), expected);
}

#[tokio::test]
async fn terms_of_placing_are_kept() {
    let disk = Disk::new();
    let quorum = disk.open().await;
    let check = |terms, code| {
        assert_eq!(quorum.place(batch("x"), terms).unwrap_err().code(), code);
    };
    check(PlaceTerms { expected_end: Some(Offset(2)), ..terms() }, ErrorCode::INVALID_UPDATE_VERSION);
    check(PlaceTerms { expected_epoch: Some(LeaderEpoch(0)), ..terms() }, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let admission = quorum.admit().unwrap();
    assert_eq!((admission.end, admission.epoch), (Offset(3), LeaderEpoch(1)));
    let mut large = disk.settings();
    large.batch_bytes_max = 64;
    let small = Disk::new().open_with(large).await;
    assert_eq!(small.place(batch("xxxxxxxx"), terms()).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
}

#[tokio::test]
async fn reads_are_fenced_by_epoch_and_stop_at_what_is_committed() {
    let disk = Disk::new();
    let quorum = disk.open().await;
    write(&quorum, "a").await;
    let read = |from, epoch| {
        let current_epoch = LeaderEpoch(epoch);
        let terms = ReadTerms {
            isolation: Isolation::LogEnd,
            bytes: 1 << 20,
            whole_first_batch: true,
            current_epoch,
        };
        quorum.read(Offset(from), terms).map_err(|error| error.code())
    };
    assert_eq!(read(0, 0).unwrap_err(), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(read(0, 2).unwrap_err(), ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(read(5, 1).unwrap_err(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(read(3, -1).unwrap().watermarks.high, Offset(4));
}

#[tokio::test]
async fn a_restart_goes_on_in_a_new_epoch() {
    let disk = Disk::new();
    for life in 1..5 {
        let quorum = disk.open().await;
        assert_eq!(quorum.status().epoch, LeaderEpoch(life));
        write(&quorum, &format!("life {life}")).await;
        let mut watch = quorum.watch();
        quorum.close().await;
        watch.wait_for(|marks| !marks.leading).await.unwrap();
        assert_eq!(quorum.place(batch("x"), terms()).unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let texts = texts(&disk);
    assert_eq!(
        texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        ["life 1", "life 2", "life 3", "life 4"]
    );
    let epochs = vltava_core::log::Log::sidecars(&*disk.metadata)
        .read(vltava_core::log::Sidecar { kind: vltava_core::log::SidecarKind::LeaderEpochs, at: Offset(0) });
    assert_eq!(epochs.unwrap().unwrap(), Bytes::from("0\n4\n1 0\n2 4\n3 6\n4 8\n"));
}

#[tokio::test]
async fn what_is_committed_survives_any_loss_of_power() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut disk = Disk::new();
        let mut written = Vec::new();
        for life in 0..4 {
            let quorum = disk.open().await;
            for number in 0..random.below(30) {
                let text = format!("{life}.{number}");
                written.push((write(&quorum, &text).await.0, text));
                if random.once_in(5) {
                    disk.metadata.flush().unwrap();
                }
                if random.once_in(10) {
                    snapshot(&quorum, &written).await;
                }
            }
            let unacknowledged = quorum.place(batch("never acknowledged"), terms()).unwrap();
            assert_eq!(unacknowledged.epoch, LeaderEpoch(life + 1));
            disk = disk.after_power_loss();
        }
        let quorum = disk.open().await;
        let start = Snapshots::newest(&*quorum).unwrap().map_or(Offset::ZERO, |snapshot| snapshot.end);
        let kept: Vec<_> =
            texts(&disk).into_iter().filter(|(_, text)| text != "never acknowledged").collect();
        let expected: Vec<_> = written
            .into_iter()
            .filter(|(offset, _)| {
                kept.first().is_some_and(|(first, _)| offset >= first) || *offset >= start.0
            })
            .collect();
        assert_eq!(kept, expected, "seed {seed}");
    }
}

/// Takes a snapshot of everything, and waits until the raft log below it is gone.
async fn snapshot(quorum: &Arc<Quorum>, written: &[(i64, String)]) {
    let marks = *quorum.watch().borrow();
    let record = |(_, text): &(i64, String)| Encoded::Record { key: None, value: Some(text.clone().into()) };
    let records = written.iter().map(record).collect();
    let new = NewSnapshot { end: marks.high, epoch: marks.epoch, timestamp: Timestamp(5), records };
    let writer = quorum.clone();
    tokio::task::spawn_blocking(move || Snapshots::write(&*writer, new)).await.unwrap().unwrap();
    let last = quorum.projected.progress.lock().entry_below(marks.high).unwrap().1;
    quorum.raft.metrics().wait_for(|metrics| metrics.purged >= Some(last)).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_is_kafkas_and_lets_the_raft_log_go() {
    let disk = Disk::new();
    let mut settings = disk.settings();
    settings.retention_bytes = 0;
    let quorum = disk.open_with(settings).await;
    let mut written = Vec::new();
    for number in 0..10 {
        written.push((write(&quorum, &format!("{number}")).await.0, format!("{number}")));
    }
    snapshot(&quorum, &written).await;
    assert_eq!(
        disk.files.list().unwrap(),
        ["00000000000000000013-0000000001.checkpoint", "quorum-state", "raft-state"]
    );
    let newest = Snapshots::newest(&*quorum).unwrap().unwrap();
    let batches: Vec<_> = Batch::split(newest.batches).map(Result::unwrap).collect();
    assert_eq!(
        kinds(&batches[0]),
        [ControlRecordType::SnapshotHeader, ControlRecordType::KraftVersion, ControlRecordType::KraftVoters]
    );
    assert_eq!(
        (batches[1].header.records_count, kinds(&batches[2])),
        (10, vec![ControlRecordType::SnapshotFooter])
    );
    assert_eq!(disk.raft.batches().len(), 0);
    written.push((write(&quorum, "later").await.0, "later".to_owned()));
    snapshot(&quorum, &written).await;
    assert_eq!(
        quorum.watch().borrow().start,
        Offset(14),
        "retention leaves nothing below the newest snapshot"
    );
    quorum.close().await;
    let again = disk.after_power_loss().open().await;
    assert_eq!((again.status().epoch, again.status().high_watermark), (LeaderEpoch(2), Offset(15)));
    assert_eq!(write(&again, "x").await, Offset(15));
}

#[tokio::test]
async fn a_failing_disk_acknowledges_nothing_and_stops_the_quorum() {
    let disk = Disk::new();
    let quorum = disk.open().await;
    disk.raft.fail();
    let placed = quorum.place(batch("x"), terms()).unwrap();
    assert_eq!(committed(quorum.watch(), placed).await, Err(CommitError::LeadershipLost));
    quorum.failure().wait_for(Option::is_some).await.unwrap();
    assert_eq!(quorum.admit().unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[tokio::test]
async fn a_folder_of_kafkas_is_taken_over_above_its_last_epoch() {
    let disk = Disk::new();
    let mut old = batch("theirs");
    (old.header.base_offset, old.header.partition_leader_epoch) = (Offset(0), LeaderEpoch(7));
    disk.metadata.append(&[old]).unwrap();
    let state = br#"{"leaderId":1,"leaderEpoch":9,"votedId":1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAATQ","data_version":1}"#;
    disk.files.replace("quorum-state", state).unwrap();
    let quorum = disk.open().await;
    assert_eq!(quorum.status().epoch, LeaderEpoch(10));
    assert_eq!(kinds(&disk.metadata.batches()[1]), [ControlRecordType::LeaderChange]);
    assert_eq!(write(&quorum, "ours").await, Offset(2));
    quorum.close().await;
    assert_eq!(disk.open().await.status().epoch, LeaderEpoch(11));
}

/// The loop over a quorum of one voter: a machine, a follower that takes snapshots, and restarts in between.
#[tokio::test]
async fn a_machine_over_the_quorum_keeps_what_it_has_answered() {
    let mut disk = Disk::new();
    for life in 0..4 {
        let mut settings = disk.settings();
        settings.snapshot_bytes = 2_000;
        let quorum = disk.open_with(settings).await;
        let (_, image) = watch::channel(Arc::new(Image::default()));
        let surroundings =
            Surroundings { clock: Arc::new(disk.clock.clone()), image, entropy: Arc::new(|| 4) };
        let (seen, mut followed) = watch::channel(0);
        tokio::spawn(
            Replica {
                log: quorum.clone(),
                snapshots: Some(quorum.clone()),
                new: Box::new(Ledger::default),
                surroundings: surroundings.clone(),
                load_bytes: 1 << 20,
            }
            .follow(move |ledger, _| {
                seen.send_replace(ledger.snapshot().len());
            }),
        );
        let (effects, _taker) = mpsc::channel(1);
        let shard = Shard {
            partition: PartitionIndex(0),
            log: quorum.clone(),
            snapshots: Some(quorum.clone()),
            new: Arc::new(Ledger::default),
            surroundings,
            limits: Limits::default(),
            effects,
            witness: Arc::new(()),
        };
        let (handle, task) = shard.start();
        tokio::spawn(task);
        handle.phase().wait_for(|phase| matches!(phase, Phase::Leading(_))).await.unwrap();
        for number in 0..life * 50 {
            let answer = handle.ask(Command::Get(format!("k{number}"))).await.unwrap();
            assert_eq!(answer, Answer::Text(Some("v".repeat(100))), "life {life}, {number}");
        }
        for number in life * 50..(life + 1) * 50 {
            let put = Command::Put(format!("k{number}"), "v".repeat(100));
            assert_eq!(handle.ask(put).await.unwrap(), Answer::Done);
        }
        followed.wait_for(|seen| *seen == (life + 1) * 50).await.unwrap();
        quorum.close().await;
        disk = disk.after_power_loss();
    }
    assert!(disk.files.list().unwrap().iter().any(|name| name.ends_with(".checkpoint")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_keeps_the_contract_of_replicated_logs() {
    let runtime = tokio::runtime::Handle::current();
    let suite = move || {
        replicated_suite(&mut || {
            let quorum = runtime.block_on(async { Disk::new().open().await });
            let (runtime, settling) = (runtime.clone(), quorum.clone());
            let settle = move |placed| runtime.block_on(committed(settling.watch(), placed)).unwrap();
            Led { log: quorum, settle: Box::new(settle) }
        });
    };
    tokio::task::spawn_blocking(suite).await.unwrap();
}
