//! A clock that moves when a test says so.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{BoxFuture, Clock, Moment};
use crate::id::Timestamp;

/// Both clocks at once, moved together by [`ManualClock::advance`]. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: watch::Sender<Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    now: Moment,
    wall: Timestamp,
}

impl ManualClock {
    /// A clock whose wall shows `wall`, and whose monotonic side starts at zero.
    #[must_use]
    pub fn new(wall: Timestamp) -> ManualClock {
        ManualClock { time: watch::Sender::new(Times { now: Moment::default(), wall }) }
    }

    /// Lets time pass, which wakes the sleepers whose moment it reaches.
    pub fn advance(&self, duration: Duration) {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.time.send_modify(|time| {
            time.now = time.now + duration;
            time.wall = time.wall.plus(milliseconds);
        });
    }

    /// Sets the wall clock alone, which may jump in both directions.
    pub fn set_wall(&self, wall: Timestamp) {
        self.time.send_modify(|time| time.wall = wall);
    }
}

impl Default for ManualClock {
    /// A clock that starts on a day in 2023.
    fn default() -> Self {
        ManualClock::new(Timestamp(1_700_000_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.time.borrow().now
    }

    fn wall(&self) -> Timestamp {
        self.time.borrow().wall
    }

    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        // The sender travels along: a sleeper whose clock was dropped waits for ever, as it would on a stopped clock.
        let (clock, mut time) = (self.clone(), self.time.subscribe());
        Box::pin(async move {
            let _ = time.wait_for(|time| time.now >= moment).await;
            drop(clock);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_moment_is_reached() {
        let clock = ManualClock::default();
        let wall = clock.wall();
        clock.sleep_until(clock.now()).await;
        let sleeper = tokio::spawn(clock.sleep_until(Moment(Duration::from_secs(2))));
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!((clock.now(), clock.wall().since(wall)), (Moment(Duration::from_secs(2)), 2000));
    }
}
