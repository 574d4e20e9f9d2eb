use super::byte;
use super::table::{Field, Table};
use crate::testing::Random;
use crate::wire::ITEMS_RESERVED_MAX;

/// How full a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density {
    /// A few elements in every array, all kinds of values.
    Sparse,
    /// Many elements with as little in each as possible: what takes the most memory for its bytes.
    Dense,
}

/// The bytes of a random message of `version`.
#[must_use]
pub fn sample(table: &Table, version: i16, random: &mut Random, density: Density) -> Vec<u8> {
    let mut sampler =
        Sampler { table, version, random, density, depth: 0, budget: ITEMS_RESERVED_MAX + 1000 };
    sampler.structure(&table.fields).bytes
}

/// Bytes of a value, and whether the value is the default of its field.
struct Sampled {
    bytes: Vec<u8>,
    is_default: bool,
}

struct Sampler<'a> {
    table: &'a Table,
    version: i16,
    random: &'a mut Random,
    density: Density,
    depth: usize,
    /// How many more elements the whole message may have.
    budget: usize,
}

impl Sampler<'_> {
    fn structure(&mut self, fields: &[Field]) -> Sampled {
        let mut whole = Sampled { bytes: Vec::new(), is_default: true };
        let mut tagged = Vec::new();
        let version = self.version;
        for field in fields.iter().filter(|field| field.versions.contains(version)) {
            if field.tagged.contains(self.version) {
                let value = self.field(field);
                if !value.is_default && self.random.once_in(2) && self.density == Density::Sparse {
                    tagged.push((field.tag, value.bytes));
                }
                continue;
            }
            let value = self.field(field);
            whole.is_default &= value.is_default;
            whole.bytes.extend(value.bytes);
        }
        if self.table.flexible.contains(self.version) {
            whole.is_default &= tagged.is_empty();
            tagged.sort();
            whole.bytes.extend(unsigned_varint(tagged.len()));
            for (tag, bytes) in tagged {
                whole.bytes.extend(unsigned_varint(tag as usize));
                whole.bytes.extend(unsigned_varint(bytes.len()));
                whole.bytes.extend(bytes);
            }
        }
        whole
    }

    fn field(&mut self, field: &Field) -> Sampled {
        let nullable = field.nullable.contains(self.version);
        if nullable && self.random.once_in(4) {
            let bytes = self.null(field);
            return Sampled { bytes, is_default: field.default == "null" };
        }
        let mut value = self.value(field, &field.type_name);
        if field.default == "null" || field.type_name == "records" {
            value.is_default = false;
        }
        if nullable && is_structure(&field.type_name) {
            value.bytes.insert(0, 1);
        }
        value
    }

    fn flexible(&self, field: &Field) -> bool {
        field.flexible.unwrap_or(self.table.flexible).contains(self.version)
    }

    fn null(&self, field: &Field) -> Vec<u8> {
        if is_structure(&field.type_name) {
            vec![if field.tagged.contains(self.version) { 0 } else { 0xff }]
        } else if self.flexible(field) {
            vec![0]
        } else if field.type_name == "string" {
            vec![0xff; 2]
        } else {
            vec![0xff; 4]
        }
    }

    fn value(&mut self, field: &Field, type_name: &str) -> Sampled {
        if let Some(item) = type_name.strip_prefix("[]") {
            return self.array(field, item);
        }
        match type_name {
            "bool" => {
                let value = self.density == Density::Sparse && self.random.once_in(2);
                Sampled { bytes: vec![u8::from(value)], is_default: value == (field.default == "true") }
            }
            "int8" => self.integer(field, 1),
            "int16" | "uint16" => self.integer(field, 2),
            "int32" | "uint32" => self.integer(field, 4),
            "int64" => self.integer(field, 8),
            "float64" => {
                let value = self.random.below(1000) as f64 / 8.0;
                Sampled { bytes: value.to_be_bytes().to_vec(), is_default: value == 0.0 }
            }
            "uuid" => {
                let zero = self.random.once_in(4);
                let bytes: Vec<u8> = (0..16).map(|_| if zero { 0 } else { byte(self.random) }).collect();
                Sampled { is_default: bytes.iter().all(|byte| *byte == 0), bytes }
            }
            "string" => {
                let text = self.text();
                let is_default = text == field.default;
                Sampled { bytes: self.prefixed(field, 2, text.into_bytes()), is_default }
            }
            "bytes" | "records" => {
                let length = match self.density {
                    Density::Dense => 0,
                    Density::Sparse if self.random.once_in(16) => 3000,
                    Density::Sparse => self.random.below(20),
                };
                let content: Vec<u8> = (0..length).map(|_| byte(self.random)).collect();
                let is_default = content.is_empty();
                Sampled { bytes: self.prefixed(field, 4, content), is_default }
            }
            _ => self.structure(self.table.structure(field)),
        }
    }

    fn array(&mut self, field: &Field, item: &str) -> Sampled {
        let wanted = match (self.density, self.depth) {
            // More than a reader reserves at once, so that it has to grow.
            (Density::Dense, 0) if self.random.once_in(4) => ITEMS_RESERVED_MAX + 8,
            (Density::Dense, 0) => 200,
            (Density::Dense, 1) => 30,
            (Density::Dense, _) => 10,
            (Density::Sparse, depth) if depth < 2 && self.random.once_in(24) => 140,
            (Density::Sparse, depth) => self.random.below(if depth < 3 { 4 } else { 2 }),
        };
        let count = wanted.min(self.budget);
        self.budget -= count;
        let mut bytes = if self.flexible(field) {
            unsigned_varint(count + 1)
        } else {
            (count as u32).to_be_bytes().to_vec()
        };
        self.depth += 1;
        for _ in 0..count {
            bytes.extend(self.value(field, item).bytes);
        }
        self.depth -= 1;
        Sampled { bytes, is_default: count == 0 }
    }

    fn integer(&mut self, field: &Field, width: usize) -> Sampled {
        let default = match field.default.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).unwrap_or_default(),
            None => field.default.parse().unwrap_or_default(),
        };
        let value: u64 = match self.random.below(8) {
            0 => default.cast_unsigned(),
            1 => u64::MAX,
            2 => 0x7fff_ffff_ffff_ffff,
            3 => 1 << 63 | 1 << 31 | 1 << 15 | 1 << 7,
            4 | 5 => self.random.below(300) as u64,
            _ => self.random.bits(),
        };
        let skipped = size_of::<u64>() - width;
        let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip(skipped).collect();
        let is_default = default.to_be_bytes().into_iter().skip(skipped).eq(bytes.iter().copied());
        Sampled { bytes, is_default }
    }

    fn text(&mut self) -> String {
        let length = match self.density {
            Density::Dense => 0,
            Density::Sparse if self.random.once_in(20) => 200,
            Density::Sparse => self.random.below(10),
        };
        (0..length).map(|_| ['a', 'Z', '-', '7', 'ž', 'λ', '火', '🌊'][self.random.below(8)]).collect()
    }

    /// `content` behind its length, which is `width` bytes wide unless it is compact.
    fn prefixed(&self, field: &Field, width: usize, content: Vec<u8>) -> Vec<u8> {
        let mut bytes = if self.flexible(field) {
            unsigned_varint(content.len() + 1)
        } else {
            content.len().to_be_bytes().into_iter().skip(size_of::<usize>() - width).collect()
        };
        bytes.extend(content);
        bytes
    }
}

fn is_structure(type_name: &str) -> bool {
    type_name.starts_with(char::is_uppercase)
}

fn unsigned_varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
