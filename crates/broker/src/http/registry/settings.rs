//! Compatibility, modes and contexts.

use serde::{Deserialize, Serialize};
use vltava_connect::schema::registry::error::MODES;
use vltava_connect::schema::registry::settings::{ConfigUpdate, Mode};
use vltava_connect::schema::registry::subject::{GLOBAL_CONTEXT, Use, context_of, is_valid};
use vltava_connect::schema::registry::{Command, Done, RegistryError};

use super::reply::Reply;
use super::subjects::unexpected;
use super::{Answered, Asked, PAGE_MAX};

#[derive(Serialize, Deserialize)]
struct ModeBody {
    #[serde(default)]
    mode: Option<String>,
}

fn mode_body(mode: Option<Mode>) -> Reply {
    Reply::json(&ModeBody { mode: mode.map(|mode| mode.name().to_owned()) })
}

impl Asked<'_> {
    pub(super) async fn get_config(&self, name: Option<&str>) -> Answered {
        let state = self.state().await?;
        let subject = self.call.settings_subject(name);
        let defaults = self.node.registry.settings.defaults();
        if self.call.flag("defaultToGlobal") {
            return Ok(Reply::json(&state.config_in_scope(subject.as_deref(), &defaults)));
        }
        let config = state.config(subject.as_deref(), &defaults);
        let missing = || RegistryError::NoSubjectConfig(subject.unwrap_or_default());
        Ok(Reply::json(&config.ok_or_else(missing)?))
    }

    pub(super) async fn set_config(&self, name: Option<&str>) -> Answered {
        let update: ConfigUpdate = self.call.json()?;
        let subject = self.call.settings_subject(name);
        if !update.level_is_known() {
            return Err(RegistryError::InvalidLevel.into());
        }
        for rules in [&update.default_rule_set, &update.override_rule_set].into_iter().flatten().flatten() {
            rules.check().map_err(RegistryError::InvalidRules)?;
        }
        check_subject(subject.as_deref())?;
        let command = Command::SetConfig(subject, Box::new(update));
        match self.node.registry.change(self.node, command).await? {
            Done::Config(config) => Ok(Reply::json(&ConfigUpdate::echo(&config))),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn delete_config(&self, name: Option<&str>) -> Answered {
        let command = Command::DeleteConfig(self.call.settings_subject(name));
        match self.node.registry.change(self.node, command).await? {
            Done::Config(config) => Ok(Reply::json(&config)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn get_mode(&self, name: Option<&str>) -> Answered {
        let state = self.state().await?;
        let subject = self.call.settings_subject(name);
        if self.call.flag("defaultToGlobal") {
            return Ok(mode_body(Some(state.mode_in_scope(subject.as_deref()))));
        }
        let mode = state.mode(subject.as_deref());
        let missing = || RegistryError::NoSubjectMode(subject.unwrap_or_default());
        Ok(mode_body(Some(mode.ok_or_else(missing)?)))
    }

    pub(super) async fn set_mode(&self, name: Option<&str>) -> Answered {
        let body: ModeBody = self.call.json()?;
        let subject = self.call.settings_subject(name);
        check_subject(subject.as_deref())?;
        let known = |name: &String| Mode::of_name(name).ok_or(RegistryError::InvalidMode(MODES));
        let mode = body.mode.as_ref().map(known).transpose()?;
        let global = subject.as_deref().is_some_and(|subject| context_of(subject) == GLOBAL_CONTEXT);
        if mode == Some(Mode::Forward) && !global {
            return Err(RegistryError::InvalidMode("Forward mode only supported on global level").into());
        }
        let command = Command::SetMode { subject, mode, force: self.call.flag("force") };
        match self.node.registry.change(self.node, command).await? {
            Done::Mode(_) => Ok(Reply::json(&body)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn delete_mode(&self, name: Option<&str>) -> Answered {
        let subject = self.call.settings_subject(name);
        let command = Command::DeleteMode { subject, recursive: self.call.flag("recursive") };
        match self.node.registry.change(self.node, command).await? {
            Done::Mode(mode) => Ok(mode_body(mode)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn list_contexts(&self) -> Answered {
        let state = self.state().await?;
        let prefix = self.call.parameter("contextPrefix").unwrap_or_default();
        let contexts = state.contexts().filter(|context| context.starts_with(prefix));
        Ok(Reply::json(&self.call.page(PAGE_MAX)?.of(contexts)))
    }

    pub(super) async fn delete_context(&self, name: &str) -> Answered {
        use vltava_connect::schema::registry::subject::context_prefix;
        let invalid = || Reply::plain(400, &format!("Context name '{name:.100}' cannot contain a colon"));
        let context = context_prefix(name).ok_or_else(invalid)?;
        match self.node.registry.change(self.node, Command::DeleteContext(context)).await? {
            Done::Nothing => Ok(Reply::nothing()),
            other => Err(unexpected(&other)),
        }
    }
}

fn check_subject(subject: Option<&str>) -> Result<(), RegistryError> {
    match subject {
        Some(subject) if !is_valid(subject, Use::Settings) => {
            Err(RegistryError::InvalidSubject(subject.to_owned()))
        }
        _ => Ok(()),
    }
}
