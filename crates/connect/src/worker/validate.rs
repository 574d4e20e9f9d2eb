//! Validating the settings of a connector: every error, by field.

use serde::Serialize;

use super::common;
use super::error::WorkerError;
use super::settings::WorkerSettings;
use super::task;
use crate::plugins::{Implementation, Plugin, Plugins};
use crate::settings::{Config, FieldError, Kind, Setting, SettingView, Settings};

/// What is wrong with settings, if anything, as the API answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The class that was validated.
    pub name: String,
    /// How many errors there are.
    pub error_count: usize,
    /// The groups of settings, in the order of forms.
    pub groups: Vec<String>,
    /// The settings.
    pub configs: Vec<SettingView>,
}

impl Validation {
    /// The same when these settings were given without a value.
    #[must_use]
    pub fn lacking(mut self, nulls: &[String]) -> Self {
        let given: Config = nulls.iter().map(|name| (name.clone(), String::new())).collect();
        for name in nulls {
            let message = "Null value can not be supplied as the configuration value.";
            note(&mut self.configs, &given, FieldError::new(name, message));
            if let Some(view) = self.configs.iter_mut().find(|view| view.definition.name == *name) {
                view.value.value = None;
            }
        }
        self.error_count += nulls.len();
        self
    }

    /// The error of a request that would have used these settings.
    pub fn refusal(&self) -> Option<WorkerError> {
        if self.error_count == 0 {
            return None;
        }
        let errors = self.configs.iter().flat_map(|setting| &setting.value.errors);
        let list: Vec<&str> = errors.map(String::as_str).collect();
        Some(WorkerError::BadRequest(format!(
            "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the \
             above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
            self.error_count,
            list.join("\n")
        )))
    }
}

/// The plugin that settings name.
///
/// # Errors
/// When they name none, or one that is not there.
pub fn plugin<'a>(plugins: &'a Plugins, config: &Config) -> Result<&'a Plugin, WorkerError> {
    let Some(class) = config.get("connector.class") else {
        let shown: Vec<String> = config.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let message = format!("Connector config {{{}}} contains no connector type", shown.join(", "));
        return Err(WorkerError::BadRequest(message));
    };
    plugins.connector(class).ok_or_else(|| {
        let known = plugins.iter().filter(|row| row.implementation.connector().is_some());
        let known: Vec<&str> = known.map(|row| row.class).collect();
        WorkerError::BadRequest(format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors \
             are: {}",
            known.join(", ")
        ))
    })
}

/// Validates settings, with the worker's as defaults. What stands for a value is validated as that value, and shown as it is.
///
/// # Errors
/// When they name no connector.
pub async fn validate(
    plugins: &Plugins,
    settings: &WorkerSettings,
    given: &Config,
) -> Result<Validation, WorkerError> {
    let worker = &settings.config;
    let config =
        &settings.providers.resolve(given).map_err(|error| WorkerError::BadRequest(error.message))?;
    let plugin = plugin(plugins, given)?;
    let mut common = common::enriched(plugin, plugins, config);
    common::with_defaults(&mut common, plugins, worker, config);
    let own = plugin.implementation.settings();
    let mut configs = common.validate(config);
    configs
        .extend(own.validate(config).into_iter().filter(|view| common.get(&view.definition.name).is_none()));
    let mut further = across(plugin, plugins, worker, config);
    further.extend(settings.overrides.refused(config));
    further.extend(common::refused(plugins, config));
    if let (Some(connector), Ok(values)) = (plugin.implementation.connector(), own.parse(config)) {
        further.extend(connector.validate(&values).await);
        further.extend(exactly_once(plugin, &values, config, worker));
    }
    for error in further {
        note(&mut configs, config, error);
    }
    let mut groups: Vec<String> = Vec::new();
    for group in configs.iter().filter_map(|view| view.definition.group.as_ref()) {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    for view in &mut configs {
        let text = given.get(&view.definition.name).filter(|text| settings.providers.stands_for(text));
        if let Some(text) = text {
            view.value.value = Some(text.clone());
            // Messages repeat values.
            view.value
                .errors
                .iter_mut()
                .for_each(|error| *error = format!("{}: {text} is refused", view.definition.name));
        }
    }
    let error_count = configs.iter().map(|view| view.value.errors.len()).sum();
    let name = config.get("connector.class").cloned().unwrap_or_default();
    Ok(Validation { name, error_count, groups, configs })
}

/// Beside the setting that it concerns, also where that is given without being declared; or beside the class.
fn note(configs: &mut Vec<SettingView>, config: &Config, error: FieldError) {
    let named = |name: &str| configs.iter().position(|view| view.definition.name == name);
    let known = named(&error.field);
    if known.is_none() && config.contains_key(&error.field) {
        // Nobody says that it is no secret.
        let given = Setting::optional(error.field, Kind::Password, "It is not declared.");
        configs.extend(Settings::from([given]).validate(config));
        configs.last_mut().into_iter().for_each(|view| view.value.errors.push(error.message.clone()));
        return;
    }
    let at = known.or_else(|| named("connector.class"));
    if let Some(view) = at.and_then(|at| configs.get_mut(at)) {
        view.value.errors.push(error.message);
    }
}

fn across(plugin: &Plugin, plugins: &Plugins, worker: &Config, config: &Config) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let given = |name: &str| config.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    for which in ["key.converter", "value.converter"] {
        let class = config.get(which).or_else(|| worker.get(which));
        if let Some(class) = class.filter(|class| plugins.converter(class).is_none()) {
            errors.push(FieldError::invalid(which, class, &format!("Class {class} could not be found.")));
        }
    }
    if let Some(class) =
        config.get("header.converter").filter(|class| plugins.header_converter(class).is_none())
    {
        errors.push(FieldError::invalid(
            "header.converter",
            class,
            &format!("Class {class} could not be found."),
        ));
    }
    let predicates = common::aliases(config, "predicates");
    for alias in common::aliases(config, "transforms") {
        let name = format!("transforms.{alias}.predicate");
        if let Some(predicate) = given(&name).filter(|named| !predicates.iter().any(|known| known == named)) {
            errors.push(FieldError::invalid(&name, predicate, "Predicate is not in the list of predicates"));
        }
    }
    if matches!(plugin.implementation, Implementation::Sink(_)) {
        errors.extend(topics(
            given("topics"),
            given("topics.regex"),
            given("errors.deadletterqueue.topic.name"),
        ));
    }
    if given("offsets.storage.topic").is_some() && matches!(plugin.implementation, Implementation::Source(_))
    {
        let why = "Offsets are kept in the worker's topic here; leave it out";
        errors.push(FieldError::new("offsets.storage.topic", why));
    }
    errors
}

fn topics(topics: Option<&str>, regex: Option<&str>, dead: Option<&str>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (topics, regex) {
        (None, None) => {
            let why = "Must configure one of topics or topics.regex";
            errors.extend(["topics", "topics.regex"].map(|field| FieldError::new(field, why)));
        }
        (Some(_), Some(_)) => {
            let why = "topics and topics.regex are mutually exclusive options, but both are set.";
            errors.extend(["topics", "topics.regex"].map(|field| FieldError::new(field, why)));
        }
        _ => {}
    }
    let Some(dead) = dead else { return errors };
    let list: Vec<&str> = topics.into_iter().flat_map(|list| list.split(',')).map(str::trim).collect();
    let matches = |pattern: &str| task::whole(pattern).is_ok_and(|pattern| pattern.is_match(dead));
    let read = match regex.filter(|pattern| matches(pattern)) {
        Some(pattern) => format!("regex matching the topics ('topics.regex={pattern}')"),
        None if list.contains(&dead) => format!("list of topics ('topics=[{}]')", list.join(", ")),
        None => return errors,
    };
    let why = format!("The DLQ topic '{dead}' may not be included in the {read} consumed by the connector");
    errors.push(FieldError::new("errors.deadletterqueue.topic.name", why));
    errors
}

fn exactly_once(
    plugin: &Plugin,
    values: &crate::settings::Values,
    config: &Config,
    worker: &Config,
) -> Vec<FieldError> {
    use crate::connector::ExactlyOnce;
    let Implementation::Source(source) = &plugin.implementation else { return Vec::new() };
    let mut errors = Vec::new();
    let enabled = worker.get("exactly.once.source.support").is_some_and(|mode| mode == "enabled");
    if config.get("exactly.once.support").is_some_and(|support| support == "required") {
        let why = match source.exactly_once(values) {
            _ if !enabled => Some("This worker does not have exactly-once source support enabled."),
            ExactlyOnce::Supported => None,
            ExactlyOnce::Unsupported => {
                Some("The connector does not support exactly-once semantics with the provided configuration.")
            }
            ExactlyOnce::Unknown => {
                Some("The connector does not say whether it supports exactly-once semantics.")
            }
        };
        errors.extend(why.map(|why| FieldError::new("exactly.once.support", why)));
    }
    let boundary = config.get("transaction.boundary");
    if boundary.is_some_and(|boundary| boundary == "connector") && !source.defines_transactions(values) {
        let why = "The connector does not support connector-defined transaction boundaries with the given configuration.";
        errors.push(FieldError::new("transaction.boundary", why));
    }
    errors
}
