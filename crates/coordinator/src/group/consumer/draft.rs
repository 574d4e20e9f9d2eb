//! A decision about a consumer group in the making: the group as it will be, and what makes it so.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{Generation, TopicId};
use vltava_core::image::{ConfigKind, ConfigResource};
use vltava_core::machine::{Context, Decision, Reply};

use super::event::{CheckedTopics, ConsumerEvent};
use super::{ConsumerGroup, hash};
use crate::group::GroupCoordinator;
use crate::group::answer::GroupAnswer;
use crate::group::error::GroupError;
use crate::group::event::GroupEvent;
use crate::group::name::{GroupId, MemberId};
use crate::group::settings::{ConsumerSettings, Limited};

/// A decision in the making. The group is copied when the first event changes it; a heartbeat that changes nothing copies
/// nothing, and one that only moves its member on notes its event as the last one and copies nothing either.
pub(super) struct ConsumerDraft<'a> {
    pub(super) coordinator: &'a GroupCoordinator,
    pub(super) context: &'a Context<'a>,
    pub(super) id: GroupId,
    pub(super) group: Cow<'a, ConsumerGroup>,
    pub(super) decision: Decision<GroupCoordinator>,
}

impl<'a> ConsumerDraft<'a> {
    /// Begins with a group as it is.
    pub(super) fn new(
        coordinator: &'a GroupCoordinator,
        context: &'a Context<'a>,
        id: &GroupId,
        group: Cow<'a, ConsumerGroup>,
    ) -> Self {
        ConsumerDraft { coordinator, context, id: id.clone(), group, decision: Decision::nothing() }
    }

    /// What happens next. What follows sees it.
    pub(super) fn happen(&mut self, event: ConsumerEvent) {
        self.group.to_mut().apply(&event);
        self.note(event);
    }

    /// What happens, and what nothing that follows looks at.
    pub(super) fn note(&mut self, event: ConsumerEvent) {
        self.decision.events.push(GroupEvent::Consumer { group: self.id.clone(), event });
    }

    pub(super) fn settings(&self) -> &'a ConsumerSettings {
        &self.coordinator.settings.consumer
    }

    /// Something that the group may have set for itself.
    fn setting(&self, limited: &Limited) -> Duration {
        let resource = ConfigResource::new(ConfigKind::Group, &self.id);
        let config = self.context.image.config(&resource);
        limited.of_group(config.and_then(|config| config.get(limited.group_key)).map(String::as_str))
    }

    /// How long members of the consumer protocol may go without a heartbeat.
    pub(super) fn session_timeout(&self) -> Duration {
        self.setting(&self.settings().session_timeout)
    }

    /// How often members are to send heartbeats.
    pub(super) fn heartbeat_interval(&self) -> Duration {
        self.setting(&self.settings().heartbeat_interval)
    }

    /// How long a target stays at least. What the cluster has set counts for groups that have not.
    pub(super) fn assignment_interval(&self) -> Duration {
        let limited = &self.settings().assignment_interval;
        let brokers = ConfigResource::new(ConfigKind::Broker, "");
        let cluster = self.context.image.config(&brokers);
        match cluster.and_then(|config| config.get(limited.broker_key)?.trim().parse().ok()) {
            Some(milliseconds) => {
                self.setting(&Limited { default: Duration::from_millis(milliseconds), ..limited.clone() })
            }
            None => self.setting(limited),
        }
    }

    /// Raises the group epoch. The hash of what is subscribed to goes with it.
    pub(super) fn raise_epoch(&mut self) {
        let checked = self.topics_now();
        let hash = self.topics_hash(&checked);
        self.raise_epoch_to(hash, checked);
    }

    /// Raises the group epoch if that is wanted, or the subscribed topics have changed.
    pub(super) fn raise_epoch_if(&mut self, wanted: bool) {
        let checked = self.topics_now();
        let hash = self.topics_hash(&checked);
        if wanted || hash != self.group.metadata_hash() {
            self.raise_epoch_to(hash, checked);
        } else {
            self.happen(ConsumerEvent::MetadataChecked(checked));
        }
        if self.group.has_topics {
            self.happen(ConsumerEvent::TopicsForgotten);
        }
    }

    fn raise_epoch_to(&mut self, metadata_hash: i64, checked: CheckedTopics) {
        let epoch = Generation(self.group.epoch().0.saturating_add(1));
        self.happen(ConsumerEvent::EpochStored { epoch, metadata_hash });
        self.happen(ConsumerEvent::MetadataChecked(checked));
    }

    /// Whether the cluster has changed since the subscribed topics were looked at.
    pub(super) fn metadata_is_old(&self) -> bool {
        self.group.live.checked.as_ref().map(|checked| checked.at) != Some(self.context.image.offset)
    }

    fn topics_now(&self) -> CheckedTopics {
        let names = self.group.subscribed_topics();
        let before = self.group.live.checked.as_ref().map(|checked| &checked.names);
        let names = before.filter(|before| ***before == names).cloned().unwrap_or_else(|| Arc::new(names));
        CheckedTopics { names, at: self.context.image.offset }
    }

    /// The hash of these topics: the one there is, when they are those that it was made of.
    fn topics_hash(&self, topics: &CheckedTopics) -> i64 {
        match &self.group.live.checked {
            Some(checked) if checked == topics => self.group.metadata_hash(),
            _ => hash::of_topics(&topics.names, self.context.image),
        }
    }

    /// Whether a member subscribes to a topic.
    pub(super) fn topics_of(&self, member: &MemberId) -> std::collections::BTreeSet<TopicId> {
        let metadata = self.group.members.get(member);
        metadata.map(|metadata| self.group.topics_of(metadata, self.context.image)).unwrap_or_default()
    }

    /// Whether there is room for this member.
    pub(super) fn check_room(&self, member: &MemberId) -> Result<(), GroupError> {
        let full = self.group.members.len() >= self.settings().size_max;
        if full && !self.group.members.contains_key(member) { Err(GroupError::GroupMaxSize) } else { Ok(()) }
    }

    /// The decision with an answer that waits for what it tells.
    pub(super) fn answer(mut self, answer: GroupAnswer) -> Decision<GroupCoordinator> {
        self.decision.reply = Reply::Committed(answer);
        self.decision
    }

    /// The decision with an answer, which need not wait when it tells nothing new.
    pub(super) fn answer_news(mut self, answer: GroupAnswer, tells_news: bool) -> Decision<GroupCoordinator> {
        let logged = self.decision.events.iter().any(GroupEvent::is_logged);
        self.decision.reply =
            if logged || tells_news { Reply::Committed(answer) } else { Reply::AtOnce(answer) };
        self.decision
    }
}
