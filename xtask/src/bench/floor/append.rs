//! Receive, checksum, append, answer; or send from the page cache. Blocking, on one thread.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::event::epoll;
use rustix::net::SendFlags;

use super::{Kind, Request, acknowledged, committed, fetched, produced, records};
use crate::bench::wire::crc;

/// Where the checksummed part of a batch begins.
const CHECKSUMMED_AT: usize = 21;
/// The room that a connection reads into.
const BUFFER_BYTES: usize = (1 << 20) + (256 << 10);
/// Room that is kept free behind what was read.
const ROOM_MIN: usize = 128 << 10;

/// Serves every connection that comes.
pub fn serve(listener: &TcpListener, folder: &Path, grouped: bool) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, listener, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN)?;
    let mut logs = Logs { folder: folder.to_owned(), grouped, by_partition: BTreeMap::new() };
    let mut connections: BTreeMap<u64, Connection> = BTreeMap::new();
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let number = event.data.u64();
            match connections.get_mut(&number) {
                None => accept(listener, &poll, &mut connections)?,
                Some(connection) => {
                    if connection.turn(&mut logs)?.is_none() {
                        connections.remove(&number);
                    }
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &OwnedFd,
    connections: &mut BTreeMap<u64, Connection>,
) -> anyhow::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let number = connections.last_key_value().map_or(0, |(last, _)| last + 1);
    epoll::add(poll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
    connections.insert(number, Connection { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0 });
    Ok(())
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What was read and not yet looked at.
    start: usize,
    end: usize,
}

impl Connection {
    /// Handles what one read brings; `None` at the end of the connection.
    fn turn(&mut self, logs: &mut Logs) -> anyhow::Result<Option<()>> {
        let read = match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) | Err(_) => return Ok(None),
            Ok(read) => read,
        };
        self.end += read;
        let mut answers = Vec::new();
        while let Some(length) = self.frame_length() {
            let frame = &self.buffer[self.start + 4..self.start + 4 + length];
            logs.handle(frame, &self.stream, &mut answers)?;
            self.start += 4 + length;
        }
        logs.flush()?;
        if !answers.is_empty() {
            self.stream.write_all(&answers)?;
        }
        if self.buffer.len() - self.end < ROOM_MIN || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Ok(Some(()))
    }

    fn frame_length(&self) -> Option<usize> {
        let rest = &self.buffer[self.start..self.end];
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        (rest.len() >= 4 + length).then_some(length)
    }
}

struct Logs {
    folder: PathBuf,
    grouped: bool,
    by_partition: BTreeMap<[u8; 4], Log>,
}

struct Log {
    file: File,
    bytes: u64,
    /// Of the first batch; all are alike.
    batch_bytes: u64,
    batch_records: i64,
    /// Appended with the next flush.
    pending: Vec<u8>,
}

impl Logs {
    fn handle(&mut self, frame: &[u8], stream: &TcpStream, answers: &mut Vec<u8>) -> anyhow::Result<()> {
        let Request { correlation, kind } = Request::read(frame)?;
        match kind {
            Kind::Produce { topic, partition, batch } => {
                let checksummed = batch.get(CHECKSUMMED_AT..).context("a short batch")?;
                std::hint::black_box(crc(checksummed));
                let grouped = self.grouped;
                let log =
                    self.log(partition, || Ok((batch.len() as u64, i64::try_from(records(batch)?)?)))?;
                if grouped {
                    log.pending.extend_from_slice(batch);
                } else {
                    log.append(batch)?;
                }
                produced(answers, correlation, topic, partition);
            }
            Kind::Fetch { topic, offset, bytes_max } => {
                let log = self.by_partition.get(&[0; 4]).context("nothing was produced")?;
                let position = (offset / log.batch_records).cast_unsigned() * log.batch_bytes;
                let bytes = bytes_max.min(usize::try_from(log.bytes.saturating_sub(position))?);
                fetched(answers, correlation, topic, bytes);
                send(stream, answers, &log.file, position, bytes)?;
                answers.clear();
            }
            Kind::Commit { topic, partition, entry } => {
                std::hint::black_box(crc(entry));
                self.log(partition, || Ok((entry.len() as u64, 1)))?.append(entry)?;
                committed(answers, correlation, topic, partition);
            }
            Kind::Other => acknowledged(answers, correlation),
        }
        Ok(())
    }

    fn log(
        &mut self,
        partition: [u8; 4],
        batch: impl FnOnce() -> anyhow::Result<(u64, i64)>,
    ) -> anyhow::Result<&mut Log> {
        if !self.by_partition.contains_key(&partition) {
            let name = format!("{}.log", u32::from_be_bytes(partition));
            let file =
                File::options().read(true).write(true).create_new(true).open(self.folder.join(name))?;
            let (batch_bytes, batch_records) = batch()?;
            let log = Log { file, bytes: 0, batch_bytes, batch_records, pending: Vec::new() };
            self.by_partition.insert(partition, log);
        }
        self.by_partition.get_mut(&partition).context("just inserted")
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.grouped {
            for log in self.by_partition.values_mut().filter(|log| !log.pending.is_empty()) {
                let pending = std::mem::take(&mut log.pending);
                log.append(&pending)?;
                log.pending = pending;
                log.pending.clear();
            }
        }
        Ok(())
    }
}

impl Log {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// What `sendfile` passes on at a time, and up to where a copy is cheaper when that is not enough.
const AT_ONCE_BYTES: u64 = 16 * 4096;
const COPIED_BYTES_MAX: usize = 256 << 10;

/// Head and records: in one call with a copy when they would arrive in pieces otherwise, else in two that the kernel puts
/// into one stream of full packets.
fn send(stream: &TcpStream, head: &[u8], file: &File, position: u64, bytes: usize) -> anyhow::Result<()> {
    let in_pieces = position % 4096 + bytes as u64 > AT_ONCE_BYTES;
    if in_pieces && bytes <= COPIED_BYTES_MAX {
        let mut whole = Vec::with_capacity(head.len() + bytes);
        whole.extend_from_slice(head);
        while whole.len() < head.len() + bytes {
            let position = position + (whole.len() - head.len()) as u64;
            let read = rustix::io::pread(file, rustix::buffer::spare_capacity(&mut whole), position)?;
            anyhow::ensure!(read > 0, "a file is too short");
        }
        let mut stream = stream;
        return Ok(stream.write_all(whole.get(..head.len() + bytes).context("just read")?)?);
    }
    let sent = rustix::net::send(stream, head, SendFlags::MORE)?;
    anyhow::ensure!(sent == head.len(), "a head did not fit into the socket");
    let (mut position, end) = (position, position + bytes as u64);
    while position < end {
        let left = usize::try_from(end - position)?;
        rustix::fs::sendfile(stream, file, Some(&mut position), left)?;
    }
    Ok(())
}
