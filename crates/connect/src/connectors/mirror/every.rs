//! What is done again and again, or never.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Ticks of an interval, if there is one.
#[derive(Debug)]
pub(super) struct Every(Option<Interval>);

impl Every {
    /// From now on.
    pub(super) fn at_once(interval: Option<Duration>) -> Self {
        Self::from(Instant::now(), interval)
    }

    /// From the end of the first interval on.
    pub(super) fn later(interval: Option<Duration>) -> Self {
        Self::from(Instant::now() + interval.unwrap_or_default(), interval)
    }

    fn from(start: Instant, interval: Option<Duration>) -> Self {
        let ticks = |interval| {
            let mut ticks = interval_at(start, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        Self(interval.map(ticks))
    }

    /// Resolves at the next tick; never without an interval. A dropped call loses no tick.
    pub(super) async fn tick(&mut self) {
        match &mut self.0 {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }
}
