//! The answers that wait: for a commit, or for a decision that releases them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use vltava_core::clock::Moment;
use vltava_core::id::Offset;
use vltava_core::machine::StateMachine;

use super::AskError;

/// Where the answer to a command goes.
pub(super) type Responder<M> = oneshot::Sender<Result<<M as StateMachine>::Answer, AskError>>;

/// Everybody who waits for a machine. No responder is ever dropped without a word: it is answered, or failed.
pub(super) struct Answers<M: StateMachine> {
    uncommitted: VecDeque<Uncommitted<M>>,
    effects: VecDeque<(Offset, M::Effect)>,
    parked: HashMap<M::Key, (u64, Responder<M>)>,
    /// Counts who parked, so that all are failed in the order they came: the same run gives the same trace.
    parked_so_far: u64,
}

struct Uncommitted<M: StateMachine> {
    /// The log has to be committed up to here.
    until: Offset,
    since: Moment,
    responder: Responder<M>,
    answer: Result<M::Answer, AskError>,
}

impl<M: StateMachine> Answers<M> {
    pub(super) fn new() -> Answers<M> {
        Answers {
            uncommitted: VecDeque::new(),
            effects: VecDeque::new(),
            parked: HashMap::new(),
            parked_so_far: 0,
        }
    }

    /// How many answers and effects wait for a commit.
    pub(super) fn uncommitted(&self) -> usize {
        self.uncommitted.len() + self.effects.len()
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Answers once the log is committed up to `until`, which like `since` never goes back from call to call.
    pub(super) fn commit(
        &mut self,
        until: Offset,
        since: Moment,
        responder: Responder<M>,
        answer: Result<M::Answer, AskError>,
    ) {
        self.uncommitted.push_back(Uncommitted { until, since, responder, answer });
    }

    /// Parks an answer under a key; who waited there before is told so.
    pub(super) fn park(&mut self, key: M::Key, responder: Responder<M>) {
        self.parked_so_far += 1;
        if let Some((_, before)) = self.parked.insert(key, (self.parked_so_far, responder)) {
            fail(before, AskError::Replaced);
        }
    }

    /// Releases a parked answer, which then waits for its commit. Nobody may be waiting: who asked has gone away.
    pub(super) fn release(&mut self, key: &M::Key, until: Offset, since: Moment, answer: M::Answer) {
        if let Some((_, responder)) = self.parked.remove(key) {
            self.commit(until, since, responder, Ok(answer));
        }
    }

    /// Fails a parked answer, if somebody still waits for it.
    pub(super) fn fail(&mut self, key: &M::Key, error: AskError) {
        if let Some((_, responder)) = self.parked.remove(key) {
            fail(responder, error);
        }
    }

    /// Hands out the effect once the log is committed up to `until`.
    pub(super) fn effect(&mut self, until: Offset, effect: M::Effect) {
        self.effects.push_back((until, effect));
    }

    /// Sends every answer that `committed` covers. `told` is given since when each has waited.
    pub(super) fn committed(&mut self, committed: Offset, told: impl Fn(Moment)) {
        while self.uncommitted.front().is_some_and(|first| first.until <= committed) {
            if let Some(Uncommitted { responder, answer, since, .. }) = self.uncommitted.pop_front() {
                told(since);
                // Who asked may have gone away; the command stands all the same.
                let _ = responder.send(answer);
            }
        }
    }

    /// The next effect that `committed` covers.
    pub(super) fn committed_effect(&mut self, committed: Offset) -> Option<M::Effect> {
        self.effects.pop_front_if(|(until, _)| *until <= committed).map(|(_, effect)| effect)
    }

    /// Whether an effect is ready to be handed out.
    pub(super) fn has_committed_effect(&self, committed: Offset) -> bool {
        self.effects.front().is_some_and(|(until, _)| *until <= committed)
    }

    /// Since when the first answer waits for a commit.
    pub(super) fn waiting_since(&self) -> Option<Moment> {
        self.uncommitted.front().map(|first| first.since)
    }

    /// Fails the answers that have waited for `timeout`.
    pub(super) fn expire(&mut self, now: Moment, timeout: Duration) {
        while self.uncommitted.front().is_some_and(|first| first.since + timeout <= now) {
            if let Some(Uncommitted { responder, .. }) = self.uncommitted.pop_front() {
                fail(responder, AskError::Timeout);
            }
        }
    }

    /// Fails everybody who waits, and forgets the effects: a replay brings back those that are not done.
    pub(super) fn fail_all(&mut self, error: &AskError) {
        self.effects.clear();
        let uncommitted = self.uncommitted.drain(..).map(|waiting| waiting.responder);
        uncommitted.for_each(|responder| fail(responder, error.clone()));
        let mut parked: Vec<_> = self.parked.drain().map(|(_, parked)| parked).collect();
        parked.sort_unstable_by_key(|(order, _)| *order);
        parked.into_iter().for_each(|(_, responder)| fail(responder, error.clone()));
    }
}

fn fail<T>(responder: oneshot::Sender<Result<T, AskError>>, error: AskError) {
    // Who asked may have gone away, and then there is nobody to tell.
    let _ = responder.send(Err(error));
}
