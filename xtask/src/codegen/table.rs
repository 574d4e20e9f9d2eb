//! The message tables as they stand in `crates/protocol/messages`: one JSON object per message.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// One message or record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// The number of the API, or of the record type within its log.
    pub api_key: Option<i16>,
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(default)]
    pub listeners: Vec<Listener>,
    pub name: String,
    pub valid_versions: Versions,
    #[serde(default)]
    pub flexible_versions: Versions,
    /// The highest version may change until it is released.
    #[serde(default)]
    pub latest_version_unstable: bool,
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Structures that several fields share.
    #[serde(default)]
    pub common_structs: Vec<CommonStruct>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Request,
    Response,
    Header,
    Metadata,
    CoordinatorKey,
    CoordinatorValue,
    Data,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Listener {
    Broker,
    Controller,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommonStruct {
    pub name: String,
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    versions: Option<Versions>,
    #[serde(default)]
    pub nullable_versions: Versions,
    #[serde(default)]
    pub tagged_versions: Versions,
    pub tag: Option<u32>,
    /// Text, number or bool; none for the type's own default. JSON's null counts as none, the text "null" does not.
    pub default: Option<serde_json::Value>,
    /// A version that lacks the field may drop its value.
    #[serde(default)]
    pub ignorable: bool,
    pub entity_type: Option<String>,
    /// Kafka's classes keep such arrays as maps; the bytes are the same.
    #[serde(default, rename = "mapKey")]
    _map_key: bool,
    /// Every payload is a slice of its frame here.
    #[serde(default, rename = "zeroCopy")]
    _zero_copy: bool,
    pub flexible_versions: Option<Versions>,
    #[serde(default)]
    pub fields: Vec<Field>,
}

impl Field {
    /// The versions that have the field, tagged or not.
    pub fn versions(&self) -> Versions {
        self.versions.unwrap_or(self.tagged_versions)
    }

    /// The versions that have the field in its place among the others. Tagged versions are always the last ones.
    pub fn placed_versions(&self) -> Versions {
        match (self.versions().0, self.tagged_versions.0) {
            (Some((first, _)), Some((tagged, _))) if first < tagged => Versions(Some((first, tagged - 1))),
            (_, Some(_)) => Versions(None),
            (versions, None) => Versions(versions),
        }
    }

    pub fn kind(&self) -> anyhow::Result<Type> {
        Type::parse(&self.type_name)
    }

    /// The default as text, empty for the type's own.
    pub fn default_text(&self) -> anyhow::Result<String> {
        Ok(match &self.default {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => value.to_string(),
            Some(other) => bail!("field {}: {other} is not a default", self.name),
        })
    }
}

/// A range of versions, both ends included, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Versions(pub Option<(i16, i16)>);

impl Versions {
    pub fn intersect(self, other: Self) -> Self {
        let (Some((a, b)), Some((c, d))) = (self.0, other.0) else { return Self(None) };
        Self(Some((a.max(c), b.min(d))).filter(|(first, last)| first <= last))
    }

    pub fn contains(self, version: i16) -> bool {
        self.0.is_some_and(|(first, last)| (first..=last).contains(&version))
    }

    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.0.into_iter().flat_map(|(first, last)| first..=last)
    }
}

impl TryFrom<String> for Versions {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        if text == "none" {
            return Ok(Self(None));
        }
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (first.parse()?, last.parse()?),
            None => match text.strip_suffix('+') {
                Some(first) => (first.parse()?, i16::MAX),
                None => (text.parse()?, text.parse()?),
            },
        };
        ensure!(first <= last, "{text} is no range of versions");
        Ok(Self(Some((first, last))))
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(name: &str) -> anyhow::Result<Self> {
        if let Some(item) = name.strip_prefix("[]") {
            return Ok(Self::Array(Box::new(Self::parse(item)?)));
        }
        Ok(match name {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            other if other.starts_with(char::is_uppercase) => Self::Struct(other.to_owned()),
            other => bail!("{other} is no type"),
        })
    }

    /// The structure that this is, or that the elements are.
    pub fn structure(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(item) => item.structure(),
            _ => None,
        }
    }
}

/// Reads all tables of one folder, in order of their names, without the ones that have no version left.
pub fn read_folder(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Table)>> {
    let mut paths = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut tables = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let table: Table =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        if table.valid_versions.0.is_some() {
            tables.push((path, table));
        }
    }
    Ok(tables)
}
