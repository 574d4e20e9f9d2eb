//! The record types of one log become enums that know how the log tells them apart.

use std::fmt::Write as _;

use anyhow::Context;

use super::names;
use super::table::{Kind, Table};

/// How a log tells its record types apart.
#[derive(Clone, Copy)]
pub enum Framing {
    /// The log holds no choice of types.
    None,
    /// Key: the type's number (int16), then the key. Value: its version (int16), then the value.
    Coordinator,
    /// Value: frame version 1, type and version (unsigned varints), then the record.
    Metadata,
}

/// The enums over `tables`, whose names begin with `family`.
pub fn generate(family: &str, framing: Framing, tables: &[&Table]) -> anyhow::Result<String> {
    let of_kind = |kind: Kind| -> anyhow::Result<Vec<Variant>> {
        let mut variants = tables
            .iter()
            .filter(|table| table.kind == kind)
            .map(|table| Variant::of(table))
            .collect::<anyhow::Result<Vec<_>>>()?;
        variants.sort_by_key(|variant| variant.record_type);
        Ok(variants)
    };
    Ok(match framing {
        Framing::None => String::new(),
        Framing::Coordinator => {
            let keys = of_kind(Kind::CoordinatorKey)?;
            let values = of_kind(Kind::CoordinatorValue)?;
            coordinator_key(family, &keys) + &coordinator_value(family, &values)
        }
        Framing::Metadata => metadata(family, &of_kind(Kind::Metadata)?),
    })
}

struct Variant {
    name: String,
    message: String,
    record_type: i16,
}

impl Variant {
    fn of(table: &Table) -> anyhow::Result<Self> {
        let suffix = match table.kind {
            Kind::CoordinatorKey => "Key",
            Kind::CoordinatorValue => "Value",
            _ => "Record",
        };
        Ok(Self {
            name: table.name.trim_end_matches(suffix).to_owned(),
            message: table.name.clone(),
            record_type: table.api_key.with_context(|| format!("{} has no number", table.name))?,
        })
    }
}

fn coordinator_key(family: &str, variants: &[Variant]) -> String {
    let mut code = enumeration(
        &format!("{family}Key"),
        "The key of a record: which of the log's types it has, and what it is about.",
        "Clone, Debug, PartialEq, Eq, Hash",
        variants,
    );
    let decode = arms(variants, |v| {
        format!("{} => Self::{}({}::decode(&mut reader, 0)?)", v.record_type, v.name, v.message)
    });
    let encode = arms(variants, |v| format!("Self::{}(key) => key.encode(&mut writer, 0)?", v.name));
    let _ = write!(
        code,
        "impl {family}Key {{
            {record_type}

            /// Reads a record's key: the number of its type in two bytes, then the key in version 0.
            ///
            /// Bytes behind it are ignored, as Kafka does.
            pub fn decode(bytes: Bytes) -> Result<Self, WireError> {{
                let mut reader = Reader::new(bytes);
                Ok(match reader.i16()? {{
                    {decode}
                    other => return Err(unknown_type(i64::from(other))),
                }})
            }}

            /// The key as it stands in the log.
            pub fn encode(&self) -> Result<Bytes, WireError> {{
                let mut writer = Writer::contiguous();
                writer.i16(self.record_type());
                match self {{ {encode} }}
                writer.into_bytes()
            }}
        }}\n\n",
        record_type = record_type(variants),
    );
    code + &conversions(&format!("{family}Key"), variants) + &unknown_type(family)
}

fn coordinator_value(family: &str, variants: &[Variant]) -> String {
    let mut code = enumeration(
        &format!("{family}Value"),
        "The value of a record, of the same type as its key. A record without a value deletes what its key names.",
        "Clone, Debug, PartialEq, Eq",
        variants,
    );
    let decode = arms(variants, |v| {
        format!("{} => Self::{}({}::decode(&mut reader, version)?)", v.record_type, v.name, v.message)
    });
    let encode =
        arms(variants, |v| format!("Self::{}(value) => value.encode(&mut writer, version)?", v.name));
    let _ = write!(
        code,
        "impl {family}Value {{
            {record_type}

            {versions}

            /// Reads a value, whose type its key tells: its version in two bytes, then the value in that version.
            ///
            /// Returns the version too. Bytes behind it are ignored, as Kafka does.
            pub fn decode(record_type: i16, bytes: Bytes) -> Result<(Self, i16), WireError> {{
                let mut reader = Reader::new(bytes);
                let version = reader.i16()?;
                let value = match record_type {{
                    {decode}
                    other => return Err(unknown_type(i64::from(other))),
                }};
                Ok((value, version))
            }}

            /// The value as it stands in the log.
            pub fn encode(&self, version: i16) -> Result<Bytes, WireError> {{
                let mut writer = Writer::contiguous();
                writer.i16(version);
                match self {{ {encode} }}
                writer.into_bytes()
            }}
        }}\n\n",
        record_type = record_type(variants),
        versions = versions(variants),
    );
    code + &conversions(&format!("{family}Value"), variants)
}

fn metadata(family: &str, variants: &[Variant]) -> String {
    let mut code =
        enumeration(family, "A record of the log, of any of its types.", "Clone, Debug, PartialEq", variants);
    let decode = arms(variants, |v| {
        format!("{} => Self::{}({}::decode(&mut reader, version)?)", v.record_type, v.name, v.message)
    });
    let encode =
        arms(variants, |v| format!("Self::{}(record) => record.encode(&mut writer, version)?", v.name));
    let _ = write!(
        code,
        "impl {family} {{
            /// The version of the frame around every record.
            pub const FRAME_VERSION: u32 = 1;

            {record_type}

            {versions}

            /// Reads a record: frame version, type and version as unsigned varints, then the record, to the end.
            ///
            /// Returns the version too.
            pub fn decode(bytes: Bytes) -> Result<(Self, i16), WireError> {{
                let mut reader = Reader::new(bytes);
                let frame_version = reader.unsigned_varint()?;
                if frame_version != Self::FRAME_VERSION {{
                    let version = i16::try_from(frame_version).unwrap_or(i16::MAX);
                    return Err(WireError::UnsupportedVersion {{ message: \"{family} frame\", version }});
                }}
                let record_type = reader.unsigned_varint()?;
                let version = i16::try_from(reader.unsigned_varint()?).unwrap_or(i16::MAX);
                let record = match record_type {{
                    {decode}
                    other => return Err(unknown_type(i64::from(other))),
                }};
                reader.finish(\"{family}\")?;
                Ok((record, version))
            }}

            /// The record as it stands in the log.
            pub fn encode(&self, version: i16) -> Result<Bytes, WireError> {{
                let mut writer = Writer::contiguous();
                writer.unsigned_varint(Self::FRAME_VERSION);
                writer.unsigned_varint(u32::from(self.record_type().cast_unsigned()));
                writer.unsigned_varint(u32::from(version.cast_unsigned()));
                match self {{ {encode} }}
                writer.into_bytes()
            }}
        }}\n\n",
        record_type = record_type(variants),
        versions = versions(variants),
    );
    code + &conversions(family, variants) + &unknown_type(family)
}

fn enumeration(name: &str, doc: &str, derives: &str, variants: &[Variant]) -> String {
    let rows = arms(variants, |v| {
        format!("/// Type {}: {}.\n{}({})", v.record_type, names::words(&v.name), v.name, v.message)
    });
    format!(
        "/// {doc}\n#[allow(clippy::large_enum_variant)]\n#[derive({derives})]\npub enum {name} {{ {rows} }}\n\n"
    )
}

fn record_type(variants: &[Variant]) -> String {
    let arms = arms(variants, |v| format!("Self::{}(_) => {}", v.name, v.record_type));
    format!(
        "/// The number of the record's type.
        #[must_use]
        pub fn record_type(&self) -> i16 {{ match self {{ {arms} }} }}"
    )
}

fn versions(variants: &[Variant]) -> String {
    // One arm each: equal ranges of different types are a coincidence.
    let arms = arms(variants, |v| format!("Self::{}(_) => {}::VERSIONS", v.name, v.message));
    format!(
        "/// The versions in which a record of this type can be written.
        #[must_use]
        pub fn versions(&self) -> RangeInclusive<i16> {{ match self {{ {arms} }} }}"
    )
}

fn conversions(name: &str, variants: &[Variant]) -> String {
    variants.iter().fold(String::new(), |mut code, v| {
        let _ = write!(
            code,
            "impl From<{message}> for {name} {{ fn from(record: {message}) -> Self {{ Self::{variant}(record) }} }}\n\n",
            message = v.message,
            variant = v.name,
        );
        code
    })
}

fn unknown_type(family: &str) -> String {
    format!(
        "#[cold]
        fn unknown_type(record_type: i64) -> WireError {{
            WireError::UnknownRecordType {{ family: \"{family}\", record_type }}
        }}\n\n"
    )
}

fn arms(variants: &[Variant], arm: impl Fn(&Variant) -> String) -> String {
    variants.iter().fold(String::new(), |mut code, variant| {
        let _ = writeln!(code, "{},", arm(variant));
        code
    })
}
