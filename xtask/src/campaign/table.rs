//! The tests that take their seeds from outside.

/// A test, and where it takes its seeds from.
#[derive(Debug)]
pub(super) struct Campaign {
    /// What it is called in the report.
    pub(super) name: &'static str,
    /// Cargo's flags for its program.
    pub(super) target: &'static [&'static str],
    /// Its whole name.
    pub(super) test: &'static str,
    /// The environment variable with the range of its seeds.
    pub(super) variable: &'static str,
    /// The seeds that take it a few seconds.
    pub(super) seeds: u64,
}

/// Every campaign, in turn.
pub(super) const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        name: "a group changes its members, topics and protocol",
        target: &["--lib"],
        test: "group::tests::migration::partitions_have_one_owner_whatever_happens",
        variable: "VLTAVA_GROUP_SEEDS",
        seeds: 1000,
    },
    Campaign {
        name: "a group of the classic protocol",
        target: &["--lib"],
        test: "group::tests::schedules::any_schedule_keeps_the_promises",
        variable: "VLTAVA_CLASSIC_GROUP_SEEDS",
        seeds: 10_000,
    },
    Campaign {
        name: "transactions begin, end and are fenced",
        target: &["--lib"],
        test: "transaction::tests::epochs_rise_and_outcomes_stay",
        variable: "VLTAVA_TRANSACTION_SEEDS",
        seeds: 2000,
    },
    Campaign {
        name: "a simulated server loses its power",
        target: &["--test", "sim"],
        test: "no_crash_loses_or_repeats_what_was_acknowledged",
        variable: "VLTAVA_SIM_SEEDS",
        seeds: 60,
    },
    Campaign {
        name: "three replicas and whatever fails",
        target: &["--test", "sim"],
        test: "three_replicas_keep_every_promise_whatever_fails",
        variable: "VLTAVA_TRIO_SEEDS",
        seeds: 100,
    },
    Campaign {
        name: "the same seed gives the same trace",
        target: &["--test", "sim"],
        test: "the_same_seed_gives_the_same_trace_and_another_seed_another",
        variable: "VLTAVA_TRACE_SEEDS",
        seeds: 15,
    },
    Campaign {
        name: "a partition loses its power",
        target: &["--test", "it"],
        test: "partition_on_segments::nothing_acknowledged_under_flush_messages_is_lost_with_the_power",
        variable: "VLTAVA_CRASH_SEEDS",
        seeds: 1000,
    },
    Campaign {
        name: "a broker is dropped",
        target: &["--test", "it"],
        test: "crash::a_broker_that_is_dropped_keeps_what_it_acknowledged",
        variable: "VLTAVA_LIVES_SEEDS",
        seeds: 1,
    },
    Campaign {
        name: "segments lose their power",
        target: &["--lib"],
        test: "segments::tests::crash::no_crash_point_loses_what_was_confirmed",
        variable: "VLTAVA_SEGMENT_SEEDS",
        seeds: 450,
    },
    Campaign {
        name: "a coordinator's log changes its leader",
        target: &["--lib"],
        test: "runtime::tests::the_same_seed_gives_the_same_trace_and_no_seed_loses_anything",
        variable: "VLTAVA_RUNTIME_SEEDS",
        seeds: 40,
    },
    Campaign {
        name: "a leader shares out the work of Connect",
        target: &["--lib"],
        test: "worker::group::assignor::tests::whatever_happens_nothing_runs_twice_and_all_runs_at_rest",
        variable: "VLTAVA_CONNECT_SEEDS",
        seeds: 300,
    },
    Campaign {
        name: "workers of Connect come, go and lose their network",
        target: &["--lib"],
        test: "worker::schedules::any_schedule_keeps_the_promises",
        variable: "VLTAVA_WORKER_SEEDS",
        seeds: 40,
    },
    Campaign {
        name: "registries write one log and lag behind",
        target: &["--lib"],
        test: "schema::registry::tests::writers_who_lag_behind_each_other_agree_in_the_end",
        variable: "VLTAVA_REGISTRY_SEEDS",
        seeds: 200,
    },
];
