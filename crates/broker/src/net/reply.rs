//! Replies on their way out: segments in memory or in files, gathered into few writes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use bytes::Buf;
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::net::TcpStream;
use vltava_core::log::FileRange;
use vltava_core::wire::Segment;

/// The most slices that one write gathers; Linux takes 1024.
const SLICES_MAX: usize = 64;

/// What has to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
}

impl Outbox {
    pub(crate) fn push(&mut self, reply: Vec<Segment>) {
        self.segments.extend(reply.into_iter().filter(|segment| !segment.is_empty()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Writes everything; waits for the peer to take it.
    pub(crate) async fn write_to(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.segments.is_empty() {
            match self.write_some(stream) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        // Memory of a burst is not kept by a connection that has gone quiet.
        if self.segments.capacity() > SLICES_MAX {
            self.segments = VecDeque::new();
        }
        Ok(())
    }

    fn write_some(&mut self, stream: &TcpStream) -> io::Result<()> {
        let written = match self.segments.front() {
            None => return Ok(()),
            Some(Segment::File(range)) => send_file(stream, range)?,
            Some(Segment::Bytes(_)) => {
                let mut slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> = SmallVec::new();
                for segment in self.segments.iter().take(SLICES_MAX) {
                    let Segment::Bytes(bytes) = segment else { break };
                    slices.push(IoSlice::new(bytes));
                }
                stream.try_write_vectored(&slices)?
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(segment) = self.segments.front_mut() {
            let length = segment.len();
            if written < length {
                match segment {
                    Segment::Bytes(bytes) => bytes.advance(written),
                    Segment::File(range) => {
                        range.position += written as u64;
                        range.length -= written;
                    }
                }
                return;
            }
            written -= length;
            self.segments.pop_front();
        }
    }
}

fn send_file(stream: &TcpStream, range: &FileRange) -> io::Result<usize> {
    stream.try_io(Interest::WRITABLE, || {
        let mut position = range.position;
        Ok(rustix::fs::sendfile(stream.as_fd(), range.file.as_fd(), Some(&mut position), range.length)?)
    })
}
