use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Record batches on their way between the wire and a log: bytes that nobody copies.
///
/// A payload that was read is one slice of its frame. A payload to be written may consist of several parts, such as the
/// batches of a partition's tail as they were appended one by one; they leave in one vectored write. Equality is that of
/// the bytes, wherever the parts meet.
#[derive(Clone, Default)]
pub struct Payload {
    parts: SmallVec<[Bytes; 1]>,
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
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The bytes as one buffer: the only part itself, or a copy if there are several.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.parts.len() <= 1 {
            return self.parts.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        for part in &self.parts {
            whole.extend_from_slice(part);
        }
        whole.freeze()
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.parts.iter().flat_map(|part| part.iter().copied())
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
        match (self.parts.as_slice(), other.parts.as_slice()) {
            ([mine], [theirs]) => mine == theirs,
            _ => self.length == other.length && self.bytes().eq(other.bytes()),
        }
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes in {} parts)", self.length, self.parts.len())
    }
}
