//! Incremental fetch sessions (KIP-227): the broker remembers what a client fetches, so that neither says it again.
//!
//! A session holds the partitions of one client with the offsets it asked for and what it was told last. A request of
//! the session names only what changed, a response only partitions that have news. Sessions live in a bounded number of
//! slots; a new one takes the slot of one that was idle for long enough, or is not made, and the client fetches in full.
//!
//! What it refuses: an unknown session, a request out of order, and a switch between topic names and topic ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use vltava_core::wire::WireStr;

/// The sessions of a broker.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    /// `max.incremental.fetch.session.cache.slots`.
    slots: usize,
    /// How long a session must have been idle before another takes its slot.
    idle_min: Duration,
    open: Mutex<HashMap<SessionId, Slot>>,
    /// How many sessions have lost their slot to another.
    evictions: AtomicU64,
}

/// How much of the slots is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) sessions: usize,
    pub(crate) partitions: usize,
    /// Since the start.
    pub(crate) evictions: u64,
}

/// The number of a session; 0 is none.
pub(crate) type SessionId = i32;

/// The number of a request within its session: 0 opens one, −1 closes it.
pub(crate) type SessionEpoch = i32;

const INITIAL_EPOCH: SessionEpoch = 0;
const FINAL_EPOCH: SessionEpoch = -1;

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    used: Moment,
}

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Id(TopicId),
    Name(WireStr),
}

/// How a request names a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic: TopicKey,
    pub(crate) partition: PartitionIndex,
}

/// What a client wants of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) offset: Offset,
    pub(crate) bytes_max: i32,
    pub(crate) current_epoch: LeaderEpoch,
    pub(crate) last_fetched_epoch: LeaderEpoch,
}

/// What a client was told last of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: Offset,
    pub(crate) log_start: Offset,
}

#[derive(Debug)]
struct Session {
    epoch: SessionEpoch,
    uses_topic_ids: bool,
    partitions: IndexMap<PartitionKey, (Wanted, Option<Told>)>,
}

/// What a request brings for its session.
pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) epoch: SessionEpoch,
    pub(crate) uses_topic_ids: bool,
    pub(crate) wanted: Vec<(PartitionKey, Wanted)>,
    pub(crate) forgotten: Vec<PartitionKey>,
}

/// A fetch within a session, or without one.
#[derive(Debug)]
pub(crate) struct FetchContext {
    /// What to fetch, in the order in which to do it.
    pub(crate) wanted: Vec<(PartitionKey, Wanted)>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// No session, and none is wanted.
    Full,
    /// A session opens with this answer.
    Opening { id: SessionId, session: Arc<Mutex<Session>> },
    /// A further request of a session.
    Incremental { id: SessionId, session: Arc<Mutex<Session>> },
}

impl FetchSessions {
    pub(crate) fn new(slots: usize, idle_min: Duration) -> FetchSessions {
        FetchSessions { slots, idle_min, open: Mutex::default(), evictions: AtomicU64::new(0) }
    }

    /// How much of the slots is in use.
    pub(crate) fn usage(&self) -> Usage {
        let sessions: Vec<_> = self.open.lock().values().map(|slot| slot.session.clone()).collect();
        Usage {
            sessions: sessions.len(),
            partitions: sessions.iter().map(|session| session.lock().partitions.len()).sum(),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    /// Begins a fetch. `random` numbers a new session.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH` or `FETCH_SESSION_TOPIC_ID_ERROR`; the client starts
    /// a new session then.
    pub(crate) fn begin(
        &self,
        opening: Opening,
        now: Moment,
        random: impl FnMut() -> SessionId,
    ) -> Result<FetchContext, ErrorCode> {
        if opening.epoch == FINAL_EPOCH || opening.epoch == INITIAL_EPOCH {
            let mut open = self.open.lock();
            open.remove(&opening.id);
            let kind = match opening.epoch {
                INITIAL_EPOCH if !opening.wanted.is_empty() => {
                    self.new_session(&mut open, &opening, now, random)
                }
                _ => Kind::Full,
            };
            return Ok(FetchContext { wanted: opening.wanted, kind });
        }
        self.next(opening, now)
    }

    fn new_session(
        &self,
        open: &mut HashMap<SessionId, Slot>,
        opening: &Opening,
        now: Moment,
        mut random: impl FnMut() -> SessionId,
    ) -> Kind {
        if open.len() >= self.slots && !self.evict(open, now) {
            return Kind::Full;
        }
        let partitions = opening
            .wanted
            .iter()
            .map(|(key, wanted)| (key.clone(), (*wanted, None)))
            .collect::<IndexMap<_, _>>();
        let session = Session { epoch: 1, uses_topic_ids: opening.uses_topic_ids, partitions };
        let session = Arc::new(Mutex::new(session));
        let id = loop {
            let id = random();
            if id > 0 && !open.contains_key(&id) {
                break id;
            }
        };
        open.insert(id, Slot { session: session.clone(), used: now });
        Kind::Opening { id, session }
    }

    fn evict(&self, open: &mut HashMap<SessionId, Slot>, now: Moment) -> bool {
        let oldest = open.iter().min_by_key(|(_, slot)| slot.used);
        let idle = oldest.filter(|(_, slot)| now.since(slot.used) >= self.idle_min).map(|(id, _)| *id);
        let evicted = idle.is_some_and(|id| open.remove(&id).is_some());
        self.evictions.fetch_add(u64::from(evicted), Ordering::Relaxed);
        evicted
    }

    fn next(&self, opening: Opening, now: Moment) -> Result<FetchContext, ErrorCode> {
        let mut open = self.open.lock();
        let slot = open.get_mut(&opening.id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        slot.used = now;
        let shared = slot.session.clone();
        drop(open);
        let mut session = shared.lock();
        if session.epoch != opening.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        let speaks = !opening.wanted.is_empty() || !opening.forgotten.is_empty();
        if speaks && session.uses_topic_ids != opening.uses_topic_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.update(opening.wanted, &opening.forgotten);
        if session.partitions.is_empty() {
            self.open.lock().remove(&opening.id);
            return Ok(FetchContext { wanted: Vec::new(), kind: Kind::Full });
        }
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        let wanted = session.partitions.iter().map(|(key, (wanted, _))| (key.clone(), *wanted)).collect();
        drop(session);
        Ok(FetchContext { wanted, kind: Kind::Incremental { id: opening.id, session: shared } })
    }
}

impl Session {
    fn update(&mut self, wanted: Vec<(PartitionKey, Wanted)>, forgotten: &[PartitionKey]) {
        for (key, wanted) in wanted {
            self.partitions.entry(key).and_modify(|(old, _)| *old = wanted).or_insert((wanted, None));
        }
        for key in forgotten {
            self.partitions.shift_remove(key);
        }
    }
}

impl FetchContext {
    /// The session that the response names.
    pub(crate) fn session_id(&self) -> SessionId {
        match &self.kind {
            Kind::Full => 0,
            Kind::Opening { id, .. } | Kind::Incremental { id, .. } => *id,
        }
    }

    /// Whether a partition belongs into the response: always in a full one; in an incremental one when it has `news`
    /// (records or an error) or its watermarks differ from what was told last. Remembers what is told now, and puts
    /// partitions with news last, so that the next fetch serves the others first.
    pub(crate) fn tell(&self, key: &PartitionKey, told: Told, news: bool) -> bool {
        let (session, incremental) = match &self.kind {
            Kind::Full => return true,
            Kind::Opening { session, .. } => (session, false),
            Kind::Incremental { session, .. } => (session, true),
        };
        let mut session = session.lock();
        let Some((wanted, last)) = session.partitions.get_mut(key) else { return true };
        let changed = news || *last != Some(told);
        *last = Some(told);
        if changed && incremental && news {
            let wanted = *wanted;
            session.partitions.shift_remove(key);
            session.partitions.insert(key.clone(), (wanted, Some(told)));
        }
        changed || !incremental
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic: TopicKey::Id(TopicId::ZERO), partition: PartitionIndex(partition) }
    }

    fn wanted(offset: i64) -> Wanted {
        Wanted {
            offset: Offset(offset),
            bytes_max: 1,
            current_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
        }
    }

    fn opening(id: SessionId, epoch: SessionEpoch, partitions: &[(i32, i64)], forgotten: &[i32]) -> Opening {
        Opening {
            id,
            epoch,
            uses_topic_ids: true,
            wanted: partitions.iter().map(|(partition, offset)| (key(*partition), wanted(*offset))).collect(),
            forgotten: forgotten.iter().map(|partition| key(*partition)).collect(),
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn numbers(context: &FetchContext) -> Vec<(i32, i64)> {
        context.wanted.iter().map(|(key, wanted)| (key.partition.0, wanted.offset.0)).collect()
    }

    #[test]
    fn a_session_remembers_what_is_wanted_and_tells_only_news() {
        let sessions = FetchSessions::new(2, Duration::from_secs(120));
        let first = sessions.begin(opening(0, 0, &[(0, 5), (1, 7)], &[]), at(0), || 42).expect("opens");
        assert_eq!(first.session_id(), 42);
        let told = Told { high_watermark: Offset(9), log_start: Offset(0) };
        assert!(first.tell(&key(0), told, false) && first.tell(&key(1), told, false));

        let second = sessions.begin(opening(42, 1, &[(0, 6)], &[]), at(1), || 0).expect("goes on");
        assert_eq!(numbers(&second), [(0, 6), (1, 7)]);
        assert!(!second.tell(&key(1), told, false), "nothing new");
        assert!(second.tell(&key(0), told, true), "records");
        let moved = Told { high_watermark: Offset(10), ..told };
        assert!(second.tell(&key(1), moved, false), "the watermark moved");

        let third = sessions.begin(opening(42, 2, &[], &[1]), at(2), || 0).expect("forgets");
        assert_eq!(numbers(&third), [(0, 6)]);
        let last = sessions.begin(opening(42, 3, &[], &[0]), at(3), || 0).expect("ends");
        assert_eq!((numbers(&last), last.session_id()), (vec![], 0));
    }

    #[test]
    fn partitions_with_news_go_last() {
        let sessions = FetchSessions::new(2, Duration::from_secs(120));
        sessions.begin(opening(0, 0, &[(0, 0), (1, 0), (2, 0)], &[]), at(0), || 1).expect("opens");
        let second = sessions.begin(opening(1, 1, &[], &[]), at(0), || 0).expect("goes on");
        let told = Told { high_watermark: Offset(9), log_start: Offset(0) };
        second.tell(&key(0), told, true);
        let third = sessions.begin(opening(1, 2, &[], &[]), at(0), || 0).expect("goes on");
        assert_eq!(numbers(&third), [(1, 0), (2, 0), (0, 0)]);
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        let sessions = FetchSessions::new(1, Duration::from_secs(120));
        sessions.begin(opening(0, 0, &[(0, 0)], &[]), at(0), || 7).expect("opens");
        for (id, epoch, code) in
            [(8, 1, ErrorCode::FETCH_SESSION_ID_NOT_FOUND), (7, 2, ErrorCode::INVALID_FETCH_SESSION_EPOCH)]
        {
            assert_eq!(sessions.begin(opening(id, epoch, &[], &[]), at(0), || 0).err(), Some(code));
        }
        let by_name = Opening { uses_topic_ids: false, ..opening(7, 1, &[(0, 0)], &[]) };
        let refused = sessions.begin(by_name, at(0), || 0).err();
        assert_eq!(refused, Some(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    }

    #[test]
    fn slots_are_bounded_and_only_idle_sessions_lose_theirs() {
        let sessions = FetchSessions::new(1, Duration::from_secs(120));
        sessions.begin(opening(0, 0, &[(0, 0)], &[]), at(0), || 7).expect("opens");
        let crowded = sessions.begin(opening(0, 0, &[(0, 0)], &[]), at(60), || 8).expect("fetches in full");
        assert_eq!(crowded.session_id(), 0);
        let later = sessions.begin(opening(0, 0, &[(0, 0)], &[]), at(120), || 9).expect("takes the slot");
        assert_eq!(later.session_id(), 9);
        let closed = sessions.begin(opening(9, -1, &[(0, 0)], &[]), at(120), || 0).expect("closes");
        assert_eq!(closed.session_id(), 0);
    }
}
