use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::Value;

/// A message table, as far as the bytes of a message depend on it.
#[derive(Clone, Debug)]
pub struct Table {
    /// The message's name.
    pub name: String,
    /// The number of the API or record type.
    pub api_key: Option<i16>,
    /// What the table calls its type, such as `request`.
    pub kind: String,
    /// The lowest and highest version.
    pub versions: RangeInclusive<i16>,
    pub(super) flexible: Versions,
    pub(super) fields: Vec<Field>,
    common: Vec<(String, Vec<Field>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub type_name: String,
    pub versions: Versions,
    pub nullable: Versions,
    pub tagged: Versions,
    pub flexible: Option<Versions>,
    pub tag: u32,
    /// Empty is the type's own default.
    pub default: String,
    pub fields: Vec<Field>,
}

/// A range of versions, empty if the first is above the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions(i16, i16);

impl Versions {
    pub const NONE: Self = Self(1, 0);

    pub fn contains(self, version: i16) -> bool {
        (self.0..=self.1).contains(&version)
    }

    fn of(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        Some(match (text.split_once('-'), text.strip_suffix('+')) {
            _ if text == "none" => Self::NONE,
            (Some((first, last)), _) => Self(first.parse().ok()?, last.parse().ok()?),
            (None, Some(first)) => Self(first.parse().ok()?, i16::MAX),
            (None, None) => Self(text.parse().ok()?, text.parse().ok()?),
        })
    }
}

impl Table {
    /// The fields of a structure: the field's own, or those the message's fields share.
    pub(super) fn structure<'a>(&'a self, field: &'a Field) -> &'a [Field] {
        if !field.fields.is_empty() {
            return &field.fields;
        }
        let name = field.type_name.trim_start_matches("[]");
        self.common
            .iter()
            .find(|(common, _)| common == name)
            .map_or_else(|| panic!("{}: no structure {name}", self.name), |(_, fields)| fields)
    }

    fn of(value: &Value) -> Option<Self> {
        let Versions(first, last) = Versions::of(&value["validVersions"])?;
        let common = value["commonStructs"].as_array().into_iter().flatten();
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            api_key: value["apiKey"].as_i64().and_then(|key| i16::try_from(key).ok()),
            kind: value["type"].as_str()?.to_owned(),
            versions: first..=last,
            flexible: Versions::of(&value["flexibleVersions"]).unwrap_or(Versions::NONE),
            fields: fields(&value["fields"])?,
            common: common
                .map(|common| Some((common["name"].as_str()?.to_owned(), fields(&common["fields"])?)))
                .collect::<Option<_>>()?,
        })
    }
}

fn fields(value: &Value) -> Option<Vec<Field>> {
    value.as_array().into_iter().flatten().map(field).collect()
}

fn field(value: &Value) -> Option<Field> {
    let tagged = Versions::of(&value["taggedVersions"]).unwrap_or(Versions::NONE);
    Some(Field {
        type_name: value["type"].as_str()?.to_owned(),
        versions: Versions::of(&value["versions"]).unwrap_or(tagged),
        nullable: Versions::of(&value["nullableVersions"]).unwrap_or(Versions::NONE),
        tagged,
        flexible: Versions::of(&value["flexibleVersions"]),
        tag: value["tag"].as_u64().and_then(|tag| u32::try_from(tag).ok()).unwrap_or_default(),
        // JSON's null is no default at all; the text "null" is null.
        default: match &value["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        fields: fields(&value["fields"])?,
    })
}

pub(super) fn read_all(messages: &Path) -> Vec<Table> {
    let list = |folder: &Path| {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        paths.sort();
        paths
    };
    let mut tables = Vec::new();
    for path in list(messages).iter().flat_map(|folder| list(folder)) {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if value["validVersions"] != "none" {
            tables.push(Table::of(&value).unwrap_or_else(|| panic!("{} is no table", path.display())));
        }
    }
    tables
}
