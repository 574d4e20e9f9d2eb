//! Time as an argument.
//!
//! Decisions take [`Moment`]s and [`Timestamp`]s; only shells hold a [`Clock`]. A simulation hands out its own, and the
//! same seed gives the same trace.

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::time::Duration;

use crate::id::Timestamp;

/// A boxed future that shells can send between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A point on the monotonic clock: the time since that clock was started. Timeouts count in these, because the wall
/// clock jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// The time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(duration))
    }
}

/// Both clocks and the only way to wait for one.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The monotonic clock: never goes back.
    fn now(&self) -> Moment;

    /// The wall clock, in milliseconds since the Unix epoch: may jump in both directions.
    fn wall(&self) -> Timestamp;

    /// Resolves once [`Clock::now`] has reached `moment`; at once when it is past.
    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()>;
}
