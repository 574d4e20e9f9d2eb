//! Subscriptions by regular expression.
//!
//! A regular expression is compiled when somebody first brings it, so that a bad one is refused at once, and resolved in a
//! decision of its own right after, as Kafka does it in the background: the member that brings it is answered before.
//! All of a group are resolved together, at most every [`REFRESH_INTERVAL_MIN`], when one of them is new, the cluster has
//! changed, or `group.consumer.regex.refresh.interval.ms` is over. Matching takes time linear in the length of a topic's
//! name, whatever the expression; its length and the size of what it compiles to are bounded.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use vltava_core::machine::{Context, Decision};

use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::{MemberMetadata, ResolvedRegex};
use crate::group::GroupCoordinator;
use crate::group::command::{GroupTimer, TopicFilter};
use crate::group::error::GroupError;
use crate::group::event::GroupKey;
use crate::group::name::GroupId;

/// How long a regular expression may be, in bytes.
pub const REGEX_BYTES_MAX: usize = 4096;

/// How much memory a compiled regular expression may take, in bytes.
pub const REGEX_MEMORY_MAX: usize = 1 << 20;

/// How often the regular expressions of a group are resolved at most.
pub const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// What a request has changed of a member's regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegexChange {
    /// Nothing.
    None,
    /// It is another one, whose topics are not known yet.
    Unresolved,
    /// It is another one whose topics are known, or none any more.
    Resolved,
}

impl ConsumerDraft<'_> {
    /// The member has said what it subscribes to. Has everything resolved that has to be.
    pub(super) fn update_regexes(
        &mut self,
        before: &MemberMetadata,
        now: &MemberMetadata,
        visible: &TopicFilter,
    ) -> Result<RegexChange, GroupError> {
        let mut is_new = false;
        let change = if before.regex == now.regex {
            RegexChange::None
        } else {
            if let Some(old) = before.regex()
                && self.group.regex_members(old) == 0
                && self.group.regexes.contains_key(old)
            {
                self.happen(ConsumerEvent::RegexForgotten(old.clone()));
            }
            match now.regex() {
                None => RegexChange::Resolved,
                Some(regex) if self.group.regex_members(regex) == 1 => {
                    compile(regex)?;
                    is_new = true;
                    RegexChange::Unresolved
                }
                Some(regex) if self.group.regexes.contains_key(regex) => RegexChange::Resolved,
                Some(_) => RegexChange::Unresolved,
            }
        };
        if self.must_resolve(is_new) {
            let until = self.context.now + REFRESH_INTERVAL_MIN;
            self.happen(ConsumerEvent::RegexesAwaited(until));
            let timer = GroupTimer::ResolveRegexes { group: self.id.clone(), visible: visible.clone() };
            self.set_timer(GroupKey::Regexes(self.id.clone()), self.context.now, timer);
        }
        Ok(change)
    }

    fn must_resolve(&self, is_new: bool) -> bool {
        let group = &*self.group;
        let awaited = group.live.regexes_awaited.is_some_and(|until| self.context.now < until);
        if group.derived.regexes.is_empty() || awaited {
            return false;
        }
        let (checked_at, checked_version) =
            group.live.regexes_checked.map_or((i64::MIN, i64::MIN), |(at, version)| (at.0, version.0));
        let resolved_at = group.regexes.values().map(|regex| regex.timestamp).max().unwrap_or(i64::MIN);
        let version = group.regexes.values().map(|regex| regex.version).max().unwrap_or(i64::MIN);
        let last = resolved_at.max(checked_at);
        let passed = |interval: Duration| {
            let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
            self.context.wall.0 > last.saturating_add(interval)
        };
        passed(REFRESH_INTERVAL_MIN)
            && (is_new
                || group.derived.regexes.len() != group.regexes.len()
                || version.max(checked_version) < self.context.image.offset.0
                || passed(self.settings().regex_refresh_interval))
    }
}

impl GroupCoordinator {
    /// Finds the topics of all regular expressions of a group, as far as whoever caused it may see them.
    pub(in crate::group) fn resolve_regexes(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        visible: &TopicFilter,
    ) -> Decision<Self> {
        let Some(group) = self.consumers.get(id) else { return Decision::nothing() };
        let mut draft = ConsumerDraft::new(self, context, id, Cow::Borrowed(group));
        let mut changed = false;
        for regex in group.derived.regexes.keys() {
            let topics = matching_topics(regex, context, visible);
            let known = group.regexes.get(regex).map(|resolved| &resolved.topics);
            changed |= known.map_or(!topics.is_empty(), |known| **known != topics);
            if known.is_none_or(|known| **known != topics) {
                let resolved = ResolvedRegex {
                    topics: Arc::new(topics),
                    version: context.image.offset.0,
                    timestamp: context.wall.0,
                };
                draft.happen(ConsumerEvent::RegexStored { regex: regex.clone(), resolved });
            }
        }
        draft.happen(ConsumerEvent::RegexesChecked { at: context.wall, version: context.image.offset });
        draft.raise_epoch_if(changed);
        draft.decision
    }
}

fn matching_topics(regex: &str, context: &Context<'_>, visible: &TopicFilter) -> BTreeSet<Arc<str>> {
    // It was compiled when it was brought; another release may have had other limits.
    let Ok(regex) = compile(regex) else { return BTreeSet::new() };
    let topics = context.image.topics.iter().map(|topic| &topic.name);
    let matching = topics.filter(|name| regex.is_match(name) && visible.admits(name));
    matching.map(|name| Arc::from(&**name)).collect()
}

/// The regular expression, to match whole names.
fn compile(text: &str) -> Result<Regex, GroupError> {
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(REGEX_MEMORY_MAX)
            .build()
            .map_err(|_| GroupError::InvalidRegularExpression)
    };
    if text.len() > REGEX_BYTES_MAX {
        return Err(GroupError::InvalidRegularExpression);
    }
    // By itself first: what is put around it must not make it whole.
    build(text)?;
    build(&format!("^(?:{text})$"))
}
