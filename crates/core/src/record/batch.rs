//! A batch: header and untouched body, and the walk over a region of many.

use bytes::{BufMut, Bytes};
use crc_fast::{CrcAlgorithm, Digest};

use super::{BatchHeader, RecordError};

/// One record batch. The body is a slice of what was received or read and is never copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The header; change it freely, then [`Batch::seal`] if a checksummed field changed.
    pub header: BatchHeader,
    /// Everything after the 61 header bytes: the records, compressed as the header says.
    pub body: Bytes,
}

impl Batch {
    /// Walks the batches of a Produce payload, a fetched region or a piece of a segment.
    ///
    /// Yields an error once, at the first byte that is not a whole batch, and then ends. Checksums are
    /// not verified; ask [`Batch::crc_matches`].
    #[must_use]
    pub fn split(region: Bytes) -> Batches {
        Batches { rest: region, failed: false }
    }

    /// Takes the first batch off `region`.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and `Truncated` when the batch is longer than the region; the region is
    /// then unchanged.
    pub fn take(region: &mut Bytes) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(region)?;
        let size = header.size();
        if size > region.len() {
            return Err(RecordError::Truncated { needed: size as u64, available: region.len() as u64 });
        }
        let mut whole = region.split_to(size);
        Ok(Self { header, body: whole.split_off(BatchHeader::SIZE) })
    }

    /// Bytes of the encoded batch.
    #[must_use]
    pub fn size(&self) -> usize {
        BatchHeader::SIZE + self.body.len()
    }

    /// The CRC-32C of the batch as it stands: attributes to the end of the body.
    #[must_use]
    pub fn computed_crc(&self) -> u32 {
        let header = self.header.to_bytes();
        let (_, checksummed) = header.split_at(BatchHeader::CHECKSUM_START);
        checksum(checksummed, &self.body)
    }

    /// Whether the stored checksum is that of the bytes.
    #[must_use]
    pub fn crc_matches(&self) -> bool {
        self.computed_crc() == self.header.crc
    }

    /// Checks the checksum.
    ///
    /// # Errors
    /// `Checksum` with both values.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let computed = self.computed_crc();
        if computed == self.header.crc {
            return Ok(());
        }
        Err(RecordError::Checksum { stored: self.header.crc, computed })
    }

    /// Stores the checksum that the header and body now have. Offset and leader epoch need no sealing.
    pub fn seal(&mut self) {
        self.header.crc = self.computed_crc();
    }

    /// Writes header and body one after another. Copies the body; logs write the two pieces instead.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        out.put_slice(&self.header.to_bytes());
        out.put_slice(&self.body);
    }

    /// The encoded batch in one fresh buffer.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.size());
        self.encode_into(&mut out);
        out.into()
    }
}

/// The batches of a region, see [`Batch::split`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
    failed: bool,
}

impl Batches {
    /// What has not been walked: after an error, the bytes that are not a whole batch.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let next = Batch::take(&mut self.rest);
        self.failed = next.is_err();
        Some(next)
    }
}

/// Walks the headers of a region without touching reference counts: position within the region and header.
///
/// Each yielded batch lies wholly within the region. Ends after the first error.
#[derive(Debug, Clone)]
pub struct HeaderWalk<'a> {
    region: &'a [u8],
    position: usize,
}

impl<'a> HeaderWalk<'a> {
    /// A walk from the first byte of `region`, which must start a batch.
    #[must_use]
    pub fn new(region: &'a [u8]) -> Self {
        Self { region, position: 0 }
    }

    /// Where the next batch starts: the length of the walked, whole batches.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    fn take(&mut self, rest: &[u8]) -> Result<(usize, BatchHeader), RecordError> {
        let header = BatchHeader::parse(rest)?;
        let size = header.size();
        if size > rest.len() {
            return Err(RecordError::Truncated { needed: size as u64, available: rest.len() as u64 });
        }
        let at = self.position;
        self.position += size;
        Ok((at, header))
    }
}

impl Iterator for HeaderWalk<'_> {
    type Item = Result<(usize, BatchHeader), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.region.get(self.position..).filter(|rest| !rest.is_empty())?;
        let next = self.take(rest);
        if next.is_err() {
            self.region = &[];
        }
        Some(next)
    }
}

/// The CRC-32C (Castagnoli, RFC 3720), with which Kafka protects batches and producer snapshots.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    checksum(bytes, &[])
}

/// The CRC-32C of two adjacent pieces.
fn checksum(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(first);
    digest.update(second);
    // A 32-bit algorithm leaves the upper half zero.
    u32::try_from(digest.finalize()).unwrap_or(u32::MAX)
}
