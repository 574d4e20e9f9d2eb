//! Who may commit and fetch offsets of a consumer group.

use std::cmp::Ordering;
use std::sync::Arc;

use vltava_core::id::{Generation, PartitionIndex, TopicId};

use super::ConsumerGroup;
use super::member::Current;
use crate::group::command::{CommitOffsets, FetchOffsets};
use crate::group::error::GroupError;

/// Which partitions a member may commit (KIP-1251).
#[derive(Clone, Debug)]
pub(in crate::group) enum CommitCheck {
    /// Any: the member speaks of its own epoch, or there is no member to speak of.
    Any,
    /// Those that the member had in the older epoch that it speaks of, and has still. A commit that was sent before the
    /// member heard of its new epoch must not get lost, and one of a partition that has been somebody else's in between
    /// must.
    Had {
        /// The epoch.
        epoch: Generation,
        /// What the member has.
        current: Arc<Current>,
        /// What is said of others.
        refusal: GroupError,
    },
}

impl CommitCheck {
    /// Whether this partition may be committed.
    pub(in crate::group) fn check(
        &self,
        topic: TopicId,
        partition: PartitionIndex,
    ) -> Result<(), GroupError> {
        match self {
            CommitCheck::Any => Ok(()),
            CommitCheck::Had { epoch, current, refusal } => {
                let since = current.assigned_in(topic, partition);
                if since.is_some_and(|since| *epoch >= since) { Ok(()) } else { Err(*refusal) }
            }
        }
    }
}

impl ConsumerGroup {
    /// Whether the offsets may be committed.
    pub(in crate::group) fn admit_commit(&self, commit: &CommitOffsets) -> Result<CommitCheck, GroupError> {
        if commit.generation < Generation(0) && self.members.is_empty() {
            return Ok(CommitCheck::Any);
        }
        if !self.member(&commit.member)?.is_classic() && !commit.knows_group_not_found {
            return Err(GroupError::UnsupportedVersion);
        }
        self.check_epoch(commit, true)
    }

    /// The same within a transaction, whose commits need not name a member.
    pub(in crate::group) fn admit_commit_in_transaction(
        &self,
        commit: &CommitOffsets,
        knows_stale_epoch: bool,
    ) -> Result<CommitCheck, GroupError> {
        let nameless = commit.member.is_empty() && commit.instance.is_none();
        if commit.generation < Generation(0) && (nameless || self.members.is_empty()) {
            return Ok(CommitCheck::Any);
        }
        self.check_epoch(commit, knows_stale_epoch)
    }

    fn check_epoch(
        &self,
        commit: &CommitOffsets,
        knows_stale_epoch: bool,
    ) -> Result<CommitCheck, GroupError> {
        let refusal = match self.member(&commit.member)?.is_classic() {
            false if knows_stale_epoch => GroupError::StaleMemberEpoch,
            _ => GroupError::IllegalGeneration,
        };
        let current = self.current(&commit.member);
        match commit.generation.cmp(&current.epoch) {
            Ordering::Equal => Ok(CommitCheck::Any),
            Ordering::Greater => Err(refusal),
            Ordering::Less => Ok(CommitCheck::Had { epoch: commit.generation, current, refusal }),
        }
    }

    /// Whether the offsets may be fetched: by those who name no member, and by members in their epoch.
    pub(in crate::group) fn admit_fetch(&self, fetch: &FetchOffsets) -> Result<(), GroupError> {
        if fetch.member.is_none() && fetch.member_epoch < Generation(0) {
            return Ok(());
        }
        let id = fetch.member.clone().unwrap_or_default();
        let metadata = self.member(&id)?;
        if fetch.member_epoch == self.current(&id).epoch {
            Ok(())
        } else if metadata.is_classic() {
            Err(GroupError::IllegalGeneration)
        } else {
            Err(GroupError::StaleMemberEpoch)
        }
    }
}
