//! Joining, syncing, living and leaving.

use super::super::GroupSettings;
use super::script::check;

#[test]
fn members_join_and_the_leader_assigns() {
    check(
        &GroupSettings::default(),
        &[
            (
                "one member, with an id handed out first",
                "join - client=a => a#1 MEMBER_ID_REQUIRED; log g 0 - []
                 join a#1 => parked
                 wait 2999 =>
                 wait 1 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 a#1:x => range:'x'; log g 1 range [*a#1=x]
                 beat a#1 gen=1 => ok",
            ),
            (
                "two members, the second extends the wait",
                "join - client=a => a#1 MEMBER_ID_REQUIRED; log g 0 - []
                 join a#1 => parked
                 wait 2000 =>
                 join - client=b => b#3 MEMBER_ID_REQUIRED
                 join b#3 => parked
                 wait 1000 =>
                 wait 2999 =>
                 wait 1 => a#1: a#1 1 range leads [a#1 b#3]; b#3: b#3 1 range follows a#1
                 sync b#3 gen=1 => parked
                 beat b#3 gen=1 => ok
                 commit b#3 gen=1 t/0=5 => REBALANCE_IN_PROGRESS
                 sync a#1 gen=1 a#1:x b#3:y => range:'x'; b#3: range:'y'; log g 1 range [*a#1=x b#3=y]
                 sync b#3 gen=1 => range:'y'
                 commit b#3 gen=1 t/0=5 => ok; log t/0=5
                 describe => Stable consumer/range [a#1=x b#3=y]",
            ),
            (
                "a client before version 4 joins at once",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 join - client=b v3 => parked
                 beat a#1 gen=1 => REBALANCE_IN_PROGRESS
                 join a#1 => a#1 2 range leads [a#1 b#2]; b#2: b#2 2 range follows a#1
                 sync a#1 gen=2 a#1:x => range:'x'; log g 2 range [*a#1=x b#2=]
                 sync b#2 gen=2 => range:''",
            ),
            (
                "a member that does not join again in time is removed",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 session=1800000 => parked
                 wait 3000 =>
                 wait 3000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x b#2=y]
                 sync b#2 gen=1 => range:'y'
                 join - client=c v3 => parked
                 beat b#2 gen=1 => REBALANCE_IN_PROGRESS
                 join b#2 session=1800000 => parked
                 wait 9000 =>
                 wait 999 =>
                 wait 1 => c#5: c#5 2 range follows b#2; b#2: b#2 2 range leads [b#2 c#5]",
            ),
            (
                "a session ends",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 a#1:x => range:'x'; log g 1 range [*a#1=x]
                 wait 9000 =>
                 beat a#1 gen=1 => ok
                 wait 9999 =>
                 beat a#1 gen=1 => ok
                 wait 10000 => log g 2 - []
                 beat a#1 gen=1 => UNKNOWN_MEMBER_ID
                 describe => Empty consumer/ []",
            ),
            (
                "members that do not sync are removed",
                "join - client=a v3 session=1800000 rebalance=20000 => parked; log g 0 - []
                 join - client=b v3 session=1800000 rebalance=20000 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync b#2 gen=1 => parked
                 wait 20000 => b#2: REBALANCE_IN_PROGRESS
                 join b#2 session=1800000 => b#2 2 range leads [b#2]
                 sync b#2 gen=2 b#2:y => range:'y'; log g 2 range [*b#2=y]",
            ),
            (
                "the leader leaves and another leads",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x b#2=y]
                 sync b#2 gen=1 => range:'y'
                 leave a#1 => ok
                 beat b#2 gen=1 => REBALANCE_IN_PROGRESS
                 join b#2 => b#2 2 range leads [b#2]
                 leave b#2 zzz#9 => ok UNKNOWN_MEMBER_ID; log g 3 - []
                 describe => Empty consumer/ []",
            ),
            (
                "a member that leaves while it waits is told so",
                "join - client=a v3 => parked; log g 0 - []
                 leave a#1 => ok; a#1: - UNKNOWN_MEMBER_ID
                 wait 3000 => log g 1 - []
                 list => g:Empty:consumer",
            ),
            (
                "a follower joins again and gets the same generation; the leader gets a new one",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 join b#2 => b#2 1 range follows a#1
                 join a#1 => a#1 1 range leads [a#1 b#2]
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x b#2=y]
                 join b#2 => b#2 1 range follows a#1
                 sync b#2 gen=1 => range:'y'
                 join a#1 => parked
                 sync b#2 gen=1 => REBALANCE_IN_PROGRESS
                 join b#2 => b#2 2 range follows a#1; a#1: a#1 2 range leads [a#1 b#2]",
            ),
            (
                "a second request of the same member replaces the first",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync b#2 gen=1 => parked
                 sync b#2 gen=1 => parked; b#2: REBALANCE_IN_PROGRESS
                 sync a#1 gen=1 b#2:y => range:''; b#2: range:'y'; log g 1 range [*a#1= b#2=y]
                 join a#1 => parked
                 join a#1 => parked; a#1: a#1 REBALANCE_IN_PROGRESS
                 join b#2 => b#2 2 range follows a#1; a#1: a#1 2 range leads [a#1 b#2]",
            ),
            (
                "a new generation sends those back who wait for the old one's assignment",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync b#2 gen=1 => parked
                 join - client=c v3 => parked; b#2: REBALANCE_IN_PROGRESS
                 sync a#1 gen=1 a#1:x => REBALANCE_IN_PROGRESS
                 join a#1 => parked
                 join b#2 => b#2 2 range follows a#1; c#4: c#4 2 range follows a#1; a#1: a#1 2 range leads [a#1 b#2 c#4]",
            ),
            (
                "a pending id expires, and the others do not notice",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 a#1:x => range:'x'; log g 1 range [*a#1=x]
                 join - client=b session=6000 => b#3 MEMBER_ID_REQUIRED
                 wait 5999 =>
                 beat a#1 gen=1 => ok
                 wait 1 =>
                 beat a#1 gen=1 => ok
                 join b#5 => b#5 UNKNOWN_MEMBER_ID",
            ),
            (
                "a rebalance waits for the ids it has handed out",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 a#1:x => range:'x'; log g 1 range [*a#1=x]
                 join - client=b session=6000 => b#3 MEMBER_ID_REQUIRED
                 join a#1 => parked
                 wait 5999 =>
                 wait 1 => a#1: a#1 2 range leads [a#1]",
            ),
            (
                "a new member that is never heard of is removed in the end",
                "join - client=a v3 rebalance=900000 => parked; log g 0 - []
                 join - client=b v3 instance=i rebalance=900000 session=1800000 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 i#2]; i#2: i#2 1 range follows a#1
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x i#2=]
                 join - client=c v3 => parked
                 wait 299999 =>
                 wait 1 => c#4: - UNKNOWN_MEMBER_ID",
            ),
        ],
    );
}

#[test]
fn protocols_are_agreed_upon() {
    check(
        &GroupSettings::default(),
        &[
            (
                "most votes win among those that all support",
                "join - client=a v3 protocols=x,y,z => parked; log g 0 - []
                 join - client=b v3 protocols=y,x => parked
                 join - client=c v3 protocols=w,y,x => parked
                 wait 6000 => a#1: a#1 1 y leads [a#1 b#2 c#3]; b#2: b#2 1 y follows a#1; c#3: c#3 1 y follows a#1",
            ),
            (
                "nothing in common",
                "join - client=a v3 protocols=x => parked; log g 0 - []
                 join - client=b v3 protocols=y => - INCONSISTENT_GROUP_PROTOCOL
                 join - client=b v3 protocols=x type=connect => - INCONSISTENT_GROUP_PROTOCOL
                 join - client=b v3 protocols= => - INCONSISTENT_GROUP_PROTOCOL
                 wait 3000 => a#1: a#1 1 x leads [a#1]
                 sync a#1 gen=1 protocol=y => INCONSISTENT_GROUP_PROTOCOL
                 sync a#1 gen=1 type=connect => INCONSISTENT_GROUP_PROTOCOL
                 sync a#1 gen=1 type=consumer protocol=x => x:''; log g 1 x [*a#1=]",
            ),
            (
                "an empty group takes any protocol, but not none",
                "join - client=a v3 protocols= => - INCONSISTENT_GROUP_PROTOCOL; log g 0 - []
                 join - client=a v3 type= => - INCONSISTENT_GROUP_PROTOCOL
                 describe => Empty / []",
            ),
        ],
    );
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    check(
        &GroupSettings { group_size_max: 2, ..GroupSettings::default() },
        &[
            (
                "limits",
                "join - session=5999 => - INVALID_SESSION_TIMEOUT
                 join - session=1800001 => - INVALID_SESSION_TIMEOUT
                 join - group= => - INVALID_GROUP_ID
                 sync a#1 group= => INVALID_GROUP_ID
                 beat a#1 group= => INVALID_GROUP_ID
                 leave a#1 group= => INVALID_GROUP_ID",
            ),
            (
                "a group that does not exist",
                "join a#1 => a#1 UNKNOWN_MEMBER_ID
                 sync a#1 gen=1 => UNKNOWN_MEMBER_ID
                 beat a#1 gen=1 => UNKNOWN_MEMBER_ID
                 leave a#1 b#2 => UNKNOWN_MEMBER_ID UNKNOWN_MEMBER_ID
                 commit a#1 gen=1 t/0=1 => ILLEGAL_GENERATION
                 commit a#1 gen=1 t/0=1 v9 => GROUP_ID_NOT_FOUND
                 describe => GROUP_ID_NOT_FOUND
                 delete => GROUP_ID_NOT_FOUND",
            ),
            (
                "strangers and stale generations",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 sync a#1 gen=1 => range:''; log g 1 range [*a#1=]
                 sync b#9 gen=1 => UNKNOWN_MEMBER_ID
                 sync a#1 gen=2 => ILLEGAL_GENERATION
                 beat b#9 gen=1 => UNKNOWN_MEMBER_ID
                 beat a#1 gen=0 => ILLEGAL_GENERATION
                 beat a#1 gen=1 instance=i => UNKNOWN_MEMBER_ID
                 join b#9 => b#9 UNKNOWN_MEMBER_ID
                 commit a#1 gen=0 t/0=1 => ILLEGAL_GENERATION
                 commit b#9 gen=1 t/0=1 => UNKNOWN_MEMBER_ID
                 commit - gen=-1 t/0=1 => UNKNOWN_MEMBER_ID
                 leave - -/i => UNKNOWN_MEMBER_ID UNKNOWN_MEMBER_ID",
            ),
            (
                "no room",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 join - client=c v3 => - GROUP_MAX_SIZE_REACHED
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 join - client=c v3 => - GROUP_MAX_SIZE_REACHED
                 join a#1 => a#1 1 range leads [a#1 b#2]
                 join - client=c v3 => - GROUP_MAX_SIZE_REACHED
                 join b#2 => b#2 1 range follows a#1",
            ),
        ],
    );
}

#[test]
fn static_members_come_back() {
    check(
        &GroupSettings::default(),
        &[
            (
                "a follower, without a rebalance",
                "join - client=a v3 instance=i => parked; log g 0 - []
                 join - client=b instance=j => parked
                 wait 6000 => i#1: i#1 1 range leads [i#1 j#2]; j#2: j#2 1 range follows i#1
                 sync i#1 gen=1 i#1:x j#2:y => range:'x'; log g 1 range [*i#1=x j#2=y]
                 sync j#2 gen=1 => range:'y'
                 join - client=b instance=j => j#5 1 range follows i#1; log g 1 range [*i#1=x j#5=y]
                 sync j#5 gen=1 instance=j => range:'y'
                 beat j#2 gen=1 instance=j => FENCED_INSTANCE_ID
                 beat j#5 gen=1 instance=j => ok
                 commit j#2 gen=1 instance=j t/0=1 => FENCED_INSTANCE_ID
                 join j#2 instance=j => j#2 FENCED_INSTANCE_ID
                 sync j#2 gen=1 instance=j => FENCED_INSTANCE_ID
                 leave j#2/j => FENCED_INSTANCE_ID
                 beat i#1 gen=1 => ok",
            ),
            (
                "the leader, which must not assign again",
                "join - instance=i => parked; log g 0 - []
                 wait 3000 => i#1: i#1 1 range leads [i#1]
                 sync i#1 gen=1 i#1:x => range:'x'; log g 1 range [*i#1=x]
                 join - instance=i v9 => i#3 1 range leads [i#3] skip; log g 1 range [*i#3=x]
                 sync i#3 gen=1 => range:'x'
                 join - instance=i => i#5 1 range follows i#3; log g 1 range [*i#5=x]
                 sync i#5 gen=1 => range:'x'",
            ),
            (
                "with other protocols, so the group rebalances",
                "join - instance=i protocols=x,y => parked; log g 0 - []
                 join - instance=j protocols=x,y => parked
                 wait 6000 => i#1: i#1 1 x leads [i#1 j#2]; j#2: j#2 1 x follows i#1
                 sync i#1 gen=1 i#1:a j#2:b => x:'a'; log g 1 x [*i#1=a j#2=b]
                 join - instance=j protocols=y => parked
                 join i#1 protocols=x,y instance=i => i#1 2 y leads [i#1 j#4]; j#4: j#4 2 y follows i#1",
            ),
            (
                "while the generation waits for its assignment",
                "join - instance=i => parked; log g 0 - []
                 join - instance=j => parked
                 wait 6000 => i#1: i#1 1 range leads [i#1 j#2]; j#2: j#2 1 range follows i#1
                 sync j#2 gen=1 => parked
                 join - instance=j => parked; j#2: FENCED_INSTANCE_ID
                 join i#1 instance=i => i#1 2 range leads [i#1 j#4]; j#4: j#4 2 range follows i#1",
            ),
            (
                "while it still waits to join: the former self is fenced",
                "join - instance=i => parked; log g 0 - []
                 join - instance=i => parked; i#1: i#1 FENCED_INSTANCE_ID
                 wait 6000 => i#2: i#2 1 range leads [i#2]",
            ),
            (
                "stays away for a rebalance, and remains a member until its session ends",
                "join - instance=i => parked; log g 0 - []
                 join - instance=j session=1800000 => parked
                 wait 6000 => i#1: i#1 1 range leads [i#1 j#2]; j#2: j#2 1 range follows i#1
                 sync i#1 gen=1 i#1:a j#2:b => range:'a'; log g 1 range [*i#1=a j#2=b]
                 sync j#2 gen=1 => range:'b'
                 join i#1 instance=i => parked
                 wait 59999 =>
                 wait 1 => i#1: i#1 2 range leads [i#1 j#2]
                 sync i#1 gen=2 i#1:a => range:'a'; log g 2 range [*i#1=a j#2=]",
            ),
            (
                "is removed by an administrator",
                "join - instance=i => parked; log g 0 - []
                 wait 3000 => i#1: i#1 1 range leads [i#1]
                 sync i#1 gen=1 i#1:a => range:'a'; log g 1 range [*i#1=a]
                 leave -/i => ok; log g 2 - []
                 describe => Empty consumer/ []",
            ),
        ],
    );
}

#[test]
fn another_broker_takes_over() {
    check(
        &GroupSettings::default(),
        &[
            (
                "members go on in the stored generation",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x b#2=y]
                 reload =>
                 sync b#2 gen=1 => range:'y'
                 beat a#1 gen=1 => ok
                 wait 9000 =>
                 beat a#1 gen=1 => ok
                 wait 1000 =>
                 beat a#1 gen=1 => REBALANCE_IN_PROGRESS
                 beat b#2 gen=1 => UNKNOWN_MEMBER_ID
                 join a#1 => a#1 2 range leads [a#1]",
            ),
            (
                "a generation that was not stored never was",
                "join - client=a v3 => parked; log g 0 - []
                 wait 3000 => a#1: a#1 1 range leads [a#1]
                 reload =>
                 sync a#1 gen=1 => UNKNOWN_MEMBER_ID
                 join a#1 => a#1 UNKNOWN_MEMBER_ID
                 describe => Empty / []",
            ),
            (
                "a group that has become too large loses the last to join again",
                "join - client=a v3 => parked; log g 0 - []
                 join - client=b v3 => parked
                 wait 6000 => a#1: a#1 1 range leads [a#1 b#2]; b#2: b#2 1 range follows a#1
                 sync a#1 gen=1 a#1:x b#2:y => range:'x'; log g 1 range [*a#1=x b#2=y]
                 limit 1 =>
                 reload =>
                 beat a#1 gen=1 => REBALANCE_IN_PROGRESS
                 join b#2 => parked
                 join a#1 => - GROUP_MAX_SIZE_REACHED
                 describe => PreparingRebalance consumer/ [b#2=y]
                 wait 60000 => b#2: b#2 2 range leads [b#2]",
            ),
        ],
    );
}
