use bytes::Bytes;
use uuid::Uuid;

use super::{Payload, STRING_BYTES_MAX, WireError, WireStr};

/// How many elements of an array are reserved at most before the first of them has been read.
///
/// A count is already known not to exceed what the rest of the frame can hold; this bounds what is reserved in vain
/// for a frame that turns out to be malformed. An array that really has so many gets the room for all its elements at
/// once, so that it grows at most one time.
pub const ITEMS_RESERVED_MAX: usize = 4096;

/// A cursor over a frame that hands out slices of it.
///
/// All numbers are big-endian. Methods with a `flexible` argument read the compact form (KIP-482) when it is true: the
/// length is an unsigned varint of one more than the length, and 0 is null. After an error the position is undefined.
#[derive(Clone, Debug)]
pub struct Reader {
    frame: Bytes,
    // Never beyond the frame's length.
    position: usize,
    // How many bytes of memory further array elements may take.
    allowance: usize,
}

impl Reader {
    /// Begins at the start of `frame`.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        Self { frame, position: 0, allowance: usize::MAX }
    }

    /// Bounds the memory that the elements of all further arrays may take together, in bytes. An element can take many
    /// times more memory than its bytes in the frame.
    pub fn limit_elements(&mut self, bytes: usize) {
        self.allowance = bytes;
    }

    /// How many bytes have been read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub fn left(&self) -> usize {
        self.frame.len() - self.position
    }

    /// Takes everything that is left.
    #[must_use]
    pub fn rest(&mut self) -> Bytes {
        let rest = self.frame.slice(self.position..);
        self.position = self.frame.len();
        rest
    }

    /// Fails if anything is left after `message`.
    pub fn finish(&self, message: &'static str) -> Result<(), WireError> {
        match self.left() {
            0 => Ok(()),
            left => Err(WireError::TrailingBytes { message, left }),
        }
    }

    /// Skips `length` bytes.
    #[inline]
    pub fn skip(&mut self, length: usize) -> Result<(), WireError> {
        if length > self.left() {
            return Err(self.truncated(length));
        }
        self.position += length;
        Ok(())
    }

    /// The next `length` bytes as a slice of the frame.
    #[inline]
    pub fn slice(&mut self, length: usize) -> Result<Bytes, WireError> {
        let start = self.position;
        self.skip(length)?;
        Ok(self.frame.slice(start..self.position))
    }

    /// A byte that is true unless it is 0.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.i8()? != 0)
    }

    /// A signed byte.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, WireError> {
        self.take().map(i8::from_be_bytes)
    }

    /// A signed number of two bytes.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, WireError> {
        self.take().map(i16::from_be_bytes)
    }

    /// An unsigned number of two bytes.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.take().map(u16::from_be_bytes)
    }

    /// A signed number of four bytes.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.take().map(i32::from_be_bytes)
    }

    /// An unsigned number of four bytes.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.take().map(u32::from_be_bytes)
    }

    /// A signed number of eight bytes.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, WireError> {
        self.take().map(i64::from_be_bytes)
    }

    /// A floating-point number of eight bytes (IEEE 754).
    #[inline]
    pub fn f64(&mut self) -> Result<f64, WireError> {
        self.take().map(f64::from_be_bytes)
    }

    /// Sixteen bytes; all zero is no id.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.take().map(Uuid::from_bytes)
    }

    /// An unsigned variable-length number: seven bits a byte, the lowest first.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let start = self.position;
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = u8::from_be_bytes(self.take()?);
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::VarintTooLong { position: start })
    }

    /// A signed variable-length number of at most 32 bits, in zigzag form.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, WireError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A signed variable-length number of at most 64 bits, in zigzag form.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, WireError> {
        let start = self.position;
        let mut raw = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = u8::from_be_bytes(self.take()?);
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            raw |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
            }
        }
        Err(WireError::VarintTooLong { position: start })
    }

    /// Text.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<WireStr, WireError> {
        self.nullable_string(flexible)?.ok_or(WireError::UnexpectedNull { position: self.position })
    }

    /// Text or null.
    #[inline]
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<WireStr>, WireError> {
        let length = if flexible { self.compact_length()? } else { i64::from(self.i16()?) };
        let Some(length) = self.checked_length(length)? else { return Ok(None) };
        let position = self.position;
        if length > STRING_BYTES_MAX {
            return Err(WireError::InvalidLength { position, length: length as i64 });
        }
        let bytes = self.slice(length)?;
        WireStr::from_utf8(bytes).map(Some).ok_or(WireError::InvalidUtf8 { position })
    }

    /// Bytes, as a slice of the frame.
    #[inline]
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, WireError> {
        self.nullable_bytes(flexible)?.ok_or(WireError::UnexpectedNull { position: self.position })
    }

    /// Bytes or null.
    #[inline]
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, WireError> {
        let length = if flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        self.checked_length(length)?.map(|length| self.slice(length)).transpose()
    }

    /// Record batches, not looked into.
    #[inline]
    pub fn payload(&mut self, flexible: bool) -> Result<Payload, WireError> {
        self.bytes(flexible).map(Payload::from)
    }

    /// Record batches, not looked into, or null.
    #[inline]
    pub fn nullable_payload(&mut self, flexible: bool) -> Result<Option<Payload>, WireError> {
        Ok(self.nullable_bytes(flexible)?.map(Payload::from))
    }

    /// An array whose elements take `item_bytes_min` bytes or more each.
    #[inline]
    pub fn array<T>(
        &mut self,
        flexible: bool,
        item_bytes_min: usize,
        item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        self.nullable_array(flexible, item_bytes_min, item)?
            .ok_or(WireError::UnexpectedNull { position: self.position })
    }

    /// An array or null.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        item_bytes_min: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<Vec<T>>, WireError> {
        let Some(count) = self.array_count(flexible, item_bytes_min)? else { return Ok(None) };
        self.allowance = self
            .allowance
            .checked_sub(count.saturating_mul(size_of::<T>()))
            .ok_or(WireError::ElementsTooLarge { position: self.position, count })?;
        let mut items = Vec::with_capacity(count.min(ITEMS_RESERVED_MAX));
        for _ in 0..count {
            if items.len() == items.capacity() {
                items.reserve_exact(count - items.len());
            }
            items.push(item(self)?);
        }
        Ok(Some(items))
    }

    /// The number of elements of an array, or null; fails if the rest of the frame cannot hold so many.
    ///
    /// An element counts as one byte at least, so that even elements without content are bounded by the frame.
    #[inline]
    pub fn array_count(&mut self, flexible: bool, item_bytes_min: usize) -> Result<Option<usize>, WireError> {
        let count = if flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        let Some(count) = self.checked_length(count)? else { return Ok(None) };
        let left = self.left();
        if count > left / item_bytes_min.max(1) {
            return Err(WireError::CountTooLarge { position: self.position, count, left });
        }
        Ok(Some(count))
    }

    /// Reads the byte that stands before a nullable structure: false is null.
    #[inline]
    pub fn presence(&mut self) -> Result<bool, WireError> {
        let position = self.position;
        match self.i8()? {
            -1 => Ok(false),
            marker if marker >= 0 => Ok(true),
            marker => Err(WireError::InvalidMarker { position, marker }),
        }
    }

    /// The same before a structure that is a tagged field, where it is an unsigned varint and 0 is null.
    #[inline]
    pub fn tagged_presence(&mut self) -> Result<bool, WireError> {
        Ok(self.unsigned_varint()? != 0)
    }

    /// The tagged fields at the end of a flexible structure.
    ///
    /// `field` reads the content of one tag and returns true, or returns false for a tag that it does not know, which
    /// is then skipped. A known field must have the size that it claims.
    #[inline]
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(&mut Self, u32) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let claimed = self.unsigned_varint()? as usize;
            if claimed > self.left() {
                return Err(self.truncated(claimed));
            }
            let start = self.position;
            if !field(self, tag)? {
                self.position = start + claimed;
            }
            let actual = self.position - start;
            if actual != claimed {
                return Err(WireError::TaggedFieldSize { tag, claimed, actual });
            }
        }
        Ok(())
    }

    /// Skips all tagged fields.
    #[inline]
    pub fn skip_tagged_fields(&mut self) -> Result<(), WireError> {
        self.tagged_fields(|_, _| Ok(false))
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.frame.get(self.position..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// A length in compact form; -1 is null.
    #[inline]
    fn compact_length(&mut self) -> Result<i64, WireError> {
        Ok(i64::from(self.unsigned_varint()?) - 1)
    }

    #[inline]
    fn checked_length(&self, length: i64) -> Result<Option<usize>, WireError> {
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(WireError::InvalidLength { position: self.position, length }),
        }
    }

    #[cold]
    fn truncated(&self, needed: usize) -> WireError {
        WireError::Truncated { position: self.position, needed, left: self.left() }
    }
}
