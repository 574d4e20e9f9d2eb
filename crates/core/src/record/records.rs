//! The records inside a batch, as views of its (decompressed) body.

use bytes::Bytes;

use super::codec::{self, DECOMPRESSED_SIZE_MAX};
use super::varint::{Slice, Source, length, varint, varlong};
use super::{Batch, BatchHeader, RecordError, TimestampType};
use crate::id::{Offset, Timestamp};

/// One record, borrowed from the body of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: Offset,
    /// When it was created, or appended if the batch says so.
    pub timestamp: Timestamp,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
}

/// The headers of a record, decoded as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// One header of a record: a key, UTF-8 by convention, and a value that may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The key; the same key may occur more than once.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// A record without headers.
    pub const NONE: Self = Self { count: 0, bytes: &[] };

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order. Decoding a record has checked them, so that none can be malformed here.
    pub fn iter(&self) -> impl Iterator<Item = RecordHeader<'a>> + use<'a> {
        let mut source = Slice::new(self.bytes);
        (0..self.count).map_while(move |_| header(&mut source).ok())
    }
}

/// The records of one batch: its header and the decompressed body.
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    body: Bytes,
}

impl Batch {
    /// The records, decompressed if need be; an uncompressed body is shared, not copied.
    ///
    /// # Errors
    /// `Codec` for a codec nobody has defined, `Compressed` for a broken stream, `TooLarge` when more than
    /// [`DECOMPRESSED_SIZE_MAX`] bytes come out.
    pub fn records(&self) -> Result<Records, RecordError> {
        let codec = self.header.compression().map_err(RecordError::Codec)?;
        let body = codec::decompress(codec, &self.body, DECOMPRESSED_SIZE_MAX)?;
        Ok(Records { header: self.header, body })
    }
}

impl Records {
    /// The header of the batch.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The decompressed body, of which every [`Record`] is a view; `Bytes::slice_ref` keeps a piece of it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Walks the records. Yields an error once and ends, also when bytes are left after the last record.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            header: self.header,
            source: Slice::new(&self.body),
            left: self.header.records_count,
            failed: false,
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<Record<'a>, RecordError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// See [`Records::iter`].
pub struct RecordIter<'a> {
    header: BatchHeader,
    source: Slice<'a>,
    left: i32,
    failed: bool,
}

impl<'a> RecordIter<'a> {
    fn read(&mut self) -> Result<Record<'a>, RecordError> {
        let shape = walk_record(&mut self.source)?;
        self.left -= 1;
        Ok(Record {
            offset: Offset(self.header.base_offset.0.wrapping_add(i64::from(shape.offset_delta))),
            timestamp: record_timestamp(&self.header, shape.timestamp_delta),
            key: shape.key,
            value: shape.value,
            headers: Headers { count: shape.headers, bytes: self.source.since(shape.headers_start) },
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = match self.left {
            ..0 => Err(RecordError::Structure("the record count is negative")),
            0 if self.source.is_empty() => return None,
            0 => Err(RecordError::Structure("bytes are left after the last record")),
            1.. => self.read(),
        };
        self.failed = next.is_err();
        Some(next)
    }
}

/// The timestamp of a record. Deltas count from the base timestamp field also where that carries a delete horizon.
pub(super) fn record_timestamp(header: &BatchHeader, delta: i64) -> Timestamp {
    match header.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => Timestamp(header.base_timestamp.0.wrapping_add(delta)),
    }
}

/// A record's fields, with key and value as the source hands out pieces.
pub(super) struct Shape<P> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<P>,
    pub(super) value: Option<P>,
    pub(super) headers: usize,
    pub(super) headers_start: usize,
}

/// Reads one record and checks that its parts fill exactly the size it claims.
#[inline]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<Shape<S::Piece>, RecordError> {
    let size = record_length(source)?;
    walk_sized(source, size)
}

#[inline]
fn walk_sized<S: Source>(source: &mut S, size: usize) -> Result<Shape<S::Piece>, RecordError> {
    let end = source.position().saturating_add(size);
    walk_body(source, end)
}

/// What validation wants to know of a record.
pub(super) struct Glance {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// As [`walk_record`], without the parts, and only records of `size_max` bytes or fewer. A record that lies within the
/// bytes at hand is read from there: a stream asks at every byte whether its chunk has ended.
#[inline]
pub(super) fn glance<S: Source>(source: &mut S, size_max: usize) -> Result<Glance, RecordError> {
    let mut slice = Slice::new(source.at_hand());
    if let Ok(size) = record_length(&mut slice)
        && size <= slice.left().min(size_max)
    {
        let end = slice.position() + size;
        let glance = Glance::of(&walk_body(&mut slice, end)?);
        source.advance(end);
        return Ok(glance);
    }
    let size = record_length(source)?;
    if size > size_max {
        return Err(RecordError::RecordSize { size, size_max });
    }
    walk_sized(source, size).map(|shape| Glance::of(&shape))
}

impl Glance {
    fn of<P>(shape: &Shape<P>) -> Self {
        let Shape { timestamp_delta, offset_delta, .. } = *shape;
        Self { timestamp_delta, offset_delta, has_key: shape.key.is_some() }
    }
}

fn record_length(source: &mut impl Source) -> Result<usize, RecordError> {
    length(source)?.ok_or(RecordError::Structure("a record has a negative size"))
}

#[inline]
fn walk_body<S: Source>(source: &mut S, end: usize) -> Result<Shape<S::Piece>, RecordError> {
    let _attributes = source.byte()?;
    let timestamp_delta = varlong(source)?;
    let offset_delta = varint(source)?;
    let key = nullable(source, end)?;
    let value = nullable(source, end)?;
    let headers =
        length(source)?.ok_or(RecordError::Structure("a record has a negative number of headers"))?;
    let headers_start = source.position();
    for _ in 0..headers {
        header_within(source, end)?;
    }
    if source.position() != end {
        return Err(RecordError::Structure("the parts of a record do not fill its size"));
    }
    Ok(Shape { timestamp_delta, offset_delta, key, value, headers, headers_start })
}

fn header<'a>(source: &mut Slice<'a>) -> Result<RecordHeader<'a>, RecordError> {
    let (key, value) = header_within(source, usize::MAX)?;
    Ok(RecordHeader { key, value })
}

fn header_within<S: Source>(source: &mut S, end: usize) -> Result<(S::Piece, Option<S::Piece>), RecordError> {
    let key = nullable(source, end)?.ok_or(RecordError::Structure("a record header has no key"))?;
    Ok((key, nullable(source, end)?))
}

#[inline]
fn nullable<S: Source>(source: &mut S, end: usize) -> Result<Option<S::Piece>, RecordError> {
    let Some(length) = length(source)? else { return Ok(None) };
    if length > end.saturating_sub(source.position()) {
        return Err(RecordError::Structure("a field is longer than its record"));
    }
    source.piece(length).map(Some)
}
