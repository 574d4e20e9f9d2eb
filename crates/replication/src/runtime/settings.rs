//! What a shard needs from around it, and its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use vltava_core::clock::{Clock, Moment};
use vltava_core::image::Image;
use vltava_core::machine::Context;

/// Where 128 fresh random bits come from; a simulation gives a seeded one.
pub type Entropy = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What decisions see besides their machine's state. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// The cluster as this node knows it.
    pub image: watch::Receiver<Arc<Image>>,
    /// Randomness.
    pub entropy: Entropy,
}

impl Surroundings {
    /// The image as it is now.
    pub(super) fn image(&self) -> Arc<Image> {
        self.image.borrow().clone()
    }

    /// The context of one decision.
    pub(super) fn context<'a>(&self, image: &'a Image, now: Moment) -> Context<'a> {
        Context { now, wall: self.clock.wall(), entropy: (self.entropy)(), image }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The limits of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Commands that may wait for the machine; more are refused as [`super::AskError::Overloaded`].
    pub commands_waiting_max: usize,
    /// How often one command is decided, at most, when others keep writing to a shared log first; then it is refused as
    /// [`super::AskError::Overloaded`].
    pub decisions_max: usize,
    /// Commands taken in one wake-up, and so decided before the next append.
    pub commands_per_turn_max: usize,
    /// For how long commands are decided before what has come of them is appended and answered: who came first must not
    /// wait for the last of many that take long.
    pub turn_max: Duration,
    /// How long a command may hold the thread of whoever asks. Once one has taken longer, those that come next go to the
    /// thread of the shard, for [`Limits::queued_for_times`] as long as it took.
    pub on_the_spot_max: Duration,
    /// For how many times the duration of a command that has taken too long the next ones are queued: those who ask spend no
    /// more than this part of their time on such commands.
    pub queued_for_times: u32,
    /// Timers fired in one wake-up.
    pub timers_per_turn_max: usize,
    /// Answers and effects that may wait for a commit; no command is taken beyond that.
    pub uncommitted_max: usize,
    /// Answers that may be parked; commands beyond that are refused as [`super::AskError::Overloaded`].
    pub parked_max: usize,
    /// How long an answer waits for its commit (`offsets.commit.timeout.ms`).
    pub commit_timeout: Duration,
    /// How much of the log a replay reads at a time, in bytes (`offsets.load.buffer.size`).
    pub load_bytes: usize,
    /// How long after a failed replay, or a refusal of the log, the next attempt is made.
    pub retry_delay: Duration,
}

impl Default for Limits {
    /// Kafka's, where it has them.
    fn default() -> Self {
        Limits {
            commands_waiting_max: 4096,
            decisions_max: 100,
            commands_per_turn_max: 512,
            turn_max: Duration::from_millis(5),
            on_the_spot_max: Duration::from_micros(500),
            queued_for_times: 20,
            timers_per_turn_max: 512,
            uncommitted_max: 65_536,
            parked_max: 100_000,
            commit_timeout: Duration::from_secs(5),
            load_bytes: 1 << 20,
            retry_delay: Duration::from_secs(1),
        }
    }
}
