//! A clock that everything shares that only looks now and then whether there is something to do: what looks at its ticks
//! looks together, and the process wakes up once for all of it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// How long it is until the next full `period` of the clock: more than nothing, and `period` at most.
pub(crate) fn until_next(period: Duration) -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let (begun, now) = (*BEGUN.get_or_init(Instant::now), Instant::now());
    let part = |time: Duration| {
        Duration::from_nanos(u64::try_from(time.as_nanos() % period.as_nanos()).unwrap_or(0))
    };
    // A clock of a test may be behind the one that began.
    match part(begun.saturating_duration_since(now)) {
        Duration::ZERO => period.saturating_sub(part(now.saturating_duration_since(begun))),
        ahead => ahead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ticks_are_a_period_apart() {
        let period = Duration::from_secs(3);
        for late in [0, 1, 1500, 2999, 7000] {
            tokio::time::advance(until_next(period)).await;
            assert_eq!(until_next(period), period);
            tokio::time::advance(Duration::from_millis(late)).await;
            assert_eq!(until_next(period), period - Duration::from_millis(late % 3000));
        }
    }
}
