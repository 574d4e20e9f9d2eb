//! Committing, fetching and losing offsets.

use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{Generation, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName};

use super::super::command::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, DeletedTopic, GroupTimer,
};
use super::super::event::{CommittedOffset, GroupEvent, OffsetKey};
use super::super::settings::TOMBSTONES_BYTES_MAX;
use super::super::{GroupCommand, GroupSettings};
use super::Shard;
use super::script::check;

#[test]
fn offsets_are_committed_and_fetched() {
    let settings = GroupSettings { offset_metadata_length_max: 4, ..GroupSettings::default() };
    check(
        &settings,
        &[
            (
                "by a consumer that manages its partitions itself",
                "fetch t/0 => t/0=none
                 fetch all =>
                 commit - t/0=5 t/1=7 note=hi => ok ok; log t/0=5; log t/1=7
                 fetch t/0 t/1 t/2 u/0 => t/0=5(hi) t/1=7(hi) t/2=none u/0=none
                 fetch all => t/0=5(hi) t/1=7(hi)
                 commit - t/0=4 => ok; log t/0=4
                 reload =>
                 fetch all stable => t/0=4 t/1=7(hi)
                 describe => Empty / []
                 list => g:Empty:
                 commit a#1 gen=0 t/0=1 => UNKNOWN_MEMBER_ID
                 join a#1 => a#1 UNKNOWN_MEMBER_ID",
            ),
            (
                "metadata of four characters, however many bytes",
                "commit - t/0=1 note=abcd => ok; log t/0=1
                 commit - t/0=2 note=abcde => OFFSET_METADATA_TOO_LARGE
                 commit - t/0=3 note=žžžž => ok; log t/0=3
                 commit - t/0=4 note=žžžžž => OFFSET_METADATA_TOO_LARGE
                 fetch all => t/0=3(žžžž)",
            ),
            (
                "of a topic that was created anew",
                "commit - t/0=1 id=7 => ok; log t/0=1
                 fetch t/0 id=7 => t/0=1
                 fetch t/0 id=8 => t/0=none
                 fetch t/0 => t/0=1
                 topic-deleted t id=8 => ok
                 topic-deleted u id=7 => ok
                 fetch t/0 id=7 => t/0=1
                 topic-deleted t id=7 => ok; log t/0 gone
                 fetch t/0 id=7 => t/0=none
                 commit - t/0=1 => ok; log t/0=1
                 topic-deleted t id=9 => ok; log t/0 gone
                 list =>",
            ),
            (
                "by a member, whose session that keeps alive",
                "join - v3 => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 sync c#1 gen=1 => range:''; log g 1 range [*c#1=]
                 wait 9999 =>
                 commit c#1 gen=1 t/0=1 => ok; log t/0=1
                 wait 9999 =>
                 commit c#1 gen=1 t/0=2 => ok; log t/0=2
                 join c#1 => c#1 2 range leads [c#1]
                 leave c#1 => ok; log g 3 - []
                 commit - t/0=3 => ok; log t/0=3
                 commit c#1 gen=2 t/0=3 => UNKNOWN_MEMBER_ID
                 fetch all => t/0=3",
            ),
        ],
    );
}

#[test]
fn offsets_of_transactions_count_once_they_commit() {
    check(
        &GroupSettings::default(),
        &[
            (
                "commit",
                "commit - t/0=1 => ok; log t/0=1
                 begin producer=1 t/0=2 t/1=3 => log t/0=2; log t/1=3
                 fetch t/0 t/1 => t/0=1 t/1=none
                 fetch t/0 t/1 t/2 stable => t/0=UNSTABLE_OFFSET_COMMIT t/1=UNSTABLE_OFFSET_COMMIT t/2=none
                 fetch all stable => t/0=UNSTABLE_OFFSET_COMMIT
                 end commit producer=2 =>
                 end commit producer=1 =>
                 fetch t/0 t/1 stable => t/0=2 t/1=3",
            ),
            (
                "abort",
                "commit - t/0=1 => ok; log t/0=1
                 begin producer=1 t/0=2 => log t/0=2
                 end abort producer=1 =>
                 fetch t/0 stable => t/0=1",
            ),
            (
                "over a failover",
                "begin producer=1 t/0=2 => log t/0=2
                 reload =>
                 fetch t/0 stable => t/0=UNSTABLE_OFFSET_COMMIT
                 list => g:Empty:
                 end commit producer=1 =>
                 reload =>
                 fetch t/0 stable => t/0=2",
            ),
            (
                "the later commit wins",
                "begin producer=1 t/0=2 => log t/0=2
                 begin producer=2 t/0=3 => log t/0=3
                 commit - t/0=4 => ok; log t/0=4
                 begin producer=3 t/0=5 => log t/0=5
                 end commit producer=3 =>
                 end commit producer=2 =>
                 end commit producer=1 =>
                 fetch t/0 stable => t/0=5
                 reload =>
                 fetch t/0 stable => t/0=5",
            ),
            (
                "a deletion takes them along",
                "begin producer=1 t/0=2 => log t/0=2
                 delete-offsets t/0 => ok; log t/0 gone; log g 0 - []
                 fetch t/0 stable => t/0=none
                 end commit producer=1 =>
                 fetch t/0 stable => t/0=none
                 begin producer=1 t/0=3 => log t/0=3
                 delete => ok; log t/0 gone; log g gone
                 list =>",
            ),
        ],
    );
}

#[test]
fn unused_offsets_expire() {
    let settings = GroupSettings {
        offsets_retention: Duration::from_millis(100_000),
        offsets_retention_check_interval: Duration::from_millis(10_000),
        ..GroupSettings::default()
    };
    check(
        &settings,
        &[
            (
                "of a group without metadata, after their commit",
                "wait 5000 =>
                 commit - t/0=1 => ok; log t/0=1
                 wait 30000 =>
                 commit - t/1=1 => ok; log t/1=1
                 wait 74999 =>
                 wait 1 => log t/0 gone
                 wait 30000 => log t/1 gone
                 list =>",
            ),
            (
                "at the time that the client has asked for",
                "commit - t/0=1 retention=15000 => ok; log t/0=1
                 wait 19999 =>
                 wait 1 => log t/0 gone",
            ),
            (
                "of a group that has become empty, after that",
                "join - v3 => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 sync c#1 gen=1 => range:''; log g 1 range [*c#1=]
                 commit c#1 gen=1 t/0=1 => ok; log t/0=1
                 leave c#1 => ok; log g 2 - []
                 wait 99999 =>
                 wait 7001 => log t/0 gone; log g gone
                 describe => GROUP_ID_NOT_FOUND",
            ),
            (
                "of a group with members only for topics that none subscribes to",
                "join - v3 session=1800000 topics=t => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 sync c#1 gen=1 => range:''; log g 1 range [*c#1=]
                 commit c#1 gen=1 t/0=1 u/0=1 => ok ok; log t/0=1; log u/0=1
                 wait 110000 => log u/0 gone
                 fetch all => t/0=1",
            ),
            (
                "not while the coordinator cannot know what is used",
                "join - v3 session=1800000 type=connect => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 sync c#1 gen=1 => range:''; log g 1 range [*c#1=]
                 commit c#1 gen=1 t/0=1 => ok; log t/0=1
                 wait 200000 =>
                 fetch all => t/0=1",
            ),
            (
                "not while a transaction is open",
                "commit - t/0=1 => ok; log t/0=1
                 begin producer=1 t/0=2 => log t/0=2
                 wait 200000 =>
                 end abort producer=1 =>
                 wait 10000 => log t/0 gone",
            ),
            (
                "after a failover too",
                "commit - t/0=1 => ok; log t/0=1
                 wait 50000 =>
                 reload =>
                 wait 59999 => log t/0 gone
                 reload =>
                 wait 10000 =>",
            ),
        ],
    );
}

#[test]
fn many_offsets_expire_in_portions() {
    let settings = GroupSettings {
        offsets_retention: Duration::from_secs(1),
        offsets_retention_check_interval: Duration::from_secs(60),
        ..GroupSettings::default()
    };
    let mut shard = Shard::new(settings);
    let partitions: Vec<CommitPartition> = (0..20_000)
        .map(|partition| CommitPartition {
            partition: PartitionIndex(partition),
            offset: Offset(1),
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        })
        .collect();
    for topic in ["t", "u"] {
        let topic = CommitTopic {
            name: TopicName::new(topic).unwrap(),
            id: TopicId::ZERO,
            partitions: partitions.clone(),
        };
        let commit = CommitOffsets {
            group: "g".into(),
            generation: Generation(-1),
            topics: vec![topic],
            ..CommitOffsets::default()
        };
        shard.ask(GroupCommand::CommitOffsets(commit));
    }
    let deleted = DeletedTopic { name: TopicName::new("t").unwrap(), id: TopicId::ZERO };
    let (_, first) = shard.ask(GroupCommand::TopicsDeleted(Arc::new([deleted])));
    let rest = shard.wait(Duration::ZERO);
    assert!(first.len() < 20_000 && first.len() + rest.len() == 20_000, "{} {}", first.len(), rest.len());
    let expired = shard.wait(Duration::from_secs(60));
    let told: usize = expired
        .iter()
        .map(|event| if let GroupEvent::OffsetsExpired(count) = event { *count } else { 0 })
        .sum();
    assert_eq!((told, expired.iter().filter(|event| event.is_logged()).count()), (20_000, 20_000));
    assert_eq!(shard.machine.group_count(), 0);
}

#[test]
fn many_empty_groups_expire_in_portions() {
    const GROUPS: usize = 10_000;
    let interval = Duration::from_secs(60);
    let settings = GroupSettings { offsets_retention_check_interval: interval, ..GroupSettings::default() };
    let mut shard = Shard::new(settings);
    for number in 0..GROUPS {
        let group = format!("{number:0>60}").into();
        let stored = Arc::default();
        shard.append(&GroupEvent::GroupStored { group, stored }, None);
    }
    let first = shard.decide(GroupCommand::TimerFired(GroupTimer::Expiry)).events.len();
    assert!(first > 0 && first * 100 < TOMBSTONES_BYTES_MAX, "{first} groups at once");
    assert_eq!(shard.wait(interval).len(), GROUPS);
    assert_eq!(shard.machine.group_count(), 0);
}

#[test]
fn all_offsets_of_a_large_simple_group_can_be_deleted() {
    const PARTITIONS: i32 = 40_000;
    let mut shard = Shard::new(GroupSettings::default());
    let topic = TopicName::new("t").unwrap();
    let partitions: Vec<PartitionIndex> = (0..PARTITIONS).map(PartitionIndex).collect();
    for partition in &partitions {
        let key = OffsetKey { group: "g".into(), topic: topic.clone(), partition: *partition };
        let offset = CommittedOffset {
            offset: Offset(1),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Arc::from(""),
            commit_timestamp: Timestamp(0),
            expire_timestamp: None,
            topic_id: TopicId::ZERO,
        };
        shard.append(&GroupEvent::OffsetCommitted { key, offset }, None);
    }
    let delete = DeleteOffsets { group: "g".into(), topics: vec![(topic, partitions)] };
    let (_, events) = shard.ask(GroupCommand::DeleteOffsets(delete));
    assert!(matches!(events.last(), Some(GroupEvent::GroupStored { .. })));
}
