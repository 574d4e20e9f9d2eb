//! A big group: so many members, one connection each, that join, heartbeat, and follow its generations.
//!
//! The first member that a generation names as its leader shares the partitions out, as clients do. The topic need not
//! exist: to the coordinator of a classic group an assignment is bytes.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{Timespec, epoll};

use super::{Figures, connect};
use crate::bench::machine::Usage;
use crate::bench::wire;

/// How often a member says that it lives, and for how long it is believed.
const HEARTBEAT: Duration = Duration::from_millis(500);
const SESSION: Duration = Duration::from_secs(6);
/// The longest that a change may take.
const CHANGE_MAX: Duration = Duration::from_secs(120);
/// What a member says of its subscription, and what it is given for each partition: bytes of the usual sizes.
const SUBSCRIPTION_BYTES: usize = 40;
const PARTITION_BYTES: usize = 4;
const GROUP: &str = "bench-big";

/// The group's members must join anew.
const REBALANCE_IN_PROGRESS: i16 = 27;
/// The coordinator is not there yet.
const NOT_YET: [i16; 3] = [14, 15, 16];

/// How big the group is.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub members: usize,
    pub partitions: usize,
}

impl Group {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        format!(
            "a classic group of {} members over {} partitions, JoinGroup v3, one connection each, heartbeats each {} ms, \
             session {} s, no initial delay: all join, one more joins, one dies (counted from when its session expires)",
            self.members,
            self.partitions,
            HEARTBEAT.as_millis(),
            SESSION.as_secs()
        )
    }
}

/// Runs the three changes one after the other.
pub fn run(load: &Group, address: &str, server: u32) -> anyhow::Result<Figures> {
    wait_for_coordinator(address)?;
    let mut crowd = Crowd::new(load)?;
    let usage = Usage::begin(server)?;
    let begun = Instant::now();
    for _ in 0..load.members {
        crowd.join(address)?;
    }
    let joined = crowd.settle(begun)?;
    let begun = Instant::now();
    crowd.join(address)?;
    let added = crowd.settle(begun)?;
    let last_heard = crowd.lose_one()?;
    let killed = crowd.settle(last_heard + SESSION)?;
    let used = usage.end()?;
    Ok(vec![
        ("server CPU s", used.server),
        ("join all s", joined.as_secs_f64()),
        ("add one s", added.as_secs_f64()),
        ("lose one s", killed.as_secs_f64()),
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

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Join,
    Sync,
    Heartbeat,
    Nothing,
}

struct Member {
    stream: TcpStream,
    id: String,
    generation: i32,
    waits: Waits,
    stable: bool,
    heard: Instant,
    buffer: Vec<u8>,
}

struct Crowd {
    members: Vec<Option<Member>>,
    poll: OwnedFd,
    partitions: usize,
    /// Members in the order in which their heartbeats are due.
    due: VecDeque<(Instant, usize)>,
}

impl Crowd {
    fn new(load: &Group) -> anyhow::Result<Crowd> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Crowd { members: Vec::new(), poll, partitions: load.partitions, due: VecDeque::new() })
    }

    fn join(&mut self, address: &str) -> anyhow::Result<()> {
        let stream = connect(address)?;
        let number = self.members.len();
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN)?;
        let now = Instant::now();
        let mut member = Member {
            stream,
            id: String::new(),
            generation: -1,
            waits: Waits::Nothing,
            stable: false,
            heard: now,
            buffer: Vec::new(),
        };
        member.rejoin()?;
        self.members.push(Some(member));
        self.due.push_back((now + HEARTBEAT, number));
        // Those who joined before must be heard meanwhile.
        self.turn(Duration::ZERO)
    }

    /// Closes one member's connection without a word; when it was heard last.
    fn lose_one(&mut self) -> anyhow::Result<Instant> {
        let member = self.members.iter_mut().rev().find_map(Option::take).context("nobody is left")?;
        Ok(member.heard)
    }

    /// Goes on until all are in one generation; how long after `since`.
    fn settle(&mut self, since: Instant) -> anyhow::Result<Duration> {
        let deadline = since.max(Instant::now()) + CHANGE_MAX;
        // A change is over when there is a generation of exactly those who live.
        let before = self.generation();
        loop {
            self.turn(HEARTBEAT / 50)?;
            let live = self.members.iter().flatten();
            let generation = self.generation();
            if generation > before
                && live.clone().all(|member| member.stable && member.generation == generation)
            {
                return Ok(Instant::now().saturating_duration_since(since));
            }
            ensure!(Instant::now() < deadline, "the group does not come to rest");
        }
    }

    fn generation(&self) -> i32 {
        self.members.iter().flatten().map(|member| member.generation).max().unwrap_or(-1)
    }

    /// Sends what is due and takes what has come, within a time.
    fn turn(&mut self, patience: Duration) -> anyhow::Result<()> {
        while let Some((_, number)) = self.due.pop_front_if(|(due, _)| *due <= Instant::now()) {
            let Some(member) = self.members.get_mut(number).and_then(Option::as_mut) else { continue };
            member.heartbeat()?;
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
            if let Some(member) = self.members.get_mut(number).and_then(Option::as_mut) {
                member.take(self.partitions)?;
            }
        }
        Ok(())
    }
}

impl Member {
    fn ask(&mut self, request: &[u8], waits: Waits) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        (self.waits, self.heard) = (waits, Instant::now());
        Ok(())
    }

    fn rejoin(&mut self) -> anyhow::Result<()> {
        self.stable = false;
        let session = i32::try_from(SESSION.as_millis())?;
        let request = wire::join_group(GROUP, session, &self.id, &[0; SUBSCRIPTION_BYTES]);
        self.ask(&request, Waits::Join)
    }

    fn heartbeat(&mut self) -> anyhow::Result<()> {
        if self.waits != Waits::Nothing {
            return Ok(());
        }
        let request = wire::heartbeat(GROUP, self.generation, &self.id);
        self.ask(&request, Waits::Heartbeat)
    }

    /// Reads what has come; answers a whole response.
    fn take(&mut self, partitions: usize) -> anyhow::Result<()> {
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
        let answer = std::mem::take(&mut self.buffer);
        let answer = answer.get(8..).context("a short answer")?;
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Join => self.joined(answer, partitions),
            Waits::Sync => self.synced(answer),
            Waits::Heartbeat => match wire::ended_error(answer)? {
                0 => Ok(()),
                REBALANCE_IN_PROGRESS => self.rejoin(),
                code => anyhow::bail!("a heartbeat was refused with error {code}"),
            },
            Waits::Nothing => anyhow::bail!("an answer without a request"),
        }
    }

    fn joined(&mut self, answer: &[u8], partitions: usize) -> anyhow::Result<()> {
        let joined = wire::joined(answer)?;
        ensure!(joined.code == 0, "a member could not join: error {}", joined.code);
        self.id = joined.member;
        self.generation = joined.generation;
        let share = partitions.div_ceil(joined.members.len().max(1)) * PARTITION_BYTES;
        let request = wire::sync_group(GROUP, self.generation, &self.id, &joined.members, &vec![0; share]);
        self.ask(&request, Waits::Sync)
    }

    fn synced(&mut self, answer: &[u8]) -> anyhow::Result<()> {
        match wire::ended_error(answer)? {
            0 => {
                self.stable = true;
                Ok(())
            }
            REBALANCE_IN_PROGRESS => self.rejoin(),
            code => anyhow::bail!("a member was not given its share: error {code}"),
        }
    }
}
