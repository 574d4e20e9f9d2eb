//! The life of a member: join, learn what to run, stay alive, join again; and stop everything when the membership is lost.
//!
//! Times count from when a heartbeat was *sent*: an answer proves no more than that the coordinator knew the member after
//! that. Work starts after the first heartbeat of its round was answered. Heartbeats come faster after a round than later,
//! since rounds come in pairs: one in which work stops, one in which it starts elsewhere.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{error, info, warn};

use super::super::Shared;
use super::super::herder::{Command, Own};
use super::assignor::{Assignor, Members, Round, Shares, eager};
use super::protocol::{Assignment, Metadata, Protocol};
use super::{Piece, View, Work};
use crate::membership::{Joined, Membership, MembershipError};

/// How soon after a round the first heartbeat comes; pauses double from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a member rests after the coordinator could not be reached.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(200);
/// How long it rests after a refusal.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// A member of the group.
#[derive(Debug)]
pub struct Member {
    shared: Arc<Shared>,
    membership: Arc<dyn Membership>,
    herder: mpsc::Sender<Command>,
    view: watch::Sender<View>,
    assignor: Assignor,
    /// Who this member is; empty when it is none.
    id: String,
    generation: i32,
    protocol: Protocol,
    work: Work,
    /// The last assignment, as others want to hear of it.
    assignment: Option<Assignment>,
    /// When the last heartbeat was sent that was answered.
    confirmed: Instant,
    key: Option<JoinHandle<()>>,
}

/// Why a round is over.
#[derive(Debug)]
enum End {
    /// To join the next one.
    Next,
    /// The coordinator could not be asked.
    Unreachable(String),
    /// The member is none any more.
    Lost(String),
    /// It may not be one.
    Refused(String),
}

impl From<MembershipError> for End {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::Rebalance => End::Next,
            MembershipError::Stale | MembershipError::Forgotten => End::Lost(error.to_string()),
            MembershipError::Unreachable(why) => End::Unreachable(why),
            MembershipError::Refused(why) => End::Refused(why),
        }
    }
}

impl Member {
    /// Not a member yet.
    pub fn new(
        shared: Arc<Shared>,
        membership: Arc<dyn Membership>,
        herder: mpsc::Sender<Command>,
        view: watch::Sender<View>,
    ) -> Self {
        let group = &shared.settings.member;
        let delay_max_ms = i64::try_from(group.delay_max.as_millis()).unwrap_or(i64::MAX);
        Self {
            assignor: Assignor::new(delay_max_ms),
            protocol: group.protocol,
            shared,
            membership,
            herder,
            view,
            id: String::new(),
            generation: -1,
            work: Work::new(),
            assignment: None,
            confirmed: Instant::now(),
            key: None,
        }
    }

    /// Is a member until it is told to leave.
    pub async fn run(mut self, leave: oneshot::Receiver<()>) {
        let mut leave = pin!(leave);
        loop {
            let end = tokio::select! {
                _ = &mut leave => break,
                end = self.round() => end,
            };
            let rest = match end {
                Ok(()) | Err(End::Next) => Duration::ZERO,
                Err(End::Unreachable(why)) => {
                    warn!(why, "the coordinator of the group cannot be reached");
                    UNREACHABLE_PAUSE
                }
                Err(End::Lost(why)) => {
                    self.lose(&why).await;
                    Duration::ZERO
                }
                Err(End::Refused(why)) => {
                    error!(why, "the group refuses this worker");
                    self.lose(&why).await;
                    REFUSED_PAUSE
                }
            };
            tokio::select! {
                _ = &mut leave => break,
                () = sleep(rest) => {}
                // The next round begins with that.
                _ = self.expired() => {}
            }
        }
        self.leave().await;
    }

    async fn leave(&mut self) {
        if self.id.is_empty() {
            return;
        }
        let patience = self.shared.settings.member.heartbeat_interval;
        let left = timeout(patience, self.membership.leave(&self.id)).await;
        if !matches!(left, Ok(Ok(()))) {
            warn!("the group did not hear that this worker leaves");
        }
        self.id.clear();
    }

    /// When everything must have been told to stop, unless a heartbeat is answered.
    fn deadline(&self) -> Instant {
        let settings = &self.shared.settings;
        let session = settings.member.times.session_timeout;
        self.confirmed + session.saturating_sub(settings.member.grace(settings.task_shutdown_timeout))
    }

    /// Resolves when the membership is as good as lost; never while nothing runs.
    fn expired(&self) -> impl Future<Output = End> + use<> {
        let at = (!self.work.is_empty()).then(|| self.deadline());
        async move {
            match at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
            End::Lost("no heartbeat was answered in time".to_owned())
        }
    }

    /// Waits for the group, as long as there is time.
    async fn alive<T>(&self, asked: impl Future<Output = Result<T, MembershipError>>) -> Result<T, End> {
        tokio::select! {
            biased;
            end = self.expired() => Err(end),
            answered = asked => Ok(answered?),
        }
    }

    /// Stops everything, and starts anew.
    async fn lose(&mut self, why: &str) {
        if !self.work.is_empty() {
            warn!(
                why,
                generation = self.generation,
                "this worker is no member of the group any more, and stops its work"
            );
        }
        self.view.send_replace(View::outside(self.protocol));
        self.id.clear();
        self.assignment = None;
        self.stop_all(self.shared.settings.member.grace(self.shared.settings.task_shutdown_timeout)).await;
        self.shared.stop_leading().await;
    }

    async fn stop_all(&mut self, patience: Duration) {
        if std::mem::take(&mut self.work).is_empty() {
            return;
        }
        let generation = self.generation;
        let own = Own { generation, patience: Some(patience), ..Own::default() };
        // A herder that is gone has stopped everything.
        let _ = self.own(own).await.await;
    }

    async fn own(&self, own: Own) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        // As above.
        let _ = self.herder.send(Command::Own { own, done }).await;
        settled
    }

    /// One round, from the join until the next one is due.
    async fn round(&mut self) -> Result<(), End> {
        if !self.work.is_empty() && Instant::now() >= self.deadline() {
            return Err(End::Lost("no heartbeat was answered in time".to_owned()));
        }
        if self.protocol == Protocol::Eager {
            self.stop_all(self.shared.settings.task_shutdown_timeout).await;
            self.assignment = None;
        }
        let (_, known) = self.shared.configured();
        let joined = self.join().await?;
        self.id.clone_from(&joined.member);
        let protocol =
            self.shared.settings.member.protocol.offered().find(|offer| offer.name() == joined.protocol);
        let foreign = || End::Refused(format!("the group uses the protocol {}", joined.protocol));
        let protocol = protocol.ok_or_else(foreign)?;
        if protocol == Protocol::Eager && !self.work.is_empty() {
            // Others can do no better; everything stops first.
            self.protocol = protocol;
            return Err(End::Next);
        }
        let leads = joined.leader == joined.member;
        let shared_out = if leads { self.share_out(&joined, protocol)? } else { SharedOut::default() };
        let membership = self.membership.clone();
        // A leader that is lost now is missed after its session: the others keep their work until then.
        let synced = membership.sync(&joined, shared_out.assignments);
        let synced = self.while_alive((&joined.member, joined.generation), synced).await?;
        let assignment = Assignment::decode(synced)
            .map_err(|error| End::Refused(format!("an assignment cannot be read: {error}")))?;
        (self.generation, self.protocol) = (joined.generation, protocol);
        self.beat().await?;
        if assignment.error != 0 {
            self.catch_up(assignment.offset).await?;
            return Err(End::Next);
        }
        self.catch_up(assignment.offset).await?;
        let view = View {
            generation: self.generation,
            leader: Some(assignment.leader_url.clone()),
            leads,
            owners: Arc::new(shared_out.owners),
            ..View::outside(protocol)
        };
        self.take(assignment, view, shared_out.waiting, known).await
    }

    /// Joins the next round.
    async fn join(&mut self) -> Result<Joined, End> {
        let offers = self.offers().map_err(|error| End::Refused(error.to_string()))?;
        let (membership, id, generation) = (self.membership.clone(), self.id.clone(), self.generation);
        self.while_alive((&id, generation), membership.join(&id, offers)).await
    }

    /// Waits for the group, as long as there is time, and says meanwhile that it lives.
    async fn while_alive<T>(
        &mut self,
        (id, generation): (&str, i32),
        asked: impl Future<Output = Result<T, MembershipError>>,
    ) -> Result<T, End> {
        let membership = self.membership.clone();
        let interval = self.shared.settings.member.heartbeat_interval;
        let mut asked = pin!(asked);
        loop {
            let runs = !self.work.is_empty();
            let pulse = async {
                if !runs {
                    pending::<()>().await;
                }
                sleep(interval / 3).await;
                let sent = Instant::now();
                (sent, membership.heartbeat(id, generation).await)
            };
            tokio::select! {
                biased;
                end = self.expired() => return Err(end),
                answered = &mut asked => return Ok(answered?),
                (sent, beat) = pulse => match beat {
                    Ok(()) | Err(MembershipError::Rebalance | MembershipError::Stale) => self.confirmed = sent,
                    Err(MembershipError::Unreachable(_)) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    fn offers(&self) -> Result<Vec<(String, Bytes)>, vltava_core::wire::WireError> {
        let group = &self.shared.settings.member;
        let offset = self.shared.configured().0;
        let assignment = self.assignment.clone().map(|known| Assignment {
            starts: self.work.clone(),
            stops: Work::new(),
            delay_ms: 0,
            ..known
        });
        let metadata = Metadata { url: group.url.clone(), offset, assignment };
        let offer = |protocol: Protocol| Ok((protocol.name().to_owned(), metadata.encode(protocol)?));
        group.protocol.offered().map(offer).collect()
    }

    /// Decides what the members run. One whose metadata cannot be read is no reason for the others to stop: it is left out,
    /// and what it ran is given to others as the work of a lost member is. The answer that it gets, no bytes, is one that
    /// no worker runs anything by.
    fn share_out(&mut self, joined: &Joined, protocol: Protocol) -> Result<SharedOut, End> {
        let mut urls = BTreeMap::new();
        let mut members = Members::new();
        let (offset, configured) = self.shared.configured();
        let mut newest = offset;
        for (id, metadata) in &joined.members {
            let metadata = match Metadata::decode(metadata.clone()) {
                Ok(metadata) => metadata,
                Err(error) => {
                    warn!(member = id, %error, "a member says nothing that can be read: it is given no work");
                    continue;
                }
            };
            newest = newest.max(metadata.offset);
            members.insert(id.clone(), metadata.assignment.map(|known| known.starts).unwrap_or_default());
            urls.insert(id.clone(), metadata.url);
        }
        let leader_url = urls.get(&joined.leader).cloned().unwrap_or_default();
        let behind = newest > offset;
        let shares = match protocol {
            _ if behind => Shares::default(),
            Protocol::Eager => {
                members.values_mut().for_each(Work::clear);
                Shares { starts: eager(&configured, members.keys().cloned()), ..Shares::default() }
            }
            _ => self.assignor.assign(&Round {
                now_ms: i64::try_from(self.shared.clock.now().0.as_millis()).unwrap_or(i64::MAX),
                completed: self.generation,
                generation: joined.generation,
                configured: &configured,
                members: &members,
            }),
        };
        let mut out = SharedOut { waiting: shares.waiting.clone(), ..SharedOut::default() };
        for (id, running) in &members {
            let of = |side: &Members| side.get(id).cloned().unwrap_or_default();
            let assignment = Assignment {
                error: if behind { Assignment::MISMATCH } else { 0 },
                leader: joined.leader.clone(),
                leader_url: leader_url.clone(),
                offset: newest,
                starts: of(&shares.starts),
                stops: of(&shares.stops),
                delay_ms: i32::try_from(shares.delay_ms).unwrap_or(i32::MAX),
            };
            let url = urls.get(id).cloned().unwrap_or_default();
            let owned = &(running - &assignment.stops) | &assignment.starts;
            out.owners.extend(owned.into_iter().map(|piece| (piece, url.clone())));
            let encoded = assignment.encode(protocol);
            let encoded = encoded.map_err(|error| End::Refused(error.to_string()))?;
            out.assignments.push((id.clone(), encoded));
        }
        Ok(out)
    }

    /// Says that it lives, and hears whether it does.
    async fn beat(&mut self) -> Result<(), End> {
        let sent = Instant::now();
        match self.alive(self.membership.heartbeat(&self.id, self.generation)).await {
            Ok(()) | Err(End::Next) => {
                self.confirmed = sent;
                Ok(())
            }
            Err(end) => Err(end),
        }
    }

    /// Reads the settings that the leader has read; a worker that cannot leaves, and stays out for a while.
    async fn catch_up(&mut self, offset: i64) -> Result<(), End> {
        let group = &self.shared.settings.member;
        let until = (Instant::now() + group.sync_timeout).min(self.deadline());
        if timeout_at(until, self.shared.configs.reach(offset)).await.is_ok() {
            return Ok(());
        }
        let (backoff, grace) =
            (group.unsync_backoff, group.grace(self.shared.settings.task_shutdown_timeout));
        warn!(offset, ?backoff, "the topic of settings cannot be read; leaving the group for a while");
        // In this order: what a member ran that has left may be given to others at once.
        self.stop_all(grace).await;
        self.leave().await;
        self.lose("the topic of settings cannot be read").await;
        // Whoever can read it again need not wait.
        let _ = timeout(backoff, self.shared.configs.reach(offset)).await;
        Err(End::Next)
    }

    /// Runs what is assigned, until the next round is due.
    async fn take(
        &mut self,
        assignment: Assignment,
        view: View,
        waiting: Work,
        known: Work,
    ) -> Result<(), End> {
        let mut changes = self.shared.configs.changes();
        changes.mark_unchanged();
        let stops = &self.work & &assignment.stops;
        let kept = &self.work - &stops;
        self.work = &kept | &assignment.starts;
        info!(
            generation = self.generation,
            leads = view.leads,
            starts = assignment.starts.len(),
            stops = stops.len(),
            runs = self.work.len(),
            delay_ms = assignment.delay_ms,
            "assigned"
        );
        let rejoin = u64::try_from(assignment.delay_ms).ok().filter(|delay| *delay > 0);
        let rejoin = rejoin.map(|delay| Instant::now() + Duration::from_millis(delay));
        let (offset, configured) = self.shared.configured();
        let expected = if offset == assignment.offset { configured } else { known };
        if !view.leads {
            self.shared.stop_leading().await;
        }
        let own = Own {
            work: self.work.clone(),
            generation: self.generation,
            leads: view.leads,
            waiting,
            patience: None,
        };
        self.assignment = Some(assignment);
        self.view.send_replace(View { work: Arc::new(self.work.clone()), ..view });
        let settled = self.own(own).await;
        let stopping = !stops.is_empty();
        let mut settled = pin!(async move {
            if stopping {
                // A herder that is gone has stopped everything.
                let _ = settled.await;
            } else {
                pending::<()>().await;
            }
        });
        let interval = self.shared.settings.member.heartbeat_interval;
        let mut pause = FIRST_PAUSE.min(interval);
        let (membership, id, generation) = (self.membership.clone(), self.id.clone(), self.generation);
        let beat = async |pause| {
            sleep(pause).await;
            let sent = Instant::now();
            (sent, membership.heartbeat(&id, generation).await)
        };
        // One goes on whatever else happens: settings that change all the time hold no heartbeat up.
        let mut pulse = Box::pin(beat(pause));
        let mut moved = self.shared.configured().1 != expected;
        loop {
            if moved && !stopping {
                return Ok(());
            }
            self.keep_key();
            tokio::select! {
                biased;
                end = self.expired() => return Err(end),
                () = &mut settled => return Ok(()),
                () = wait_until(rejoin), if !moved => moved = true,
                Ok(()) = changes.changed() => moved |= self.shared.configured().1 != expected,
                (sent, answer) = &mut pulse => {
                    match answer {
                        Ok(()) => {
                            self.confirmed = sent;
                            pause = (pause * 2).min(interval);
                        }
                        Err(MembershipError::Rebalance) => {
                            self.confirmed = sent;
                            moved = true;
                        }
                        Err(MembershipError::Unreachable(why)) => {
                            warn!(why, "a heartbeat was not answered");
                            pause = UNREACHABLE_PAUSE.min(interval);
                        }
                        Err(error) => return Err(error.into()),
                    }
                    pulse = Box::pin(beat(pause));
                }
            }
        }
    }

    /// As the leader, sees to it that there is a key for requests between workers, and that it is not old.
    fn keep_key(&mut self) {
        let view = self.view.borrow().clone();
        let busy = self.key.as_ref().is_some_and(|writing| !writing.is_finished());
        if view.leads && view.signed && !busy && self.shared.key_is_due() {
            let shared = self.shared.clone();
            self.key = Some(tokio::spawn(async move {
                if let Err(error) = shared.renew_key().await {
                    warn!(%error, "the key for requests between workers cannot be written; trying again");
                    sleep(UNREACHABLE_PAUSE).await;
                }
            }));
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// What a leader has decided.
#[derive(Debug, Default)]
struct SharedOut {
    assignments: Vec<(String, Bytes)>,
    owners: BTreeMap<Piece, String>,
    waiting: Work,
}
