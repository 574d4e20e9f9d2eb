//! Deleting topics, by name or by identity.

use std::collections::BTreeSet;

use vltava_core::id::TopicId;
use vltava_core::image::Topic;

use super::Cluster;
use super::command::{DeletedTopic, TopicReference};
use super::event::Event;
use super::topics::{TopicError, repeated};

impl Cluster {
    /// Decides the deletion of topics.
    pub(super) fn delete_topics(&self, request: Vec<TopicReference>) -> (Vec<Event>, Vec<DeletedTopic>) {
        let named = request.iter().filter(|topic| topic.id == TopicId::ZERO);
        let names = repeated(named.filter_map(|topic| topic.name.as_ref()));
        let unnamed = request.iter().filter(|topic| topic.name.is_none() && topic.id != TopicId::ZERO);
        let ids = repeated(unnamed.map(|topic| &topic.id));
        let mut removed = BTreeSet::new();
        let mut events = Vec::new();
        let mut results: Vec<DeletedTopic> = Vec::with_capacity(request.len());
        // Identities come first, so that a name for one of them is the one that is refused.
        let (by_id, by_name): (Vec<_>, Vec<_>) = request.into_iter().partition(|topic| topic.name.is_none());
        for topic in by_id.into_iter().chain(by_name) {
            let result = self.find_topic(&topic, &names, &ids);
            let result = result.and_then(|found| match removed.insert(found.id) {
                true => Ok(found),
                false => Err(TopicError::NameOfSuppliedId),
            });
            let known = result.as_ref().ok();
            let answer = DeletedTopic {
                name: known.map(|topic| topic.name.to_string()).or(topic.name),
                id: known.map_or(topic.id, |topic| topic.id),
                result: result.map(|found| events.push(Event::TopicRemoved(found.id))),
            };
            if !results.contains(&answer) {
                results.push(answer);
            }
        }
        (events, results)
    }

    fn find_topic(
        &self,
        topic: &TopicReference,
        repeated_names: &BTreeSet<String>,
        repeated_ids: &BTreeSet<TopicId>,
    ) -> Result<&Topic, TopicError> {
        if !self.options.delete_topics {
            return Err(TopicError::DeletionDisabled);
        }
        match (&topic.name, topic.id) {
            (None, TopicId::ZERO) => Err(TopicError::NeitherNameNorId),
            (None, id) if repeated_ids.contains(&id) => Err(TopicError::DuplicateId),
            (None, id) => self.image.topics.by_id(id).map(AsRef::as_ref).ok_or(TopicError::UnknownId),
            (Some(name), TopicId::ZERO) if repeated_names.contains(name) => Err(TopicError::DuplicateName),
            (Some(name), TopicId::ZERO) => {
                self.image.topics.by_name(name).map(AsRef::as_ref).ok_or(TopicError::UnknownName)
            }
            (Some(_), _) => Err(TopicError::NameAndId),
        }
    }
}
