//! Which connections there are: counted against the limits, closed when idle, drained at shutdown.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use vltava_core::clock::Moment;
use vltava_core::config::listener::ListenerName;
use vltava_core::config::{ListenerLimits, NetworkLimits};
use vltava_core::meter::Meter;

use crate::metrics::requests::microseconds;

/// How many connections a broker takes, and for how long it keeps idle ones.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// `max.connections`: of all listeners together. At the limit new ones wait to be accepted.
    pub connections_max: usize,
    /// `max.connections.per.ip`, and `max.connections.per.ip.overrides`: beyond it a new one is closed at once.
    pub per_address_max: usize,
    /// The exceptions to it.
    pub per_address_overrides: HashMap<IpAddr, usize>,
    /// `connections.max.idle.ms`: a connection on which no byte goes either way for so long is closed.
    pub idle_max: Duration,
    /// `max.connection.creation.rate`: new connections a second; beyond it they wait to be served.
    pub creations_per_second_max: u32,
    /// The limits of single listeners, by their names.
    pub by_listener: HashMap<String, ListenerShare>,
    /// A listener that is served beyond the limits of the broker: the longest silent connection of another one gives way.
    pub protected_listener: Option<String>,
}

/// How many connections a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerShare {
    /// At the limit new ones wait to be accepted.
    pub connections_max: usize,
    /// New connections a second; beyond it they wait to be served.
    pub creations_per_second_max: u32,
}

/// The rate of new connections may be exceeded by as many as would have come in this time without a connection.
const CREATION_BURST: Duration = Duration::from_secs(1);

impl Default for ConnectionLimits {
    /// Kafka's defaults.
    fn default() -> Self {
        ConnectionLimits {
            connections_max: i32::MAX as usize,
            per_address_max: i32::MAX as usize,
            per_address_overrides: HashMap::new(),
            idle_max: Duration::from_secs(600),
            creations_per_second_max: i32::MAX as u32,
            by_listener: HashMap::new(),
            protected_listener: None,
        }
    }
}

impl From<&NetworkLimits> for ConnectionLimits {
    /// The limits that the settings ask for. Looks up the names among the overrides. *Blocks.*
    fn from(network: &NetworkLimits) -> ConnectionLimits {
        let count = |value: i32| usize::try_from(value).unwrap_or(0);
        let overrides = network.connections_per_ip_overrides.iter().flat_map(|(host, limit)| {
            let addresses = (host.as_str(), 0).to_socket_addrs().into_iter().flatten();
            addresses.map(|address| (address.ip(), count(*limit)))
        });
        let rate = |value: i32| u32::try_from(value).unwrap_or(0);
        let share = |(name, limits): (&ListenerName, &ListenerLimits)| {
            let share = ListenerShare {
                connections_max: count(limits.connections_max),
                creations_per_second_max: rate(limits.connection_creation_rate_max),
            };
            (name.as_str().to_owned(), share)
        };
        let milliseconds = |count: i64| Duration::from_millis(u64::try_from(count).unwrap_or(0));
        ConnectionLimits {
            connections_max: count(network.connections_max),
            per_address_max: count(network.connections_per_ip_max),
            per_address_overrides: overrides.collect(),
            idle_max: network.idle_ms_max.map_or(Duration::MAX, milliseconds),
            creations_per_second_max: rate(network.connection_creation_rate_max),
            by_listener: network.by_listener.iter().map(share).collect(),
            protected_listener: network.protected_listener.as_ref().map(|name| name.as_str().to_owned()),
        }
    }
}

impl ConnectionLimits {
    fn protects(&self, listener: &str) -> bool {
        self.protected_listener.as_deref() == Some(listener)
    }

    /// What a listener may have by itself.
    fn share(&self, listener: &str) -> ListenerShare {
        self.by_listener.get(listener).copied().unwrap_or(ListenerShare {
            connections_max: self.connections_max,
            creations_per_second_max: self.creations_per_second_max,
        })
    }
}

/// The connections of a broker.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ArcSwap<ConnectionLimits>,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Arc<Entry>>,
    per_address: HashMap<IpAddr, usize>,
    per_listener: BTreeMap<Arc<str>, ListenerCount>,
    /// How many were asked to close because they were idle.
    idle_closed: u64,
    pace: Pace,
}

/// Until when the rate is used up by the connections so far, each of which takes its share of a second.
#[derive(Debug, Default)]
struct Pace(Moment);

impl Pace {
    /// How long a connection has to wait that comes now.
    fn delay(&mut self, now: Moment, per_second_max: u32) -> Duration {
        let interval = Duration::from_secs(1) / per_second_max.max(1);
        self.0 = Moment(self.0.max(now).0 + interval);
        self.0.since(Moment(now.0 + CREATION_BURST))
    }
}

#[derive(Debug, Default)]
struct ListenerCount {
    open: u64,
    meters: Arc<ListenerMeters>,
    pace: Pace,
}

/// What a listener has seen since the start.
#[derive(Debug, Default)]
pub(crate) struct ListenerMeters {
    pub(crate) accepted: Meter,
    pub(crate) closed: Meter,
    pub(crate) requests: Meter,
    pub(crate) replies: Meter,
    pub(crate) bytes_in: Meter,
    pub(crate) bytes_out: Meter,
    /// Microseconds in which limits kept it from accepting.
    pub(crate) blocked_us: Meter,
}

#[derive(Debug)]
struct Entry {
    listener: Arc<str>,
    meters: Arc<ListenerMeters>,
    /// When bytes last went either way, in milliseconds of the monotonic clock.
    last_active_ms: AtomicU64,
    /// [`GOING`], [`STOPPING`] or [`EXPIRED`].
    end: AtomicU8,
    waker: AtomicWaker,
}

/// The connection may go on.
const GOING: u8 = 0;
/// It closes once it has answered what it has begun.
const STOPPING: u8 = 1;
/// It closes at once.
const EXPIRED: u8 = 2;

/// The right of one connection to exist; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: Arc<Connections>,
    entry: Arc<Entry>,
    id: u64,
    address: IpAddr,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Connections> {
        let limits = ArcSwap::from_pointee(limits);
        Arc::new(Connections { limits, state: Mutex::default(), freed: Notify::new() })
    }

    /// From now on these limits hold, for connections to come: those that are there stay.
    pub(crate) fn limit(&self, limits: ConnectionLimits) {
        self.limits.store(Arc::new(limits));
        self.freed.notify_waiters();
    }

    /// Waits until a listener may have one more connection.
    pub(crate) async fn room(&self, listener: &str) {
        loop {
            let freed = self.freed.notified();
            if self.has_room(listener) {
                return;
            }
            freed.await;
        }
    }

    fn has_room(&self, listener: &str) -> bool {
        let limits = self.limits.load();
        let state = self.state.lock();
        let own = state.per_listener.get(listener).map_or(0, |count| count.open);
        own < limits.share(listener).connections_max as u64
            && (limits.protects(listener) || state.open.len() < limits.connections_max)
    }

    /// How long a new connection of a listener has to wait before it is served.
    pub(crate) fn creation_delay(&self, listener: &Arc<str>, now: Moment) -> Duration {
        let limits = self.limits.load();
        let mut state = self.state.lock();
        let own = &mut state.per_listener.entry(listener.clone()).or_default().pace;
        let own = own.delay(now, limits.share(listener).creations_per_second_max);
        if limits.protects(listener) {
            return own;
        }
        own.max(state.pace.delay(now, limits.creations_per_second_max))
    }

    /// Waits until there is no connection left.
    pub(crate) async fn drained(&self) {
        loop {
            let freed = self.freed.notified();
            if self.len() == 0 {
                return;
            }
            freed.await;
        }
    }

    /// Counts a new connection of a listener; `None` when its address has too many.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        listener: &Arc<str>,
        now: Moment,
    ) -> Option<Admission> {
        let limits = self.limits.load();
        let most = limits.per_address_overrides.get(&address).unwrap_or(&limits.per_address_max);
        let mut state = self.state.lock();
        let count = state.per_address.entry(address).or_default();
        if *count >= *most {
            return None;
        }
        *count += 1;
        let count = state.per_listener.entry(listener.clone()).or_default();
        count.open += 1;
        count.meters.accepted.add(1);
        let entry = Arc::new(Entry::new(listener.clone(), count.meters.clone(), now));
        let id = state.next;
        state.next += 1;
        state.open.insert(id, entry.clone());
        if limits.protects(listener) && state.open.len() > limits.connections_max {
            state.close_longest_silent(listener);
        }
        Some(Admission { connections: self.clone(), entry, id, address })
    }

    /// Every listener that had a connection or waits for one, with how many are open and what it has seen.
    pub(crate) fn by_listener(&self) -> Vec<(Arc<str>, u64, Arc<ListenerMeters>)> {
        let state = self.state.lock();
        let known = state.per_listener.iter();
        known.map(|(name, count)| (name.clone(), count.open, count.meters.clone())).collect()
    }

    /// Limits kept a listener from accepting for so long.
    pub(crate) fn blocked(&self, listener: &Arc<str>, time: Duration) {
        let mut state = self.state.lock();
        let count = state.per_listener.entry(listener.clone()).or_default();
        count.meters.blocked_us.add(microseconds(time));
    }

    /// How many connections were asked to close because they were idle.
    pub(crate) fn idle_closed(&self) -> u64 {
        self.state.lock().idle_closed
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Has those close that have neither sent nor taken a byte for too long. As with Kafka, one that waits for an answer is
    /// no exception.
    pub(crate) fn close_idle(&self, now: Moment) {
        let oldest = milliseconds(now).saturating_sub(milliseconds(Moment(self.limits.load().idle_max)));
        let silent = |entry: &Entry| entry.last_active_ms.load(Ordering::Relaxed) < oldest;
        let stopped = self.stop_where(EXPIRED, silent);
        self.state.lock().idle_closed += stopped;
    }

    /// Asks all to close once they have answered what they have begun.
    pub(crate) fn close_all(&self) {
        self.stop_where(STOPPING, |_| true);
    }

    /// Returns how many were not asked before.
    fn stop_where(&self, end: u8, condition: impl Fn(&Entry) -> bool) -> u64 {
        let mut stopped = 0;
        for entry in self.state.lock().open.values().filter(|entry| condition(entry)) {
            stopped += u64::from(entry.stop(end));
        }
        stopped
    }
}

impl State {
    /// Asks the connection of another listener to close that is silent for the longest time.
    fn close_longest_silent(&self, listener: &str) {
        let others = self.open.values().filter(|entry| &*entry.listener != listener);
        let going = others.filter(|entry| entry.end.load(Ordering::Relaxed) == GOING);
        if let Some(entry) = going.min_by_key(|entry| entry.last_active_ms.load(Ordering::Relaxed)) {
            entry.stop(STOPPING);
        }
    }
}

impl Entry {
    fn new(listener: Arc<str>, meters: Arc<ListenerMeters>, now: Moment) -> Entry {
        Entry {
            listener,
            meters,
            last_active_ms: AtomicU64::new(milliseconds(now)),
            end: AtomicU8::new(GOING),
            waker: AtomicWaker::new(),
        }
    }

    /// Asks for the end. Returns whether nobody has asked for as much before.
    fn stop(&self, end: u8) -> bool {
        let first = self.end.fetch_max(end, Ordering::Release) < end;
        self.waker.wake();
        first
    }

    fn poll(&self, context: &Context<'_>, end: u8) -> Poll<()> {
        self.waker.register(context.waker());
        if self.end.load(Ordering::Acquire) >= end { Poll::Ready(()) } else { Poll::Pending }
    }

    fn touch(&self, now: Moment) {
        self.last_active_ms.store(milliseconds(now), Ordering::Relaxed);
    }
}

fn milliseconds(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_millis()).unwrap_or(u64::MAX)
}

impl Admission {
    /// Bytes have come, or were taken.
    pub(crate) fn touch(&self, now: Moment) {
        self.entry.touch(now);
    }

    /// What is counted of the listener.
    pub(crate) fn meters(&self) -> &ListenerMeters {
        &self.entry.meters
    }

    /// Ready once the connection is asked to close.
    pub(crate) fn poll_stopping(&self, context: &Context<'_>) -> Poll<()> {
        self.entry.poll(context, STOPPING)
    }

    /// Ready once it is to close whatever it has begun, because it was idle for too long.
    pub(crate) fn poll_expired(&self, context: &Context<'_>) -> Poll<()> {
        self.entry.poll(context, EXPIRED)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        state.open.remove(&self.id);
        if let Some(count) = state.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.per_address.remove(&self.address);
            }
        }
        if let Some(count) = state.per_listener.get_mut(&self.entry.listener) {
            count.open -= 1;
            count.meters.closed.add(1);
        }
        drop(state);
        self.connections.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn an_address_gets_no_more_than_its_share() {
        let connections = Connections::new(ConnectionLimits { per_address_max: 2, ..Default::default() });
        let first = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("first");
        let _second = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("second");
        assert!(connections.admit(HERE, &"PLAINTEXT".into(), at(0)).is_none());
        drop(first);
        assert!(connections.admit(HERE, &"PLAINTEXT".into(), at(0)).is_some());
    }

    #[test]
    fn new_limits_hold_for_connections_to_come() {
        let connections = Connections::new(ConnectionLimits::default());
        let _first = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("first");
        let _second = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("second");
        connections.limit(ConnectionLimits { per_address_max: 2, ..Default::default() });
        assert_eq!(connections.len(), 2);
        assert!(connections.admit(HERE, &"PLAINTEXT".into(), at(0)).is_none());
        let overrides = HashMap::from([(HERE, 3)]);
        connections.limit(ConnectionLimits {
            per_address_max: 2,
            per_address_overrides: overrides,
            ..Default::default()
        });
        assert!(connections.admit(HERE, &"PLAINTEXT".into(), at(0)).is_some());
    }

    #[tokio::test]
    async fn more_room_lets_those_in_who_wait() {
        let connections = Connections::new(ConnectionLimits { connections_max: 0, ..Default::default() });
        let mut room = std::pin::pin!(connections.room("PLAINTEXT"));
        assert!(futures_util::poll!(room.as_mut()).is_pending());
        connections.limit(ConnectionLimits::default());
        room.await;
    }

    fn share(connections_max: usize, creations_per_second_max: u32) -> ListenerShare {
        ListenerShare { connections_max, creations_per_second_max }
    }

    #[test]
    fn a_listener_has_a_limit_of_its_own_and_the_protected_one_no_other() {
        let (own, protected): (Arc<str>, Arc<str>) = ("OWN".into(), "PROTECTED".into());
        let limits = ConnectionLimits {
            connections_max: 3,
            by_listener: HashMap::from([
                ("OWN".to_owned(), share(1, 1)),
                ("PROTECTED".to_owned(), share(3, 1)),
            ]),
            protected_listener: Some("PROTECTED".to_owned()),
            ..Default::default()
        };
        let connections = Connections::new(limits);
        let has_room = |expected: [bool; 3]| {
            let seen = ["OWN", "PLAINTEXT", "PROTECTED"].map(|listener| connections.has_room(listener));
            assert_eq!(seen, expected);
        };
        let admit =
            |listener: &Arc<str>, second| connections.admit(HERE, listener, at(second)).expect("room");
        has_room([true; 3]);
        let first = admit(&own, 5);
        has_room([false, true, true]);
        let silent = admit(&"PLAINTEXT".into(), 1);
        let _full = admit(&protected, 0);
        has_room([false, false, true]);
        // The longest silent one of the others gives way, and each only once.
        let context = Context::from_waker(std::task::Waker::noop());
        let _beyond = admit(&protected, 0);
        assert_eq!(
            (silent.poll_stopping(&context), first.poll_stopping(&context)),
            (Poll::Ready(()), Poll::Pending)
        );
        let _further = admit(&protected, 0);
        assert_eq!(first.poll_stopping(&context), Poll::Ready(()));
        has_room([false; 3]);
        drop(first);
        assert!(!connections.has_room("OWN"), "the broker is full");
        connections.limit(ConnectionLimits::default());
        has_room([true; 3]);
    }

    #[test]
    fn connections_wait_when_they_come_faster_than_allowed() {
        let (calm, hasty): (Arc<str>, Arc<str>) = ("CALM".into(), "HASTY".into());
        let limits = ConnectionLimits {
            creations_per_second_max: 4,
            by_listener: HashMap::from([
                ("CALM".to_owned(), share(9, 2)),
                ("HASTY".to_owned(), share(9, 100)),
            ]),
            ..Default::default()
        };
        let connections = Connections::new(limits);
        for (listener, second, delay_ms) in [
            // Two at once are a second's worth; the third waits for its turn.
            (&calm, 10, 0),
            (&calm, 10, 0),
            (&calm, 10, 500),
            // A listener does not wait for the others, but all share the rate of the broker.
            (&hasty, 10, 0),
            (&hasty, 10, 250),
            (&calm, 20, 0),
        ] {
            let delay = connections.creation_delay(listener, at(second));
            assert_eq!(delay, Duration::from_millis(delay_ms), "{listener} at {second}");
        }
    }

    #[test]
    fn only_idle_connections_are_asked_to_close() {
        let connections = Connections::new(ConnectionLimits::default());
        let idle = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("idle");
        let busy = connections.admit(HERE, &"PLAINTEXT".into(), at(0)).expect("busy");
        busy.touch(at(100));
        connections.close_idle(at(650));
        let context = Context::from_waker(std::task::Waker::noop());
        assert_eq!(idle.poll_expired(&context), Poll::Ready(()));
        assert_eq!(idle.poll_stopping(&context), Poll::Ready(()));
        assert_eq!(busy.poll_stopping(&context), Poll::Pending);
        connections.close_all();
        assert_eq!(busy.poll_stopping(&context), Poll::Ready(()));
        assert_eq!(busy.poll_expired(&context), Poll::Pending);
        connections.close_idle(at(750));
        assert_eq!(busy.poll_expired(&context), Poll::Ready(()));
        assert_eq!(connections.idle_closed(), 2);
    }
}
