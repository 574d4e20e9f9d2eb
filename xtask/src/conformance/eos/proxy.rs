//! A network that misbehaves: a relay between clients and a server that knows which API a request is for.
//!
//! It delays requests, so that those of different connections change places; it cuts connections, before the server got a
//! request or before its client got the answer; and it delivers a *late copy* of requests of transactions, on a connection
//! of its own, when their transaction is over. That is what remains of a request whose connection stalled while its client
//! went on through another one. Late copies are made only of versions with which a client lets the broker raise its epoch
//! with every transaction (KIP-890): what older ones leave open to late requests no broker can close.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::random::Random;

/// The longest request that is relayed.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// The most late copies that wait.
const LATE_MAX: usize = 256;
/// How long a server may take to answer a late copy.
const LATE_PATIENCE: Duration = Duration::from_secs(3);

/// One request in so many is delayed, cut before the server, cut behind it, or copied for later.
const DELAY_ONE_IN: u64 = 60;
const CUT_BEFORE_ONE_IN: u64 = 1_500;
const CUT_AFTER_ONE_IN: u64 = 1_500;
const LATE_ONE_IN: u64 = 25;
/// How long a request is delayed, and how late a late copy comes, in milliseconds.
const DELAY_MS_MAX: u64 = 60;
const LATE_MS_MAX: u64 = 400;

const PRODUCE: i16 = 0;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;

/// How often what happened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that came.
    pub requests: AtomicU64,
    /// Of those: EndTxn.
    pub end_txns: AtomicU64,
    /// Requests that were held back.
    pub delayed: AtomicU64,
    /// Connections cut before or behind a request.
    pub cut: AtomicU64,
    /// Copies of EndTxn that came late, and how many of these the server refused.
    pub late_end_txns: AtomicU64,
    pub late_end_txns_refused: AtomicU64,
    /// Copies of Produce that came late.
    pub late_produces: AtomicU64,
    /// Copies of TxnOffsetCommit that came late.
    pub late_commits: AtomicU64,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    counts: Counts,
    random: Mutex<Random>,
    late: SyncSender<Late>,
    ended: AtomicBool,
    listens: SocketAddr,
}

/// A copy that waits for its time.
struct Late {
    due: Instant,
    api: i16,
    frame: Vec<u8>,
}

impl Proxy {
    /// Relays what comes to `port` to `server`.
    pub fn start(port: u16, server: &str, random: Random) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let (late, copies) = sync_channel(LATE_MAX);
        let shared = Arc::new(Shared {
            server: server.parse().context("a server has an address")?,
            counts: Counts::default(),
            random: Mutex::new(random),
            late,
            ended: AtomicBool::new(false),
            listens: listener.local_addr()?,
        });
        let (accepting, delivering) = (shared.clone(), shared.clone());
        thread::spawn(move || accept(&listener, &accepting));
        thread::spawn(move || deliver(&copies, &delivering));
        Ok(Proxy { shared })
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; if nobody listens any more, it is not there.
        let _ = TcpStream::connect(self.shared.listens);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        // A server that is down, or a client that is gone already: the other side sees a closed connection.
        let Ok(client) = client else { continue };
        let Ok(server) = TcpStream::connect(shared.server) else { continue };
        let shared = shared.clone();
        thread::spawn(move || {
            // How a connection ended is of no interest: both sides were told by its end.
            let _ = relay(&client, &server, &shared);
            for side in [&client, &server] {
                let _ = side.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Carries one connection, request by request; answers go back as they are.
fn relay(client: &TcpStream, server: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let (mut requests, mut server) = (client, server);
    loop {
        let frame = frame(&mut requests)?;
        match shared.fate(&frame) {
            Fate::Pass => server.write_all(&frame)?,
            Fate::Delay(time) => {
                thread::sleep(time);
                server.write_all(&frame)?;
            }
            Fate::CutBefore => return Ok(()),
            Fate::CutAfter => {
                client.shutdown(Shutdown::Both)?;
                return server.write_all(&frame);
            }
        }
    }
}

enum Fate {
    Pass,
    Delay(Duration),
    CutBefore,
    CutAfter,
}

impl Shared {
    fn fate(&self, frame: &[u8]) -> Fate {
        let Counts { requests, end_txns, delayed, cut, .. } = &self.counts;
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        requests.fetch_add(1, Ordering::Relaxed);
        let api = api(frame);
        if api.is_some_and(|(api, _)| api == END_TXN) {
            end_txns.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(api) = late_api(frame).filter(|_| random.one_in(LATE_ONE_IN)) {
            let due = Instant::now() + Duration::from_millis(random.below(LATE_MS_MAX));
            // A full queue means that there are enough.
            let _ = self.late.try_send(Late { due, api, frame: frame.to_vec() });
        }
        if random.one_in(DELAY_ONE_IN) {
            delayed.fetch_add(1, Ordering::Relaxed);
            return Fate::Delay(Duration::from_millis(random.below(DELAY_MS_MAX)));
        }
        if random.one_in(CUT_BEFORE_ONE_IN) {
            cut.fetch_add(1, Ordering::Relaxed);
            return Fate::CutBefore;
        }
        if random.one_in(CUT_AFTER_ONE_IN) {
            cut.fetch_add(1, Ordering::Relaxed);
            return Fate::CutAfter;
        }
        Fate::Pass
    }
}

/// Reads one request, its length in front.
fn frame(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(std::io::Error::from(ErrorKind::InvalidData));
    }
    let mut frame = length.to_vec();
    frame.resize(4 + bytes, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn api(frame: &[u8]) -> Option<(i16, i16)> {
    let number = |at: usize| Some(i16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    Some((number(4)?, number(6)?))
}

/// The API of a request that must be harmless when its transaction is over.
fn late_api(frame: &[u8]) -> Option<i16> {
    match api(frame)? {
        (PRODUCE, 12..) => {
            // Behind the client's name and the tags: the name of a transactional producer, empty for others.
            let name = usize::try_from(i16::from_be_bytes(*frame.get(12..)?.first_chunk()?)).unwrap_or(0);
            (*frame.get(14 + name + 1)? > 1).then_some(PRODUCE)
        }
        (END_TXN, 5..) => Some(END_TXN),
        (TXN_OFFSET_COMMIT, 5..) => Some(TXN_OFFSET_COMMIT),
        _ => None,
    }
}

/// Sends late copies, each when it is due.
fn deliver(copies: &Receiver<Late>, shared: &Shared) {
    while let Ok(late) = copies.recv() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(late.due.saturating_duration_since(Instant::now()));
        // A server that is down gets no copy, and none is counted.
        let Ok(refused) = send_late(shared.server, &late.frame) else { continue };
        let counts = &shared.counts;
        let counter = match late.api {
            PRODUCE => &counts.late_produces,
            END_TXN => &counts.late_end_txns,
            _ => &counts.late_commits,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if late.api == END_TXN && refused {
            counts.late_end_txns_refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends a request on a connection of its own; whether the answer to an EndTxn tells of an error.
fn send_late(server: SocketAddr, request: &[u8]) -> std::io::Result<bool> {
    let mut server = TcpStream::connect(server)?;
    server.set_read_timeout(Some(LATE_PATIENCE))?;
    server.write_all(request)?;
    let answer = frame(&mut server)?;
    // Behind length, correlation id, tags and throttle time.
    Ok(answer.get(13..15).is_some_and(|code| code != [0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(api: i16, version: i16, body: &[u8]) -> Vec<u8> {
        let mut frame = [api.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend([0, 0, 0, 7, 0, 2, b'm', b'e', 0]);
        frame.extend(body);
        [u32::try_from(frame.len()).unwrap().to_be_bytes().as_slice(), &frame].concat()
    }

    #[test]
    fn only_requests_of_transactions_with_rising_epochs_are_copied() {
        assert_eq!(late_api(&request(END_TXN, 5, &[])), Some(END_TXN));
        assert_eq!(late_api(&request(END_TXN, 4, &[])), None);
        assert_eq!(late_api(&request(TXN_OFFSET_COMMIT, 5, &[])), Some(TXN_OFFSET_COMMIT));
        assert_eq!(late_api(&request(PRODUCE, 12, &[3, b't', b'x'])), Some(PRODUCE));
        assert_eq!(late_api(&request(PRODUCE, 12, &[0, 0, 1])), None, "no transactional producer");
        assert_eq!(late_api(&request(PRODUCE, 11, &[3, b't', b'x'])), None);
        assert_eq!(late_api(&request(3, 12, &[3])), None);
        assert_eq!(late_api(&[0, 0, 0, 1, 9]), None, "a stump");
    }
}
