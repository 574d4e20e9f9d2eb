//! Subjects and their versions.

use std::collections::BTreeMap;

use serde::Deserialize;
use vltava_connect::schema::EntityTags;
use vltava_connect::schema::registry::content::Version;
use vltava_connect::schema::registry::contract::{Metadata, RuleSet};
use vltava_connect::schema::registry::plan::{Options, SchemaRequest};
use vltava_connect::schema::registry::state::{Filter, State};
use vltava_connect::schema::registry::subject::{ANY_CONTEXT, Qualified, Use, is_valid, within};
use vltava_connect::schema::registry::{Command, Done, RegistryError};

use super::call::version;
use super::reply::Reply;
use super::view::{RegisteredView, SchemaView};
use super::{Answered, Asked, PAGE_MAX, SCHEMAS_PAGE_MAX};

/// Changes of tags, metadata and rules that make a new version.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TagRequest {
    new_version: Option<i32>,
    tags_to_add: Option<Vec<EntityTags>>,
    tags_to_remove: Option<Vec<EntityTags>>,
    metadata: Option<Metadata>,
    #[serde(alias = "ruleset")]
    rule_set: Option<RuleSet>,
    rules_to_merge: Option<RuleSet>,
    rules_to_remove: Option<Vec<String>>,
}

impl Asked<'_> {
    pub(super) async fn list_subjects(&self) -> Answered {
        let state = self.state().await?;
        let filter = Filter::of(self.call.flag("deleted"), self.call.flag("deletedOnly"));
        let prefix = self.subject_prefix(ANY_CONTEXT);
        let page = self.call.page(PAGE_MAX)?;
        let counts = |versions: &vltava_connect::schema::registry::state::Versions| match filter {
            Filter::Deleted => versions.latest().is_none(),
            filter => versions.filtered(filter).next().is_some(),
        };
        let names =
            state.with_prefix(&prefix).filter(|(_, versions)| counts(versions)).map(|(name, _)| &**name);
        Ok(Reply::json(&page.of(names)))
    }

    pub(super) async fn list_versions(&self, subject: &str) -> Answered {
        let state = self.state().await?;
        let subject = self.subject(&state, subject);
        let (deleted, only) = (self.call.flag("deleted"), self.call.flag("deletedOnly"));
        if !state.has_subjects(Some(&subject), Filter::of(deleted || only, false)) {
            return Err(RegistryError::SubjectNotFound(subject).into());
        }
        let page = self.call.page(PAGE_MAX)?;
        let negative = self.call.flag("deletedAsNegative");
        let filter = if negative { Filter::All } else { Filter::of(deleted, only) };
        let versions = state.versions(&subject).into_iter().flat_map(|versions| versions.filtered(filter));
        let numbers = versions.map(|version| match version {
            Version { number, deleted: true, .. } if negative => -number,
            Version { number, .. } => *number,
        });
        Ok(Reply::json(&page.of(numbers)))
    }

    pub(super) async fn register(&self, name: &str) -> Answered {
        let request: SchemaRequest = self.call.json()?;
        if let Some(rules) = &request.rule_set {
            rules.check().map_err(RegistryError::InvalidRules)?;
        }
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        let nameless = matches!(Qualified::of(&subject).name, "" | "*");
        if !is_valid(&subject, Use::Schemas) || (nameless && self.node.registry.settings.subjects_have_names)
        {
            return Err(RegistryError::InvalidSubject(subject).into());
        }
        let options = Options {
            normalize: self.call.flag("normalize"),
            force: self.call.flag("force"),
            ..Options::default()
        };
        let version = self.node.registry.register(self.node, &subject, &request, options).await?;
        let text = self.formatted(&subject, &version).await?;
        let mut view = RegisteredView::of(&version);
        view.schema = text.as_deref().unwrap_or(view.schema);
        Ok(Reply::json(&view))
    }

    /// The text in the form that was asked for, if one was.
    pub(super) async fn formatted(&self, subject: &str, version: &Version) -> Result<Option<String>, Reply> {
        let form = self.call.parameter("format").unwrap_or_default().trim().to_owned();
        if form.is_empty() {
            return Ok(None);
        }
        let (subject, version) = (subject.to_owned(), version.clone());
        let rendered = self.node.registry.plan(self.node, move |planner| {
            let schema = planner.library.read_version(planner.state, &subject, &version)?;
            // A form that is not known is one of tomorrow: whoever asks takes the usual one.
            Ok(schema.render(&form).ok())
        });
        Ok(rendered.await?)
    }

    /// The tags that the text of a version has, if some of them are asked for.
    pub(super) async fn found_tags(
        &self,
        subject: &str,
        version: &Version,
    ) -> Result<Option<Vec<EntityTags>>, Reply> {
        let wanted: Vec<String> = self.call.all("findTags").map(str::to_owned).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let (subject, version) = (subject.to_owned(), version.clone());
        let found = self.node.registry.plan(self.node, move |planner| {
            let mut tags = planner.library.read_version(planner.state, &subject, &version)?.tags();
            let any = wanted.iter().any(|wanted| wanted == "*");
            tags.retain(|entity| any || entity.tags.iter().any(|tag| wanted.contains(tag)));
            Ok(tags)
        });
        Ok(Some(found.await?))
    }

    pub(super) async fn lookup(&self, name: &str) -> Answered {
        let request: SchemaRequest = self.call.json()?;
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        let options = Options {
            normalize: self.call.flag("normalize"),
            deleted: self.call.flag("deleted"),
            ..Options::default()
        };
        let wanted = subject.clone();
        let found = self
            .node
            .registry
            .plan(self.node, move |planner| planner.lookup_everywhere(&wanted, &request, options))
            .await?;
        let Some((subject, version)) = found else {
            let there = state.has_subjects(Some(&subject), Filter::of(options.deleted, false));
            return Err(if there {
                RegistryError::SchemaNotFound
            } else {
                RegistryError::SubjectNotFound(subject)
            }
            .into());
        };
        self.show(&subject, &version).await
    }

    async fn show(&self, subject: &str, version: &Version) -> Answered {
        let text = self.formatted(subject, version).await?;
        let mut view = SchemaView::of(subject, version);
        view.schema = text.as_deref().unwrap_or(view.schema);
        view.schema_tags = self.found_tags(subject, version).await?;
        let qualified = self.call.parameter("referenceFormat") == Some("qualified");
        let references: Vec<_> = view
            .references
            .iter()
            .cloned()
            .map(|mut reference| {
                reference.subject = within(subject, &reference.subject);
                reference
            })
            .collect();
        if qualified && !Qualified::of(subject).in_default() {
            view.references = &references;
        }
        Ok(Reply::json(&view))
    }

    pub(super) async fn latest_with_metadata(&self, name: &str) -> Answered {
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        let names = self.call.all("key").map(str::to_owned);
        let wanted: BTreeMap<String, String> = names.zip(self.call.all("value").map(str::to_owned)).collect();
        let filter = Filter::of(self.call.flag("deleted"), false);
        let found = state.latest_with(&subject, &wanted, filter);
        match found {
            Some(version) => self.show(&subject, version).await,
            None if state.has_subjects(Some(&subject), filter) => Err(RegistryError::SchemaNotFound.into()),
            None => Err(RegistryError::SubjectNotFound(subject).into()),
        }
    }

    /// A version of a subject, or of that name in another context when it names none.
    fn find<'a>(
        &self,
        state: &'a State,
        name: &str,
        number: &str,
        filter: Filter,
    ) -> Result<(String, &'a Version), RegistryError> {
        let subject = self.subject(state, name);
        let number = version(number)?;
        let qualified = Qualified::of(&subject);
        if let Some(version) = state.version(&subject, number, filter) {
            return Ok((subject, version));
        }
        if qualified.in_default() {
            for context in state.contexts().skip(1) {
                let other = Qualified { context, name: qualified.name }.to_string();
                if let Some(version) = state.version(&other, number, filter) {
                    return Ok((other, version));
                }
            }
        }
        if state.has_subjects(Some(&subject), filter) {
            Err(RegistryError::VersionNotFound(number))
        } else {
            Err(RegistryError::SubjectNotFound(subject))
        }
    }

    fn filter(&self) -> Filter {
        Filter::of(self.call.flag("deleted"), false)
    }

    pub(super) async fn get_version(&self, name: &str, number: &str) -> Answered {
        let state = self.state().await?;
        let (subject, version) = self.find(&state, name, number, self.filter())?;
        self.show(&subject, version).await
    }

    pub(super) async fn get_version_text(&self, name: &str, number: &str) -> Answered {
        let state = self.state().await?;
        let (subject, version) = self.find(&state, name, number, self.filter())?;
        let text = self.formatted(&subject, version).await?;
        Ok(Reply::raw(text.as_deref().unwrap_or(&version.content.text)))
    }

    pub(super) async fn referenced_by(&self, name: &str, number: &str) -> Answered {
        let state = self.state().await?;
        let (subject, version) = self.find(&state, name, number, Filter::All)?;
        let ids = state.referrers(&subject, version.number, self.filter());
        Ok(Reply::json(&self.call.page(SCHEMAS_PAGE_MAX)?.of(ids.into_iter().map(|(_, id)| id))))
    }

    pub(super) async fn delete_version(&self, name: &str, number: &str) -> Answered {
        let version = version(number)?;
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        if !state.has_subjects(Some(&subject), Filter::All) {
            return Err(RegistryError::SubjectNotFound(subject).into());
        }
        let permanent = self.call.flag("permanent");
        let command = Command::DeleteVersion { subject, version, permanent };
        match self.node.registry.change(self.node, command).await? {
            Done::Deleted(versions) => Ok(Reply::json(&versions.first())),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn delete_subject(&self, name: &str) -> Answered {
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        if !state.has_subjects(Some(&subject), Filter::All) {
            return Err(RegistryError::SubjectNotFound(subject).into());
        }
        let command = Command::DeleteSubject { subject, permanent: self.call.flag("permanent") };
        match self.node.registry.change(self.node, command).await? {
            Done::Deleted(versions) => Ok(Reply::json(&versions)),
            other => Err(unexpected(&other)),
        }
    }

    /// A new version with other metadata and rules.
    pub(super) async fn modify_tags(&self, name: &str, number: &str) -> Answered {
        let request: TagRequest = self.call.json()?;
        let state = self.state().await?;
        let (subject, old) = self.find(&state, name, number, Filter::Live)?;
        let changes_rules = request.rules_to_merge.is_some() || request.rules_to_remove.is_some();
        if changes_rules && request.rule_set.is_some() {
            let why = "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove";
            return Err(RegistryError::InvalidRules(why.to_owned()).into());
        }
        for rules in [&request.rules_to_merge, &request.rule_set].into_iter().flatten() {
            rules.check().map_err(RegistryError::InvalidRules)?;
        }
        let rules = if changes_rules {
            let before =
                state.version(&subject, request.new_version.map_or(-1, |next| next - 1), Filter::Live);
            let before = before.and_then(|version| version.content.rules.as_deref().cloned());
            let merged = RuleSet::merged(before, request.rules_to_merge);
            merged.map(|rules| rules.without(&request.rules_to_remove.unwrap_or_default()))
        } else {
            request.rule_set
        };
        let new_version = request.new_version.unwrap_or(0);
        let metadata = request.metadata.or_else(|| old.content.metadata.as_deref().cloned());
        let wanted = SchemaRequest {
            version: Some(new_version),
            schema_type: Some(old.content.format.to_string()),
            references: Some(old.content.references.to_vec()),
            metadata: Some(Metadata::with_version(metadata, new_version)),
            rule_set: rules,
            schema: Some(old.content.text.to_string()),
            schema_tags_to_add: request.tags_to_add,
            schema_tags_to_remove: request.tags_to_remove,
            ..SchemaRequest::default()
        };
        let version = self.node.registry.register(self.node, &subject, &wanted, Options::default()).await?;
        Ok(Reply::json(&RegisteredView::of(&version)))
    }
}

/// The machine gave an answer of another kind.
pub(super) fn unexpected(done: &Done) -> Reply {
    tracing::error!(?done, "the registry gave another answer");
    RegistryError::Store("the registry gave another answer".to_owned()).into()
}
