//! Schemas by id, by GUID, and all of them.

use serde::Serialize;
use vltava_connect::schema::registry::RegistryError;
use vltava_connect::schema::registry::association::{Association, AssociationKey};
use vltava_connect::schema::registry::content::Version;
use vltava_connect::schema::registry::state::{Filter, State, Subject};
use vltava_connect::schema::registry::subject::{Qualified, has_prefix, within};
use vltava_connect::schema::wire::Guid;

use super::reply::Reply;
use super::view::{IdView, SchemaView};
use super::{Answered, Asked, PAGE_MAX, SCHEMAS_PAGE_MAX};

#[derive(Serialize)]
struct Place<'a> {
    subject: &'a str,
    version: i32,
}

#[derive(Serialize)]
struct IdIn<'a> {
    context: &'a str,
    id: i32,
}

/// An id of the path.
fn id(text: &str) -> Result<i32, Reply> {
    text.parse().map_err(|_| Reply::not_found())
}

impl Asked<'_> {
    fn find_id<'a>(&self, state: &'a State, text: &str) -> Result<(&'a Subject, &'a Version), Reply> {
        let id = id(text)?;
        let found = state.by_id(id, self.hint(state).as_deref());
        found.ok_or_else(|| RegistryError::SchemaIdNotFound(id.to_string()).into())
    }

    pub(super) async fn by_id(&self, text: &str) -> Answered {
        let state = self.state().await?;
        let (subject, version) = self.find_id(&state, text)?;
        let formatted = self.formatted(subject, version).await?;
        let mut view = IdView::of(subject, version);
        view.schema = formatted.as_deref().unwrap_or(view.schema);
        view.schema_tags = self.found_tags(subject, version).await?;
        if self.call.flag("fetchMaxId") {
            view.max_id = Some(state.highest_id(subject));
        }
        let qualified = self.call.parameter("referenceFormat") == Some("qualified");
        let references = view.references.iter().cloned().map(|mut reference| {
            reference.subject = within(subject, &reference.subject);
            reference
        });
        let references: Vec<_> = if qualified { references.collect() } else { Vec::new() };
        if qualified && !Qualified::of(subject).in_default() {
            view.references = &references;
        }
        Ok(Reply::json(&view))
    }

    pub(super) async fn text_by_id(&self, text: &str) -> Answered {
        let state = self.state().await?;
        let (subject, version) = self.find_id(&state, text)?;
        let formatted = self.formatted(subject, version).await?;
        Ok(Reply::raw(formatted.as_deref().unwrap_or(&version.content.text)))
    }

    async fn places(&self, text: &str) -> Result<Vec<(Subject, i32)>, Reply> {
        let state = self.state().await?;
        let filter = Filter::of(self.call.flag("deleted"), false);
        let places = state.places(id(text)?, self.hint(&state).as_deref(), filter);
        places.ok_or_else(|| RegistryError::SchemaNotFound.into())
    }

    pub(super) async fn subjects_by_id(&self, text: &str) -> Answered {
        let places = self.places(text).await?;
        Ok(Reply::json(&self.call.page(PAGE_MAX)?.of(places.iter().map(|(subject, _)| &**subject))))
    }

    pub(super) async fn versions_by_id(&self, text: &str) -> Answered {
        let places = self.places(text).await?;
        let places = places.iter().map(|(subject, version)| Place { subject, version: *version });
        Ok(Reply::json(&self.call.page(PAGE_MAX)?.of(places)))
    }

    pub(super) async fn by_guid(&self, text: &str) -> Answered {
        let state = self.state().await?;
        let not_found = || RegistryError::SchemaIdNotFound(text.chars().take(64).collect());
        let ids = Guid::parse(text).map(|guid| state.ids_of(guid)).unwrap_or_default();
        let (context, id) = ids.first().copied().ok_or_else(not_found)?;
        let hint = Qualified { context, name: "" }.prefix();
        let (subject, version) = state.by_id(id, Some(&hint)).ok_or_else(not_found)?;
        let formatted = self.formatted(subject, version).await?;
        let mut view = IdView { subject: None, version: None, ..IdView::of(subject, version) };
        view.schema = formatted.as_deref().unwrap_or(view.schema);
        Ok(Reply::json(&view))
    }

    pub(super) async fn ids_by_guid(&self, text: &str) -> Answered {
        let state = self.state().await?;
        let ids = Guid::parse(text).map(|guid| state.ids_of(guid)).unwrap_or_default();
        let ids: Vec<_> = ids.into_iter().map(|(context, id)| IdIn { context, id }).collect();
        Ok(Reply::json(&ids))
    }

    pub(super) async fn list_schemas(&self) -> Answered {
        let state = self.state().await?;
        let prefix = self.subject_prefix("");
        let filter = Filter::of(self.call.flag("deleted"), false);
        let latest = self.call.flag("latestOnly");
        let page = self.call.page(SCHEMAS_PAGE_MAX)?;
        let mut subjects: Vec<&Subject> = state.with_prefix(&prefix).map(|(subject, _)| subject).collect();
        let aliases: Vec<(&str, String)> = match self.call.flag("aliases") {
            true => state.aliases().filter(|(alias, _)| has_prefix(alias, &prefix)).collect(),
            false => Vec::new(),
        };
        let behind = aliases.iter().filter_map(|(_, subject)| state.with_prefix(subject).next());
        subjects.extend(behind.map(|(subject, _)| subject));
        subjects.sort();
        subjects.dedup();
        let views = subjects.into_iter().flat_map(|subject| {
            let versions = state.versions(subject).into_iter().flat_map(|versions| versions.filtered(filter));
            let last = if latest { usize::MAX } else { 0 };
            let count = state.versions(subject).map_or(0, |versions| versions.filtered(filter).count());
            versions.skip(last.min(count.saturating_sub(1))).map(move |version| (subject, version))
        });
        let views = views.filter(|(_, version)| self.has_rule(version)).filter_map(|(subject, version)| {
            let mut view = SchemaView::of(subject, version);
            let named = aliases.iter().filter(|(_, other)| **other == **subject);
            view.aliases = named.map(|(alias, _)| (*alias).to_owned()).collect();
            view.associations = self.associations(&state, subject)?;
            Some(view)
        });
        Ok(Reply::json(&page.of(views)))
    }

    fn has_rule(&self, version: &Version) -> bool {
        let wanted = self.call.parameter("ruleType").filter(|name| !name.is_empty());
        wanted.is_none_or(|name| version.content.rules.as_ref().is_some_and(|rules| rules.has_type(name)))
    }

    /// The associations of a subject that were asked for; `None` when the subject has none, and only such are wanted.
    fn associations(&self, state: &State, subject: &str) -> Option<Vec<serde_json::Value>> {
        let kind = self.call.parameter("resourceType");
        let roles: Vec<&str> = self.call.all("associationType").collect();
        let lifecycles: Vec<&str> = self.call.all("lifecycle").collect();
        if kind.is_none() && roles.is_empty() && lifecycles.is_empty() {
            return Some(Vec::new());
        }
        let fits = |key: &AssociationKey| {
            kind.is_none_or(|kind| key.resource_type == kind)
                && (roles.is_empty() || roles.contains(&key.association_type.as_str()))
        };
        let all: Vec<_> = state.associations_of(subject).filter(|(key, _)| fits(key)).collect();
        if all.is_empty() {
            return lifecycles.contains(&"NONE").then(Vec::new);
        }
        let wanted = |association: &Association| {
            lifecycles.is_empty() || lifecycles.contains(&association.lifecycle.name())
        };
        let shown: Vec<_> = all
            .iter()
            .filter(|(_, association)| wanted(association))
            .map(|(key, association)| association.view(key))
            .collect();
        (!shown.is_empty()).then_some(shown)
    }
}
