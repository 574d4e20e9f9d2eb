//! Whether a file claims no more than it may, before the library that reads it allocates what it claims. What a page of gzip
//! claims has to be true as well: the library would unpack whatever comes.
//!
//! The headers of a file and of its pages are structs of Thrift's compact protocol. They are walked without building anything.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::error::ConnectError;

/// How a file ends.
const MAGIC: &[u8] = b"PAR1";
/// The length of the footer, and [`MAGIC`].
const TAIL_BYTES: usize = 8;
/// The most elements of a list in a header.
const LIST_MAX: u64 = 1 << 20;
/// How deep headers nest.
const HEADER_NESTING_MAX: usize = 32;
/// How deep schemas nest.
const SCHEMA_NESTING_MAX: usize = 100;
/// The most bytes of a page that is not compressed any more.
const PAGE_BYTES_MAX: u64 = 64 << 20;
/// The most values of a column that is in lists, in a row group: how many a row has is known only once they are read.
pub(super) const LISTED_VALUES_MAX: u64 = 16 << 20;

/// The encodings of values that are read: plain, with a dictionary (under two names), run lengths.
const ENCODINGS: [i64; 4] = [0, 2, 3, 8];

fn refuse(why: impl std::fmt::Display) -> ConnectError {
    ConnectError::failed(format!("the object is no file of Parquet that is read: {why}"))
}

/// Whether the footer of a file is one, with no more than it may have.
pub(super) fn check_footer(file: &Bytes) -> Result<(), ConnectError> {
    let none = || refuse("it has no footer");
    let (rest, tail) = file.split_at_checked(file.len().wrapping_sub(TAIL_BYTES)).ok_or_else(none)?;
    let (length, magic) = tail.split_at_checked(4).ok_or_else(none)?;
    let length = length.try_into().map(u32::from_le_bytes).map_err(|_| none())? as usize;
    let start = rest.len().checked_sub(length).filter(|_| magic == MAGIC).ok_or_else(none)?;
    let mut header = Header { rest: rest.get(start..).unwrap_or_default() };
    header.footer().ok_or_else(|| refuse("its footer is damaged, or beyond the limits"))
}

/// Whether the pages of a column of a row group are what is read, with no more than they may have.
pub(super) fn check_pages(chunk: &[u8], is_listed: bool, is_gzip: bool) -> Result<(), ConnectError> {
    let (mut header, mut values) = (Header { rest: chunk }, 0);
    while !header.rest.is_empty() {
        let page = header.page().ok_or_else(|| refuse("a page is damaged"))?;
        if page.bytes > PAGE_BYTES_MAX {
            return Err(refuse(format!("a page has more than {PAGE_BYTES_MAX} bytes")));
        }
        if page.is_dictionary && page.values > page.bytes {
            return Err(refuse("a dictionary claims more than it has"));
        }
        if !ENCODINGS.contains(&page.encoding) {
            return Err(refuse(format!("pages are encoded in way {} of the format", page.encoding)));
        }
        if is_gzip && !page.is_plain {
            check_gzip(&page)?;
        }
        values += if page.is_dictionary { 0 } else { page.values };
        if is_listed && values > LISTED_VALUES_MAX {
            return Err(refuse(format!(
                "a column in lists has more than {LISTED_VALUES_MAX} values in a row group"
            )));
        }
    }
    Ok(())
}

/// Whether a page unpacks to no more than it claims.
fn check_gzip(page: &Page) -> Result<(), ConnectError> {
    let packed = page.stored.get(page.level_bytes..).ok_or_else(|| refuse("a page is damaged"))?;
    if packed.is_empty() {
        // There are only levels.
        return Ok(());
    }
    let claimed = page.bytes.saturating_sub(page.level_bytes as u64);
    let mut unpacked = MultiGzDecoder::new(packed).take(claimed + 1);
    match std::io::copy(&mut unpacked, &mut std::io::sink()) {
        Ok(bytes) if bytes <= claimed => Ok(()),
        Ok(_) => Err(refuse("a page has more than it claims")),
        Err(error) => Err(refuse(format!("a page is damaged: {error}"))),
    }
}

/// What the header of a page says, and the page.
#[derive(Default)]
struct Page<'a> {
    is_dictionary: bool,
    /// It is stored as it is, although the column is compressed.
    is_plain: bool,
    bytes: u64,
    /// How many of them are levels, which are stored as they are.
    level_bytes: usize,
    values: u64,
    encoding: i64,
    stored: &'a [u8],
}

/// Structs of the compact protocol. Nothing comes back where they end early or are beyond the limits.
struct Header<'a> {
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// The metadata of a file: its second field is the schema, as a list of what it consists of.
    fn footer(&mut self) -> Option<()> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(&mut last)? {
            if (id, kind) == (2, LIST) {
                self.schema()?;
            } else {
                self.skip(kind, HEADER_NESTING_MAX)?;
            }
        }
        Some(())
    }

    /// Elements in the order of a walk through the tree; the fifth field of each says how many are below it.
    fn schema(&mut self) -> Option<()> {
        let (count, kind) = self.list()?;
        // How many are still to come, of each group around.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..count {
            (kind == STRUCT).then_some(())?;
            let (mut last, mut children) = (0, 0);
            while let Some((id, kind)) = self.field(&mut last)? {
                match (id, kind) {
                    (5, I16 | I32 | I64) => children = self.number()?,
                    _ => self.skip(kind, HEADER_NESTING_MAX)?,
                }
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
            (open.len() <= SCHEMA_NESTING_MAX).then_some(())?;
        }
        Some(())
    }

    /// The header of a page, and over the page.
    fn page(&mut self) -> Option<Page<'a>> {
        let (mut page, mut stored, mut last) = (Page::default(), 0, 0);
        while let Some((id, kind)) = self.field(&mut last)? {
            match (id, kind) {
                (2, I32) => page.bytes = u64::try_from(self.number()?).ok()?,
                (3, I32) => stored = usize::try_from(self.number()?).ok()?,
                // Of data, of a dictionary, and of data in the second version.
                (5 | 7 | 8, STRUCT) => {
                    page.is_dictionary = id == 7;
                    let is_second = id == 8;
                    let encoding_id = if is_second { 4 } else { 2 };
                    let (mut last, mut levels, mut is_plain) = (0, [0; 2], false);
                    while let Some((id, kind)) = self.field(&mut last)? {
                        match (id, kind) {
                            (1, I32) => page.values = u64::try_from(self.number()?).ok()?,
                            (id, I32) if id == encoding_id => page.encoding = self.number()?,
                            (5, I32) if is_second => levels[0] = usize::try_from(self.number()?).ok()?,
                            (6, I32) if is_second => levels[1] = usize::try_from(self.number()?).ok()?,
                            (7, TRUE | FALSE) if is_second => is_plain = kind == FALSE,
                            _ => self.skip(kind, HEADER_NESTING_MAX)?,
                        }
                    }
                    if is_second {
                        page.level_bytes = levels.into_iter().try_fold(0usize, usize::checked_add)?;
                        page.is_plain = is_plain;
                    }
                }
                _ => self.skip(kind, HEADER_NESTING_MAX)?,
            }
        }
        page.stored = self.rest.get(..stored)?;
        self.take(stored)?;
        Some(page)
    }

    /// The number and the type of the next field; nothing within at the end of the struct.
    fn field(&mut self, last: &mut i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => self.number()?,
            further => last.checked_add(further.into())?,
        };
        Some(Some((*last, head & 0x0f)))
    }

    /// How many elements a list has, and of which type.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { (head >> 4).into() };
        (count <= LIST_MAX && count <= self.rest.len() as u64).then_some((count, head & 0x0f))
    }

    fn skip(&mut self, kind: u8, nesting: usize) -> Option<()> {
        let deeper = nesting.checked_sub(1)?;
        match kind {
            TRUE | FALSE => {}
            BYTE => drop(self.byte()?),
            I16 | I32 | I64 => drop(self.varint()?),
            DOUBLE => self.take(8)?,
            BINARY => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)?;
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    // In a list each truth is a byte.
                    self.skip(if matches!(kind, TRUE | FALSE) { BYTE } else { kind }, deeper)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, deeper)?;
                }
            }
            // Headers of Parquet have no maps.
            _ => return None,
        }
        Some(())
    }

    fn take(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

#[cfg(test)]
mod tests {
    use super::{LISTED_VALUES_MAX, PAGE_BYTES_MAX, check_footer, check_pages};

    fn number(bytes: &mut Vec<u8>, number: u64) {
        let mut rest = number << 1;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }

    /// A page of four bytes whose header claims all this.
    fn page(is_dictionary: bool, bytes: u64, values: u64, encoding: u64) -> Vec<u8> {
        let mut page = Vec::new();
        for claimed in [if is_dictionary { 2 } else { 0 }, bytes, 4] {
            page.push(0x15);
            number(&mut page, claimed);
        }
        page.push(if is_dictionary { 0x4c } else { 0x2c });
        for claimed in [values, encoding] {
            page.push(0x15);
            number(&mut page, claimed);
        }
        page.extend([0, 0, 1, 2, 3, 4]);
        page
    }

    #[test]
    fn pages_claim_no_more_than_they_may() {
        let (good, dictionary) = (page(false, 9, 1000, 0), page(true, 9, 9, 0));
        let listed = page(false, 9, LISTED_VALUES_MAX / 2, 8);
        let cases = [
            (Vec::new(), true, None),
            (good.clone(), true, None),
            ([dictionary.clone(), good.clone()].concat(), true, None),
            (page(true, 9, 10, 0), false, Some("claims more")),
            (page(false, PAGE_BYTES_MAX, 1, 3), false, None),
            (page(false, PAGE_BYTES_MAX + 1, 1, 3), false, Some("bytes")),
            (page(false, 9, 1, 5), false, Some("encoded in way 5")),
            (listed.repeat(2), true, None),
            (listed.repeat(3), true, Some("values")),
            (listed.repeat(3), false, None),
            (good[..good.len() - 1].to_vec(), false, Some("damaged")),
            (vec![0x19, 0xff, 0xff, 0xff, 0x7f], false, Some("damaged")),
            (vec![0x1c; 100_000], false, Some("damaged")),
        ];
        for (number, (chunk, is_listed, expected)) in cases.into_iter().enumerate() {
            let told = check_pages(&chunk, is_listed, false).err().map(|error| error.message);
            let is_told = told.as_deref().zip(expected).is_some_and(|(told, why)| told.contains(why));
            assert!(is_told || (told.is_none() && expected.is_none()), "{number}: {told:?}");
        }
    }

    #[test]
    fn what_gzip_claims_is_true() {
        let packed = |bytes: usize| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut packer, &vec![0; bytes]).unwrap();
            packer.finish().unwrap()
        };
        // Of the second version, its levels before what is packed, or all of it as it is.
        let second = |stored: &[u8], bytes: u64, level_bytes: u64, is_plain: bool| {
            let mut page = Vec::new();
            for claimed in [3, bytes, stored.len() as u64] {
                page.push(0x15);
                number(&mut page, claimed);
            }
            page.extend([0x5c, 0x15, 2, 0x15, 0, 0x15, 2, 0x15, 0, 0x15]);
            number(&mut page, level_bytes);
            page.extend([0x15, 0, if is_plain { 0x12 } else { 0x11 }, 0, 0]);
            page.extend(stored);
            page
        };
        // The last of what a header says twice is what counts.
        let twice = |stored: &[u8], told: &[u8]| {
            let mut page = second(stored, 999, 0, false);
            let end = page.len() - stored.len() - 2;
            page.splice(end..end, told.iter().copied());
            page
        };
        let one = packed(1000);
        let two = [packed(600), packed(400)].concat();
        let led = [&[9; 5][..], &one].concat();
        for (number, (page, is_right)) in [
            (second(&one, 1000, 0, false), true),
            (second(&two, 1000, 0, false), true),
            (second(&led, 1005, 5, false), true),
            (second(&one, 999, 0, false), false),
            (second(&two, 999, 0, false), false),
            (second(&led, 1004, 5, false), false),
            (second(&one[..one.len() - 9], 1000, 0, false), false),
            (second(&[1, 2, 3], 3, 0, false), false),
            (second(&[1, 2, 3], 3, 0, true), true),
            (second(&[1, 2, 3], 3, 3, false), true),
            (second(&[1, 2, 3], 3, 4, false), false),
            // The length of levels again: too long, then none.
            (twice(&one, &[0x05, 10, 100, 0x05, 10, 0]), false),
            // It is stored as it is; and then not.
            (twice(&one, &[0x02, 14, 0x01, 14]), false),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(check_pages(&page, false, true).is_ok(), is_right, "{number}");
            assert!(check_pages(&page, false, false).is_ok(), "{number}");
        }
    }

    #[test]
    fn footers_claim_no_more_than_they_may() {
        let file = |footer: &[u8]| {
            let length = (footer.len() as u32).to_le_bytes();
            bytes::Bytes::from([b"PAR1", footer, &length, b"PAR1"].concat())
        };
        // A list of schemas with as many elements as nobody has, and groups that nest without an end.
        let claims = [&[0x29, 0xfc][..], &[0xff; 4], &[0x7f, 0]].concat();
        let nests = [&[0x29, 0xfc, 0xc8, 0x01][..], &[0x55, 0x02, 0].repeat(200), &[0]].concat();
        let shallow = [&[0x29, 0x2c][..], &[0x55, 0x02, 0], &[0], &[0]].concat();
        assert!(check_footer(&file(&shallow)).is_ok());
        for bad in [&claims[..], &nests, &[0x1c; 90_000], &[0x15]] {
            assert!(check_footer(&file(bad)).is_err());
        }
        for none in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"PAR1\0\0\0\0PARE"] {
            assert!(check_footer(&bytes::Bytes::from_static(none)).is_err());
        }
    }
}
