//! Which topics, groups and settings of topics are copied.

use crate::error::ConnectError;
use crate::notation::pattern::Pattern;
use crate::settings::{Parsed, Values};

use super::policy::Policy;

/// Names and patterns of what is copied, and of what is not, which counts more.
#[derive(Debug)]
pub(super) struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Filter {
    /// By the setting `include`, and the one with `.exclude` behind its name.
    pub(super) fn new(values: &Values, include: &str) -> Result<Self, ConnectError> {
        Ok(Self {
            include: patterns(values.list(include)?)?,
            exclude: patterns(values.list(&format!("{include}.exclude"))?)?,
        })
    }

    pub(super) fn takes(&self, name: &str) -> Result<bool, ConnectError> {
        Ok(any(&self.include, name)? && !any(&self.exclude, name)?)
    }
}

/// Which topics a source copies.
#[derive(Debug)]
pub(super) struct TopicFilter {
    filter: Filter,
    policy: Policy,
    target: String,
    heartbeats: bool,
}

impl TopicFilter {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self {
            filter: Filter::new(values, "topics")?,
            policy: Policy::new(values)?,
            target: values.string("target.cluster.alias")?.to_owned(),
            heartbeats: values.boolean("heartbeats.replication.enabled")?,
        })
    }

    pub(super) fn takes(&self, topic: &str) -> Result<bool, ConnectError> {
        let policy = &self.policy;
        if policy.is_internal(topic) || policy.returns(&self.target, topic) {
            return Ok(false);
        }
        Ok((self.heartbeats && policy.is_heartbeats(topic)) || self.filter.takes(topic)?)
    }
}

/// Which settings of topics are copied.
#[derive(Debug)]
pub(super) struct SettingFilter {
    exclude: Vec<Pattern>,
    /// Whether defaults of the source become settings at the target.
    pub(super) defaults_of_source: bool,
}

impl SettingFilter {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self {
            exclude: patterns(values.list("config.properties.exclude")?)?,
            defaults_of_source: values.string("use.defaults.from")? == "source",
        })
    }

    pub(super) fn takes(&self, name: &str) -> Result<bool, ConnectError> {
        Ok(!any(&self.exclude, name)?)
    }
}

/// What is wrong with a list of patterns, if anything.
pub(super) fn check(value: &Parsed) -> Result<(), String> {
    match value {
        Parsed::List(list) => patterns(list).map(drop).map_err(|error| error.message),
        _ => Ok(()),
    }
}

fn patterns(list: &[String]) -> Result<Vec<Pattern>, ConnectError> {
    list.iter().map(|text| Pattern::new(text)).collect()
}

fn any(patterns: &[Pattern], name: &str) -> Result<bool, ConnectError> {
    for pattern in patterns {
        if pattern.matches(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}
