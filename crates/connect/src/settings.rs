//! Settings of connectors, transforms and converters: declared once, and from that parsed, validated, documented and
//! served.
//!
//! Words of errors are Kafka Connect's, since tools show them. Every error is reported, not the first.

mod parse;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of a setting, as Kafka's `ConfigDef` has it.
pub use vltava_core::config::ConfigType as Kind;

pub use self::parse::{FieldError, Parsed, Values};
pub use self::view::{DefinitionView, SettingView, ValueView};

/// Settings as they are written: names and text.
pub type Config = BTreeMap<String, String>;

/// What is wrong with a parsed value, if anything.
pub type Check = Arc<dyn Fn(&Parsed) -> Result<(), String> + Send + Sync>;

/// How much a setting matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Everybody sets it.
    High,
    /// Many set it.
    Medium,
    /// Few set it.
    Low,
}

/// How wide a form shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// It does not matter.
    #[default]
    None,
    /// A few characters.
    Short,
    /// A name.
    Medium,
    /// A path or a list.
    Long,
}

/// What a setting is when it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// It must be given.
    Required,
    /// It has no value.
    Null,
    /// It has this one.
    Text(String),
}

/// A setting.
#[derive(Clone)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// What it is when it is not given.
    pub default: DefaultValue,
    /// What it takes beyond its type.
    pub check: Option<Check>,
    /// Values to offer.
    pub recommended: Vec<String>,
    /// How much it matters.
    pub importance: Importance,
    /// What it does.
    pub documentation: String,
    /// The group that forms show it in.
    pub group: Option<String>,
    /// Its place in the group, from 1.
    pub order_in_group: i32,
    /// How wide forms show it.
    pub width: Width,
    /// Its title in forms; empty is its name.
    pub display_name: String,
    /// Settings whose validity depends on it.
    pub dependents: Vec<String>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?} = {:?}", self.name, self.kind, self.default)
    }
}

impl Setting {
    /// A setting that must be given.
    pub fn required(name: impl Into<String>, kind: Kind, documentation: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            default: DefaultValue::Required,
            check: None,
            recommended: Vec::new(),
            importance: Importance::High,
            documentation: documentation.into(),
            group: None,
            order_in_group: -1,
            width: Width::None,
            display_name: String::new(),
            dependents: Vec::new(),
        }
    }

    /// A setting without a value unless it is given one.
    pub fn optional(name: impl Into<String>, kind: Kind, documentation: impl Into<String>) -> Self {
        let setting = Self::required(name, kind, documentation);
        Self { default: DefaultValue::Null, importance: Importance::Medium, ..setting }
    }

    /// A setting with a default.
    pub fn new(
        name: impl Into<String>,
        kind: Kind,
        default: impl Into<String>,
        documentation: impl Into<String>,
    ) -> Self {
        let setting = Self::required(name, kind, documentation);
        Self { default: DefaultValue::Text(default.into()), importance: Importance::Medium, ..setting }
    }

    /// With an importance.
    #[must_use]
    pub fn importance(self, importance: Importance) -> Self {
        Self { importance, ..self }
    }

    /// In a group of forms, at a place there, with a width and a title.
    #[must_use]
    pub fn shown(self, group: &str, order: i32, width: Width, title: &str) -> Self {
        let group = Some(group.to_owned());
        Self { group, order_in_group: order, width, display_name: title.to_owned(), ..self }
    }

    /// With values to offer.
    #[must_use]
    pub fn recommended<T: Into<String>>(self, values: impl IntoIterator<Item = T>) -> Self {
        Self { recommended: values.into_iter().map(Into::into).collect(), ..self }
    }

    /// With settings that depend on it.
    #[must_use]
    pub fn dependents<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        Self { dependents: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// With what it takes beyond its type.
    #[must_use]
    pub fn checked(self, check: impl Fn(&Parsed) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { check: Some(Arc::new(check)), ..self }
    }

    /// At least that.
    #[must_use]
    pub fn at_least(self, least: i64) -> Self {
        self.checked(move |value| match value {
            Parsed::Null => Err("Value must be non-null".to_owned()),
            Parsed::Number(number) if *number < least => Err(format!("Value must be at least {least}")),
            _ => Ok(()),
        })
    }

    /// Between two numbers, both allowed.
    #[must_use]
    pub fn between(self, least: i64, most: i64) -> Self {
        self.checked(move |value| match value {
            Parsed::Null => Err("Value must be non-null".to_owned()),
            Parsed::Number(number) if *number < least => Err(format!("Value must be at least {least}")),
            Parsed::Number(number) if *number > most => Err(format!("Value must be no more than {most}")),
            _ => Ok(()),
        })
    }

    /// One of some texts.
    #[must_use]
    pub fn one_of<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.checked(move |value| match value.text() {
            Some(text) if !texts.iter().any(|known| known == text) => {
                Err(format!("String must be one of: {}", texts.join(", ")))
            }
            _ => Ok(()),
        })
    }

    /// Text with something in it.
    #[must_use]
    pub fn not_empty(self) -> Self {
        self.checked(|value| match value {
            Parsed::String(text) if text.is_empty() => Err("String must be non-empty".to_owned()),
            Parsed::List(list) if list.is_empty() => Err("List must not be empty".to_owned()),
            _ => Ok(()),
        })
    }
}

/// The settings of a plugin, in the order of their declaration. The last one of a name counts.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    list: Vec<Setting>,
}

impl FromIterator<Setting> for Settings {
    fn from_iter<T: IntoIterator<Item = Setting>>(settings: T) -> Self {
        let mut all = Self::default();
        settings.into_iter().for_each(|setting| all.add(setting));
        all
    }
}

impl<const N: usize> From<[Setting; N]> for Settings {
    fn from(settings: [Setting; N]) -> Self {
        settings.into_iter().collect()
    }
}

impl Settings {
    /// None.
    pub fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// Adds one; it takes the place of an older one of its name.
    pub fn add(&mut self, setting: Setting) {
        match self.list.iter_mut().find(|known| known.name == setting.name) {
            Some(known) => *known = setting,
            None => self.list.push(setting),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.list.iter()
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.list.iter().find(|setting| setting.name == name)
    }

    /// The same under names that begin with `prefix`, in a group of forms.
    #[must_use]
    pub fn prefixed(&self, prefix: &str, group: &str) -> Self {
        let under = |setting: &Setting| {
            let mut setting = setting.clone();
            setting.name.insert_str(0, prefix);
            setting.dependents.iter_mut().for_each(|name| name.insert_str(0, prefix));
            setting.group = Some(group.to_owned());
            setting
        };
        self.list.iter().map(under).collect()
    }
}
