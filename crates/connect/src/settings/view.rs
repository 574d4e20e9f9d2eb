//! Settings in the JSON of Kafka Connect's API.

use serde::Serialize;

use super::parse::typed;
use super::{Config, DefaultValue, FieldError, Importance, Kind, Parsed, Setting, Settings, Width};

/// A declaration, as `/connector-plugins/{plugin}/config` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct DefinitionView {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub required: bool,
    pub default_value: Option<String>,
    pub importance: &'static str,
    pub documentation: String,
    pub group: Option<String>,
    pub order_in_group: i32,
    pub width: &'static str,
    pub display_name: String,
    pub dependents: Vec<String>,
}

/// What was given for a setting, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ValueView {
    pub name: String,
    pub value: Option<String>,
    pub recommended_values: Vec<String>,
    pub errors: Vec<String>,
    pub visible: bool,
}

/// A setting and its value, as a validation answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct SettingView {
    pub definition: DefinitionView,
    pub value: ValueView,
}

impl Settings {
    /// The declarations.
    pub fn definitions(&self) -> Vec<DefinitionView> {
        self.iter().map(Setting::definition).collect()
    }

    /// The declarations with what was given for each, and each one's error.
    pub fn validate(&self, config: &Config) -> Vec<SettingView> {
        let view = |setting: &Setting| SettingView {
            definition: setting.definition(),
            value: setting.value_view(config.get(&setting.name).map(String::as_str)),
        };
        self.iter().map(view).collect()
    }
}

impl Setting {
    fn definition(&self) -> DefinitionView {
        let default_value = match &self.default {
            DefaultValue::Text(text) => Some(text.clone()),
            DefaultValue::Required | DefaultValue::Null => None,
        };
        let titled = !self.display_name.is_empty();
        DefinitionView {
            name: self.name.clone(),
            kind: self.kind.name(),
            required: self.default == DefaultValue::Required,
            default_value,
            importance: self.importance.name(),
            documentation: self.documentation.clone(),
            group: self.group.clone(),
            order_in_group: self.order_in_group,
            width: self.width.name(),
            display_name: if titled { &self.display_name } else { &self.name }.clone(),
            dependents: self.dependents.clone(),
        }
    }

    fn value_view(&self, given: Option<&str>) -> ValueView {
        let mut errors: Vec<String> =
            self.parse(given).err().map(|error| error.message).into_iter().collect();
        // As with Kafka Connect, what is not of the type counts as no value, which the check may refuse as well.
        let mistyped = given.is_some_and(|given| typed(self.kind, given).is_err());
        if mistyped
            && let Some(check) = &self.check
            && let Err(why) = check(&Parsed::Null)
        {
            errors.push(FieldError::invalid(&self.name, "null", &why).message);
        }
        let value = match (&self.default, given) {
            (_, Some(given)) => Some(given.to_owned()).filter(|_| !mistyped),
            (DefaultValue::Text(default), None) => Some(default.clone()),
            (_, None) => None,
        };
        let secret = self.kind == Kind::Password && value.is_some();
        ValueView {
            name: self.name.clone(),
            value: if secret { Some("[hidden]".to_owned()) } else { value },
            recommended_values: self.recommended.clone(),
            errors,
            visible: true,
        }
    }
}

impl Importance {
    fn name(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
}

impl Width {
    fn name(self) -> &'static str {
        match self {
            Width::None => "NONE",
            Width::Short => "SHORT",
            Width::Medium => "MEDIUM",
            Width::Long => "LONG",
        }
    }
}
