//! Gzip (RFC 1952), also of several members in a row as `java.util.zip` reads them.

use std::io::{Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{CHUNK_SIZE, Chunk};
use crate::record::{Compression, RecordError};

pub(super) fn compress(level: Option<i32>, records: &[u8]) -> Result<Vec<u8>, RecordError> {
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or_else(Default::default, flate2::Compression::new);
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(records).and_then(|()| encoder.finish()).map_err(|error| broken(&error))
}

pub(super) struct Decoder<'a>(MultiGzDecoder<&'a [u8]>);

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(MultiGzDecoder::new(body))
    }

    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), RecordError> {
        let room = chunk.room(CHUNK_SIZE);
        chunk.filled = self.0.read(room).map_err(|error| broken(&error))?;
        Ok(())
    }
}

fn broken(error: &std::io::Error) -> RecordError {
    RecordError::Compressed { codec: Compression::Gzip, reason: error.to_string() }
}
