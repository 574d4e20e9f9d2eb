//! Zigzag varints, as records use them, read from a slice or from a stream of decompressed chunks.

use super::RecordError;

/// Where the fields of records come from. Two implementors: bytes at hand, and a decompressing stream.
pub(super) trait Source {
    /// What a skipped piece leaves behind: the bytes themselves, or nothing.
    type Piece;

    /// The next byte.
    fn byte(&mut self) -> Result<u8, RecordError>;

    /// Moves past `length` bytes, which the caller has bounded by the record's size.
    fn piece(&mut self, length: usize) -> Result<Self::Piece, RecordError>;

    /// Bytes read so far.
    fn position(&self) -> usize;

    /// The bytes that can be read without fetching more; all that are left, for a slice.
    fn at_hand(&self) -> &[u8];

    /// Moves past bytes at hand.
    fn advance(&mut self, count: usize);
}

/// Bytes at hand.
pub(super) struct Slice<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Slice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left() == 0
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// What lies between an earlier position and this one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.position).unwrap_or_default()
    }
}

impl<'a> Source for Slice<'a> {
    type Piece = &'a [u8];

    #[inline]
    fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.bytes.get(self.position).ok_or(ENDED)?;
        self.position += 1;
        Ok(byte)
    }

    #[inline]
    fn piece(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let end = self.position.checked_add(length).ok_or(ENDED)?;
        let piece = self.bytes.get(self.position..end).ok_or(ENDED)?;
        self.position = end;
        Ok(piece)
    }

    #[inline]
    fn position(&self) -> usize {
        self.position
    }

    #[inline]
    fn at_hand(&self) -> &[u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.position = self.position.saturating_add(count).min(self.bytes.len());
    }
}

pub(super) const ENDED: RecordError = RecordError::Structure("the bytes end inside a record");
const LONG: RecordError = RecordError::Structure("a variable-length number has too many bytes");

#[inline]
pub(super) fn varint(source: &mut impl Source) -> Result<i32, RecordError> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = source.byte()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(LONG)
}

#[inline]
pub(super) fn varlong(source: &mut impl Source) -> Result<i64, RecordError> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let byte = source.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(LONG)
}

/// A length: `None` for any negative number, which stands for null.
#[inline]
pub(super) fn length(source: &mut impl Source) -> Result<Option<usize>, RecordError> {
    Ok(usize::try_from(varint(source)?).ok())
}

pub(super) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(super) fn size_of_varint(value: i32) -> usize {
    size_of_varlong(i64::from(value))
}

pub(super) fn size_of_varlong(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    (64 - (zigzag | 1).leading_zeros()).div_ceil(7) as usize
}
