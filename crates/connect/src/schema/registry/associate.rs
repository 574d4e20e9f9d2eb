//! What changes of associations come to, by the state as it is.
//!
//! A topic either owns its subjects (`STRONG`, which are frozen, bear the topic's name and are made together with a schema) or
//! shares them with others (`WEAK`); never both, and a subject that is owned is nobody else's, nor referred to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::association::{Association, AssociationKey, Lifecycle};
use super::command::{Associate, Seen};
use super::decide::read_only;
use super::error::RegistryError;
use super::plan::{Options, Planned, Planner, SchemaRequest};
use super::settings::Mode;
use super::state::{Filter, Versions};
use super::subject::within;

/// The only type of resources.
pub const TOPIC: &str = "topic";
/// The longest name of a resource, in characters.
const NAME_CHARS_MAX: usize = 256;

/// A resource, and what is asked for it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRequest {
    /// The name of a topic.
    pub resource_name: Option<String>,
    /// Where that name counts.
    pub resource_namespace: Option<String>,
    /// What outlives the name; needed unless nothing is written.
    pub resource_id: Option<String>,
    /// `topic`, also when it is not said.
    pub resource_type: Option<String>,
    /// What is asked.
    pub associations: Option<Vec<AssociationRequest>>,
}

/// One association, as it should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationRequest {
    /// What to do, in requests that hold several things to do.
    pub op_type: Option<Operation>,
    /// With this subject.
    pub subject: Option<String>,
    /// `key` or `value`, which counts when nothing is said.
    pub association_type: Option<String>,
    /// How firmly.
    pub lifecycle: Option<Lifecycle>,
    /// It does not change.
    pub frozen: Option<bool>,
    /// To be registered under the subject.
    pub schema: Option<SchemaRequest>,
    /// Differences of the schema without a meaning are removed.
    pub normalize: Option<bool>,
    /// A subject that is owned is deleted with the association.
    pub cascade_lifecycle: Option<bool>,
}

/// What is done with an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is made, and must not be there in another form.
    Create,
    /// It is made or changed.
    Upsert,
    /// It is removed.
    Delete,
}

/// A resource that was named rightly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Where it counts.
    pub namespace: String,
    /// Its identity, if that is known yet.
    pub id: Option<String>,
}

/// What changes come to.
#[derive(Clone, Debug)]
pub struct PlannedAssociations {
    /// What is to be written.
    pub command: Associate,
    /// The types of the associations that change, with their subjects.
    pub changed: Vec<(String, String)>,
    /// Those that come with a schema.
    pub with_schema: BTreeSet<String>,
}

fn invalid(property: &'static str, detail: impl Into<String>) -> RegistryError {
    RegistryError::InvalidAssociation { property, detail: detail.into() }
}

fn check_name(name: Option<&str>, property: &'static str) -> Result<String, RegistryError> {
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid(property, "cannot be null or empty"))?;
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(invalid(property, format!("exceeds max length of {NAME_CHARS_MAX}")));
    }
    match name.chars().find(|c| !(c.is_alphanumeric() || *c == '_' || *c == '-')) {
        Some(other) => Err(invalid(property, format!("illegal character '{other}'"))),
        None => Ok(name.to_owned()),
    }
}

impl ResourceRequest {
    /// Checks what names the resource. The identity may be missing when nothing is to be written.
    ///
    /// # Errors
    /// [`RegistryError::InvalidAssociation`].
    pub fn resource(&self, dry_run: bool) -> Result<Resource, RegistryError> {
        let name = check_name(self.resource_name.as_deref(), "resourceName")?;
        let namespace = check_name(self.resource_namespace.as_deref(), "resourceNamespace")?;
        let id = self.resource_id.clone().filter(|id| !id.is_empty());
        if id.is_none() && !dry_run {
            return Err(invalid("resourceId", "cannot be null or empty"));
        }
        if self.resource_type.as_deref().is_some_and(|kind| !kind.is_empty() && kind != TOPIC) {
            return Err(invalid("resourceType", format!("must be '{TOPIC}'")));
        }
        if self.associations.as_ref().is_none_or(Vec::is_empty) {
            return Err(invalid("associations", "cannot be null or empty"));
        }
        Ok(Resource { name, namespace, id })
    }

    /// What is asked, with what was left out.
    ///
    /// # Errors
    /// [`RegistryError::InvalidAssociation`].
    pub fn checked(
        &self,
        resource: &Resource,
        otherwise: Operation,
    ) -> Result<Vec<AssociationRequest>, RegistryError> {
        let mut kinds = BTreeSet::new();
        let asked = self.associations.iter().flatten().cloned();
        asked
            .map(|mut asked| {
                let operation = *asked.op_type.get_or_insert(otherwise);
                asked.check(resource, operation)?;
                let kind = asked.kind().to_owned();
                match kinds.insert(kind.clone()) {
                    true => Ok(asked),
                    false => Err(invalid(
                        "associationType",
                        format!("may only appear once per request, but '{kind}' appears more than once"),
                    )),
                }
            })
            .collect()
    }
}

impl Resource {
    /// The subject that the resource owns.
    fn own_subject(&self, kind: &str) -> String {
        format!(":.{}:{}-{kind}", self.namespace, self.name)
    }
}

impl AssociationRequest {
    /// `key` or `value`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.association_type.as_deref().unwrap_or("value")
    }

    fn check(&mut self, resource: &Resource, operation: Operation) -> Result<(), RegistryError> {
        let named = |subject: &String| !subject.is_empty() && !subject.chars().any(char::is_control);
        if operation != Operation::Delete && self.subject.as_ref().is_some_and(|subject| !named(subject)) {
            return Err(invalid("subject", "must not be empty"));
        }
        if operation == Operation::Create {
            self.settle(operation)?;
        }
        let kind = self.association_type.take().filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or_else(|| "value".to_owned());
        if kind != "key" && kind != "value" {
            return Err(invalid("associationType", "must be either 'key' or 'value'"));
        }
        let own = resource.own_subject(&kind);
        self.association_type = Some(kind);
        if self.lifecycle == Some(Lifecycle::Weak) {
            if self.schema.is_some() {
                return Err(invalid("lifecycle", "cannot be WEAK when schema is provided"));
            }
            if self.frozen == Some(true) {
                return Err(invalid("frozen", "association with lifecycle of WEAK cannot be frozen"));
            }
        }
        if operation != Operation::Create {
            return Ok(());
        }
        if self.lifecycle == Some(Lifecycle::Weak) && self.subject.is_none() {
            return Err(invalid("subject", "must be provided for WEAK associations"));
        }
        let is_own = *self.subject.get_or_insert_with(|| own.clone()) == own;
        match self.lifecycle {
            _ if self.frozen == Some(true) && !is_own => Err(frozen_elsewhere(&own)),
            Some(Lifecycle::Weak) if is_own => Err(weak_here(&own)),
            _ => Ok(()),
        }
    }

    /// Settles what an association that is not there yet leaves out.
    fn settle(&mut self, operation: Operation) -> Result<(), RegistryError> {
        if self.schema.is_some() && operation != Operation::Create {
            return Err(invalid(
                "schema",
                "cannot be provided when adding an association to an existing topic; an association with a schema must be created with the topic",
            ));
        }
        if self.schema.is_some() {
            if self.lifecycle == Some(Lifecycle::Weak) {
                return Err(invalid("lifecycle", "cannot be WEAK when schema is provided"));
            }
            if self.frozen == Some(false) {
                return Err(invalid("frozen", "cannot be false when a schema is provided"));
            }
            self.lifecycle = Some(Lifecycle::Strong);
        }
        let lifecycle = *self.lifecycle.get_or_insert(Lifecycle::Weak);
        let frozen = lifecycle == Lifecycle::Strong;
        if self.frozen.is_some_and(|given| given != frozen) {
            return Err(wrongly_frozen(lifecycle, !frozen));
        }
        self.frozen = Some(frozen);
        Ok(())
    }
}

fn wrongly_frozen(lifecycle: Lifecycle, frozen: bool) -> RegistryError {
    let lifecycle = lifecycle.name();
    invalid("frozen", format!("association with lifecycle of {lifecycle} cannot be frozen={frozen}"))
}

fn frozen_elsewhere(own: &str) -> RegistryError {
    invalid("subject", format!("frozen associations must use subject '{own}'"))
}

fn weak_here(own: &str) -> RegistryError {
    invalid("subject", format!("WEAK associations cannot use subject '{own}'"))
}

/// An association as it stands in the state.
type Known<'a> = (&'a AssociationKey, &'a Association);

/// One association on its way: what was asked, and what is there.
struct Wanted<'a> {
    asked: AssociationRequest,
    subject: String,
    lifecycle: Lifecycle,
    known: Option<Known<'a>>,
    /// It is there as it should be.
    done: bool,
}

impl Wanted<'_> {
    fn options(&self) -> Options {
        Options { normalize: self.asked.normalize == Some(true), ..Options::default() }
    }
}

impl Planner<'_> {
    /// Finds out what has to be written so that a resource has these associations, all of them to be created or all of them to
    /// be updated. Subjects that name no context stand in `context`, as it stands before a subject. `guid` makes an identity
    /// that no other association has.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn associate(
        &self,
        context: &str,
        resource: &Resource,
        asked: Vec<AssociationRequest>,
        dry_run: bool,
        mut guid: impl FnMut() -> String,
    ) -> Result<PlannedAssociations, RegistryError> {
        let creates = asked.iter().all(|asked| asked.op_type == Some(Operation::Create));
        let asked = self.with_subjects(context, asked)?;
        let known = self.known_associations(resource, &asked, creates && dry_run);
        let mut wanted = Vec::new();
        for asked in asked {
            let there = known.iter().find(|(key, _)| key.association_type == asked.kind()).copied();
            wanted.push(self.want(resource, asked, there, creates)?);
        }
        self.check_one_lifecycle(resource, &wanted)?;
        for one in &wanted {
            self.check_subject_is_free(one, &wanted)?;
        }
        let mut command = Associate {
            changes: Vec::new(),
            schemas: Vec::new(),
            deletions: Vec::new(),
            seen: Seen::of(self.state),
        };
        for one in &wanted {
            command.seen.note(self.state, &one.subject);
            if let Some(schema) = &one.asked.schema
                && let Planned::Write(register) =
                    self.register(&one.subject, schema.clone(), one.options())?
            {
                for (subject, _) in &register.seen.subjects {
                    command.seen.note(self.state, subject);
                }
                command.schemas.push(register);
            }
        }
        let mut changed = Vec::new();
        for one in wanted.iter().filter(|one| !one.done) {
            changed.push((one.asked.kind().to_owned(), one.subject.clone()));
            command.changes.push(written(resource, one, &mut guid));
        }
        let with_schema = wanted.iter().filter(|one| one.asked.schema.is_some());
        let with_schema = with_schema.map(|one| one.asked.kind().to_owned()).collect();
        Ok(PlannedAssociations { command, changed, with_schema })
    }

    /// Finds out what has to be written so that a resource no longer has associations of these types, or any. Associations
    /// that are frozen go only when what they own goes with them.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn dissociate(
        &self,
        resource_id: &str,
        kinds: &[String],
        cascade: bool,
    ) -> Result<Associate, RegistryError> {
        let mut command = Associate {
            changes: Vec::new(),
            schemas: Vec::new(),
            deletions: Vec::new(),
            seen: Seen::of(self.state),
        };
        for (key, association) in self.associations_of_resource(resource_id) {
            if !kinds.is_empty() && !kinds.contains(&key.association_type) {
                continue;
            }
            let mode = self.state.mode_in_scope(Some(&key.subject));
            if mode.is_read_only() {
                return Err(read_only(Some(&key.subject)));
            }
            if association.frozen && !cascade {
                let (kind, subject) = (key.association_type.clone(), key.subject.clone());
                return Err(RegistryError::AssociationFrozen { kind, subject });
            }
            command.changes.push((key.clone(), None));
            command.seen.note(self.state, &key.subject);
            if cascade && association.lifecycle == Lifecycle::Strong && mode != Mode::Import {
                self.check_unreferenced(&key.subject)?;
                command.deletions.push(key.subject.clone());
            }
        }
        Ok(command)
    }

    /// The associations of a resource, of all types.
    fn associations_of_resource<'a>(&'a self, id: &'a str) -> impl Iterator<Item = Known<'a>> {
        let own =
            move |(key, association): &Known<'_>| association.resource_id == id && key.resource_type == TOPIC;
        self.state.associations().filter(own)
    }

    /// Puts subjects into their context and their alias's place.
    fn with_subjects(
        &self,
        context: &str,
        mut asked: Vec<AssociationRequest>,
    ) -> Result<Vec<AssociationRequest>, RegistryError> {
        for subject in asked.iter_mut().filter_map(|asked| asked.subject.as_mut()) {
            *subject = self.state.behind_alias(&within(context, subject));
            if self.state.mode_in_scope(Some(subject)).is_read_only() {
                return Err(read_only(Some(subject)));
            }
        }
        Ok(asked)
    }

    /// What is there of the asked types. Before a topic is made nobody knows its identity; then it is found by its name.
    fn known_associations(
        &self,
        resource: &Resource,
        asked: &[AssociationRequest],
        by_name: bool,
    ) -> Vec<Known<'_>> {
        let of_type = |(key, _): &Known<'_>| asked.iter().any(|asked| asked.kind() == key.association_type);
        self.resources(resource, by_name).into_iter().filter(of_type).collect()
    }

    /// All associations of a resource, which is found by its name when it has no identity and `by_name` allows it.
    fn resources(&self, resource: &Resource, by_name: bool) -> Vec<Known<'_>> {
        if let Some(id) = &resource.id {
            return self
                .state
                .associations()
                .filter(|(key, known)| known.resource_id == *id && key.resource_type == TOPIC)
                .collect();
        }
        if !by_name {
            return Vec::new();
        }
        let named: Vec<Known<'_>> = self
            .state
            .associations()
            .filter(|(key, _)| {
                key.resource_name == resource.name
                    && key.resource_namespace == resource.namespace
                    && key.resource_type == TOPIC
            })
            .collect();
        // Several resources may have had the name: the one that changed last counts.
        let last = named.iter().max_by_key(|(_, known)| (known.updated, known.created, &known.resource_id));
        let last = last.map(|(_, known)| known.resource_id.clone());
        named.into_iter().filter(|(_, known)| Some(&known.resource_id) == last.as_ref()).collect()
    }

    /// Checks one association against what is there.
    fn want<'a>(
        &self,
        resource: &Resource,
        mut asked: AssociationRequest,
        known: Option<Known<'a>>,
        creates: bool,
    ) -> Result<Wanted<'a>, RegistryError> {
        if known.is_none() && !creates {
            asked.settle(Operation::Upsert)?;
        }
        let own = resource.own_subject(asked.kind());
        let subject = match (&asked.subject, known) {
            (Some(subject), _) => subject.clone(),
            (None, Some((key, _))) => key.subject.clone(),
            (None, None) if asked.lifecycle == Some(Lifecycle::Strong) => own.clone(),
            (None, None) => return Err(invalid("subject", "must be provided for WEAK associations")),
        };
        asked.subject = Some(subject.clone());
        let lifecycle = asked.lifecycle.or(known.map(|(_, known)| known.lifecycle));
        let lifecycle = lifecycle.ok_or_else(|| invalid("lifecycle", "lifecycle must be set"))?;
        if lifecycle == Lifecycle::Weak && asked.schema.is_some() {
            return Err(invalid("lifecycle", "cannot be WEAK when schema is provided"));
        }
        if lifecycle == Lifecycle::Weak && subject == own {
            return Err(weak_here(&own));
        }
        let is_frozen = known.map_or(asked.frozen == Some(true), |(_, known)| known.frozen);
        let frozen = asked.frozen.unwrap_or(is_frozen);
        if frozen != (lifecycle == Lifecycle::Strong) {
            return Err(wrongly_frozen(lifecycle, frozen));
        }
        if is_frozen && subject != own {
            return Err(frozen_elsewhere(&own));
        }
        let mut wanted = Wanted { asked, subject, lifecycle, known, done: false };
        match known {
            None => self.check_new(&wanted, creates)?,
            Some(known) => wanted.done = self.check_change(&wanted, known, creates, &own)?,
        }
        Ok(wanted)
    }

    /// Whether an association that is not there may be made. What is replicated has been made elsewhere.
    fn check_new(&self, wanted: &Wanted<'_>, creates: bool) -> Result<(), RegistryError> {
        let Wanted { asked, subject, lifecycle, .. } = wanted;
        if self.state.mode_in_scope(Some(subject)) == Mode::Import {
            return Ok(());
        }
        if !creates && *lifecycle == Lifecycle::Strong {
            return Err(invalid(
                "lifecycle",
                "cannot be STRONG when creating an association; STRONG associations must be created with the topic",
            ));
        }
        if asked.frozen != Some(true) {
            return Ok(());
        }
        if creates && asked.schema.is_none() {
            return Err(invalid("schema", "schema must be provided when creating a frozen association"));
        }
        let Some(latest) = self.state.version(subject, -1, Filter::Live) else { return Ok(()) };
        if latest.number != 1 || self.find_wanted(wanted)?.is_none() {
            let why = "cannot create a frozen association when schemas already exist in the subject";
            return Err(invalid("frozen", why));
        }
        Ok(())
    }

    fn find_wanted(&self, wanted: &Wanted<'_>) -> Result<Option<super::content::Version>, RegistryError> {
        let Some(mut schema) = wanted.asked.schema.clone() else { return Ok(None) };
        self.retag(&wanted.subject, &mut schema)?;
        self.lookup(&wanted.subject, &schema, wanted.options())
    }

    /// Whether an association that is there is as it should be, or may become so.
    fn check_change(
        &self,
        wanted: &Wanted<'_>,
        (key, known): Known<'_>,
        creates: bool,
        own: &str,
    ) -> Result<bool, RegistryError> {
        let Wanted { asked, subject, .. } = wanted;
        let exists = || RegistryError::ResourceAssociated {
            kind: key.association_type.clone(),
            resource: key.resource_name.clone(),
        };
        let equal = key.subject == *subject
            && asked.lifecycle.is_none_or(|lifecycle| lifecycle == known.lifecycle)
            && asked.frozen.is_none_or(|frozen| frozen == known.frozen);
        if equal {
            let other = creates && asked.schema.is_some() && self.find_wanted(wanted)?.is_none();
            return if other { Err(exists()) } else { Ok(true) };
        }
        if creates {
            return Err(exists());
        }
        if asked.lifecycle.is_none() && asked.schema.is_none() {
            return Err(invalid("lifecycle", "at least lifecycle or schema must be provided for update"));
        }
        if key.subject != *subject {
            return Err(invalid(
                "subject",
                format!("subject of association cannot be changed from '{}' to '{subject}'", key.subject),
            ));
        }
        let loosened = known.lifecycle == Lifecycle::Strong && asked.lifecycle == Some(Lifecycle::Weak);
        if loosened && key.subject == own {
            return Err(invalid(
                "lifecycle",
                format!("cannot change to WEAK when subject matches default format '{own}'"),
            ));
        }
        if asked.frozen.is_some_and(|frozen| frozen != known.frozen) {
            return Err(invalid("frozen", "frozen attribute of association cannot be changed"));
        }
        if known.frozen {
            let (kind, subject) = (key.association_type.clone(), key.subject.clone());
            return Err(RegistryError::AssociationFrozen { kind, subject });
        }
        Ok(false)
    }

    fn check_one_lifecycle(&self, resource: &Resource, wanted: &[Wanted<'_>]) -> Result<(), RegistryError> {
        let known = self.resources(resource, true);
        let mut lifecycles: BTreeMap<&str, Lifecycle> =
            known.iter().map(|(key, known)| (key.association_type.as_str(), known.lifecycle)).collect();
        lifecycles.extend(wanted.iter().map(|one| (one.asked.kind(), one.lifecycle)));
        let mut all = lifecycles.values();
        let first = all.next();
        if all.all(|other| Some(other) == first) {
            return Ok(());
        }
        let told: Vec<String> =
            lifecycles.iter().map(|(kind, lifecycle)| format!("{kind}={}", lifecycle.name())).collect();
        let told = told.join(", ");
        Err(invalid(
            "lifecycle",
            format!("all associations for a resource must have the same lifecycle, but got {told}"),
        ))
    }

    fn check_subject_is_free(&self, one: &Wanted<'_>, all: &[Wanted<'_>]) -> Result<(), RegistryError> {
        let Wanted { asked, subject, lifecycle, known, .. } = one;
        if asked.schema.is_some() && self.state.mode_in_scope(Some(subject)) == Mode::Import {
            return Err(invalid(
                "schema",
                format!("cannot be provided while subject '{subject}' is in IMPORT mode"),
            ));
        }
        if asked.schema.is_none() && self.state.version(subject, -1, Filter::Live).is_none() {
            return Err(RegistryError::NoActiveVersion(subject.clone()));
        }
        let own = |key: &AssociationKey| known.is_some_and(|(known, _)| known == key);
        let mut others = self.state.associations_of(subject).filter(|(key, _)| !own(key));
        match lifecycle {
            Lifecycle::Strong if others.next().is_some() => {
                Err(RegistryError::SubjectAssociated(subject.clone()))
            }
            Lifecycle::Strong => {
                let refers = |other: &Wanted<'_>| {
                    let references =
                        other.asked.schema.iter().flat_map(|schema| &schema.references).flatten();
                    references.into_iter().any(|to| within(&other.subject, &to.subject) == *subject)
                };
                if all.iter().any(refers) {
                    return Err(RegistryError::ReferenceExists(subject.clone(), 1));
                }
                self.check_unreferenced(subject)
            }
            Lifecycle::Weak if others.any(|(_, other)| other.lifecycle == Lifecycle::Strong) => {
                Err(RegistryError::SubjectStronglyAssociated(subject.clone()))
            }
            Lifecycle::Weak => Ok(()),
        }
    }

    fn check_unreferenced(&self, subject: &str) -> Result<(), RegistryError> {
        let mut versions = self.state.versions(subject).into_iter().flat_map(Versions::all);
        let taken = versions.find(|version| {
            let referring = self.state.referring_subjects(subject, version.number, Filter::All);
            referring.iter().any(|other| **other != *subject)
        });
        match taken {
            Some(version) => Err(RegistryError::ReferenceExists(subject.to_owned(), version.number)),
            None => Ok(()),
        }
    }
}

/// The association as it is to be written; what exists keeps its names and its identity.
fn written(
    resource: &Resource,
    one: &Wanted<'_>,
    guid: &mut impl FnMut() -> String,
) -> (AssociationKey, Option<Arc<Association>>) {
    let (key, known) = match one.known {
        Some((key, known)) => (key.clone(), Some(known)),
        None => {
            let key = AssociationKey {
                resource_name: resource.name.clone(),
                resource_namespace: resource.namespace.clone(),
                resource_type: TOPIC.to_owned(),
                association_type: one.asked.kind().to_owned(),
                subject: one.subject.clone(),
            };
            (key, None)
        }
    };
    let association = Association {
        guid: known.map_or_else(guid, |known| known.guid.clone()),
        resource_id: known
            .map_or_else(|| resource.id.clone().unwrap_or_default(), |known| known.resource_id.clone()),
        lifecycle: one.lifecycle,
        frozen: one.asked.frozen.unwrap_or(known.is_some_and(|known| known.frozen)),
        created: known.map_or(0, |known| known.created),
        updated: 0,
    };
    (key, Some(Arc::new(association)))
}
