use bytes::Bytes;
use uuid::Uuid;

use super::{Payload, STRING_BYTES_MAX, Segment, WireError};
use crate::log::FileRange;

/// A payload of at least this many bytes becomes a segment of its own; a smaller one is cheaper to copy than to
/// describe to the kernel.
pub const PAYLOAD_SEGMENT_BYTES_MIN: usize = 1024;

/// What a frame's envelope reserves at first, in bytes: enough for most answers.
const ENVELOPE_BYTES_INITIAL: usize = 256;

/// The same of a buffer for one key or value of a log record.
const CONTIGUOUS_BYTES_INITIAL: usize = 64;

/// Builds a frame: an envelope of everything small, and the payloads that stand in it.
///
/// The envelope is one growing buffer, and a large payload is only remembered with its place in it. Nothing but the
/// envelope is ever copied, lengths that precede their content can be filled in late, and the result is a list of
/// segments for one vectored write. Methods with a `flexible` argument write the compact form (KIP-482) when it is true.
#[derive(Debug, Default)]
pub struct Writer {
    envelope: Vec<u8>,
    placed: Vec<Placed>,
    placed_bytes: usize,
    segmented: bool,
}

/// Bytes that stand between two bytes of the envelope.
#[derive(Debug)]
struct Placed {
    at: usize,
    segment: Segment,
}

impl Writer {
    /// A writer whose large payloads stay what they are.
    #[must_use]
    pub fn segmented() -> Self {
        let envelope = Vec::with_capacity(ENVELOPE_BYTES_INITIAL);
        Self { envelope, segmented: true, ..Self::default() }
    }

    /// A writer that copies everything into one buffer.
    #[must_use]
    pub fn contiguous() -> Self {
        Self { envelope: Vec::with_capacity(CONTIGUOUS_BYTES_INITIAL), ..Self::default() }
    }

    /// A segmented writer that has room for the frame's length in front; [`Writer::into_frame`] fills it in.
    #[must_use]
    pub fn frame() -> Self {
        let mut writer = Self::segmented();
        writer.i32(0);
        writer
    }

    /// How many bytes have been written, payloads included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.envelope.len() + self.placed_bytes
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame that [`Writer::frame`] began: its length, then everything written since.
    pub fn into_frame(mut self) -> Result<Vec<Segment>, WireError> {
        let length = self.len().saturating_sub(size_of::<i32>());
        let length = i32::try_from(length).map_err(|_| WireError::TooLong { what: "frame", length })?;
        if let Some(prefix) = self.envelope.first_chunk_mut() {
            *prefix = length.to_be_bytes();
        }
        Ok(self.into_segments())
    }

    /// Everything written, as buffers in order, none of them empty.
    #[must_use]
    pub fn into_segments(self) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(2 * self.placed.len() + 1);
        let mut envelope = Bytes::from(self.envelope);
        let mut cut = 0;
        for Placed { at, segment } in self.placed {
            if at > cut {
                segments.push(Segment::Bytes(envelope.split_to(at - cut)));
                cut = at;
            }
            segments.push(segment);
        }
        if !envelope.is_empty() {
            segments.push(Segment::Bytes(envelope));
        }
        segments
    }

    /// Everything written, as one buffer; copies only if there are placed payloads.
    ///
    /// Fails if one of them is in a file.
    pub fn into_bytes(self) -> Result<Bytes, WireError> {
        if self.placed.is_empty() {
            return Ok(self.envelope.into());
        }
        let mut whole = Vec::with_capacity(self.len());
        for segment in self.into_segments() {
            whole.extend_from_slice(segment.in_memory().ok_or(WireError::NotInMemory)?);
        }
        Ok(whole.into())
    }

    /// Bytes without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.envelope.extend_from_slice(bytes);
    }

    /// Bytes without a length, placed and not copied if they are large.
    #[inline]
    pub fn place(&mut self, bytes: &Bytes) {
        if self.segmented && bytes.len() >= PAYLOAD_SEGMENT_BYTES_MIN {
            self.place_segment(Segment::Bytes(bytes.clone()));
        } else {
            self.raw(bytes);
        }
    }

    /// A range of a file, without a length. Fails in a writer that makes one buffer of everything.
    pub fn place_file(&mut self, range: &FileRange) -> Result<(), WireError> {
        if !self.segmented {
            return Err(WireError::NotInMemory);
        }
        self.place_segment(Segment::File(range.clone()));
        Ok(())
    }

    fn place_segment(&mut self, segment: Segment) {
        self.placed_bytes += segment.len();
        self.placed.push(Placed { at: self.envelope.len(), segment });
    }

    /// A byte, 1 for true.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.envelope.push(u8::from(value));
    }

    /// A signed byte.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.envelope.push(value.cast_unsigned());
    }

    /// A signed number of two bytes.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// An unsigned number of two bytes.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// A signed number of four bytes.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// An unsigned number of four bytes.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A signed number of eight bytes.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A floating-point number of eight bytes (IEEE 754).
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    /// Sixteen bytes; all zero is no id.
    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(value.as_bytes());
    }

    /// An unsigned variable-length number.
    #[inline]
    pub fn unsigned_varint(&mut self, value: u32) {
        let (bytes, length) = varint_bytes(u64::from(value));
        self.raw(bytes.get(..length).unwrap_or_default());
    }

    /// A signed variable-length number of 32 bits, in zigzag form.
    #[inline]
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A signed variable-length number of 64 bits, in zigzag form.
    #[inline]
    pub fn varlong(&mut self, value: i64) {
        let (bytes, length) = varint_bytes(((value << 1) ^ (value >> 63)).cast_unsigned());
        self.raw(bytes.get(..length).unwrap_or_default());
    }

    /// Text. Fails above [`STRING_BYTES_MAX`].
    #[inline]
    pub fn string(&mut self, text: &str, flexible: bool) -> Result<(), WireError> {
        self.nullable_string(Some(text), flexible)
    }

    /// Text or null. Fails above [`STRING_BYTES_MAX`].
    #[inline]
    pub fn nullable_string(&mut self, text: Option<&str>, flexible: bool) -> Result<(), WireError> {
        let length = text.map(str::len);
        if let Some(length) = length.filter(|length| *length > STRING_BYTES_MAX) {
            return Err(WireError::TooLong { what: "string", length });
        }
        if flexible {
            self.compact_length("string", length)?;
        } else {
            self.i16(length.map_or(Ok(-1), i16::try_from).unwrap_or(i16::MAX));
        }
        self.raw(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Bytes, placed and not copied if they are large.
    #[inline]
    pub fn bytes(&mut self, bytes: &Bytes, flexible: bool) -> Result<(), WireError> {
        self.length("byte string", Some(bytes.len()), flexible)?;
        self.place(bytes);
        Ok(())
    }

    /// Bytes or null.
    #[inline]
    pub fn nullable_bytes(&mut self, bytes: Option<&Bytes>, flexible: bool) -> Result<(), WireError> {
        match bytes {
            Some(bytes) => self.bytes(bytes, flexible),
            None => self.length("byte string", None, flexible),
        }
    }

    /// Record batches, placed and not copied if they are large.
    #[inline]
    pub fn payload(&mut self, payload: &Payload, flexible: bool) -> Result<(), WireError> {
        self.length("payload", Some(payload.len()), flexible)?;
        payload.parts().iter().try_for_each(|part| match part {
            Segment::Bytes(bytes) => {
                self.place(bytes);
                Ok(())
            }
            Segment::File(range) => self.place_file(range),
        })
    }

    /// Record batches or null.
    #[inline]
    pub fn nullable_payload(&mut self, payload: Option<&Payload>, flexible: bool) -> Result<(), WireError> {
        match payload {
            Some(payload) => self.payload(payload, flexible),
            None => self.length("payload", None, flexible),
        }
    }

    /// An array.
    #[inline]
    pub fn array<T>(
        &mut self,
        items: &[T],
        flexible: bool,
        mut item: impl FnMut(&mut Self, &T) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.length("array", Some(items.len()), flexible)?;
        items.iter().try_for_each(|one| item(self, one))
    }

    /// An array or null.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        items: Option<&[T]>,
        flexible: bool,
        item: impl FnMut(&mut Self, &T) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        match items {
            Some(items) => self.array(items, flexible, item),
            None => self.length("array", None, flexible),
        }
    }

    /// The byte that stands before a nullable structure.
    #[inline]
    pub fn presence(&mut self, present: bool) {
        self.i8(if present { 1 } else { -1 });
    }

    /// The same before a structure that is a tagged field, where it is an unsigned varint and 0 is null.
    #[inline]
    pub fn tagged_presence(&mut self, present: bool) {
        self.unsigned_varint(u32::from(present));
    }

    /// One tagged field: its tag, its size, and what `content` writes.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        content: impl FnOnce(&mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.unsigned_varint(tag);
        let (start, placed_start) = (self.len(), self.placed.len());
        let envelope_start = self.envelope.len();
        content(self)?;
        let length = self.len() - start;
        let size = u32::try_from(length).map_err(|_| WireError::TooLong { what: "tagged field", length })?;
        self.insert_varint(envelope_start, placed_start, size);
        Ok(())
    }

    /// The length of bytes or of an array; none is null.
    #[inline]
    pub fn length(
        &mut self,
        what: &'static str,
        length: Option<usize>,
        flexible: bool,
    ) -> Result<(), WireError> {
        if flexible {
            return self.compact_length(what, length);
        }
        let wire = match length {
            None => -1,
            Some(length) => i32::try_from(length).map_err(|_| WireError::TooLong { what, length })?,
        };
        self.i32(wire);
        Ok(())
    }

    #[inline]
    fn compact_length(&mut self, what: &'static str, length: Option<usize>) -> Result<(), WireError> {
        let wire = match length {
            None => 0,
            // One more than a length that fits into 31 bits fits into 32.
            Some(length) => {
                1 + i32::try_from(length).map_err(|_| WireError::TooLong { what, length })?.cast_unsigned()
            }
        };
        self.unsigned_varint(wire);
        Ok(())
    }

    /// Moves what was written since `at` to make room for `value` in front of it.
    fn insert_varint(&mut self, at: usize, placed_start: usize, value: u32) {
        let end = self.envelope.len();
        self.unsigned_varint(value);
        let width = self.envelope.len() - end;
        if let Some(moved) = self.envelope.get_mut(at..) {
            moved.rotate_right(width);
        }
        for placed in self.placed.iter_mut().skip(placed_start) {
            placed.at += width;
        }
    }
}

#[inline]
fn varint_bytes(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut length = 0;
    for byte in &mut bytes {
        length += 1;
        *byte = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, length)
}
