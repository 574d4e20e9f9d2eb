//! Avro's object container files, as its specification has them: a schema, and blocks of records that may be compressed.
//!
//! The same records always give the same file: its marker follows from its schema.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crc_fast::CrcAlgorithm;
use flate2::Compression as Effort;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use md5::{Digest, Md5};
use vltava_core::record::{Compression, compress, decompress};

use crate::converters::{AvroSchema, put_long};
use crate::error::ConnectError;
use crate::record::Datum;

/// How files begin.
const MAGIC: &[u8] = b"Obj\x01";
/// The bytes of a marker.
const MARKER_BYTES: usize = 16;
/// The bytes that end a block that is written.
const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of all blocks of a file that is read, not compressed any more.
const UNPACKED_BYTES_MAX: usize = 256 << 20;
/// The bytes of the checksum behind a block of snappy.
const CHECKSUM_BYTES: usize = 4;

/// How the blocks of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

impl Codec {
    pub(super) const NAMES: [&'static str; 4] = ["null", "deflate", "snappy", "zstandard"];

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard]
            .into_iter()
            .find(|codec| codec.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
        }
    }

    fn pack(self, block: BytesMut) -> Result<Bytes, ConnectError> {
        let failed =
            |why| ConnectError::failed(format!("a block cannot be compressed with {}: {why}", self.name()));
        Ok(match self {
            Self::Null => block.freeze(),
            Self::Deflate => {
                let mut packer = DeflateEncoder::new(Vec::new(), Effort::default());
                let packed = packer.write_all(&block).and_then(|()| packer.finish());
                packed.map_err(|error| failed(error.to_string()))?.into()
            }
            Self::Snappy => {
                let packed = snap::raw::Encoder::new().compress_vec(&block);
                let mut packed = packed.map_err(|error| failed(error.to_string()))?;
                packed.extend_from_slice(&checksum(&block));
                packed.into()
            }
            Self::Zstandard => {
                let packed = compress(Compression::Zstd.into(), &block);
                packed.map_err(|error| failed(error.to_string()))?.into()
            }
        })
    }

    /// What a block was before it was compressed, and no more than so many bytes.
    fn unpack(self, block: Bytes, most: usize) -> Result<Bytes, ConnectError> {
        let damaged =
            |why| ConnectError::failed(format!("a block of the object is no {}: {why}", self.name()));
        let too_large = || {
            ConnectError::failed(format!(
                "the object has more than {UNPACKED_BYTES_MAX} bytes when it is unpacked"
            ))
        };
        let unpacked = match self {
            Self::Null => block,
            Self::Deflate => {
                let mut unpacked = Vec::new();
                let mut rest = DeflateDecoder::new(&*block).take(most as u64 + 1);
                rest.read_to_end(&mut unpacked).map_err(|error| damaged(error.to_string()))?;
                unpacked.into()
            }
            Self::Snappy => {
                let place = block.len().checked_sub(CHECKSUM_BYTES);
                let parts = place.and_then(|place| block.split_at_checked(place));
                let (packed, sum) = parts.ok_or_else(|| damaged("it has no checksum".to_owned()))?;
                let size = snap::raw::decompress_len(packed).map_err(|error| damaged(error.to_string()))?;
                if size > most {
                    return Err(too_large());
                }
                let unpacked = snap::raw::Decoder::new().decompress_vec(packed);
                let unpacked = unpacked.map_err(|error| damaged(error.to_string()))?;
                if checksum(&unpacked) != sum {
                    return Err(damaged("its checksum is another one".to_owned()));
                }
                unpacked.into()
            }
            Self::Zstandard => {
                decompress(Compression::Zstd, &block, most).map_err(|error| damaged(error.to_string()))?
            }
        };
        if unpacked.len() > most { Err(too_large()) } else { Ok(unpacked) }
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let sum = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes);
    u32::try_from(sum).unwrap_or(0).to_be_bytes()
}

/// The file of records, each of which is encoded.
pub(super) fn of<'b>(
    schema: &str,
    codec: Codec,
    records: impl Iterator<Item = &'b Bytes>,
) -> Result<Bytes, ConnectError> {
    let marker = Md5::digest(schema);
    let mut file = BytesMut::new();
    file.put_slice(MAGIC);
    put_long(&mut file, 2);
    for (name, value) in [("avro.codec", codec.name()), ("avro.schema", schema)] {
        for text in [name, value] {
            put_long(&mut file, text.len() as i64);
            file.put_slice(text.as_bytes());
        }
    }
    put_long(&mut file, 0);
    file.put_slice(&marker);
    let (mut count, mut block) = (0, BytesMut::new());
    let mut records = records.peekable();
    while let Some(record) = records.next() {
        block.put_slice(record);
        count += 1;
        if block.len() >= BLOCK_BYTES_MAX || records.peek().is_none() {
            let packed = codec.pack(std::mem::take(&mut block))?;
            put_long(&mut file, std::mem::take(&mut count));
            put_long(&mut file, packed.len() as i64);
            file.put_slice(&packed);
            file.put_slice(&marker);
        }
    }
    Ok(file.freeze())
}

/// The records of a file.
pub(super) fn records(mut rest: Bytes) -> Result<Vec<Datum>, ConnectError> {
    let cut = || ConnectError::failed("the object ends within a container file of Avro");
    if !rest.starts_with(MAGIC) {
        return Err(ConnectError::failed("the object is no container file of Avro"));
    }
    rest.advance(MAGIC.len());
    let (mut schema, mut codec) = (None, Codec::Null);
    loop {
        let count = long(&mut rest).ok_or_else(cut)?;
        if count < 0 {
            // The bytes of the block follow.
            long(&mut rest).ok_or_else(cut)?;
        }
        for _ in 0..count.unsigned_abs() {
            let name = text(&mut rest).ok_or_else(cut)?;
            let value = text(&mut rest).ok_or_else(cut)?;
            match &name[..] {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => {
                    let name = String::from_utf8_lossy(&value);
                    codec = Codec::named(&name).ok_or_else(|| {
                        ConnectError::failed(format!(
                            "the object is compressed with {name}, which is not read"
                        ))
                    })?;
                }
                _ => {}
            }
        }
        if count == 0 {
            break;
        }
    }
    let schema = schema.and_then(|schema| String::from_utf8(schema.into()).ok());
    let schema = AvroSchema::parse(&schema.ok_or_else(|| ConnectError::failed("the object has no schema"))?)?;
    let marker = taken(&mut rest, MARKER_BYTES).ok_or_else(cut)?;
    let (mut records, mut left) = (Vec::new(), UNPACKED_BYTES_MAX);
    while rest.has_remaining() {
        let count = long(&mut rest).ok_or_else(cut)?;
        let length = long(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
        let block = codec.unpack(taken(&mut rest, length).ok_or_else(cut)?, left)?;
        left -= block.len();
        records.extend(schema.decode_all(count, &block)?);
        if taken(&mut rest, MARKER_BYTES).ok_or_else(cut)? != marker {
            return Err(ConnectError::failed("a block of the object does not end where it should"));
        }
    }
    Ok(records)
}

fn taken(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn text(rest: &mut Bytes) -> Option<Bytes> {
    let length = long(rest)?;
    taken(rest, usize::try_from(length).ok()?)
}

fn long(rest: &mut Bytes) -> Option<i64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = rest.has_remaining().then(|| rest.get_u8())?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_never_become_more_than_they_may() {
        let block = Bytes::from(vec![7; 1 << 20]);
        for codec in Codec::NAMES.map(|name| Codec::named(name).unwrap()) {
            let packed = codec.pack(BytesMut::from(&*block)).unwrap();
            assert_eq!(codec.unpack(packed.clone(), block.len()).unwrap(), block);
            assert!(codec.unpack(packed.clone(), block.len() - 1).is_err(), "{codec:?}");
            if codec == Codec::Null {
                continue;
            }
            assert!(packed.len() < block.len() / 10, "{codec:?}");
            for length in [0, 3, 4, packed.len() / 2, packed.len() - 1] {
                let cut = codec.unpack(packed.slice(..length), block.len());
                assert!(cut.is_err(), "{codec:?} reads the first {length} bytes of {}", packed.len());
            }
        }
        let mut packed = Codec::Snappy.pack(BytesMut::from(&*block)).unwrap().to_vec();
        *packed.last_mut().unwrap() ^= 1;
        let told = Codec::Snappy.unpack(packed.into(), block.len()).unwrap_err();
        assert!(told.message.contains("checksum"), "{told}");
    }

    /// Bytes that others wrote for this text.
    #[test]
    fn blocks_of_others_are_read() {
        let text = b"Vltava Vltava Vltava";
        let hex = |text: &str| {
            let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Bytes>()
        };
        for (codec, packed) in [
            (Codec::Deflate, "0bcb29492c4b540843a600"),
            (Codec::Snappy, "144c566c7461766120566c7461766120566c746176619579a825"),
            (Codec::Zstandard, "28b52ffd20146d000038566c746176612001003a8a11"),
        ] {
            assert_eq!(&codec.unpack(hex(packed), 100).unwrap()[..], text, "{codec:?}");
        }
    }
}
