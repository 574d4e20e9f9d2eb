use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn text(size: usize) -> Vec<u8> {
    let line = br#"{"id":12345,"user":"somebody","amount":17.25,"tags":["a","b"]} "#;
    line.iter().copied().enumerate().cycle().take(size).map(|(i, b)| b ^ u8::from(i % 61 == 7)).collect()
}

const COMPRESSED: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn check_round_trip(codec: Codec, plain: &[u8]) {
    let body = Bytes::from(compress(codec, plain).unwrap());
    let out = decompress(codec.compression, &body, plain.len()).unwrap();
    assert!(out == plain, "{codec:?} with {} bytes", plain.len());
    if !plain.is_empty() {
        let refused = decompress(codec.compression, &body, plain.len() - 1);
        assert!(matches!(refused, Err(RecordError::TooLarge { .. })), "{codec:?} with {} bytes", plain.len());
    }
}

#[test]
fn every_codec_gives_back_what_it_took_and_keeps_to_the_limit() {
    for compression in COMPRESSED {
        for size in [0, 1, 100, 32 << 10, (64 << 10) + 1, 300_000] {
            check_round_trip(compression.into(), &text(size));
        }
    }
    for level in [1, 9] {
        check_round_trip(Codec { compression: Compression::Gzip, level: Some(level) }, &text(10_000));
    }
    for level in [-5, 1, 19] {
        check_round_trip(Codec { compression: Compression::Zstd, level: Some(level) }, &text(10_000));
    }
}

#[test]
fn streams_of_other_clients_are_read() {
    let plain = text(100_000);
    let raw_snappy = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    let xerial = snappy::compress(&plain).unwrap();
    let two_members =
        [gzip::compress(Some(1), &plain).unwrap(), gzip::compress(None, &plain).unwrap()].concat();
    let two_frames =
        [zstandard::compress(None, &plain).unwrap(), zstandard::compress(Some(1), &plain).unwrap()].concat();
    let twice = plain.repeat(2);
    for (codec, body, expected) in [
        (Compression::Snappy, raw_snappy, &plain),
        (Compression::Snappy, xerial.repeat(2), &twice),
        (Compression::Gzip, two_members, &twice),
        (Compression::Zstd, two_frames, &twice),
    ] {
        let out = decompress(codec, &body.into(), DECOMPRESSED_SIZE_MAX).unwrap();
        assert!(out == *expected, "{codec:?}");
    }
}

fn lz4_frame(plain: &[u8], info: lz4_flex::frame::FrameInfo) -> Bytes {
    use std::io::Write;
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().into()
}

#[test]
fn lz4_frames_with_and_without_checksums_and_sizes_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
    let plain = text(400_000);
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        for (block, content) in [(false, false), (true, false), (false, true), (true, true)] {
            let info = FrameInfo::new().block_size(size).block_checksums(block).content_checksum(content);
            for info in [info.clone(), info.content_size(Some(plain.len() as u64))] {
                let out =
                    decompress(Compression::Lz4, &lz4_frame(&plain, info), DECOMPRESSED_SIZE_MAX).unwrap();
                assert!(out == plain);
            }
        }
    }
    let linked = lz4_frame(&plain, FrameInfo::new().block_mode(BlockMode::Linked));
    assert!(decompress(Compression::Lz4, &linked, DECOMPRESSED_SIZE_MAX).is_err());
}

#[test]
fn our_lz4_frames_are_read_by_another_reader() {
    use std::io::Read;
    let plain =
        [text(200_000), (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()]
            .concat();
    let body = lz4::compress(&plain).unwrap();
    assert_eq!(body[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    let mut out = Vec::new();
    lz4_flex::frame::FrameDecoder::new(&body[..]).read_to_end(&mut out).unwrap();
    assert!(out == plain);
}

#[test]
fn a_bomb_is_refused_in_the_memory_of_a_chunk() {
    let zeros = vec![0; 64 << 20];
    for codec in COMPRESSED {
        let bomb = compress(codec.into(), &zeros).unwrap();
        let size_max = 1 << 20;
        let refused = stream(codec, &bomb, size_max, |source| {
            while source.refill()? {
                assert!(source.chunk.buffer.len() <= CHUNK_KEPT_MAX);
                source.consume_all();
            }
            Ok(source.decoded)
        });
        assert_eq!(refused, Err(RecordError::TooLarge { size_max }), "{codec:?}");
    }
}

#[test]
fn sizes_that_are_only_claimed_are_not_allocated() {
    // A raw snappy block of 10 bytes that claims 4 GiB, and an lz4 frame of 4 MiB blocks with 3 bytes in one.
    let snappy: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
    let descriptor = [0x60, 0x70];
    let checksum = (xxhash::xxh32(&descriptor) >> 8) as u8;
    let lz4 = [&[0x04, 0x22, 0x4d, 0x18][..], &descriptor, &[checksum, 3, 0, 0, 0, 1, 2, 3]].concat();
    for (codec, body) in [(Compression::Snappy, snappy), (Compression::Lz4, &lz4)] {
        CHUNK.take();
        assert!(matches!(
            decompress(codec, &Bytes::copy_from_slice(body), DECOMPRESSED_SIZE_MAX),
            Err(RecordError::Compressed { .. })
        ));
        assert!(CHUNK.take().buffer.len() < 2 * CHUNK_SIZE, "{codec:?}");
    }
}

#[test]
fn a_cut_stream_is_an_error() {
    let plain = text(200_000);
    for codec in COMPRESSED {
        let body = Bytes::from(compress(codec.into(), &plain).unwrap());
        for left in [0, 3, 7, 20, body.len() / 2, body.len() - 1] {
            let cut = decompress(codec, &body.slice(..left), DECOMPRESSED_SIZE_MAX);
            let empty_input = left == 0 && cut.as_ref().is_ok_and(Bytes::is_empty);
            assert!(cut.is_err() || empty_input, "{codec:?} cut to {left}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_survive_any_codec(plain in prop::collection::vec(any::<u8>(), 0..5000), codec in 0usize..4) {
        check_round_trip(COMPRESSED[codec].into(), &plain);
    }

    #[test]
    fn mutated_streams_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), codec in 0usize..4) {
        let mut body = compress(COMPRESSED[codec].into(), &text(3000)).unwrap();
        for (at, value) in flips {
            let at = at.index(body.len());
            body[at] = value;
        }
        let _ = decompress(COMPRESSED[codec], &body.into(), 1 << 20);
    }
}
