//! Replies on their way out: segments in memory or in files, gathered into few writes.
//!
//! A short range of a file is read and leaves with the bytes around it, in one write; a long one is handed to the kernel,
//! which holds back what comes before it until both fill whole packets. Either way a reply does not arrive in two pieces:
//! the second one would wake its reader once more, which costs more than the copy.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use bytes::{Buf, Bytes};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::net::TcpStream;
use vltava_core::log::FileRange;
use vltava_core::wire::Segment;

/// The most slices that one write gathers; Linux takes 1024.
const SLICES_MAX: usize = 64;

/// Ranges of files up to so many bytes are copied.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// What has to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
}

impl Outbox {
    pub(crate) fn push(&mut self, reply: Vec<Segment>) {
        let segments = reply.into_iter().filter(|segment| !segment.is_empty());
        self.segments.extend(segments.map(short_in_memory));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Writes what the peer takes at once.
    pub(crate) fn try_write_to(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.segments.is_empty() {
            match self.write_some(stream) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes everything; waits for the peer to take it.
    pub(crate) async fn write_to(&mut self, stream: &TcpStream) -> io::Result<()> {
        loop {
            self.try_write_to(stream)?;
            if self.is_empty() {
                return Ok(());
            }
            stream.writable().await?;
        }
    }

    fn write_some(&mut self, stream: &TcpStream) -> io::Result<()> {
        let written = match self.segments.front() {
            None => return Ok(()),
            Some(Segment::File(range)) => send_file(stream, range)?,
            Some(Segment::Bytes(_)) => {
                let mut slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> = SmallVec::new();
                let mut flags = SendFlags::NOSIGNAL;
                for segment in self.segments.iter().take(SLICES_MAX) {
                    let Segment::Bytes(bytes) = segment else {
                        flags |= SendFlags::MORE;
                        break;
                    };
                    slices.push(IoSlice::new(bytes));
                }
                stream.try_io(Interest::WRITABLE, || {
                    Ok(sendmsg(stream.as_fd(), &slices, &mut SendAncillaryBuffer::default(), flags)?)
                })?
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

/// A short range of a file as bytes; one that cannot be read stays, and fails when it is sent.
fn short_in_memory(segment: Segment) -> Segment {
    match segment {
        Segment::File(range) if range.length <= COPIED_BYTES_MAX => {
            let mut bytes = vec![0; range.length];
            match range.file.read_exact_at(&mut bytes, range.position) {
                Ok(()) => Segment::Bytes(Bytes::from(bytes)),
                Err(_) => Segment::File(range),
            }
        }
        other => other,
    }
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
            outbox.write_to(&stream).await.expect("sent");
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
        check(&[(true, COPIED_BYTES_MAX), (true, COPIED_BYTES_MAX + 1)]);
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
            assert!(outbox.write_to(&stream).await.is_err());
        });
    }
}
