//! The settings that every connector has, and those that they imply: of transforms, predicates and groups of topics.

use std::sync::Arc;

use crate::plugins::{Factory, Implementation, Plugin, Plugins};
use crate::settings::{Config, DefaultValue, FieldError, Importance, Kind, Parsed, Setting, Settings, Width};

const COMMON: &str = "Common";
const TRANSFORMS: &str = "Transforms";
const PREDICATES: &str = "Predicates";
const ERRORS: &str = "Error Handling";
const TOPIC_CREATION: &str = "Topic Creation";
const EXACTLY_ONCE: &str = "Exactly Once Support";
const OFFSETS_TOPIC: &str = "offsets.topic";

/// The most transforms, predicates or groups of a connector.
const ALIASES_MAX: usize = 100;

/// The settings that all connectors of the plugin's kind have.
pub fn settings(plugin: &Plugin) -> Settings {
    let mut all = of_all(plugin.version);
    match plugin.implementation {
        Implementation::Source(_) => of_sources().into_iter().for_each(|setting| all.add(setting)),
        _ => of_sinks().into_iter().for_each(|setting| all.add(setting)),
    }
    all
}

fn of_all(version: &str) -> Settings {
    use Importance::{High, Low};
    let converter = |which: &str, title: &str, order| {
        let text = format!("The converter of {which}; the worker's unless it is given.");
        Setting::optional(format!("{which}.converter"), Kind::Class, text).importance(Low).shown(
            COMMON,
            order,
            Width::Short,
            &format!("{title} converter class"),
        )
    };
    let converter_version =
        |which: &str, title: &str, order| {
            let name = format!("{which}.converter.plugin.version");
            Setting::optional(name, Kind::String, "Its version, or a range of versions.")
                .importance(Low)
                .shown(COMMON, order, Width::Short, &format!("{title} converter version"))
        };
    let aliases = |name: &str, group: &str, order, title: &str| {
        let text = format!("Names for {name}, in the order in which they apply.");
        Setting::new(name, Kind::List, "", text)
            .importance(Low)
            .shown(group, order, Width::Long, title)
            .checked(unique)
    };
    Settings::from([
        Setting::required("name", Kind::String, "The name of the connector.")
            .shown(COMMON, 1, Width::Medium, "Connector name")
            .checked(named),
        Setting::required(
            "connector.class",
            Kind::String,
            "The class of the connector, or a short name of it.",
        )
        .shown(COMMON, 2, Width::Long, "Connector class"),
        Setting::new("connector.plugin.version", Kind::String, version, "The version of the connector.")
            .recommended([version])
            .shown(COMMON, 3, Width::Medium, "Connector version"),
        Setting::new("tasks.max", Kind::Int, "1", "The most tasks.").importance(High).at_least(1).shown(
            COMMON,
            4,
            Width::Short,
            "Tasks max",
        ),
        Setting::new(
            "tasks.max.enforce",
            Kind::Boolean,
            "true",
            "Whether a connector that makes more tasks fails.",
        )
        .importance(Low)
        .shown(COMMON, 5, Width::Short, "Enforce tasks max"),
        converter("key", "Key", 6),
        converter_version("key", "Key", 7),
        converter("value", "Value", 8),
        converter_version("value", "Value", 9),
        converter("header", "Header", 10),
        converter_version("header", "Header", 11),
        aliases("transforms", TRANSFORMS, 12, TRANSFORMS),
        aliases("predicates", PREDICATES, 13, PREDICATES),
        Setting::new("config.action.reload", Kind::String, "restart", "What happens when a secret changes.")
            .importance(Low)
            .one_of(["none", "restart"])
            .shown(COMMON, 14, Width::Medium, "Reload Action"),
        Setting::new(
            "errors.retry.timeout",
            Kind::Long,
            "0",
            "How long a failed step is tried, in ms; -1 is for ever.",
        )
        .shown(ERRORS, 1, Width::Medium, "Retry Timeout for Errors"),
        Setting::new("errors.retry.delay.max.ms", Kind::Long, "60000", "The longest pause between tries.")
            .shown(ERRORS, 2, Width::Medium, "Maximum Delay Between Retries for Errors"),
        Setting::new(
            "errors.tolerance",
            Kind::String,
            "none",
            "Whether records that cannot be handled are skipped.",
        )
        .one_of(["none", "all"])
        .shown(ERRORS, 3, Width::Short, "Error Tolerance"),
        Setting::new("errors.log.enable", Kind::Boolean, "false", "Whether tolerated errors are logged.")
            .shown(ERRORS, 4, Width::Short, "Log Errors"),
        Setting::new(
            "errors.log.include.messages",
            Kind::Boolean,
            "false",
            "Whether the log names the record.",
        )
        .shown(ERRORS, 5, Width::Short, "Log Error Details"),
    ])
}

fn of_sources() -> [Setting; 5] {
    use Importance::Low;
    [
        Setting::new("topic.creation.groups", Kind::List, "", "Groups of topics that are created alike.")
            .importance(Low)
            .checked(unique)
            .shown(TOPIC_CREATION, 1, Width::Long, "Topic Creation Groups"),
        Setting::new(
            "exactly.once.support",
            Kind::String,
            "requested",
            "Whether exactly once is a condition.",
        )
        .one_of(["requested", "required"])
        .shown(EXACTLY_ONCE, 2, Width::Short, "Exactly once support"),
        Setting::new("transaction.boundary", Kind::String, "poll", "Where transactions end.")
            .one_of(["poll", "interval", "connector"])
            .shown(EXACTLY_ONCE, 3, Width::Short, "Transaction Boundary"),
        Setting::optional("transaction.boundary.interval.ms", Kind::Long, "How long a transaction lasts.")
            .importance(Low)
            .at_least(0)
            .shown(EXACTLY_ONCE, 4, Width::Short, "Transaction boundary interval"),
        Setting::optional(
            "offsets.storage.topic",
            Kind::String,
            "A topic for the offsets of this connector.",
        )
        .importance(Low)
        .not_empty()
        .shown(OFFSETS_TOPIC, 1, Width::Long, "Offsets topic"),
    ]
}

fn of_sinks() -> [Setting; 5] {
    [
        Setting::new("topics", Kind::List, "", "The topics to read.").importance(Importance::High).shown(
            COMMON,
            4,
            Width::Long,
            "Topics",
        ),
        Setting::new("topics.regex", Kind::String, "", "A pattern of the topics to read.")
            .importance(Importance::High)
            .checked(pattern)
            .shown(COMMON, 4, Width::Long, "Topics regex"),
        Setting::new(
            "errors.deadletterqueue.topic.name",
            Kind::String,
            "",
            "Where records go that cannot be handled.",
        )
        .shown(ERRORS, 6, Width::Medium, "Dead Letter Queue Topic Name"),
        Setting::new(
            "errors.deadletterqueue.topic.replication.factor",
            Kind::Short,
            "3",
            "Replicas of that topic.",
        )
        .shown(ERRORS, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor"),
        Setting::new(
            "errors.deadletterqueue.context.headers.enable",
            Kind::Boolean,
            "false",
            "Whether headers tell what went wrong.",
        )
        .shown(ERRORS, 8, Width::Medium, "Enable Error Context Headers"),
    ]
}

fn unique(value: &Parsed) -> Result<(), String> {
    let Parsed::List(list) = value else { return Ok(()) };
    let mut sorted: Vec<_> = list.iter().collect();
    sorted.sort();
    sorted.dedup();
    match () {
        () if sorted.len() < list.len() => Err("Duplicate alias provided.".to_owned()),
        () if list.len() > ALIASES_MAX => Err(format!("There can be at most {ALIASES_MAX}")),
        () => Ok(()),
    }
}

fn named(value: &Parsed) -> Result<(), String> {
    match value.text() {
        Some("") => Err("String may not be empty".to_owned()),
        Some(text) if text.chars().any(char::is_control) => {
            Err("String may not contain control sequences".to_owned())
        }
        _ => Ok(()),
    }
}

fn pattern(value: &Parsed) -> Result<(), String> {
    let Some(text) = value.text() else { return Ok(()) };
    regex::Regex::new(text).map(drop).map_err(|_| "Invalid regex".to_owned())
}

/// The settings of a connector, with those of the transforms, predicates and groups that its settings name.
pub fn enriched(plugin: &Plugin, plugins: &Plugins, config: &Config) -> Settings {
    let mut all = settings(plugin);
    for (name, own) in converters(plugins, config) {
        add(&mut all, own.iter().cloned().collect(), &format!("{name}."), "Converters");
    }
    for alias in aliases(config, "transforms") {
        let (prefix, group) = (format!("transforms.{alias}."), format!("Transforms: {alias}"));
        let class = config.get(&format!("{prefix}type"));
        let factory = class.and_then(|class| plugins.transform(class));
        let mut own = typed("Transformation", &alias, names(plugins, "transformation"), factory.is_some());
        own.extend(factory.iter().flat_map(|factory| factory.settings().iter().cloned()));
        if factory.is_some() {
            let text = "Whether the transform applies where the predicate does not.";
            own.push(Setting::new("negate", Kind::Boolean, "false", text));
            let text = "The alias of the predicate that says where the transform applies.";
            own.push(Setting::optional("predicate", Kind::String, text));
        }
        add(&mut all, own, &prefix, &group);
    }
    for alias in aliases(config, "predicates") {
        let (prefix, group) = (format!("predicates.{alias}."), format!("Predicates: {alias}"));
        let factory = config.get(&format!("{prefix}type")).and_then(|class| plugins.predicate(class));
        let mut own = typed("Predicate", &alias, names(plugins, "predicate"), factory.is_some());
        own.extend(factory.iter().flat_map(|factory| factory.settings().iter().cloned()));
        add(&mut all, own, &prefix, &group);
    }
    if matches!(plugin.implementation, Implementation::Source(_)) && creates_topics(config) {
        let mut groups = aliases(config, "topic.creation.groups");
        groups.push("default".to_owned());
        for group in groups {
            add(
                &mut all,
                creation(&group),
                &format!("topic.creation.{group}."),
                &format!("Topic Creation: {group}"),
            );
        }
    }
    all
}

/// The settings of the converters that a connector chooses itself, with what each is below.
fn converters(plugins: &Plugins, config: &Config) -> Vec<(&'static str, Settings)> {
    let found = ["key.converter", "value.converter", "header.converter"].into_iter().filter_map(|name| {
        let class = config.get(name)?;
        let settings = match name {
            "header.converter" => plugins.header_converter(class)?.settings(),
            _ => plugins.converter(class)?.settings(),
        };
        Some((name, settings.clone()))
    });
    found.collect()
}

/// What the converters that a connector chooses itself may not touch.
pub fn refused(plugins: &Plugins, config: &Config) -> Vec<FieldError> {
    let refused = ["key.converter", "value.converter"].into_iter().flat_map(|name| {
        let factory = config.get(name).and_then(|class| plugins.converter(class));
        let errors = factory.map(|factory| factory.refused(&below(config, &format!("{name}."))));
        let below = move |error: FieldError| FieldError { field: format!("{name}.{}", error.field), ..error };
        errors.into_iter().flatten().map(below)
    });
    refused.collect()
}

/// Whether the settings of a source say how topics are created.
pub fn creates_topics(config: &Config) -> bool {
    ["partitions", "replication.factor"]
        .iter()
        .any(|what| config.contains_key(&format!("topic.creation.default.{what}")))
}

fn creation(group: &str) -> Vec<Setting> {
    let default = group == "default";
    let counted = |name: &str, kind, text: &str| {
        let setting =
            if default { Setting::required(name, kind, text) } else { Setting::optional(name, kind, text) };
        setting.importance(Importance::Low).checked(|value| match value.number() {
            Some(number) if number == 0 || number < -1 => Err("Value must be -1 or at least 1".to_owned()),
            _ => Ok(()),
        })
    };
    let mut own = Vec::new();
    if !default {
        own.push(Setting::required("include", Kind::List, "Patterns of topics of the group."));
        own.push(Setting::new("exclude", Kind::List, "", "Patterns of topics that are not of the group."));
    }
    own.push(counted(
        "replication.factor",
        Kind::Short,
        "Replicas of the topics; -1 is the broker's default.",
    ));
    own.push(counted("partitions", Kind::Int, "Partitions of the topics; -1 is the broker's default."));
    own
}

fn typed(what: &str, alias: &str, known: Vec<&'static str>, found: bool) -> Vec<Setting> {
    let title = format!("{what} type for {alias}");
    let kind = Setting::required("type", Kind::Class, format!("The class of {alias}."));
    let kind = Setting { width: Width::Long, display_name: title, ..kind.recommended(known) };
    let kind = kind.checked(move |value| match value.text() {
        Some(class) if !found => Err(format!("Class {class} could not be found.")),
        _ => Ok(()),
    });
    let version = Setting::optional("plugin.version", Kind::String, format!("The version of {alias}."));
    let title = format!("{what} version for {alias}");
    let version =
        Setting { width: Width::Long, display_name: title, importance: Importance::High, ..version };
    vec![kind, version]
}

fn names(plugins: &Plugins, kind: &str) -> Vec<&'static str> {
    plugins.iter().filter(|row| row.implementation.kind() == kind).map(|row| row.class).collect()
}

fn add(all: &mut Settings, own: Vec<Setting>, prefix: &str, group: &str) {
    for (order, setting) in own.into_iter().enumerate() {
        let display_name = match setting.display_name.is_empty() {
            true => setting.name.clone(),
            false => setting.display_name.clone(),
        };
        let order_in_group = i32::try_from(order).unwrap_or(i32::MAX);
        let group = Some(group.to_owned());
        let name = format!("{prefix}{}", setting.name);
        all.add(Setting { name, group, order_in_group, display_name, ..setting });
    }
}

/// The aliases that a list names, each once.
pub fn aliases(config: &Config, name: &str) -> Vec<String> {
    let mut aliases: Vec<String> = Vec::new();
    for alias in config.get(name).map(|list| list.split(',')).into_iter().flatten() {
        let alias = alias.trim();
        if !alias.is_empty() && !aliases.iter().any(|known| known == alias) && aliases.len() < ALIASES_MAX {
            aliases.push(alias.to_owned());
        }
    }
    aliases
}

/// The settings below a prefix, without it.
pub fn below(config: &Config, prefix: &str) -> Config {
    let cut =
        |(name, value): (&String, &String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
    config.iter().filter_map(cut).collect()
}

/// Makes a plugin with the settings below a prefix.
pub fn made<T: ?Sized>(
    factory: Option<&Arc<Factory<T>>>,
    class: &str,
    config: &Config,
) -> Result<Box<T>, crate::error::ConnectError> {
    let missing = || crate::error::ConnectError::config(format!("Class {class} could not be found."));
    let factory = factory.ok_or_else(missing)?;
    factory.make(&factory.settings().values(config)?)
}

/// The converter of headers of a worker that names none.
const HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Defaults that depend on the worker: its converters, and the versions of those that are chosen.
pub fn with_defaults(settings: &mut Settings, plugins: &Plugins, worker: &Config, config: &Config) {
    for (which, kind) in [("key", "converter"), ("value", "converter"), ("header", "header_converter")] {
        let name = format!("{which}.converter");
        let built_in = (which == "header").then_some(HEADER_CONVERTER);
        let default = worker.get(&name).map(String::as_str).or(built_in);
        let chosen = config.get(&name).map(String::as_str).or(default);
        let row = plugins.iter().find(|row| {
            row.implementation.kind() == kind && chosen.is_some_and(|class| row.is_called(class))
        });
        if let Some(setting) = settings.get(&name).cloned() {
            settings.add(setting.recommended(names(plugins, kind)));
        }
        set_default(settings, &name, default);
        set_default(settings, &format!("{name}.plugin.version"), row.map(|row| row.version));
    }
}

fn set_default(settings: &mut Settings, name: &str, default: Option<&str>) {
    if let (Some(setting), Some(default)) = (settings.get(name), default) {
        let default = DefaultValue::Text(default.to_owned());
        settings.add(Setting { default, ..setting.clone() });
    }
}
