//! A member's life in the classic protocol: it joins and syncs as a consumer does that gives up everything before, and assigns
//! when it is the leader of a classic group.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use vltava_coordinator::generated::consumer_protocol::consumer_protocol_assignment::TopicPartition;
use vltava_coordinator::generated::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use vltava_coordinator::group::answer::{JoinAnswer, JoinedGroup};
use vltava_coordinator::group::command::{Heartbeat, Join, Leave, MemberIdentity, Protocol, Sync};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, MemberId};
use vltava_core::id::PartitionIndex;
use vltava_core::wire::{Message, Reader, WireStr, Writer};

use super::{REBALANCE, SESSION, SHARES, SHARES_PARTITIONS, Sharer};

const PROTOCOL: &str = "range";

/// The version of what members say to each other.
const VERSION: i16 = 1;

impl Sharer {
    /// Says that it lives, or joins and syncs if it has to.
    pub(super) async fn beat_classic(&mut self) {
        let Some(joined) = &self.joined else { return self.join().await };
        let heartbeat = Heartbeat {
            group: self.who.0.into(),
            member: self.member.clone(),
            generation: joined.generation,
            ..Heartbeat::default()
        };
        let sent = self.world.clock.now();
        match self.world.ask_as_member(&mut self.random, GroupCommand::Heartbeat(heartbeat)).await {
            Some(GroupAnswer::Heartbeat(Ok(()))) => {
                self.take(self.epoch, self.offsets.keys().copied().collect(), sent);
            }
            Some(GroupAnswer::Heartbeat(Err(error))) => self.suffer(error),
            Some(other) => self.world.is_broken(format!("{} is told {other:?}", self.name())),
            None => {}
        }
    }

    async fn join(&mut self) {
        self.rejoin();
        let subscription = ConsumerProtocolSubscription {
            topics: vec![WireStr::copy_of(SHARES)],
            ..ConsumerProtocolSubscription::default()
        };
        let join = Join {
            group: self.who.0.into(),
            member: self.member.clone(),
            client_id: "mover".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: SESSION,
            rebalance_timeout: Some(REBALANCE),
            protocol_type: "consumer".into(),
            protocols: [Protocol { name: PROTOCOL.into(), metadata: write(&subscription) }].into(),
            takes_member_id: true,
            ..Join::default()
        };
        let answer = self.world.ask_as_member(&mut self.random, GroupCommand::Join(join)).await;
        let Some(GroupAnswer::Join(JoinAnswer { member, outcome })) = answer else { return };
        match outcome {
            Ok(joined) => {
                self.member = member;
                self.sync(joined).await;
            }
            Err(GroupError::MemberIdRequired) => self.member = member,
            Err(error) => self.suffer(error),
        }
    }

    async fn sync(&mut self, joined: JoinedGroup) {
        let sync = Sync {
            group: self.who.0.into(),
            member: self.member.clone(),
            generation: joined.generation,
            protocol_type: Some("consumer".into()),
            protocol: Some(PROTOCOL.into()),
            assignments: if joined.leader == self.member { assign(&joined) } else { Vec::new() },
            ..Sync::default()
        };
        let sent = self.world.clock.now();
        match self.world.ask_as_member(&mut self.random, GroupCommand::Sync(sync)).await {
            Some(GroupAnswer::Sync(Ok(synced))) => {
                self.take(joined.generation, read(&synced.assignment), sent);
                self.joined = Some(joined);
            }
            Some(GroupAnswer::Sync(Err(error))) => self.suffer(error),
            _ => {}
        }
    }

    /// It has to join again, perhaps as another member.
    fn suffer(&mut self, error: GroupError) {
        match error {
            GroupError::RebalanceInProgress | GroupError::IllegalGeneration => {}
            GroupError::UnknownMember => {
                self.world.note(&self.name(), "is unknown");
                self.world.beliefs.lock().fenced += 1;
                self.member = MemberId::default();
            }
            other => self.world.is_broken(format!("{} is told {other}", self.name())),
        }
        self.rejoin();
    }

    pub(super) fn leave_classic(&self) -> GroupCommand {
        let members = vec![MemberIdentity { member: self.member.clone(), instance: None }];
        GroupCommand::Leave(Leave { group: self.who.0.into(), members })
    }
}

/// Gives each partition to one of the members, in turn.
fn assign(joined: &JoinedGroup) -> Vec<(MemberId, Bytes)> {
    let partitions = || 0..i32::try_from(SHARES_PARTITIONS).unwrap();
    let mut shares: BTreeMap<MemberId, Vec<i32>> = BTreeMap::new();
    for (partition, member) in partitions().zip(joined.members.iter().cycle()) {
        shares.entry(member.member.clone()).or_default().push(partition);
    }
    let written = |partitions| {
        let topic = TopicPartition { topic: WireStr::copy_of(SHARES), partitions };
        write(&ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data: None })
    };
    shares.into_iter().map(|(member, share)| (member, written(share))).collect()
}

fn write(message: &impl Message) -> Bytes {
    let mut writer = Writer::default();
    writer.i16(VERSION);
    message.encode(&mut writer, VERSION).unwrap();
    writer.into_bytes().unwrap()
}

fn read(assignment: &Bytes) -> BTreeSet<PartitionIndex> {
    if assignment.is_empty() {
        return BTreeSet::new();
    }
    let mut reader = Reader::new(assignment.clone());
    let version = reader.i16().unwrap();
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version).unwrap();
    assignment
        .assigned_partitions
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .map(PartitionIndex)
        .collect()
}
