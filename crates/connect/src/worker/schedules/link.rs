//! What lies between a worker and the rest: time, and faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vltava_core::testing::Random;

/// How long a request that gets no answer is waited for.
const PATIENCE_MS: usize = 1500;

/// The ways of a worker into the group, to the topics and to other workers.
#[derive(Debug)]
pub(super) struct Link {
    random: Mutex<Random>,
    /// The process is gone.
    dead: AtomicBool,
    group_cut: AtomicBool,
    topics_cut: watch::Sender<bool>,
    /// How long one way takes at most, in milliseconds.
    slow_ms: Mutex<usize>,
    /// How long records of topics take to be seen at most, in milliseconds.
    late_ms: Mutex<usize>,
    /// When something of this was last wrong.
    disturbed: Mutex<Option<Instant>>,
}

impl Link {
    pub(super) fn new(random: Random) -> Arc<Self> {
        Arc::new(Self {
            random: Mutex::new(random),
            dead: AtomicBool::new(false),
            group_cut: AtomicBool::new(false),
            topics_cut: watch::Sender::new(false),
            slow_ms: Mutex::new(5),
            late_ms: Mutex::new(5),
            disturbed: Mutex::new(None),
        })
    }

    fn below(&self, bound: usize) -> usize {
        self.random.lock().below(bound)
    }

    fn milliseconds(&self, most: usize) -> Duration {
        // Nothing takes no time: a session that is over at one end is over at the other before anybody acts.
        Duration::from_millis(1 + self.below(most.max(1)) as u64)
    }

    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    pub(super) fn cut_group(&self) {
        self.group_cut.store(true, Ordering::Release);
        self.disturb();
    }

    pub(super) fn cut_topics(&self) {
        self.topics_cut.send_replace(true);
        self.disturb();
    }

    pub(super) fn slow(&self, most_ms: usize) {
        *self.slow_ms.lock() = most_ms;
        self.disturb();
    }

    pub(super) fn be_late(&self, most_ms: usize) {
        *self.late_ms.lock() = most_ms;
        self.disturb();
    }

    pub(super) fn heal(&self) {
        let faulty = self.is_faulty();
        self.group_cut.store(false, Ordering::Release);
        self.topics_cut.send_replace(false);
        (*self.slow_ms.lock(), *self.late_ms.lock()) = (5, 5);
        if faulty {
            self.disturb();
        }
    }

    fn is_faulty(&self) -> bool {
        let cut = self.group_cut.load(Ordering::Acquire) || *self.topics_cut.borrow();
        cut || *self.slow_ms.lock() > 5 || *self.late_ms.lock() > 5
    }

    fn disturb(&self) {
        *self.disturbed.lock() = Some(Instant::now());
    }

    /// Whether something was wrong lately, so that the membership may have been lost for it.
    pub(super) fn was_disturbed(&self, within: Duration) -> bool {
        self.is_faulty() || self.disturbed.lock().is_some_and(|at| at.elapsed() < within)
    }

    /// One way between the worker and another process. `None` is that nothing arrived, and that nobody waits any longer.
    pub(super) async fn travel(&self) -> Option<()> {
        let most = *self.slow_ms.lock();
        sleep(self.milliseconds(most)).await;
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        if self.group_cut.load(Ordering::Acquire) {
            sleep(self.milliseconds(PATIENCE_MS)).await;
            return None;
        }
        Some(())
    }

    /// One way to the topics, as a client that tries again goes it: it takes until they are reached. A process that is
    /// gone reaches nothing.
    pub(super) async fn reach_topics(&self) {
        let most = *self.slow_ms.lock();
        sleep(self.milliseconds(most)).await;
        let mut cut = self.topics_cut.subscribe();
        // The sender is here.
        let _ = cut.wait_for(|cut| !cut).await;
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// As [`Link::reach_topics`], for what comes back to be read.
    pub(super) async fn be_seen(&self) {
        let most = *self.late_ms.lock();
        sleep(self.milliseconds(most)).await;
        self.reach_topics().await;
    }
}
