//! Replies on their way out: segments in memory or in files, gathered into few writes.
//!
//! A short range of a file is read and leaves with the bytes around it, in one write; a long one is handed to the kernel,
//! which holds back what comes before it until both fill whole packets. Either way a short reply does not arrive in two
//! pieces: the second one would wake its reader once more, which costs more than the copy.
//!
//! Why a range is copied up to 256 KiB when it touches more than 16 pages: `sendfile` passes on 16 pages at a time, so that
//! such a reply arrives in pieces. Measured on loopback, with 1 reader: 60,000 bytes take 11 µs with `sendfile` and 14 with a
//! copy, 66,000 bytes 25 and 17, 200,000 bytes 35 and 30, 500,000 bytes 57 and 57; a MiB is cheaper with `sendfile`.
//!
//! Why a copy lives no longer than the write: what a slow reader has not taken would be memory of the process.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use bytes::Buf;
use rustix::buffer::spare_capacity;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::net::TcpStream;
use vltava_core::log::FileRange;
use vltava_core::wire::Segment;

/// The most slices that one write gathers; Linux takes 1024.
const SLICES_MAX: usize = 64;

/// Ranges of files up to so many bytes are always copied.
const COPIED_BYTES: usize = 16 * 1024;

/// The most bytes that one write copies, and the longest range that is copied when it does not leave in one piece otherwise.
const COPIED_BYTES_MAX: usize = 256 * 1024;

/// What `sendfile` passes on at a time.
const PAGE_BYTES: usize = 4096;
const PAGES_AT_ONCE: usize = 16;

/// What one write takes.
type Pieces<'a> = SmallVec<[Cow<'a, [u8]>; 8]>;

/// What has to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    /// The peer has not taken all of a write: copies would be made in vain.
    slow: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, reply: Vec<Segment>) {
        self.segments.extend(reply.into_iter().filter(|segment| !segment.is_empty()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Writes what the peer takes at once.
    pub(crate) fn try_write_to(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.segments.is_empty() {
            match self.write_some(stream) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.slow = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.slow = false;
        Ok(())
    }

    /// Writes everything; waits for the peer to take it. Calls `progress` whenever it took some.
    pub(crate) async fn write_to(&mut self, stream: &TcpStream, progress: impl Fn()) -> io::Result<()> {
        loop {
            self.try_write_to(stream)?;
            if self.is_empty() {
                return Ok(());
            }
            stream.writable().await?;
            progress();
        }
    }

    fn write_some(&mut self, stream: &TcpStream) -> io::Result<()> {
        let (pieces, flags) = self.gather()?;
        let written = match self.segments.front() {
            Some(Segment::File(range)) if pieces.is_empty() => send_file(stream, range)?,
            _ => {
                let slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> =
                    pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                stream.try_io(Interest::WRITABLE, || {
                    Ok(sendmsg(stream.as_fd(), &slices, &mut SendAncillaryBuffer::default(), flags)?)
                })?
            }
        };
        drop(pieces);
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(())
    }

    /// What leaves in one write: bytes where they are, and copies of short ranges of files. Nothing when a long range is the
    /// first.
    fn gather(&self) -> io::Result<(Pieces<'_>, SendFlags)> {
        let mut pieces = Pieces::new();
        let mut left = if self.slow { 0 } else { COPIED_BYTES_MAX };
        for segment in self.segments.iter().take(SLICES_MAX) {
            match segment {
                Segment::Bytes(bytes) => pieces.push(Cow::Borrowed(&bytes[..])),
                Segment::File(range) if range.length <= left && is_copied(range) => {
                    left -= range.length;
                    pieces.push(Cow::Owned(read(range)?));
                }
                Segment::File(_) => return Ok((pieces, SendFlags::NOSIGNAL | SendFlags::MORE)),
            }
        }
        Ok((pieces, SendFlags::NOSIGNAL))
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

/// Whether a copy of a range is cheaper than to hand it to the kernel.
fn is_copied(range: &FileRange) -> bool {
    let into_page = usize::try_from(range.position % PAGE_BYTES as u64).unwrap_or(0);
    range.length <= COPIED_BYTES || into_page + range.length > PAGES_AT_ONCE * PAGE_BYTES
}

fn read(range: &FileRange) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(range.length);
    while bytes.len() < range.length {
        let position = range.position + bytes.len() as u64;
        match rustix::io::pread(&*range.file, spare_capacity(&mut bytes), position) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(range.length);
    Ok(bytes)
}

fn send_file(stream: &TcpStream, range: &FileRange) -> io::Result<usize> {
    stream.try_io(Interest::WRITABLE, || {
        let mut position = range.position;
        Ok(rustix::fs::sendfile(stream.as_fd(), range.file.as_fd(), Some(&mut position), range.length)?)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    /// Writes pieces of memory and of a file, and checks what arrives.
    fn check(pieces: &[(bool, usize)]) {
        let content: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("log");
        std::fs::write(&path, &content).expect("written");
        let file = Arc::new(std::fs::File::open(&path).expect("opened"));
        let mut expected = Vec::new();
        let mut segments = Vec::new();
        for (number, (in_file, length)) in pieces.iter().enumerate() {
            let position = number * 7;
            let bytes = &content[position..position + length];
            expected.extend_from_slice(bytes);
            segments.push(if *in_file {
                Segment::File(FileRange { file: file.clone(), position: position as u64, length: *length })
            } else {
                Segment::Bytes(Bytes::copy_from_slice(bytes))
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let received = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
            let mut peer =
                std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("peer");
            let (stream, _) = listener.accept().await.expect("accepted");
            let reader = std::thread::spawn(move || {
                let mut received = Vec::new();
                peer.read_to_end(&mut received).map(|_| received)
            });
            let mut outbox = Outbox::default();
            outbox.push(segments);
            outbox.write_to(&stream, || {}).await.expect("sent");
            assert!(outbox.is_empty());
            drop(stream);
            reader.join().expect("reader").expect("received")
        });
        assert_eq!(received, expected, "{pieces:?}");
    }

    #[test]
    fn memory_and_files_arrive_in_order_whatever_their_lengths() {
        check(&[]);
        check(&[(false, 10)]);
        check(&[(true, COPIED_BYTES), (true, COPIED_BYTES + 1)]);
        check(&[(false, 70), (true, PAGES_AT_ONCE * PAGE_BYTES), (false, 3), (true, 66_200), (true, 70_000)]);
        check(&[
            (false, 71),
            (true, 1094),
            (false, 0),
            (false, 40),
            (true, 150_000),
            (false, 9),
            (true, 100),
        ]);
        check(&[(true, 150_000), (true, 0), (true, 190_000), (false, 3)]);
        check(&vec![(false, 5); 3 * SLICES_MAX]);
        // More than one write copies, and than a socket holds.
        check(&[(true, 180_000); 40]);
    }

    #[test]
    fn a_range_that_the_file_does_not_have_is_an_error() {
        let file = Arc::new(tempfile::tempfile().expect("file"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
            let _peer = std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("peer");
            let (stream, _) = listener.accept().await.expect("accepted");
            let mut outbox = Outbox::default();
            outbox.push(vec![Segment::File(FileRange { file, position: 0, length: 10 })]);
            assert!(outbox.write_to(&stream, || {}).await.is_err());
        });
    }
}
