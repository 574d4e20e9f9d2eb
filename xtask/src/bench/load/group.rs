//! A big group: so many members, one connection each, that join, heartbeat, and follow its generations.
//!
//! In a classic group the first member that a generation names as its leader shares the partitions out, as clients do; the
//! topic need not exist, because to the coordinator an assignment is bytes. A cooperative group takes two generations when a
//! member comes: those who have to give something up join once more after they have. In a group of the consumer protocol the
//! coordinator shares out, and members take and give up at once what they are told to.

mod classic;
mod consumer;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{Timespec, epoll};

use self::classic::ClassicMember;
use self::consumer::ConsumerMember;
use super::{Figures, OF_GROUP, connect, create_topic, set};
use crate::bench::machine::Usage;
use crate::bench::wire;

/// How often a member says that it lives, and for how long it is believed.
const HEARTBEAT: Duration = Duration::from_millis(500);
const SESSION: Duration = Duration::from_secs(6);
/// The longest that a change may take.
const CHANGE_MAX: Duration = Duration::from_secs(120);
/// New partitions leave files to be written, which is no work of a coordinator.
const SETTLE: Duration = Duration::from_secs(5);
const GROUP: &str = "bench-big";
const TOPIC: &str = "bench-big";

/// The coordinator is not there yet.
const NOT_YET: [i16; 3] = [14, 15, 16];

/// Which protocol the members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// JoinGroup and SyncGroup.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

/// How big the group is.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub protocol: Protocol,
    pub members: usize,
    pub partitions: usize,
}

impl Group {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Classic => {
                "a classic group, JoinGroup v3, cooperative (one that joins takes two generations)"
            }
            Protocol::Consumer => {
                "a group of the consumer protocol, ConsumerGroupHeartbeat v1, assignor uniform"
            }
        };
        format!(
            "{protocol}; {} members over {} partitions, one connection each, heartbeats each {} ms, session {} s, no initial \
             delay: all join, one more joins, one dies (counted from when its session expires)",
            self.members,
            self.partitions,
            HEARTBEAT.as_millis(),
            SESSION.as_secs()
        )
    }
}

/// What a member does, by its protocol. Requests are whole, with their length.
trait Member {
    fn new(number: usize, load: &Group) -> Self;

    /// What it says to join, for the first time or once more.
    fn join(&mut self) -> Vec<u8>;

    /// What it says when its heartbeat is due.
    fn heartbeat(&mut self) -> Vec<u8>;

    /// Takes an answer, without length and correlation id; what it says to that, if anything.
    fn answered(&mut self, answer: &[u8]) -> anyhow::Result<Option<Vec<u8>>>;

    /// The generation, or epoch, that it is in.
    fn generation(&self) -> i32;

    /// Whether it has what that generation gives to it.
    fn is_settled(&self) -> bool;

    /// How many partitions it has.
    fn partitions(&self) -> usize;
}

/// Runs the three changes one after the other.
pub fn run(load: &Group, address: &str, server: u32) -> anyhow::Result<Figures> {
    match load.protocol {
        Protocol::Classic => changes::<ClassicMember>(load, address, server),
        Protocol::Consumer => {
            create_topic(address, TOPIC, i32::try_from(load.partitions)?)?;
            std::thread::sleep(SETTLE);
            for (key, value) in [
                ("consumer.heartbeat.interval.ms", HEARTBEAT.as_millis()),
                ("consumer.session.timeout.ms", SESSION.as_millis()),
                ("consumer.assignment.interval.ms", 0),
            ] {
                set(address, OF_GROUP, GROUP, key, &value.to_string())?;
            }
            changes::<ConsumerMember>(load, address, server)
        }
    }
}

fn changes<M: Member>(load: &Group, address: &str, server: u32) -> anyhow::Result<Figures> {
    wait_for_coordinator(address)?;
    let mut crowd: Crowd<M> = Crowd::new(load)?;
    let usage = Usage::begin(server)?;
    let (begun, before) = (Instant::now(), crowd.generation());
    for _ in 0..load.members {
        crowd.join(address)?;
    }
    let joined = crowd.settle(begun, before)?;
    let (begun, before) = (Instant::now(), crowd.generation());
    crowd.join(address)?;
    let mut added = crowd.settle(begun, before)?;
    if load.protocol == Protocol::Classic {
        let before = crowd.generation();
        crowd.join_again()?;
        added = crowd.settle(begun, before)?;
    }
    let before = crowd.generation();
    let last_heard = crowd.lose_one()?;
    let killed = crowd.settle(last_heard + SESSION, before)?;
    let used = usage.end()?;
    Ok(vec![
        ("server CPU s", used.server),
        ("join all s", joined.as_secs_f64()),
        ("add one s", added.as_secs_f64()),
        ("lose one s", killed.as_secs_f64()),
        ("heartbeats", crowd.heartbeats as f64),
        ("client CPU s", used.client),
        ("others cores", used.others),
    ])
}

fn wait_for_coordinator(address: &str) -> anyhow::Result<()> {
    let (mut stream, begun) = (connect(address)?, Instant::now());
    loop {
        wire::ask(&mut stream, &wire::find_coordinator(GROUP))?;
        let (_, code) =
            wire::fetched_offset(&wire::ask(&mut stream, &wire::fetch_offset(GROUP, "bench", 0))?)?;
        if code == 0 {
            return Ok(());
        }
        ensure!(NOT_YET.contains(&code) && begun.elapsed() < CHANGE_MAX, "no coordinator: error {code}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Connection<M> {
    stream: TcpStream,
    member: M,
    /// An answer is awaited.
    waits: bool,
    heard: Instant,
    buffer: Vec<u8>,
}

struct Crowd<M> {
    load: Group,
    members: Vec<Option<Connection<M>>>,
    poll: OwnedFd,
    /// Members in the order in which their heartbeats are due.
    due: VecDeque<(Instant, usize)>,
    heartbeats: u64,
}

impl<M: Member> Crowd<M> {
    fn new(load: &Group) -> anyhow::Result<Crowd<M>> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Crowd { load: *load, members: Vec::new(), poll, due: VecDeque::new(), heartbeats: 0 })
    }

    fn join(&mut self, address: &str) -> anyhow::Result<()> {
        let stream = connect(address)?;
        let number = self.members.len();
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN)?;
        let (member, heard) = (M::new(number, &self.load), Instant::now());
        let mut connection = Connection { stream, member, waits: false, heard, buffer: Vec::new() };
        let request = connection.member.join();
        connection.ask(&request)?;
        self.members.push(Some(connection));
        self.due.push_back((heard + HEARTBEAT, number));
        // Those who joined before must be heard meanwhile.
        self.turn(Duration::ZERO)
    }

    /// Has the first member whose last question was answered join once more.
    fn join_again(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(idle) = self.members.iter_mut().flatten().find(|member| !member.waits) {
                let request = idle.member.join();
                return idle.ask(&request);
            }
            self.turn(HEARTBEAT / 50)?;
        }
    }

    /// Closes one member's connection without a word; when it was heard last.
    fn lose_one(&mut self) -> anyhow::Result<Instant> {
        let member = self.members.iter_mut().rev().find_map(Option::take).context("nobody is left")?;
        Ok(member.heard)
    }

    /// Goes on until all are in one generation after the one `before` the change; how long after `since` that is. The answer
    /// to the last request that makes the change may be there already.
    fn settle(&mut self, since: Instant, before: i32) -> anyhow::Result<Duration> {
        let deadline = since.max(Instant::now()) + CHANGE_MAX;
        while self.generation() <= before || !self.is_settled() {
            self.turn(HEARTBEAT / 50)?;
            ensure!(Instant::now() < deadline, "the group does not come to rest");
        }
        Ok(Instant::now().saturating_duration_since(since))
    }

    fn live(&self) -> impl Iterator<Item = &M> {
        self.members.iter().flatten().map(|connection| &connection.member)
    }

    fn generation(&self) -> i32 {
        self.live().map(Member::generation).max().unwrap_or(-1)
    }

    /// Whether all are in the same generation and every partition belongs to somebody.
    fn is_settled(&self) -> bool {
        let generation = self.generation();
        self.live().all(|member| member.is_settled() && member.generation() == generation)
            && self.live().map(Member::partitions).sum::<usize>() >= self.load.partitions
    }

    /// Sends what is due and takes what has come, within a time.
    fn turn(&mut self, patience: Duration) -> anyhow::Result<()> {
        while let Some((_, number)) = self.due.pop_front_if(|(due, _)| *due <= Instant::now()) {
            let Some(connection) = self.members.get_mut(number).and_then(Option::as_mut) else { continue };
            if !connection.waits {
                let request = connection.member.heartbeat();
                connection.ask(&request)?;
                self.heartbeats += 1;
            }
            self.due.push_back((Instant::now() + HEARTBEAT, number));
        }
        let mut events = Vec::with_capacity(256);
        let patience = Timespec::try_from(patience)?;
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            let number = usize::try_from(event.data.u64())?;
            if let Some(connection) = self.members.get_mut(number).and_then(Option::as_mut) {
                connection.take()?;
            }
        }
        Ok(())
    }
}

impl<M: Member> Connection<M> {
    fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        (self.waits, self.heard) = (true, Instant::now());
        Ok(())
    }

    /// Reads what has come; says what the member has to say to a whole answer.
    fn take(&mut self) -> anyhow::Result<()> {
        let mut piece = [0; 16 << 10];
        let read = match self.stream.read(&mut piece) {
            Ok(0) => anyhow::bail!("the server closed a member's connection"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.buffer.extend_from_slice(&piece[..read]);
        let Some(length) = self.buffer.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
            return Ok(());
        };
        if self.buffer.len() < 4 + length {
            return Ok(());
        }
        ensure!(std::mem::replace(&mut self.waits, false), "an answer without a request");
        let answer = std::mem::take(&mut self.buffer);
        let member = self.member.answered(answer.get(8..).context("a short answer")?);
        let after = || format!("asked {} ms ago", self.heard.elapsed().as_millis());
        match member.with_context(after)? {
            Some(request) => self.ask(&request),
            None => Ok(()),
        }
    }
}
