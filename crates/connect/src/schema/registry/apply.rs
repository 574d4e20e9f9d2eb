//! What an event changes. Others write to the log as well, so that any event may come at any time.

use std::sync::Arc;

use vltava_core::id::Offset;
use vltava_core::machine::Place;

use super::association::Association;
use super::content::{Content, Version};
use super::contract::Reference;
use super::event::{Event, Key, Stored, Value};
use super::state::{Id, State, Subject, Versions};
use super::subject::{context_of, matches, within};

impl State {
    /// Changes what the event says. One whose value is not of its key's kind changes nothing.
    pub(super) fn apply(&mut self, event: &Event, place: Place) {
        match (&event.key, &event.value) {
            (Key::Schema(subject, number), Some(Value::Schema(stored))) => {
                self.put_version(subject, *number, stored, place);
            }
            (Key::Schema(subject, number), None) => self.remove_version(subject, *number, place.offset),
            (Key::DeleteSubject(subject), Some(Value::UpTo(last))) => {
                self.delete_up_to(subject, *last, place.offset);
            }
            (Key::ClearSubject(subject), Some(_)) => self.clear(subject.as_deref(), place.offset),
            (Key::Config(subject), Some(Value::Config(config))) => {
                self.configs.insert(subject.clone(), config.clone());
                self.settings_changed = Some(place.offset);
            }
            (Key::Config(subject), None) => {
                self.configs.remove(subject);
                self.settings_changed = Some(place.offset);
            }
            (Key::Mode(subject), Some(Value::Mode(mode))) => {
                self.modes.insert(subject.clone(), *mode);
                self.settings_changed = Some(place.offset);
            }
            (Key::Mode(subject), None) => {
                self.modes.remove(subject);
                self.settings_changed = Some(place.offset);
            }
            (Key::Context(name), value) => {
                self.contexts.entry(name.clone()).or_default().declared = value.is_some();
            }
            (Key::Highest(name), Some(Value::UpTo(id))) => {
                let context = self.contexts.entry(name.clone()).or_default();
                context.written = *id;
                context.highest = context.highest.max(*id);
            }
            (Key::Association(key), Some(Value::Association(association))) => {
                let created = self.associations.get(key).map(|known| known.created);
                let created = created.or(Some(association.created).filter(|at| *at > 0));
                let made = created.unwrap_or(place.timestamp.0);
                let association =
                    Association { created: made, updated: place.timestamp.0, ..(**association).clone() };
                self.associations.insert(key.clone(), Arc::new(association));
                self.settings_changed = Some(place.offset);
            }
            (Key::Association(key), None) => {
                self.associations.remove(key);
                self.settings_changed = Some(place.offset);
            }
            _ => {}
        }
    }

    fn put_version(&mut self, subject: &Subject, number: i32, stored: &Stored, place: Place) {
        let before = self.versions(subject).and_then(|versions| versions.get(number));
        if before.is_some_and(|before| before.id != stored.id || before.content != stored.content) {
            self.remove_version(subject, number, place.offset);
        }
        let version = Version {
            number,
            id: stored.id,
            content: stored.content.clone(),
            deleted: stored.deleted,
            timestamp: place.timestamp.0,
        };
        self.remember(subject, &version);
        let versions = Arc::make_mut(self.subjects.entry(subject.clone()).or_default());
        versions.changed = Some(place.offset);
        match versions.list.binary_search_by_key(&number, |version| version.number) {
            Ok(at) => versions.list[at] = version,
            Err(at) => versions.list.insert(at, version),
        }
    }

    fn remember(&mut self, subject: &Subject, version: &Version) {
        let name: Arc<str> = context_of(subject).into();
        let context = self.contexts.entry(name.clone()).or_default();
        context.highest = context.highest.max(version.id);
        context.guids.insert((version.content.guid, version.id));
        Arc::make_mut(context.ids.entry(version.id).or_default()).put(subject, version.number);
        for reference in &version.content.references {
            let key = (Subject::from(within(subject, &reference.subject)), reference.version);
            self.referrers.entry(key).or_default().insert((name.clone(), version.id));
        }
    }

    fn remove_version(&mut self, subject: &Subject, number: i32, at: Offset) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let versions = Arc::make_mut(versions);
        versions.changed = Some(at);
        let Ok(index) = versions.list.binary_search_by_key(&number, |version| version.number) else { return };
        let removed = versions.list.remove(index);
        if versions.list.is_empty() {
            self.subjects.remove(subject);
        }
        self.forget(subject, &removed);
    }

    /// Takes a version that was removed out of what is known of its id. The id stays the highest one if it was.
    fn forget(&mut self, subject: &Subject, removed: &Version) {
        let name: Arc<str> = context_of(subject).into();
        let others = self.versions(subject).into_iter().flat_map(Versions::all);
        let other = others.filter(|version| version.id == removed.id).map(|version| version.number).max();
        let Some(context) = self.contexts.get_mut(&name) else { return };
        let Some(id) = context.ids.get_mut(&removed.id) else { return };
        Arc::make_mut(id).set(subject, other);
        if id.places.is_empty() {
            context.ids.remove(&removed.id);
        }
        let left = self.contents(&name, removed.id);
        if left.iter().all(|content| content.guid != removed.content.guid)
            && let Some(context) = self.contexts.get_mut(&name)
        {
            context.guids.remove(&(removed.content.guid, removed.id));
        }
        for reference in &removed.content.references {
            let target = within(subject, &reference.subject);
            let same = |other: &Reference| {
                other.version == reference.version && within(subject, &other.subject) == target
            };
            let still = left.iter().any(|content| content.references.iter().any(same));
            let key = (Subject::from(target), reference.version);
            if !still && let Some(referrers) = self.referrers.get_mut(&key) {
                referrers.remove(&(name.clone(), removed.id));
                if referrers.is_empty() {
                    self.referrers.remove(&key);
                }
            }
        }
    }

    /// What versions with this id hold. It is the same, unless others have given one id twice.
    fn contents(&self, context: &str, id: i32) -> Vec<Arc<Content>> {
        let places = self.contexts.get(context).and_then(|context| context.ids.get(&id));
        let subjects = places.into_iter().flat_map(|id| &id.places).map(|(subject, _)| subject);
        let versions = subjects.filter_map(|subject| self.versions(subject)).flat_map(Versions::all);
        versions.filter(|version| version.id == id).map(|version| version.content.clone()).collect()
    }

    fn delete_up_to(&mut self, subject: &Subject, last: i32, at: Offset) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let versions = Arc::make_mut(versions);
        versions.changed = Some(at);
        for version in versions.list.iter_mut().filter(|version| version.number <= last) {
            version.deleted = true;
        }
    }

    fn clear(&mut self, pattern: Option<&str>, at: Offset) {
        let subjects: Vec<Subject> =
            self.subjects.keys().filter(|subject| matches(pattern, subject)).cloned().collect();
        for subject in subjects {
            let deleted = self.versions(&subject).into_iter().flat_map(Versions::all);
            let deleted: Vec<i32> =
                deleted.filter(|version| version.deleted).map(|version| version.number).collect();
            for number in deleted {
                self.remove_version(&subject, number, at);
            }
        }
    }
}

impl Id {
    /// Under a subject the last version counts.
    fn put(&mut self, subject: &Subject, number: i32) {
        match self.places.binary_search_by(|(known, _)| known.cmp(subject)) {
            Ok(at) => self.places[at].1 = self.places[at].1.max(number),
            Err(at) => self.places.insert(at, (subject.clone(), number)),
        }
    }

    fn set(&mut self, subject: &Subject, number: Option<i32>) {
        let Ok(at) = self.places.binary_search_by(|(known, _)| known.cmp(subject)) else { return };
        match number {
            Some(number) => self.places[at].1 = number,
            None => drop(self.places.remove(at)),
        }
    }
}
