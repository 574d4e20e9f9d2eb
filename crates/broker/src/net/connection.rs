//! One connection: a task that reads requests, has them handled, and writes replies in the order of the requests.
//!
//! A Produce request *places* its records when it arrives, and its wait for the commit overlaps with the Produce requests
//! behind it, up to [`PRODUCES_IN_FLIGHT_MAX`]. Every other request is a barrier, and so is a Produce that must be verified
//! with a transaction coordinator first: it starts once all earlier replies are queued, and nothing behind it starts before
//! it has replied, as Kafka's clients expect.
//!
//! Nothing is read while a barrier waits or the peer does not take its replies: the peer's own socket is the queue.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::io::poll_read_buf;
use vltava_core::clock::Moment;
use vltava_core::meter::Members;
use vltava_protocol::api::Api;

use super::connections::Admission;
use super::frame::{FrameBuffer, FrameError};
use super::reply::Outbox;
use crate::api::Peer;
use crate::api::dispatch::{Handled, Incoming, Reply, Unanswerable};
use crate::metrics::requests::Times;
use crate::node::Node;

/// The most Produce requests of one connection that wait for their commit at the same time. Java producers send 5.
const PRODUCES_IN_FLIGHT_MAX: usize = 32;

/// What the buffer of a connection may take without asking, in bytes.
const FREE_BYTES: usize = 64 * 1024;

/// The unit in which the memory for requests is counted, in bytes.
pub(crate) const MEMORY_UNIT: usize = 1024;

/// How long a large request may stop coming, or wait for memory.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Everything that belongs to one connection.
pub(crate) struct Connection {
    stream: TcpStream,
    frames: FrameBuffer,
    /// What the buffer takes of the broker's memory for requests, beyond what every connection has.
    memory: Option<OwnedSemaphorePermit>,
    waiting: VecDeque<Waiting>,
    /// A request that was taken off the buffer and may not start yet, and when it came.
    held: Option<(Incoming, Moment, Members)>,
    outbox: Outbox,
    /// Which APIs the replies in the outbox are of.
    sending: SmallVec<[&'static Api; 4]>,
    closing: bool,
    peer: Arc<Peer>,
    node: Arc<Node>,
    /// Counts against the connection limits for as long as the connection lives.
    admission: Admission,
}

/// A request that has started, in the order of arrival.
struct Waiting {
    reply: Progress,
    barrier: bool,
    api: &'static Api,
    /// When it came.
    since: Moment,
    /// When it started: later than it came when it had to wait.
    started: Moment,
    /// When it began to wait, for something else to happen or for earlier replies. Few do, and only they look at the clock.
    paused: Option<Pause>,
}

struct Pause {
    since: Moment,
    /// The reply was there, and counts as one that waits for others.
    queued: Option<Members>,
}

impl Waiting {
    /// Where the time has gone, when the reply leaves `now`.
    fn times(&self, now: Moment) -> Times {
        let Waiting { since, started, paused, .. } = self;
        let queue = started.since(*since);
        match paused {
            None => Times { queue, local: now.since(*started), ..Times::default() },
            Some(pause) => {
                let (local, waited) = (pause.since.since(*started), now.since(pause.since));
                match pause.queued {
                    Some(_) => Times { queue, local, reply_queue: waited, ..Times::default() },
                    None => Times { queue, local, remote: waited, ..Times::default() },
                }
            }
        }
    }
}

enum Progress {
    Done(Reply),
    Pending(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

/// Why a connection ended, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the peer closed the connection")]
    ByPeer,
    #[error("the connection was idle for too long, or the broker is shutting down")]
    Stopped,
    #[error("a large request stopped coming, or the memory for requests was taken for too long")]
    Stalled,
    #[error("the reply was an order to close")]
    Closed,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] Unanswerable),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, node: Arc<Node>, peer: Peer, admission: Admission) -> Connection {
        Connection {
            stream,
            frames: FrameBuffer::new(node.limits.request_bytes_max),
            memory: None,
            waiting: VecDeque::new(),
            held: None,
            outbox: Outbox::default(),
            sending: SmallVec::new(),
            closing: false,
            peer: Arc::new(peer),
            node,
            admission,
        }
    }

    /// Serves until either side ends it, or it is asked to stop and nothing is in flight any more.
    pub(crate) async fn serve(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.turn().await {
                return ended;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        self.start_requests()?;
        self.settle();
        if !self.outbox.is_empty() {
            self.send_replies().await?;
        }
        if self.closing && self.waiting.is_empty() {
            return Err(Ended::Closed);
        }
        if self.waiting.is_empty() && self.held.is_some() {
            return Ok(());
        }
        self.wait().await
    }

    /// Writes the replies. Only when the peer does not take them at once is it looked how long it takes. A peer that takes
    /// nothing for too long is one that is idle.
    async fn send_replies(&mut self) -> Result<(), Ended> {
        self.outbox.try_write_to(&self.stream)?;
        if !self.outbox.is_empty() {
            let (clock, admission) = (&*self.node.clock, &self.admission);
            let since = clock.now();
            tokio::select! {
                biased;
                written = self.outbox.write_to(&self.stream, || admission.touch(clock.now())) => written?,
                () = poll_fn(|context| admission.poll_expired(context)) => return Err(Ended::Stopped),
            }
            let took = clock.now().since(since);
            self.sending.iter().for_each(|api| self.node.metrics.requests.sent(api, took));
        }
        self.sending.clear();
        Ok(())
    }

    /// Starts every request that is here and may start.
    fn start_requests(&mut self) -> Result<(), Ended> {
        while !self.closing {
            let was_held = self.held.is_some();
            let Some((request, since)) = self.next_request()? else { return Ok(()) };
            if !self.may_start(&request) {
                self.held = Some((request, since, self.node.metrics.queued_requests.join(1)));
                return Ok(());
            }
            let started = if was_held { self.node.clock.now() } else { since };
            let (mut barrier, api) = (!request.overlaps(), request.api());
            let mut reply = match request.start()? {
                Handled::Ready(reply) => Progress::Done(reply),
                Handled::Pending(future) => Progress::Pending(future),
                Handled::Barrier(future) => {
                    barrier = true;
                    Progress::Pending(future)
                }
            };
            // A reply that is ready at once needs no turn of its own; one that is not is polled again by `wait`, once it is
            // the first. A barrier does not begin before.
            if self.waiting.is_empty() || !barrier {
                let _ready = reply.poll_once(&mut Context::from_waker(std::task::Waker::noop()));
            }
            let done = matches!(reply, Progress::Done(_));
            let pause = || Pause {
                since: self.node.clock.now(),
                queued: done.then(|| self.node.metrics.queued_replies.join(1)),
            };
            let paused = (!done || !self.waiting.is_empty()).then(pause);
            self.waiting.push_back(Waiting { reply, barrier, api, since, started, paused });
            self.settle();
        }
        Ok(())
    }

    fn next_request(&mut self) -> Result<Option<(Incoming, Moment)>, Ended> {
        if let Some((request, since, _queued)) = self.held.take() {
            return Ok(Some((request, since)));
        }
        let Some(frame) = self.frames.next_frame()? else {
            if !self.frames.is_empty() {
                // A request that comes slowly is no silence.
                self.admission.touch(self.node.clock.now());
            }
            return Ok(None);
        };
        let now = self.node.clock.now();
        self.admission.touch(now);
        self.admission.meters().requests.add(1);
        Ok(Some((Incoming::read(frame, &self.node, &self.peer)?, now)))
    }

    fn may_start(&self, request: &Incoming) -> bool {
        if request.overlaps() {
            self.waiting.len() < PRODUCES_IN_FLIGHT_MAX && self.waiting.iter().all(|waiting| !waiting.barrier)
        } else {
            self.waiting.is_empty()
        }
    }

    /// Moves the replies that are ready, in order, to the outbox.
    fn settle(&mut self) {
        while let Some(Waiting { reply: Progress::Done(_), .. }) = self.waiting.front() {
            let Some(first) = self.waiting.pop_front() else { return };
            let (api, times) = (first.api, first.times(self.node.clock.now()));
            let Progress::Done(reply) = first.reply else { return };
            self.node.metrics.requests.answered(api, &reply.tally, times);
            self.sending.push(api);
            self.send(reply);
        }
    }

    fn send(&mut self, reply: Reply) {
        self.closing |= reply.close;
        if !reply.segments.is_empty() {
            let meters = self.admission.meters();
            meters.replies.add(1);
            meters.bytes_out.add(reply.segments.iter().map(|segment| segment.len() as u64).sum());
        }
        self.outbox.push(reply.segments);
    }

    /// Waits for the next thing to do: a reply, bytes, or the order to stop.
    async fn wait(&mut self) -> Result<(), Ended> {
        let idle = self.waiting.is_empty();
        if idle && self.frames.is_empty() {
            self.release();
        }
        if idle && self.memory.is_some() && self.frames.size_wanted()? <= FREE_BYTES {
            self.memory = None;
        }
        let may_read = self.held.is_none() && !self.closing;
        let admission = &self.admission;
        tokio::select! {
            biased;
            () = first_reply(&mut self.waiting), if !idle => return Ok(()),
            ready = self.stream.readable(), if may_read => ready?,
            () = poll_fn(|context| admission.poll_stopping(context)), if idle => return Err(Ended::Stopped),
            () = poll_fn(|context| admission.poll_expired(context)), if !idle => return Err(Ended::Stopped),
            () = stalled(), if idle && self.memory.is_some() => return Err(Ended::Stalled),
        }
        self.fill().await
    }

    /// Gives back what only a busy connection needs: most connections are idle at most times.
    fn release(&mut self) {
        self.frames.release();
        self.waiting = VecDeque::new();
        self.outbox = Outbox::default();
        self.sending = SmallVec::new();
    }

    /// Takes memory for the frame that has begun, when that is a large one; waits while the others have it all.
    async fn reserve(&mut self) -> Result<(), Ended> {
        let wanted = self.frames.size_wanted()?.saturating_sub(FREE_BYTES).div_ceil(MEMORY_UNIT);
        let held = self.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(held).filter(|more| *more > 0) else { return Ok(()) };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let memory = &self.node.request_memory;
        let permit = match memory.clone().try_acquire_many_owned(more) {
            Ok(permit) => permit,
            Err(_) => {
                let wait = Box::pin(timeout(STALL_MAX, memory.clone().acquire_many_owned(more)));
                let Ok(Ok(permit)) = wait.await else { return Err(Ended::Stalled) };
                permit
            }
        };
        match &mut self.memory {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Ended> {
        self.reserve().await?;
        let buffer = self.frames.room()?;
        let stream = &mut self.stream;
        let read = poll_fn(|context| match poll_read_buf(Pin::new(&mut *stream), context, buffer) {
            Poll::Pending => Poll::Ready(Ok(None)),
            Poll::Ready(result) => Poll::Ready(result.map(Some)),
        })
        .await?;
        match read {
            Some(0) => Err(Ended::ByPeer),
            Some(bytes) => {
                self.frames.filled(bytes);
                self.admission.meters().bytes_in.add(bytes as u64);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Resolves when a large request has not gone on for too long. The timer is made when it is first waited for, and on the
/// heap: few connections ever need it, and each would have its size.
async fn stalled() {
    Box::pin(sleep(STALL_MAX)).await;
}

/// Resolves when the oldest request has its reply.
async fn first_reply(waiting: &mut VecDeque<Waiting>) {
    poll_fn(|context| match waiting.front_mut() {
        None => Poll::Ready(()),
        Some(first) => first.reply.poll_once(context),
    })
    .await;
}

impl Progress {
    fn poll_once(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Progress::Pending(future) = self {
            match future.as_mut().poll(context) {
                Poll::Ready(reply) => *self = Progress::Done(reply),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}
