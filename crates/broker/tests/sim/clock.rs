//! The simulated clock.

use std::time::Duration;

use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::id::Timestamp;

/// The wall clock when a simulation starts.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// The time of the simulation, on every machine the same; it goes on while a machine is down.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now(&self) -> Moment {
        // Outside of a machine, as when a crash drops what ran on it, there is no time that anybody could depend on.
        Moment(turmoil::sim_elapsed().unwrap_or(Duration::ZERO))
    }

    fn wall(&self) -> Timestamp {
        let since = i64::try_from(self.now().0.as_millis()).unwrap_or(i64::MAX);
        Timestamp(EPOCH.0.saturating_add(since))
    }

    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(moment.since(self.now())))
    }
}
