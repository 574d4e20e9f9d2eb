//! From text to values, with every error.

use std::collections::HashMap;

use super::{Config, DefaultValue, Kind, Setting, Settings};
use crate::error::ConnectError;

/// A value of a setting.
#[derive(Clone, PartialEq)]
pub enum Parsed {
    /// None.
    Null,
    /// Of [`Kind::Boolean`].
    Boolean(bool),
    /// Of [`Kind::String`], [`Kind::Class`] and [`Kind::Password`].
    String(String),
    /// Of [`Kind::Int`], [`Kind::Short`] and [`Kind::Long`].
    Number(i64),
    /// Of [`Kind::Double`].
    Double(f64),
    /// Of [`Kind::List`].
    List(Vec<String>),
}

impl Parsed {
    /// The number, if it is one.
    pub fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The setting.
    pub field: String,
    /// What is wrong, in Kafka Connect's words.
    pub message: String,
}

impl FieldError {
    /// An error of a setting.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// All that is wrong, where settings were validated before, as in a task.
    pub(crate) fn all(errors: Vec<FieldError>) -> ConnectError {
        let all: Vec<String> = errors.into_iter().map(|error| error.message).collect();
        ConnectError::config(all.join("\n"))
    }

    /// A value that the setting cannot have.
    pub fn invalid(field: &str, value: &str, why: &str) -> Self {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Self::new(field, format!("Invalid value {value} for configuration {field}{why}"))
    }
}

/// Settings with their types. What was not declared is in [`Values::raw`] only.
#[derive(Clone, PartialEq)]
pub struct Values {
    raw: Config,
    parsed: HashMap<String, Parsed>,
}

impl std::fmt::Debug for Values {
    /// Names only: values may be secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.raw.keys()).finish()
    }
}

impl Settings {
    /// Parses all of them.
    ///
    /// # Errors
    /// All that is wrong, in the order of the declarations.
    pub fn parse(&self, config: &Config) -> Result<Values, Vec<FieldError>> {
        let (mut parsed, mut errors) = (HashMap::new(), Vec::new());
        for setting in self.iter() {
            match setting.parse(config.get(&setting.name).map(String::as_str)) {
                Ok(value) => drop(parsed.insert(setting.name.clone(), value)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Values { raw: config.clone(), parsed }) } else { Err(errors) }
    }

    /// [`Settings::parse`] where the settings were validated before, as in a task.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) with all that is wrong in its message.
    pub fn values(&self, config: &Config) -> Result<Values, ConnectError> {
        self.parse(config).map_err(FieldError::all)
    }
}

impl Setting {
    /// The value that `given` stands for.
    ///
    /// # Errors
    /// When it is missing, not of the type, or refused by the check.
    pub fn parse(&self, given: Option<&str>) -> Result<Parsed, FieldError> {
        let text = match (given, &self.default) {
            (Some(given), _) => given,
            (None, DefaultValue::Text(default)) => default,
            (None, DefaultValue::Null) => return Ok(Parsed::Null),
            (None, DefaultValue::Required) => {
                let name = &self.name;
                let message =
                    format!("Missing required configuration \"{name}\" which has no default value.");
                return Err(FieldError::new(name, message));
            }
        };
        let shown = if self.kind == Kind::Password { "[hidden]" } else { text };
        let refuse = |why: &str| FieldError::invalid(&self.name, shown, why);
        let value = typed(self.kind, text).map_err(|why| refuse(&why))?;
        if let Some(check) = &self.check {
            check(&value).map_err(|why| {
                let listed = matches!(value, Parsed::List(_));
                let shown = if listed { format!("[{}]", list(text).join(", ")) } else { shown.to_owned() };
                FieldError::invalid(&self.name, &shown, &why)
            })?;
        }
        Ok(value)
    }
}

pub(super) fn typed(kind: Kind, text: &str) -> Result<Parsed, String> {
    let trimmed = text.trim();
    let number = |name: &str, least: i64, most: i64| match trimmed.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Parsed::Number(number)),
        _ => Err(format!("Not a number of type {name}")),
    };
    match kind {
        Kind::Boolean => match trimmed {
            _ if trimmed.eq_ignore_ascii_case("true") => Ok(Parsed::Boolean(true)),
            _ if trimmed.eq_ignore_ascii_case("false") => Ok(Parsed::Boolean(false)),
            _ => Err("Expected value to be either true or false".to_owned()),
        },
        Kind::String | Kind::Class | Kind::Password => Ok(Parsed::String(trimmed.to_owned())),
        Kind::Short => number("SHORT", i16::MIN.into(), i16::MAX.into()),
        Kind::Int => number("INT", i32::MIN.into(), i32::MAX.into()),
        Kind::Long => number("LONG", i64::MIN, i64::MAX),
        Kind::Double => match trimmed.parse() {
            Ok(number) => Ok(Parsed::Double(number)),
            Err(_) => Err("Not a number of type DOUBLE".to_owned()),
        },
        Kind::List => Ok(Parsed::List(list(text))),
    }
}

fn list(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.trim().split(',').map(|item| item.trim().to_owned()).collect()
}

impl Values {
    /// What was given, also names that nobody declared.
    pub fn raw(&self) -> &Config {
        &self.raw
    }

    /// A text, class or password.
    ///
    /// # Errors
    /// When the setting is not declared as that, or has no value; so for all that follow.
    pub fn string(&self, name: &str) -> Result<&str, ConnectError> {
        self.optional_string(name)?.ok_or_else(|| misused(name))
    }

    /// A text, class or password that may have no value.
    ///
    /// # Errors
    /// When the setting is not declared as that; so for all that follow with `optional`.
    pub fn optional_string(&self, name: &str) -> Result<Option<&str>, ConnectError> {
        match self.get(name)? {
            Parsed::Null => Ok(None),
            Parsed::String(text) => Ok(Some(text)),
            _ => Err(misused(name)),
        }
    }

    /// A whole number of any size.
    ///
    /// # Errors
    /// As [`Values::string`].
    pub fn number(&self, name: &str) -> Result<i64, ConnectError> {
        self.optional_number(name)?.ok_or_else(|| misused(name))
    }

    /// A whole number that may have no value.
    ///
    /// # Errors
    /// As [`Values::optional_string`].
    pub fn optional_number(&self, name: &str) -> Result<Option<i64>, ConnectError> {
        match self.get(name)? {
            Parsed::Null => Ok(None),
            Parsed::Number(number) => Ok(Some(*number)),
            _ => Err(misused(name)),
        }
    }

    /// A floating-point number.
    ///
    /// # Errors
    /// As [`Values::string`].
    pub fn double(&self, name: &str) -> Result<f64, ConnectError> {
        if let Parsed::Double(number) = self.get(name)? { Ok(*number) } else { Err(misused(name)) }
    }

    /// True or false.
    ///
    /// # Errors
    /// As [`Values::string`].
    pub fn boolean(&self, name: &str) -> Result<bool, ConnectError> {
        if let Parsed::Boolean(value) = self.get(name)? { Ok(*value) } else { Err(misused(name)) }
    }

    /// A list; one without a value is empty.
    ///
    /// # Errors
    /// As [`Values::string`].
    pub fn list(&self, name: &str) -> Result<&[String], ConnectError> {
        match self.get(name)? {
            Parsed::Null => Ok(&[]),
            Parsed::List(list) => Ok(list),
            _ => Err(misused(name)),
        }
    }

    fn get(&self, name: &str) -> Result<&Parsed, ConnectError> {
        self.parsed.get(name).ok_or_else(|| ConnectError::config(format!("Unknown configuration '{name}'")))
    }
}

fn misused(name: &str) -> ConnectError {
    ConnectError::config(format!("The setting {name} is not of the type that is asked for, or has no value"))
}
