//! Groups of the consumer protocol, case by case.
//!
//! `hb m 0 topics=t` is a heartbeat of member `m` in epoch 0, which joins; its answer is id, epoch and, when the member is
//! told, its assignment: `m 1 [1:0,1]`, partitions 0 and 1 of the topic with the identity 1. A logged `m@1 unrevoked
//! [1:0] -[1:1]` says that it has yet to give up partition 1; `epoch` and `target` alone are the group's.

use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::Generation;

use super::super::command::{ConsumerHeartbeat, TopicFilter};
use super::super::{GroupAnswer, GroupCommand, GroupSettings};
use super::script::check;
use super::{Shard, set_topic};

/// Targets may follow each other at once.
fn settings() -> GroupSettings {
    let mut settings = GroupSettings::default();
    settings.consumer.assignment_interval.default = Duration::ZERO;
    settings
}

/// Asks as `member` in this epoch, where 0 joins; returns the epochs of the group and of its target then.
fn beat(shard: &mut Shard, member: &str, epoch: i32) -> (i32, i32) {
    let joins = epoch == 0;
    let heartbeat = ConsumerHeartbeat {
        group: "g".into(),
        member: member.into(),
        epoch: Generation(epoch),
        instance: None,
        rack: None,
        rebalance_timeout: joins.then_some(Duration::from_secs(60)),
        topics: joins.then(|| Arc::new(["t".into()].into())),
        regex: None,
        assignor: None,
        owned: joins.then(Vec::new),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        visible: TopicFilter::default(),
        makes_member_id: true,
    };
    let (ticket, _) = shard.ask(GroupCommand::ConsumerHeartbeat(heartbeat.into()));
    assert!(matches!(shard.answers[&ticket], GroupAnswer::ConsumerHeartbeat(Ok(_))));
    let group = shard.machine.consumer(&"g".into()).unwrap();
    (group.epoch().0, group.target_epoch().0)
}

#[test]
fn members_of_a_big_group_that_come_together_share_a_target() {
    let mut shard = Shard::new(settings());
    set_topic(&mut shard.image, "t", 1, 100_000);
    assert_eq!(beat(&mut shard, "a", 0), (2, 2), "the first one waits for nobody");
    assert_eq!(beat(&mut shard, "b", 0), (3, 2));
    shard.wait(Duration::from_millis(29));
    assert_eq!(beat(&mut shard, "c", 0), (4, 2));
    shard.wait(Duration::from_millis(1));
    assert_eq!(beat(&mut shard, "b", 2), (4, 4), "anybody's heartbeat brings the next target");
    assert_eq!(beat(&mut shard, "d", 0), (5, 4));
}

#[test]
fn members_join_move_on_and_leave() {
    check(
        &settings(),
        &[
            (
                "one member",
                "topic t 2 =>
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb a 2 => a 2
                 hb a 2 full topics=t own=1:0,1 => a 2 [1:0,1]
                 show => Stable 2/2 uniform [a@2]
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 3; log target 3
                 show => Empty 3/3 uniform []
                 hb a 2 => UNKNOWN_MEMBER_ID",
            ),
            (
                "a second member gets what the first gives up",
                "topic t 2 =>
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 show => Reconciling 3/3 uniform [a@2 b@3]
                 hb a 2 => a 2 [1:0]; log a@2 unrevoked [1:0] -[1:1]
                 hb a 2 => a 2
                 hb b 3 => b 3; log b@3 unreleased []
                 hb a 2 own=1:0 => a 3; log a@3 [1:0]
                 show => Reconciling 3/3 uniform [a@3 b@3]
                 hb b 3 => b 3 [1:1]; log b@3 [1:1]
                 hb b 3 own=1:1 => b 3
                 show => Stable 3/3 uniform [a@3 b@3]",
            ),
            (
                "a member that leaves gives all to the others",
                "topic t 2 =>
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 own= => a 3 [1:0]; log a@3 [1:0]
                 hb b 3 => b 3 [1:1]; log b@3 [1:1]
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 4
                 hb b 3 => b 4 [1:0,1]; log target b [1:0,1]; log target 4; log b@4 [1:0,1]",
            ),
            (
                "a member without an id gets one, before version 1",
                "topic t 1 =>
                 hb - 0 topics=t v0 => AAAAAAAAQACAAAAAAAAAAQ 2 [1:0]; log member AAAAAAAAQACAAAAAAAAAAQ; log epoch 2; log target AAAAAAAAQACAAAAAAAAAAQ [1:0]; log target 2; log AAAAAAAAQACAAAAAAAAAAQ@2 [1:0]
                 hb - 0 topics=t => INVALID_REQUEST",
            ),
            (
                "topics that grow, come and go",
                "topic t 1 =>
                 hb a 0 topics=t,u => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 topic t 2 =>
                 hb a 2 => a 3 [1:0,1]; log epoch 3; log target a [1:0,1]; log target 3; log a@3 [1:0,1]
                 hb a 3 own=1:0,1 => a 3
                 topic u 1 id=2 =>
                 hb a 3 => a 4 [1:0,1 2:0]; log epoch 4; log target a [1:0,1 2:0]; log target 4; log a@4 [1:0,1 2:0]
                 topic t 0 =>
                 hb a 4 => a 4 [2:0]; log epoch 5; log target a [2:0]; log target 5; log a@4 unrevoked [2:0] -[1:0,1]",
            ),
            (
                "a subscription that changes takes away at once what it does not name",
                "topic t 1 =>
                 topic u 1 id=2 =>
                 hb a 0 topics=t,u => a 2 [1:0 2:0]; log member a; log epoch 2; log target a [1:0 2:0]; log target 2; log a@2 [1:0 2:0]
                 hb a 2 topics=t own=1:0+2:0 => a 2 [1:0]; log member a; log epoch 3; log target a [1:0]; log target 3; log a@2 unrevoked [1:0] -[2:0]
                 hb a 2 own=1:0 => a 3; log a@3 [1:0]
                 hb a 3 topics= => a 3 []; log member a; log epoch 4; log target a []; log target 4; log a@3 unrevoked [] -[1:0]
                 hb a 3 own= => a 4; log a@4 []",
            ),
            (
                "a member that subscribes to nothing",
                "topic t 1 =>
                 hb a 0 topics= => a 1 []; log member a; log a@1 []
                 hb a 0 topics= => a 1 []
                 show => Stable 1/1 uniform [a@1]",
            ),
        ],
    );
}

#[test]
fn epochs_are_checked() {
    check(
        &settings(),
        &[
            (
                "what does not fit",
                "topic t 2 =>
                 hb a 2 => GROUP_ID_NOT_FOUND
                 hb a 0 topics=t untimed => INVALID_REQUEST
                 hb a 0 topics=t silent => INVALID_REQUEST
                 hb a 0 topics=t own=1:0 => INVALID_REQUEST
                 hb a 0 => INVALID_REQUEST
                 hb a -2 => INVALID_REQUEST
                 hb a -3 => INVALID_REQUEST
                 hb - 2 => INVALID_REQUEST
                 hb a 0 topics=t group= => INVALID_REQUEST
                 hb a 0 topics=t instance= => INVALID_REQUEST
                 hb a 0 topics=t assignor=sticky => UNSUPPORTED_ASSIGNOR
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb a 3 => FENCED_MEMBER_EPOCH
                 hb b 2 => UNKNOWN_MEMBER_ID
                 hb a 0 topics=t => a 2 [1:0,1]",
            ),
            (
                "a lost answer is forgiven when it did no harm",
                "topic t 2 =>
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 own=1:0 => a 3 [1:0]; log a@3 [1:0]
                 hb a 2 own=1:0 => a 3
                 hb a 2 own=1:0,1 => FENCED_MEMBER_EPOCH
                 hb a 2 => FENCED_MEMBER_EPOCH
                 hb a 3 own=1:0 => a 3",
            ),
        ],
    );
}

#[test]
fn sessions_and_revocations_take_so_long() {
    check(
        &settings(),
        &[
            (
                "a member that is not heard of is removed",
                "topic t 1 =>
                 hb a 0 topics=t => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 wait 44999 =>
                 hb a 2 => a 2
                 wait 44999 =>
                 wait 1 => log a gone; log target a gone; log member a gone; log epoch 3; log target 3
                 hb a 2 => UNKNOWN_MEMBER_ID",
            ),
            (
                "a group has its own session timeout",
                "topic t 1 =>
                 config consumer.session.timeout.ms 50000 =>
                 hb a 0 topics=t => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 wait 49999 =>
                 wait 1 => log a gone; log target a gone; log member a gone; log epoch 3; log target 3",
            ),
            (
                "a member that gives nothing up is removed",
                "topic t 2 =>
                 hb a 0 topics=t rebalance=10000 => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 => a 2 [1:0]; log a@2 unrevoked [1:0] -[1:1]
                 wait 9999 =>
                 wait 1 => log a gone; log target a gone; log member a gone; log epoch 4
                 hb b 3 => b 4 [1:0,1]; log target b [1:0,1]; log target 4; log b@4 [1:0,1]
                 hb a 2 => UNKNOWN_MEMBER_ID",
            ),
            (
                "another broker waits anew",
                "topic t 2 =>
                 hb a 0 topics=t rebalance=10000 => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 => a 2 [1:0]; log a@2 unrevoked [1:0] -[1:1]
                 wait 9000 =>
                 reload =>
                 wait 9999 =>
                 wait 1 => log a gone; log target a gone; log member a gone; log epoch 4
                 hb b 3 => b 4 [1:0,1]; log target b [1:0,1]; log target 4; log b@4 [1:0,1]
                 wait 34999 =>
                 wait 1 =>",
            ),
        ],
    );
}

#[test]
fn static_members_come_back() {
    check(
        &settings(),
        &[
            (
                "with a new id, after they have left",
                "topic t 2 =>
                 hb a 0 topics=t instance=i => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t instance=i => UNRELEASED_INSTANCE_ID
                 hb a -2 instance=i => a -2; log a@-2 [1:0,1]
                 show => Reconciling 2/2 uniform [a@-2]
                 hb b 0 topics=t instance=i => b 2 [1:0,1]; log a gone; log target a gone; log member a gone; log member b; log target b [1:0,1]; log b@0 [1:0,1]; log b@2 [1:0,1]
                 hb a 2 instance=i => FENCED_INSTANCE_ID
                 hb c 2 instance=j => UNKNOWN_MEMBER_ID
                 hb b 2 instance=i => b 2",
            ),
            (
                "not in time",
                "topic t 2 =>
                 hb a 0 topics=t instance=i => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb a -2 instance=i => a -2; log a@-2 [1:0,1]
                 wait 44999 =>
                 wait 1 => log a gone; log target a gone; log member a gone; log epoch 3; log target 3",
            ),
            (
                "not at all",
                "topic t 2 =>
                 hb a 0 topics=t instance=i => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b -1 instance=i => FENCED_INSTANCE_ID
                 hb a -1 instance=i => a -1; log a gone; log target a gone; log member a gone; log epoch 3; log target 3",
            ),
        ],
    );
}

#[test]
fn groups_have_a_largest_size() {
    check(
        &settings(),
        &[
            (
                "two members",
                "limit-consumers 1 =>
                 topic t 1 =>
                 hb a 0 topics=t => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 hb b 0 topics=t => GROUP_MAX_SIZE_REACHED
                 hb a 2 => a 2",
            ),
        ],
    );
}

#[test]
fn targets_are_computed_together() {
    check(
        &settings(),
        &[
            (
                "every so often",
                "interval 1000 =>
                 topic t 4 =>
                 hb a 0 topics=t => a 2 [1:0,1,2,3]; log member a; log epoch 2; log target a [1:0,1,2,3]; log target 2; log a@2 [1:0,1,2,3]
                 wait 999 =>
                 hb b 0 topics=t => b 2 []; log member b; log epoch 3; log b@2 []
                 hb c 0 topics=t => c 2 []; log member c; log epoch 4; log c@2 []
                 show => Assigning 4/2 uniform [a@2 b@2 c@2]
                 wait 1 =>
                 hb b 2 => b 4; log target a [1:0,1]; log target b [1:2]; log target c [1:3]; log target 4; log b@4 unreleased []
                 hb c 2 => c 4; log c@4 unreleased []
                 hb a 2 => a 2 [1:0,1]; log a@2 unrevoked [1:0,1] -[1:2,3]",
            ),
            (
                "at once after everybody has left",
                "interval 1000 =>
                 topic t 1 =>
                 hb a 0 topics=t => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 3; log target 3
                 reload =>
                 hb b 0 topics=t => b 4 [1:0]; log member b; log epoch 4; log target b [1:0]; log target 4; log b@4 [1:0]",
            ),
            (
                "a group decides for itself",
                "interval 1000 =>
                 topic t 4 =>
                 config consumer.assignment.interval.ms 0 =>
                 hb a 0 topics=t => a 2 [1:0,1,2,3]; log member a; log epoch 2; log target a [1:0,1,2,3]; log target 2; log a@2 [1:0,1,2,3]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0,1]; log target b [1:2,3]; log target 3; log b@3 unreleased []",
            ),
        ],
    );
}

#[test]
fn assignors_are_voted_for() {
    check(
        &settings(),
        &[
            (
                "most votes win",
                "topic t 2 =>
                 topic u 2 id=2 =>
                 hb a 0 topics=t,u assignor=range => a 2 [1:0,1 2:0,1]; log member a; log epoch 2; log target a [1:0,1 2:0,1]; log target 2; log a@2 [1:0,1 2:0,1]
                 show => Stable 2/2 range [a@2]
                 hb b 0 topics=t,u => b 3 []; log member b; log epoch 3; log target a [1:0 2:0]; log target b [1:1 2:1]; log target 3; log b@3 unreleased []
                 hb c 0 topics=t,u assignor=uniform => c 4 []; log member c; log epoch 4; log target c []; log target 4; log c@4 []
                 show => Reconciling 4/4 range [a@2 b@3 c@4]
                 hb b 3 assignor=uniform => b 4; log member b; log b@4 unreleased []
                 show => Reconciling 4/4 uniform [a@2 b@4 c@4]",
            ),
        ],
    );
}

#[test]
fn regular_expressions_are_resolved() {
    check(
        &settings(),
        &[
            (
                "as topics come and go",
                "topic orders 1 =>
                 topic other 1 id=2 =>
                 hb a 0 regex=or.* => a 1 []; log member a; log a@1 []
                 wait 0 => log /or.*/ [orders]; log epoch 2
                 hb a 1 => a 2 [1:0]; log target a [1:0]; log target 2; log a@2 [1:0]
                 topic orders2 1 id=3 =>
                 hb a 2 => a 2
                 wait 10001 =>
                 hb a 2 => a 2
                 wait 0 => log /or.*/ [orders orders2]; log epoch 3
                 hb a 2 => a 3 [1:0 3:0]; log target a [1:0 3:0]; log target 3; log a@3 [1:0 3:0]
                 hb a 3 => a 3
                 hb b 0 regex=or.* => b 4 []; log member b; log epoch 4; log target a [1:0]; log target b [3:0]; log target 4; log b@4 unreleased []
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 5
                 hb b -1 => b -1; log b gone; log target b gone; log member b gone; log /or.*/ gone; log epoch 6; log target 6",
            ),
            (
                "that are bad",
                r"hb a 0 regex=[ => INVALID_REGULAR_EXPRESSION
                 hb a 0 regex=a)(b => INVALID_REGULAR_EXPRESSION
                 hb a 0 regex=(\w{500}){500} => INVALID_REGULAR_EXPRESSION
                 show => GROUP_ID_NOT_FOUND",
            ),
        ],
    );
}

#[test]
fn offsets_are_committed_in_an_epoch() {
    check(
        &settings(),
        &[
            (
                "by members and others",
                "topic t 2 =>
                 commit - t/0=1 => ok; log t/0=1
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 commit - t/0=2 => UNKNOWN_MEMBER_ID
                 commit a gen=2 t/0=3 => UNSUPPORTED_VERSION
                 commit a gen=2 v9 t/0=3 => ok; log t/0=3
                 commit a gen=3 v9 t/0=3 => STALE_MEMBER_EPOCH
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 own=1:0 => a 3 [1:0]; log a@3 [1:0]
                 commit a gen=2 v9 t/0=4 t/1=4 => ok STALE_MEMBER_EPOCH; log t/0=4
                 commit b gen=2 v9 t/1=4 => STALE_MEMBER_EPOCH
                 fetch t/0 => t/0=4
                 fetch t/0 member=a gen=3 => t/0=4
                 fetch t/0 member=a gen=2 => STALE_MEMBER_EPOCH
                 fetch t/0 member=x gen=2 => UNKNOWN_MEMBER_ID
                 delete-offsets t/0 u/0 => GROUP_SUBSCRIBED_TO_TOPIC ok
                 delete => NON_EMPTY_GROUP
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 4
                 hb b -1 => b -1; log b gone; log target b gone; log member b gone; log epoch 5; log target 5
                 delete => ok; log t/0 gone; log target gone; log topics gone; log epoch gone
                 list =>",
            ),
            (
                "in a transaction",
                "topic t 2 =>
                 hb a 0 topics=t instance=i => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 commit-txn a gen=2 producer=1 t/0=1 => ok; log t/0=1
                 commit-txn a gen=2 instance=i producer=1 t/0=2 => ok; log t/0=2
                 commit-txn - producer=1 t/1=3 => ok; log t/1=3
                 commit-txn a gen=3 producer=1 t/0=9 => ILLEGAL_GENERATION
                 commit-txn a gen=1 producer=1 t/0=9 => ILLEGAL_GENERATION
                 commit-txn a producer=1 t/0=9 => ILLEGAL_GENERATION
                 commit-txn a gen=3 v6 producer=1 t/0=9 => STALE_MEMBER_EPOCH
                 commit-txn x gen=2 producer=1 t/0=9 => UNKNOWN_MEMBER_ID
                 commit-txn x producer=1 t/0=9 => UNKNOWN_MEMBER_ID
                 commit-txn - gen=2 producer=1 t/0=9 => UNKNOWN_MEMBER_ID
                 commit-txn - instance=i producer=1 t/0=9 => UNKNOWN_MEMBER_ID
                 fetch t/0 t/1 => t/0=none t/1=none
                 fetch t/0 t/1 stable => t/0=UNSTABLE_OFFSET_COMMIT t/1=UNSTABLE_OFFSET_COMMIT
                 end commit producer=1 =>
                 fetch t/0 t/1 stable => t/0=2 t/1=3",
            ),
            (
                "in a transaction, in the epoch before",
                "topic t 2 =>
                 hb a 0 topics=t => a 2 [1:0,1]; log member a; log epoch 2; log target a [1:0,1]; log target 2; log a@2 [1:0,1]
                 hb b 0 topics=t => b 3 []; log member b; log epoch 3; log target a [1:0]; log target b [1:1]; log target 3; log b@3 unreleased []
                 hb a 2 own=1:0 => a 3 [1:0]; log a@3 [1:0]
                 commit-txn a gen=2 producer=1 t/0=4 t/1=4 => ok ILLEGAL_GENERATION; log t/0=4
                 commit-txn b gen=2 producer=1 t/1=4 => ILLEGAL_GENERATION
                 hb a -1 => a -1; log a gone; log target a gone; log member a gone; log epoch 4
                 commit-txn a gen=3 producer=1 t/0=5 => UNKNOWN_MEMBER_ID
                 reload =>
                 end abort producer=1 =>
                 fetch t/0 t/1 stable => t/0=none t/1=none
                 hb b -1 => b -1; log b gone; log target b gone; log member b gone; log epoch 5; log target 5
                 commit-txn - producer=2 t/0=6 => ok; log t/0=6
                 commit-txn b producer=2 t/0=7 => ok; log t/0=7
                 commit-txn b gen=3 producer=2 t/0=7 => UNKNOWN_MEMBER_ID",
            ),
        ],
    );
}

#[test]
fn groups_are_listed_by_type_and_state() {
    check(
        &settings(),
        &[
            (
                "both types",
                "topic t 1 =>
                 hb a 0 topics=t => a 2 [1:0]; log member a; log epoch 2; log target a [1:0]; log target 2; log a@2 [1:0]
                 commit - group=simple t/0=1 => ok; log t/0=1
                 list => g:Stable:consumer simple:Empty:
                 list types=Consumer => g:Stable:consumer
                 list types=classic => simple:Empty:
                 list state=stable => g:Stable:consumer
                 describe => GROUP_ID_NOT_FOUND
                 show group=simple => GROUP_ID_NOT_FOUND",
            ),
        ],
    );
}

#[test]
fn groups_become_consumer_groups_and_classic_ones() {
    check(
        &settings(),
        &[
            (
                "an empty classic group",
                "topic t 1 =>
                 join - v3 client=a topics=t => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 a#1: => range:''; log g 1 range [*a#1=]
                 leave a#1 => ok; log g 2 - []
                 hb x 0 topics=t => x 2 [1:0]; log g gone; log member x; log epoch 2; log target x [1:0]; log target 2; log x@2 [1:0]
                 list => g:Stable:consumer",
            ),
            (
                "an empty consumer group",
                "topic t 1 =>
                 hb x 0 topics=t => x 2 [1:0]; log member x; log epoch 2; log target x [1:0]; log target 2; log x@2 [1:0]
                 hb x -1 => x -1; log x gone; log target x gone; log member x gone; log epoch 3; log target 3
                 join - v3 client=a topics=t => parked; log g 0 - []; log target gone; log topics gone; log epoch gone
                 list => g:PreparingRebalance:consumer",
            ),
            (
                "a classic member in a consumer group, which ends the consumer group when it is left alone",
                "topic t 2 =>
                 hb x 0 topics=t => x 2 [1:0,1]; log member x; log epoch 2; log target x [1:0,1]; log target 2; log x@2 [1:0,1]
                 join - client=a topics=t => AAAAAAAAQACAAAAAAAAAAg MEMBER_ID_REQUIRED
                 join y topics=t => y 3 range follows -; log member y; log epoch 3; log target x [1:0]; log target y [1:1]; log target 3; log y@3 unreleased []
                 sync y gen=3 => -:'..........'
                 beat y gen=3 => ok
                 hb x 2 own=1:0 => x 3 [1:0]; log x@3 [1:0]
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 sync y gen=3 => -:'..........'
                 join y topics=t => y 3 range follows -; log y@3 [1:1]
                 beat y gen=3 => ok
                 commit y gen=3 t/0=1 => ok; log t/0=1
                 show => Stable 3/3 uniform [x@3 classic y@3]
                 hb x -1 => x -1; log x gone; log y gone; log target x gone; log target y gone; log target gone; log member x gone; log member y gone; log topics gone; log epoch gone; log g 3 range [*y=........t............]
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 describe => PreparingRebalance consumer/ [y=........t............]",
            ),
            (
                "time to join again and to sync",
                "topic t 2 =>
                 hb x 0 topics=t => x 2 [1:0,1]; log member x; log epoch 2; log target x [1:0,1]; log target 2; log x@2 [1:0,1]
                 join y topics=t rebalance=20000 => y 3 range follows -; log member y; log epoch 3; log target x [1:0]; log target y [1:1]; log target 3; log y@3 unreleased []
                 hb x 2 own=1:0 => x 3 [1:0]; log x@3 [1:0]
                 wait 9999 =>
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 hb x 3 own=1:0 => x 3
                 wait 9999 =>
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 wait 1 =>
                 wait 1 => log y gone; log target y gone; log member y gone; log epoch 4",
            ),
            (
                "time to join again",
                "topic t 2 =>
                 hb x 0 topics=t => x 2 [1:0,1]; log member x; log epoch 2; log target x [1:0,1]; log target 2; log x@2 [1:0,1]
                 join y topics=t rebalance=15000 => y 3 range follows -; log member y; log epoch 3; log target x [1:0]; log target y [1:1]; log target 3; log y@3 unreleased []
                 sync y gen=3 => -:'..........'
                 hb x 2 own=1:0 => x 3 [1:0]; log x@3 [1:0]
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 wait 9999 =>
                 beat y gen=3 => REBALANCE_IN_PROGRESS
                 wait 5000 =>
                 wait 1 => log y gone; log target y gone; log member y gone; log epoch 4",
            ),
            (
                "a member of the consumer protocol in a classic group",
                "topic t 2 =>
                 join y topics=t => y UNKNOWN_MEMBER_ID
                 join - v3 client=a topics=t => parked; log g 0 - []
                 wait 3000 => a#2: a#2 1 range leads [a#2]
                 hb x 0 topics=t => x 2 [1:1]; log g gone; log member a#2; log epoch 1; log target a#2 []; log target 1; log a#2@1 []; log member x; log epoch 2; log target a#2 [1:0]; log target x [1:1]; log target 2; log x@2 [1:1]
                 join a#2 topics=t => a#2 2 range follows -; log member a#2; log a#2@2 [1:0]
                 sync a#2 gen=2 protocol=range type=consumer => range:'........t............'
                 sync a#2 gen=2 protocol=sticky => INCONSISTENT_GROUP_PROTOCOL
                 hb x 3 => FENCED_MEMBER_EPOCH
                 show => Stable 2/2 uniform [classic a#2@2 x@2]
                 leave a#2 => ok; log a#2 gone; log target a#2 gone; log member a#2 gone; log epoch 3
                 hb x 3 => FENCED_MEMBER_EPOCH",
            ),
            (
                "what a classic member has is its own until it joins again, whatever the group becomes",
                "topic t 6 =>
                 hb x 0 topics=t => x 2 [1:0,1,2,3,4,5]; log member x; log epoch 2; log target x [1:0,1,2,3,4,5]; log target 2; log x@2 [1:0,1,2,3,4,5]
                 join y topics=t => y 3 range follows -; log member y; log epoch 3; log target x [1:0,1,2]; log target y [1:3,4,5]; log target 3; log y@3 unreleased []
                 hb x 2 own=1:0,1,2 => x 3 [1:0,1,2]; log x@3 [1:0,1,2]
                 join y topics=t => y 3 range follows -; log y@3 [1:3,4,5]
                 hb z 0 topics=t => z 4 []; log member z; log epoch 4; log target x [1:0,1]; log target y [1:3,4]; log target z [1:2,5]; log target 4; log z@4 unreleased []
                 hb z -1 => z -1; log z gone; log target z gone; log member z gone; log epoch 5
                 hb x -1 => x -1; log x gone; log y gone; log target x gone; log target y gone; log target gone; log member x gone; log member y gone; log topics gone; log epoch gone; log g 5 range [*y=........t....................]
                 hb w 0 topics=t => w 6 [1:0,1,2]; log g gone; log member y; log epoch 5; log target y [1:3,4,5]; log target 5; log y@5 [1:3,4,5]; log member w; log epoch 6; log target w [1:0,1,2]; log target 6; log w@6 [1:0,1,2]",
            ),
            (
                "a group without topics that is taken over amid a rebalance",
                "topic t 1 =>
                 join - v3 client=a instance=i topics= => parked; log g 0 - []
                 wait 3000 => i#1: i#1 1 range leads [i#1]
                 hb x 0 instance=i topics= => x 2 []; log g gone; log member i#1; log epoch 1; log target i#1 []; log target 1; log i#1@1 []; log i#1 gone; log target i#1 gone; log member i#1 gone; log member x; log target x []; log x@0 []; log member x; log epoch 2; log target 2; log x@2 []",
            ),
            (
                "a group whose members cannot be read",
                "topic t 2 =>
                 join - v3 client=a protocols=range:? => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 hb x 0 topics=t => GROUP_ID_NOT_FOUND
                 join - v3 group=h client=a type=connect => parked; log h 0 - []
                 wait 3000 => a#3: a#3 1 range leads [a#3]
                 hb x 0 topics=t group=h => GROUP_ID_NOT_FOUND",
            ),
        ],
    );
}
