//! Cutting a stream of bytes into frames.
//!
//! A frame is four bytes of length and so many bytes of request. Frames leave as slices of the buffer they were
//! received into. A claimed length buys nothing: the buffer grows only as bytes arrive.

use bytes::{Buf, Bytes, BytesMut};

/// The least room that a read gets, in bytes. Reads that leave three quarters of their room halve it down to here: a
/// connection of small requests then takes blocks that allocators keep at hand, each time anew.
const READ_BYTES_MIN: usize = 1000;

/// The room of the first read, in bytes.
const READ_BYTES_FIRST: usize = 16 * 1024;

/// The most room that a read of small frames gets, in bytes. Reads that fill their room double it up to here.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Up to this size a frame gets its whole room at once, untouched memory costing nothing; a longer one gets as much again
/// as has arrived.
const RESERVE_BYTES_MAX: usize = 1024 * 1024 + 4096;

/// The bytes that were received and not yet handled.
#[derive(Debug)]
pub struct FrameBuffer {
    buffer: BytesMut,
    room: usize,
    /// How much of it the last read was offered.
    offered: usize,
    frame_bytes_max: usize,
}

/// Why the stream cannot be cut into frames; the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative or larger than `socket.request.max.bytes`.
    #[error("a frame of {claimed} bytes was announced; 0 to {max} are allowed (socket.request.max.bytes)")]
    Length {
        /// What was announced.
        claimed: i32,
        /// The limit.
        max: usize,
    },
}

impl FrameBuffer {
    /// A buffer for frames of up to `frame_bytes_max` bytes. Allocates nothing.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> FrameBuffer {
        FrameBuffer { buffer: BytesMut::new(), room: READ_BYTES_FIRST, offered: 0, frame_bytes_max }
    }

    /// Takes the next whole frame, without its length; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::Length`].
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.announced()? else { return Ok(None) };
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// What is here, and what [`FrameBuffer::room`] will add for the frame that has begun, in bytes.
    ///
    /// # Errors
    /// [`FrameError::Length`].
    pub fn size_wanted(&self) -> Result<usize, FrameError> {
        Ok(self.buffer.len() + self.missing()?)
    }

    /// Where to put what is read next, with room for at least one byte.
    ///
    /// # Errors
    /// [`FrameError::Length`].
    pub fn room(&mut self) -> Result<&mut BytesMut, FrameError> {
        let missing = self.missing()?;
        if self.buffer.capacity() - self.buffer.len() < missing.max(self.room.min(READ_BYTES_FIRST) / 4) {
            self.buffer.reserve(missing.max(self.room));
        }
        self.offered = self.buffer.capacity() - self.buffer.len();
        Ok(&mut self.buffer)
    }

    /// How much room the frame that has begun gets next, in bytes.
    fn missing(&self) -> Result<usize, FrameError> {
        let Some(length) = self.announced()? else { return Ok(0) };
        let missing = (4 + length).saturating_sub(self.buffer.len());
        Ok(missing.min(RESERVE_BYTES_MAX.max(self.buffer.len())))
    }

    /// Learns how many bytes the last read brought.
    pub fn filled(&mut self, bytes: usize) {
        if bytes >= self.room {
            self.room = (self.room * 2).min(READ_BYTES_MAX);
        } else if bytes < self.offered && bytes < self.room / 4 {
            self.room = (self.room / 2).max(READ_BYTES_MIN);
        }
    }

    /// True when nothing is left over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Gives the memory back when nothing is left over.
    pub fn release(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            self.buffer = BytesMut::new();
        }
    }

    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let claimed = i32::from_be_bytes(*head);
        usize::try_from(claimed)
            .ok()
            .filter(|length| *length <= self.frame_bytes_max)
            .map(Some)
            .ok_or(FrameError::Length { claimed, max: self.frame_bytes_max })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn feed(buffer: &mut FrameBuffer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = buffer.room().expect("room");
            let fits = bytes.len().min(room.capacity() - room.len());
            room.put_slice(&bytes[..fits]);
            buffer.filled(fits);
            bytes = &bytes[fits..];
        }
    }

    #[test]
    fn frames_are_cut_wherever_the_reads_end() {
        let mut stream = Vec::new();
        for length in [0_usize, 1, 5, 70_000, 3] {
            stream.put_u32(length as u32);
            stream.resize(stream.len() + length, length as u8);
        }
        for step in [1, 3, 4, 7, 1000, stream.len()] {
            let mut buffer = FrameBuffer::new(100_000);
            let mut lengths = Vec::new();
            for piece in stream.chunks(step) {
                feed(&mut buffer, piece);
                while let Some(frame) = buffer.next_frame().expect("frame") {
                    assert!(frame.iter().all(|byte| *byte == frame.len() as u8));
                    lengths.push(frame.len());
                }
            }
            assert_eq!(lengths, [0, 1, 5, 70_000, 3], "step {step}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn room_follows_what_reads_bring() {
        let mut buffer = FrameBuffer::new(100_000);
        let mut room = |bytes: usize| {
            buffer.room().expect("room").put_bytes(0, bytes);
            buffer.filled(bytes);
            while buffer.next_frame().expect("frame").is_some() {}
            buffer.release();
            buffer.room
        };
        assert_eq!([100; 6].map(&mut room), [8192, 4096, 2048, 1024, READ_BYTES_MIN, READ_BYTES_MIN]);
        assert_eq!([READ_BYTES_MIN, 2000, 1500, 4000].map(&mut room), [2000, 4000, 4000, 8000]);
    }

    #[test]
    fn a_read_that_fills_what_is_left_of_a_block_is_no_small_one() {
        let mut buffer = FrameBuffer { room: READ_BYTES_MAX, ..FrameBuffer::new(100_000) };
        buffer.room().expect("room").put_bytes(0, READ_BYTES_MAX - 5000);
        let room = buffer.room().expect("room");
        let left = room.capacity() - room.len();
        room.put_bytes(0, left);
        buffer.filled(left);
        assert_eq!((left < READ_BYTES_MAX / 4, buffer.room), (true, READ_BYTES_MAX));
    }

    #[test]
    fn hostile_lengths_are_refused_and_buy_no_memory() {
        for claimed in [-1, i32::MIN, 100_001, i32::MAX] {
            let mut buffer = FrameBuffer::new(100_000);
            feed(&mut buffer, &claimed.to_be_bytes());
            assert_eq!(buffer.next_frame(), Err(FrameError::Length { claimed, max: 100_000 }));
        }
        let mut buffer = FrameBuffer::new(100 << 20);
        feed(&mut buffer, &(100_i32 << 20).to_be_bytes());
        assert_eq!(buffer.next_frame(), Ok(None));
        assert!(buffer.room().expect("room").capacity() <= 2 * RESERVE_BYTES_MAX);
    }
}
