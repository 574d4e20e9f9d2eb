use vltava_core::id::LeaderEpoch;

use super::*;

const LAG: Duration = Duration::from_secs(10);

/// A leader, broker 1, among three replicas, at a log that ended at 10 when it began.
struct Leader {
    replicas: Replicas,
    assignment: Assignment,
    end: i64,
    high: i64,
    second: u64,
}

fn active(id: i32) -> (BrokerId, BrokerEpoch) {
    (BrokerId(id), BrokerEpoch(i64::from(id) * 100))
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

impl Leader {
    fn new(isr: &[i32], min_insync: usize) -> Leader {
        let assignment = Assignment {
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(4),
            partition_epoch: PartitionEpoch(7),
            replicas: brokers(&[1, 2, 3]),
            isr: brokers(isr),
            active: vec![active(1), active(2), active(3)],
        };
        let limits = ReplicaLimits { min_insync, lag_max: LAG };
        let replicas = Replicas::new(BrokerId(1), &assignment, Offset(10), Moment::default(), limits);
        Leader { replicas, assignment, end: 10, high: 0, second: 0 }
    }

    fn now(&self) -> Moment {
        Moment(Duration::from_secs(self.second))
    }

    /// `fetch ID OFFSET`, `again ID OFFSET` from a new life, `append COUNT`, `wait SECONDS`, `propose`, `accept`,
    /// `ineligible`, `unknown`, `outdated`, `image ISR`, `fence ID`. Returns what there is to see afterwards.
    fn act(&mut self, act: &str) -> String {
        let words: Vec<&str> = act.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        let mut proposed = String::new();
        match words[0] {
            "fetch" | "again" => {
                let (id, epoch) = active(words[1].parse().unwrap());
                let epoch = if words[0] == "again" { BrokerEpoch(epoch.0 + 1) } else { epoch };
                match self.replicas.check(id, epoch) {
                    Ok(()) => {
                        let (end, now) = (Offset(self.end), self.now());
                        self.replicas.fetched(id, epoch, Offset(number(2)), end, now);
                    }
                    Err(error) => proposed = format!("{error:?}"),
                }
            }
            "append" => self.end += number(1),
            "wait" => {
                self.second += words[1].parse::<u64>().unwrap();
                self.replicas.tick(self.now());
            }
            "propose" => {
                let proposal = self.replicas.propose(Offset(self.end), Offset(self.high), self.now());
                let ids = |proposal: IsrProposal| proposal.isr.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
                proposed = proposal.map_or("nothing".to_owned(), |proposal| format!("{:?}", ids(proposal)));
            }
            "image" => {
                self.assignment.partition_epoch.0 += 1;
                self.assignment.isr = words[1].split(',').map(|id| BrokerId(id.parse().unwrap())).collect();
                self.replicas.take_over(&self.assignment.clone(), self.now());
            }
            "fence" => {
                self.assignment.active.retain(|(id, _)| i64::from(id.0) != number(1));
                self.replicas.take_over(&self.assignment.clone(), self.now());
            }
            answer => {
                let proposal = self.replicas.pending.as_ref().unwrap().proposal.clone();
                let verdict = match answer {
                    "accept" => {
                        self.assignment.partition_epoch.0 += 1;
                        self.assignment.isr = proposal.brokers().collect();
                        IsrVerdict::Accepted {
                            leader_epoch: proposal.leader_epoch,
                            partition_epoch: self.assignment.partition_epoch,
                            isr: self.assignment.isr.clone(),
                        }
                    }
                    "ineligible" => IsrVerdict::Ineligible,
                    "unknown" => IsrVerdict::Unknown,
                    "outdated" => IsrVerdict::Outdated,
                    other => panic!("{other}"),
                };
                self.replicas.answered(&proposal, &verdict);
            }
        }
        let agreed = self.replicas.agreed(Offset(self.end)).map_or(self.high, |agreed| agreed.0);
        self.high = self.high.max(agreed);
        let isr: Vec<i32> = self.replicas.isr().iter().map(|id| id.0).collect();
        format!("{isr:?} {} {proposed}", self.high).trim_end().to_owned()
    }
}

/// Given these replicas in sync, when this happens, then the in-sync replicas, the high watermark and the proposal are so.
fn check(isr: &[i32], min_insync: usize, script: &[(&str, &str)]) {
    let mut leader = Leader::new(isr, min_insync);
    for (at, (act, expected)) in script.iter().enumerate() {
        assert_eq!(leader.act(act), *expected, "{at}: {act}");
    }
}

#[test]
fn the_high_watermark_waits_for_everybody_in_sync() {
    check(
        &[1, 2, 3],
        1,
        &[
            ("append 5", "[1, 2, 3] 0"),
            ("fetch 2 15", "[1, 2, 3] 0"),
            ("fetch 3 12", "[1, 2, 3] 12"),
            ("fetch 3 15", "[1, 2, 3] 15"),
            // A follower that has lost records moves nothing back.
            ("fetch 3 3", "[1, 2, 3] 15"),
            ("append 5", "[1, 2, 3] 15"),
            ("fetch 2 20", "[1, 2, 3] 15"),
            ("fetch 3 20", "[1, 2, 3] 20"),
        ],
    );
}

#[test]
fn whoever_is_late_leaves_once_the_controller_says_so() {
    check(
        &[1, 2, 3],
        1,
        &[
            ("fetch 2 10", "[1, 2, 3] 0"),
            ("fetch 3 10", "[1, 2, 3] 10"),
            ("append 5", "[1, 2, 3] 10"),
            ("fetch 2 15", "[1, 2, 3] 10"),
            ("wait 10", "[1, 2, 3] 10"),
            ("propose", "[1, 2, 3] 10 nothing"),
            ("wait 1", "[1, 2, 3] 10"),
            // 2 has everything, however long ago it said so.
            ("propose", "[1, 2, 3] 10 [1, 2]"),
            ("propose", "[1, 2, 3] 10 nothing"),
            ("unknown", "[1, 2, 3] 10"),
            ("propose", "[1, 2, 3] 10 [1, 2]"),
            ("accept", "[1, 2] 15"),
        ],
    );
}

#[test]
fn a_slow_follower_stays_as_long_as_it_reaches_what_there_was() {
    check(
        &[1, 2],
        1,
        &[
            ("append 10", "[1, 2] 0"),
            ("fetch 2 10", "[1, 2] 10"),
            ("append 10", "[1, 2] 10"),
            ("wait 6", "[1, 2] 10"),
            ("fetch 2 20", "[1, 2] 20"),
            ("append 10", "[1, 2] 20"),
            ("wait 6", "[1, 2] 20"),
            // It had caught up six seconds ago with what there was then.
            ("fetch 2 30", "[1, 2] 30"),
            ("propose", "[1, 2] 30 nothing"),
        ],
    );
}

#[test]
fn a_replica_that_joins_is_waited_for_before_the_controller_knows() {
    check(
        &[1, 2],
        1,
        &[
            ("fetch 2 10", "[1, 2] 10"),
            ("fetch 3 9", "[1, 2] 10"),
            ("propose", "[1, 2] 10 nothing"),
            ("fetch 3 10", "[1, 2] 10"),
            ("propose", "[1, 2] 10 [1, 2, 3]"),
            ("append 5", "[1, 2] 10"),
            ("fetch 2 15", "[1, 2] 10"),
            ("unknown", "[1, 2] 10"),
            ("outdated", "[1, 2] 10"),
            ("propose", "[1, 2] 10 [1, 2, 3]"),
            ("accept", "[1, 2, 3] 10"),
            ("fetch 3 15", "[1, 2, 3] 15"),
        ],
    );
}

#[test]
fn kip_966_nothing_is_committed_while_too_few_are_in_sync() {
    check(
        &[1],
        2,
        &[
            ("append 5", "[1] 0"),
            ("fetch 2 15", "[1] 0"),
            ("propose", "[1] 0 [1, 2]"),
            ("accept", "[1, 2] 15"),
            ("image 1", "[1] 15"),
            ("append 1", "[1] 15"),
        ],
    );
}

#[test]
fn kafka_7128_a_replica_joins_when_it_has_reached_the_leader_epoch() {
    check(
        &[1, 2],
        1,
        &[
            // The high watermark of the new leader is behind: between it and 10 there may be committed records.
            ("fetch 3 4", "[1, 2] 0"),
            ("propose", "[1, 2] 0 nothing"),
            ("fetch 3 9", "[1, 2] 0"),
            ("propose", "[1, 2] 0 nothing"),
            ("fetch 3 10", "[1, 2] 0"),
            ("propose", "[1, 2] 0 [1, 2, 3]"),
        ],
    );
}

#[test]
fn kip_903_a_former_life_neither_joins_nor_moves_anything() {
    check(
        &[1, 2],
        1,
        &[
            ("again 3 10", "[1, 2] 0"),
            ("propose", "[1, 2] 0 nothing"),
            ("fetch 3 10", "[1, 2] 0 Stale"),
            ("fetch 2 10", "[1, 2] 10"),
            ("fence 3", "[1, 2] 10"),
            ("again 3 10", "[1, 2] 10"),
            ("propose", "[1, 2] 10 nothing"),
        ],
    );
}

#[test]
fn an_ineligible_replica_is_given_up_and_a_newer_image_ends_what_is_under_way() {
    check(
        &[1, 2],
        1,
        &[
            ("fetch 2 10", "[1, 2] 10"),
            ("fetch 3 10", "[1, 2] 10"),
            ("propose", "[1, 2] 10 [1, 2, 3]"),
            ("append 1", "[1, 2] 10"),
            ("fetch 2 11", "[1, 2] 10"),
            ("ineligible", "[1, 2] 10"),
            ("fence 3", "[1, 2] 11"),
            ("propose", "[1, 2] 11 nothing"),
            ("wait 11", "[1, 2] 11"),
            ("append 1", "[1, 2] 11"),
            ("propose", "[1, 2] 11 [1]"),
            ("image 1,2", "[1, 2] 11"),
            ("propose", "[1, 2] 11 [1]"),
        ],
    );
}

#[test]
fn who_is_about_to_join_is_waited_for_so_that_it_can() {
    check(
        &[1, 2],
        1,
        &[
            ("fetch 2 10", "[1, 2] 10"),
            ("fetch 3 10", "[1, 2] 10"),
            // 3 has caught up a moment ago: without waiting it might always be a little behind.
            ("append 5", "[1, 2] 10"),
            ("fetch 2 15", "[1, 2] 10"),
            ("wait 11", "[1, 2] 15"),
        ],
    );
}
