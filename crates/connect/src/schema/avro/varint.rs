//! Whole numbers as Avro writes them: zigzag, seven bits in each byte, the lowest first.

/// Most bytes of a number.
const BYTES_MAX: usize = 10;

/// Appends a number.
#[inline]
pub(super) fn write(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

/// The number that the bytes start with, and what follows it; `None` when it does not end, or has more than 64 bits.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Option<(i64, &[u8])> {
    match bytes {
        [byte @ 0..=0x7f, rest @ ..] => Some((signed(u64::from(*byte)), rest)),
        _ => read_long(bytes),
    }
}

fn read_long(mut bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number = 0_u64;
    for place in 0..BYTES_MAX {
        let (byte, rest) = bytes.split_first()?;
        let bits = u64::from(byte & 0x7f);
        if place == BYTES_MAX - 1 && bits > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some((signed(number), rest));
        }
        bytes = rest;
    }
    None
}

#[inline]
fn signed(zigzag: u64) -> i64 {
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}
