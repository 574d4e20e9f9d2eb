//! DescribeGroups and ListGroups.

use std::sync::Arc;

use bytes::Bytes;
use vltava_core::machine::Decision;

use super::GroupCoordinator;
use super::answer::{DescribedGroup, DescribedMember, GroupAnswer, ListedGroup};
use super::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, ClassicState, Member};
use super::command::ListGroups;
use super::error::GroupError;
use super::name::GroupId;

/// Kafka's name for the type of a group of the classic protocol.
const CLASSIC: &str = "classic";

/// The same for one of the consumer protocol.
const CONSUMER: &str = "consumer";

impl GroupCoordinator {
    pub(super) fn describe_group(&self, group: &GroupId) -> Decision<Self> {
        let described = match self.classic(group) {
            // ConsumerGroupDescribe describes it.
            _ if self.consumers.contains_key(group) => Err(GroupError::GroupNotFound),
            Some(classic) => Ok(describe(group, classic)),
            None if self.offsets.has_group(group) => Ok(describe(group, &ClassicGroup::default())),
            None => Err(GroupError::GroupNotFound),
        };
        Decision::answer(GroupAnswer::DescribeGroup(described))
    }

    pub(super) fn list_groups(&self, filter: &ListGroups) -> Decision<Self> {
        let passes = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let mut listed = Vec::new();
        if passes(&filter.types, CONSUMER) {
            let groups = self.consumers.iter().map(|(id, group)| (id, group.state().name()));
            let groups = groups.filter(|(_, state)| passes(&filter.states, state));
            listed.extend(groups.map(|(id, state)| ListedGroup {
                group: id.clone(),
                protocol_type: Arc::from(CONSUMER_PROTOCOL_TYPE),
                state,
                group_type: CONSUMER,
                offsets: self.offsets.count_of(id),
            }));
        }
        if !passes(&filter.types, CLASSIC) {
            return Decision::answer(GroupAnswer::ListGroups(listed));
        }
        let simple = ClassicGroup::default();
        let with_metadata = self.groups.iter().map(|(id, group)| (id, &group.live));
        let others = self.offsets.groups().into_iter().filter(|id| self.is_simple(id));
        let groups = with_metadata.chain(others.map(|id| (id, &simple)));
        let groups = groups.filter(|(_, group)| passes(&filter.states, group.state.name()));
        listed.extend(groups.map(|(id, group)| ListedGroup {
            group: id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            state: group.state.name(),
            group_type: CLASSIC,
            offsets: self.offsets.count_of(id),
        }));
        Decision::answer(GroupAnswer::ListGroups(listed))
    }
}

fn describe(id: &GroupId, group: &ClassicGroup) -> DescribedGroup {
    let nothing = || Arc::from("");
    let protocol = group.protocol.clone().filter(|_| group.state == ClassicState::Stable);
    DescribedGroup {
        group: id.clone(),
        state: group.state.name(),
        protocol_type: group.protocol_type.clone().unwrap_or_else(nothing),
        members: group.members.values().map(|member| describe_member(member, protocol.as_deref())).collect(),
        protocol: protocol.unwrap_or_else(nothing),
    }
}

fn describe_member(member: &Member, protocol: Option<&str>) -> DescribedMember {
    let metadata = protocol.and_then(|protocol| member.metadata(protocol)).cloned();
    DescribedMember {
        member: member.id.clone(),
        instance: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: metadata.unwrap_or_else(Bytes::new),
        assignment: member.assignment.clone(),
    }
}
