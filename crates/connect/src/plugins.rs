//! The table of plugins: one row each, with the name of Kafka's class and shorter ones.

use std::fmt;
use std::sync::Arc;

use crate::connector::{Connector, SinkConnector, SourceConnector};
use crate::convert::{Converter, HeaderConverter};
use crate::error::ConnectError;
use crate::settings::{Config, FieldError, Settings, Values};
use crate::transform::{Predicate, Transform};

/// Makes plugins of a kind out of their settings.
pub struct Factory<T: ?Sized> {
    settings: Settings,
    make: Box<Make<T>>,
    refuse: Box<Refuse>,
}

type Make<T> = dyn Fn(&Values) -> Result<Box<T>, ConnectError> + Send + Sync;
type Refuse = dyn Fn(&Config) -> Vec<FieldError> + Send + Sync;

impl<T: ?Sized> Factory<T> {
    /// A factory for plugins with these settings.
    pub fn new(
        settings: Settings,
        make: impl Fn(&Values) -> Result<Box<T>, ConnectError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::guarded(settings, make, |_| Vec::new())
    }

    /// A factory for plugins that touch what not everybody may: `refuse` finds what is wrong with the settings of a connector.
    /// The settings of the worker itself are not held to it.
    pub fn guarded(
        settings: Settings,
        make: impl Fn(&Values) -> Result<Box<T>, ConnectError> + Send + Sync + 'static,
        refuse: impl Fn(&Config) -> Vec<FieldError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { settings, make: Box::new(make), refuse: Box::new(refuse) })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a connector may not set so.
    pub fn refused(&self, config: &Config) -> Vec<FieldError> {
        (self.refuse)(config)
    }

    /// Makes one.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn make(&self, values: &Values) -> Result<Box<T>, ConnectError> {
        (self.make)(values)
    }
}

impl<T: ?Sized> fmt::Debug for Factory<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Factory").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a plugin is.
#[derive(Clone, Debug)]
pub enum Implementation {
    /// Reads into topics.
    Source(Arc<dyn SourceConnector>),
    /// Writes from topics.
    Sink(Arc<dyn SinkConnector>),
    /// Changes records.
    Transform(Arc<Factory<dyn Transform>>),
    /// Says which records are changed.
    Predicate(Arc<Factory<dyn Predicate>>),
    /// Converts keys and values.
    Converter(Arc<Factory<dyn Converter>>),
    /// Converts headers.
    HeaderConverter(Arc<Factory<dyn HeaderConverter>>),
}

impl Implementation {
    /// Its kind, as the API lists it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Sink(_) => "sink",
            Self::Transform(_) => "transformation",
            Self::Predicate(_) => "predicate",
            Self::Converter(_) => "converter",
            Self::HeaderConverter(_) => "header_converter",
        }
    }

    /// Its own settings.
    pub fn settings(&self) -> Settings {
        match self {
            Self::Source(source) => source.settings(),
            Self::Sink(sink) => sink.settings(),
            Self::Transform(factory) => factory.settings().clone(),
            Self::Predicate(factory) => factory.settings().clone(),
            Self::Converter(factory) => factory.settings().clone(),
            Self::HeaderConverter(factory) => factory.settings().clone(),
        }
    }

    /// The connector, if it is one.
    pub fn connector(&self) -> Option<&dyn Connector> {
        match self {
            Self::Source(source) => Some(&**source),
            Self::Sink(sink) => Some(&**sink),
            _ => None,
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The name of the class: Kafka's, for what Kafka ships.
    pub class: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is.
    pub implementation: Implementation,
}

/// Words that may be left out at the end of a class's short name.
const SUFFIXES: [&str; 4] = ["Connector", "Converter", "Transformation", "Predicate"];

impl Plugin {
    /// Whether `name` means this plugin: its class, the last part of that, or that part without the word for its kind
    /// (`FileStreamSource`).
    pub fn is_called(&self, name: &str) -> bool {
        let short = self.class.rsplit(['.', '$']).next().unwrap_or(self.class);
        let after_package = self.class.rsplit('.').next().unwrap_or(self.class);
        let stem = SUFFIXES.iter().find_map(|suffix| after_package.strip_suffix(suffix));
        name == self.class
            || name == after_package
            || stem == Some(name)
            || (short != "Key" && short != "Value" && name == short)
    }
}

/// All plugins, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    rows: Vec<Plugin>,
}

impl Plugins {
    /// Adds a row. A class that is there already is replaced.
    pub fn add(&mut self, plugin: Plugin) {
        match self.rows.iter_mut().find(|known| same_place(known, &plugin)) {
            Some(known) => *known = plugin,
            None => self.rows.push(plugin),
        }
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.rows.iter()
    }

    /// The connector of that name.
    pub fn connector(&self, name: &str) -> Option<&Plugin> {
        self.rows.iter().find(|row| row.implementation.connector().is_some() && row.is_called(name))
    }

    /// The transform of that name.
    pub fn transform(&self, name: &str) -> Option<&Arc<Factory<dyn Transform>>> {
        self.called(name).find_map(|row| match &row.implementation {
            Implementation::Transform(factory) => Some(factory),
            _ => None,
        })
    }

    /// The predicate of that name.
    pub fn predicate(&self, name: &str) -> Option<&Arc<Factory<dyn Predicate>>> {
        self.called(name).find_map(|row| match &row.implementation {
            Implementation::Predicate(factory) => Some(factory),
            _ => None,
        })
    }

    /// The converter of that name.
    pub fn converter(&self, name: &str) -> Option<&Arc<Factory<dyn Converter>>> {
        self.called(name).find_map(|row| match &row.implementation {
            Implementation::Converter(factory) => Some(factory),
            _ => None,
        })
    }

    /// The converter of headers of that name.
    pub fn header_converter(&self, name: &str) -> Option<&Arc<Factory<dyn HeaderConverter>>> {
        self.called(name).find_map(|row| match &row.implementation {
            Implementation::HeaderConverter(factory) => Some(factory),
            _ => None,
        })
    }

    fn called(&self, name: &str) -> impl Iterator<Item = &Plugin> {
        self.rows.iter().filter(move |row| row.is_called(name))
    }
}

/// A class may be several things: a converter of values that converts headers too.
fn same_place(one: &Plugin, other: &Plugin) -> bool {
    one.class == other.class && one.implementation.kind() == other.implementation.kind()
}
