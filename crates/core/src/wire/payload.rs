use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::WireError;
use crate::log::FileRange;

/// A piece of a frame on its way out.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a file, which the kernel can send without a copy in user space.
    File(FileRange),
}

impl Segment {
    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::File(range) => range.length,
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, when they are in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Bytes> {
        match self {
            Segment::Bytes(bytes) => Some(bytes),
            Segment::File(_) => None,
        }
    }
}

/// Record batches on their way between the wire and a log: bytes that nobody copies.
///
/// A payload that was read is one slice of its frame. A payload to be written may consist of several parts, such as the
/// batches of a partition's tail as they were appended one by one; they leave in one vectored write. A part may also be
/// in a file still. Equality is that of the bytes in memory, wherever the parts meet; a part in a file equals nothing.
#[derive(Clone, Default)]
pub struct Payload {
    parts: SmallVec<[Segment; 1]>,
    length: usize,
}

impl Payload {
    /// No bytes at all, which is not the same as null.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part at the end; empty parts are dropped.
    pub fn push(&mut self, part: Bytes) {
        self.push_segment(Segment::Bytes(part));
    }

    /// Adds a part that stays in its file.
    pub fn push_file(&mut self, range: FileRange) {
        self.push_segment(Segment::File(range));
    }

    fn push_segment(&mut self, part: Segment) {
        if !part.is_empty() {
            self.length += part.len();
            self.parts.push(part);
        }
    }

    /// The sum of the parts' lengths, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The parts, none of them empty.
    #[must_use]
    pub fn parts(&self) -> &[Segment] {
        &self.parts
    }

    /// The bytes as one buffer: the only part itself, or a copy if there are several.
    ///
    /// Fails if a part is in a file.
    pub fn into_bytes(self) -> Result<Bytes, WireError> {
        let mut parts = self.parts.iter().map(|part| part.in_memory().ok_or(WireError::NotInMemory));
        if self.parts.len() <= 1 {
            return Ok(parts.next().transpose()?.cloned().unwrap_or_default());
        }
        let mut whole = BytesMut::with_capacity(self.length);
        for part in parts {
            whole.extend_from_slice(part?);
        }
        Ok(whole.freeze())
    }

    fn bytes(&self) -> Option<impl Iterator<Item = u8>> {
        let parts: Option<SmallVec<[&Bytes; 1]>> = self.parts.iter().map(Segment::in_memory).collect();
        Some(parts?.into_iter().flat_map(|part| part.iter().copied()))
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let mut payload = Self::new();
        payload.push(bytes);
        payload
    }
}

impl FromIterator<Bytes> for Payload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        let mut payload = Self::new();
        parts.into_iter().for_each(|part| payload.push(part));
        payload
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        if self.length != other.length {
            return false;
        }
        match (self.bytes(), other.bytes()) {
            (Some(mine), Some(theirs)) => mine.eq(theirs),
            _ => false,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes in {} parts)", self.length, self.parts.len())
    }
}
