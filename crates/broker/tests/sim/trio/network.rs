//! The network among three nodes, their controller and their clients: slow, lossy, and cut where the seed says so.
//!
//! A question and its answer travel one after the other; each takes its time, may be lost, and is lost where the way is cut
//! when it sets out or when it would arrive. Who asked hears nothing then, and gives up after a while, which takes back
//! what has not arrived yet, as closing a connection does. Fetches may also arrive a second time, later.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use vltava_core::testing::Random;
use vltava_replication::peers::PeerError;

/// Who talks: a node by its index, the controller, or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Node(usize),
    Controller,
    Client,
}

/// How long anybody waits for an answer.
const PATIENCE: Duration = Duration::from_millis(900);

/// The ways between places.
#[derive(Debug)]
pub struct Network(Mutex<State>);

#[derive(Debug)]
struct State {
    random: Random,
    /// Ways that carry nothing, each in one direction.
    cut: BTreeSet<(Place, Place)>,
    /// One message in so many is lost; none when 0.
    loss: usize,
    /// Nodes whose messages take long.
    slow: BTreeSet<Place>,
}

impl Network {
    pub fn new(random: Random) -> Network {
        Network(Mutex::new(State { random, cut: BTreeSet::new(), loss: 0, slow: BTreeSet::new() }))
    }

    /// Cuts the way from one place to another.
    pub fn cut(&self, from: Place, to: Place) {
        self.0.lock().cut.insert((from, to));
    }

    /// Loses one message in `times`.
    pub fn lose_one_in(&self, times: usize) {
        self.0.lock().loss = times;
    }

    /// Makes everything slow that a place sends.
    pub fn slow_down(&self, place: Place) {
        self.0.lock().slow.insert(place);
    }

    /// Everything is as it should be again.
    pub fn heal(&self) {
        let mut state = self.0.lock();
        (state.loss, state.cut, state.slow) = (0, BTreeSet::new(), BTreeSet::new());
    }

    /// Whether every way is open.
    pub fn is_whole(&self) -> bool {
        let state = self.0.lock();
        state.cut.is_empty() && state.slow.is_empty() && state.loss == 0
    }

    /// Carries one message; never ends for one that is lost.
    async fn carry(&self, from: Place, to: Place) {
        let (delay, lost) = {
            let mut state = self.0.lock();
            let most = if state.slow.contains(&from) || state.slow.contains(&to) { 400_000 } else { 5000 };
            let delay = Duration::from_micros(200 + state.random.bits() % most);
            let loss = state.loss;
            (delay, loss > 0 && state.random.once_in(loss))
        };
        let is_cut = || self.0.lock().cut.contains(&(from, to));
        if lost || is_cut() {
            return std::future::pending().await;
        }
        sleep(delay).await;
        if is_cut() {
            std::future::pending::<()>().await;
        }
    }

    /// Asks: carries the question, lets it be answered, carries the answer. Nobody who answers is like a lost message.
    pub async fn call<T>(
        &self,
        from: Place,
        to: Place,
        answer: impl Future<Output = Option<T>>,
    ) -> Result<T, PeerError> {
        self.call_within(PATIENCE, from, to, answer).await
    }

    /// The same with more patience.
    pub async fn call_within<T>(
        &self,
        patience: Duration,
        from: Place,
        to: Place,
        answer: impl Future<Output = Option<T>>,
    ) -> Result<T, PeerError> {
        let asking = async {
            self.carry(from, to).await;
            let Some(answer) = answer.await else { return std::future::pending().await };
            self.carry(to, from).await;
            answer
        };
        timeout(patience, asking).await.map_err(|_| PeerError("no answer in time".to_owned()))
    }

    /// Whether, and how much later, a message arrives a second time.
    pub fn echo(&self) -> Option<Duration> {
        let mut state = self.0.lock();
        state.random.once_in(25).then(|| Duration::from_millis(state.random.bits() % 300))
    }
}
