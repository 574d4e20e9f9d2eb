//! A member of a classic group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::wire::{Reader, WireError};

use crate::group::command::Protocol;
use crate::group::event::StoredMember;
use crate::group::name::{InstanceId, MemberId};

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// The client id of its connection.
    pub client_id: Arc<str>,
    /// The address of its client.
    pub client_host: Arc<str>,
    /// How long it takes at most to join again in a rebalance.
    pub rebalance_timeout: Duration,
    /// How long it may go without a heartbeat.
    pub session_timeout: Duration,
    /// The protocols it supports, the preferred one first. After a replay only the selected one is known.
    pub protocols: Arc<[Protocol]>,
    /// What the leader has assigned to it.
    pub assignment: Bytes,
    /// It has never been in a generation, so it may not know its id yet.
    pub is_new: bool,
    /// It has joined, and an answer is parked for it.
    pub awaiting_join: bool,
    /// It has synced, and an answer is parked for it.
    pub awaiting_sync: bool,
    /// When it must have been heard of. The session's timer is set for this moment or an earlier one, and set anew when
    /// it fires early: a heartbeat then only moves this moment, and timers are touched once in a session timeout.
    pub deadline: Moment,
}

impl Member {
    /// What it says about a protocol; none when it does not support it.
    #[must_use]
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|known| &*known.name == protocol).map(|known| &known.metadata)
    }

    /// Whether it is kept although it was not heard of: it waits for us, not we for it.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_new && (self.awaiting_join || self.awaiting_sync)
    }

    pub(super) fn to_stored(&self, protocol: Option<&str>, assignment: Bytes) -> StoredMember {
        StoredMember {
            id: self.id.clone(),
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout,
            session_timeout: self.session_timeout,
            subscription: protocol.and_then(|protocol| self.metadata(protocol)).cloned().unwrap_or_default(),
            assignment,
        }
    }

    pub(super) fn from_stored(stored: &StoredMember, protocol: Option<&Arc<str>>) -> Member {
        Member {
            id: stored.id.clone(),
            instance: stored.instance.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            rebalance_timeout: stored.rebalance_timeout,
            session_timeout: stored.session_timeout,
            protocols: protocol
                .map(|name| Protocol { name: name.clone(), metadata: stored.subscription.clone() })
                .into_iter()
                .collect(),
            assignment: stored.assignment.clone(),
            is_new: false,
            awaiting_join: false,
            awaiting_sync: false,
            deadline: Moment::default(),
        }
    }

    /// The stored member, with what only a leader knows of it.
    pub(super) fn restored(&self, stored: &StoredMember, protocol: Option<&Arc<str>>) -> Member {
        let mut member = Member::from_stored(stored, protocol);
        let same = protocol.is_some_and(|name| self.metadata(name) == Some(&stored.subscription));
        if same {
            member.protocols = self.protocols.clone();
        }
        member.is_new = self.is_new;
        member.awaiting_join = self.awaiting_join;
        member.awaiting_sync = self.awaiting_sync;
        member.deadline = self.deadline;
        member
    }
}

/// The topics of a consumer's subscription; none when it is not one.
///
/// Only the fields of version 0 are read: every later version begins with them.
pub(super) fn subscription_topics(metadata: &Bytes) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata.clone());
    let topics = |reader: &mut Reader| -> Result<Vec<String>, WireError> {
        reader.i16()?;
        reader.array(false, 2, |reader| Ok(reader.string(false)?.as_str().to_owned()))
    };
    topics(&mut reader).ok()
}
