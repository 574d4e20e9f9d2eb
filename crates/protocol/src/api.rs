//! The table of APIs: what can be asked, in which versions, on which listeners.
//!
//! The rows are generated from the message tables. What a release *advertises* is less where an API is not served yet or
//! its newest version is unstable; that is the broker's choice, made from these rows.

use std::fmt;
use std::ops::RangeInclusive;

use vltava_core::wire::{Message, MessageRow};

pub use crate::generated::catalogue::{APIS, ApiKey, RequestKind, ResponseKind};

/// The lowest version of Produce that ApiVersions names, although versions below 3 are refused when they arrive.
///
/// Clients on librdkafka take a gap at the lower end for an ancient broker and then do not compress (KAFKA-18659).
pub const PRODUCE_ADVERTISED_VERSION_MIN: i16 = 0;

/// One API.
#[derive(Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// Its name, such as `CreateTopics`.
    pub name: &'static str,
    /// The versions that can be read and written.
    pub versions: RangeInclusive<i16>,
    /// Whether the highest version is served only with `unstable.api.versions.enable=true`.
    pub latest_version_unstable: bool,
    /// The first version with compact encodings and tagged fields (KIP-482), if there is one.
    pub flexible_since: Option<i16>,
    /// The kinds of listeners that answer it.
    pub listeners: &'static [ListenerKind],
    /// The request's message.
    pub request: MessageRow,
    /// The response's message.
    pub response: MessageRow,
}

/// Which role of a node answers behind a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Clients and brokers.
    Broker,
    /// Controllers, and brokers that talk to them.
    Controller,
}

impl Api {
    /// The versions that are fixed for good: all but an unstable highest one.
    #[must_use]
    pub fn stable_versions(&self) -> RangeInclusive<i16> {
        let unstable = i16::from(self.latest_version_unstable);
        *self.versions.start()..=self.versions.end() - unstable
    }

    /// Whether `version` has compact encodings and tagged fields.
    #[must_use]
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_since.is_some_and(|first| version >= first)
    }

    /// The version of the header before a request of `version`.
    #[must_use]
    pub fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before a response of `version`.
    ///
    /// ApiVersions always has version 0, since its reader does not know yet what the other side can do (KIP-511).
    #[must_use]
    pub fn response_header_version(&self, version: i16) -> i16 {
        i16::from(self.key != ApiKey::ApiVersions && self.is_flexible(version))
    }

    /// Whether listeners of this kind answer the API.
    #[must_use]
    pub fn is_on(&self, listener: ListenerKind) -> bool {
        self.listeners.contains(&listener)
    }
}

impl ApiKey {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The API's name, such as `CreateTopics`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.api().name
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A request type, which knows its API and the type of its answer.
pub trait Request: Message {
    /// The API.
    const KEY: ApiKey;
    /// What the API answers.
    type Response: Message;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_versions_and_listeners_are_kafkas() {
        let check =
            |code: i16, name: &str, versions: RangeInclusive<i16>, flexible: Option<i16>, on: &str| {
                let api = ApiKey::from_code(code).expect("a key").api();
                let listeners: String = api
                    .listeners
                    .iter()
                    .map(|kind| match kind {
                        ListenerKind::Broker => 'B',
                        ListenerKind::Controller => 'C',
                    })
                    .collect();
                assert_eq!(
                    (api.key.code(), api.name, &api.versions, api.flexible_since, listeners.as_str()),
                    (code, name, &versions, flexible, on)
                );
            };
        check(0, "Produce", 3..=13, Some(9), "B");
        check(1, "Fetch", 4..=18, Some(12), "BC");
        check(2, "ListOffsets", 1..=11, Some(6), "B");
        check(3, "Metadata", 0..=13, Some(9), "B");
        check(8, "OffsetCommit", 2..=10, Some(8), "B");
        check(9, "OffsetFetch", 1..=10, Some(6), "B");
        check(10, "FindCoordinator", 0..=6, Some(3), "B");
        check(11, "JoinGroup", 0..=9, Some(6), "B");
        check(12, "Heartbeat", 0..=4, Some(4), "B");
        check(13, "LeaveGroup", 0..=5, Some(4), "B");
        check(14, "SyncGroup", 0..=5, Some(4), "B");
        check(15, "DescribeGroups", 0..=6, Some(5), "B");
        check(16, "ListGroups", 0..=5, Some(3), "B");
        check(17, "SaslHandshake", 0..=1, None, "BC");
        check(18, "ApiVersions", 0..=5, Some(3), "BC");
        check(19, "CreateTopics", 2..=7, Some(5), "BC");
        check(20, "DeleteTopics", 1..=6, Some(4), "BC");
        check(21, "DeleteRecords", 0..=2, Some(2), "B");
        check(22, "InitProducerId", 0..=6, Some(2), "B");
        check(23, "OffsetForLeaderEpoch", 2..=4, Some(4), "B");
        check(24, "AddPartitionsToTxn", 0..=5, Some(3), "B");
        check(25, "AddOffsetsToTxn", 0..=4, Some(3), "B");
        check(26, "EndTxn", 0..=5, Some(3), "B");
        check(27, "WriteTxnMarkers", 1..=2, Some(1), "B");
        check(28, "TxnOffsetCommit", 0..=6, Some(3), "B");
        check(29, "DescribeAcls", 1..=3, Some(2), "BC");
        check(30, "CreateAcls", 1..=3, Some(2), "BC");
        check(31, "DeleteAcls", 1..=3, Some(2), "BC");
        check(32, "DescribeConfigs", 1..=4, Some(4), "BC");
        check(33, "AlterConfigs", 0..=2, Some(2), "BC");
        check(34, "AlterReplicaLogDirs", 1..=2, Some(2), "B");
        check(35, "DescribeLogDirs", 1..=5, Some(2), "B");
        check(36, "SaslAuthenticate", 0..=2, Some(2), "BC");
        check(37, "CreatePartitions", 0..=3, Some(2), "BC");
        check(38, "CreateDelegationToken", 1..=3, Some(2), "BC");
        check(39, "RenewDelegationToken", 1..=2, Some(2), "BC");
        check(40, "ExpireDelegationToken", 1..=2, Some(2), "BC");
        check(41, "DescribeDelegationToken", 1..=3, Some(2), "BC");
        check(42, "DeleteGroups", 0..=3, Some(2), "B");
        check(43, "ElectLeaders", 0..=2, Some(2), "BC");
        check(44, "IncrementalAlterConfigs", 0..=1, Some(1), "BC");
        check(45, "AlterPartitionReassignments", 0..=1, Some(0), "BC");
        check(46, "ListPartitionReassignments", 0..=0, Some(0), "BC");
        check(47, "OffsetDelete", 0..=0, None, "B");
        check(48, "DescribeClientQuotas", 0..=1, Some(1), "B");
        check(49, "AlterClientQuotas", 0..=1, Some(1), "BC");
        check(50, "DescribeUserScramCredentials", 0..=0, Some(0), "BC");
        check(51, "AlterUserScramCredentials", 0..=0, Some(0), "BC");
        check(52, "Vote", 0..=2, Some(0), "C");
        check(53, "BeginQuorumEpoch", 0..=1, Some(1), "C");
        check(54, "EndQuorumEpoch", 0..=1, Some(1), "C");
        check(55, "DescribeQuorum", 0..=2, Some(0), "BC");
        check(56, "AlterPartition", 2..=3, Some(0), "C");
        check(57, "UpdateFeatures", 0..=2, Some(0), "BC");
        check(58, "Envelope", 0..=0, Some(0), "C");
        check(59, "FetchSnapshot", 0..=1, Some(0), "C");
        check(60, "DescribeCluster", 0..=2, Some(0), "BC");
        check(61, "DescribeProducers", 0..=0, Some(0), "B");
        check(62, "BrokerRegistration", 0..=4, Some(0), "C");
        check(63, "BrokerHeartbeat", 0..=2, Some(0), "C");
        check(64, "UnregisterBroker", 0..=0, Some(0), "BC");
        check(65, "DescribeTransactions", 0..=0, Some(0), "B");
        check(66, "ListTransactions", 0..=2, Some(0), "B");
        check(67, "AllocateProducerIds", 0..=0, Some(0), "C");
        check(68, "ConsumerGroupHeartbeat", 0..=1, Some(0), "B");
        check(69, "ConsumerGroupDescribe", 0..=1, Some(0), "B");
        check(70, "ControllerRegistration", 0..=0, Some(0), "C");
        check(71, "GetTelemetrySubscriptions", 0..=0, Some(0), "B");
        check(72, "PushTelemetry", 0..=0, Some(0), "B");
        check(73, "AssignReplicasToDirs", 0..=0, Some(0), "C");
        check(74, "ListConfigResources", 0..=1, Some(0), "B");
        check(75, "DescribeTopicPartitions", 0..=0, Some(0), "B");
        check(76, "ShareGroupHeartbeat", 1..=1, Some(0), "B");
        check(77, "ShareGroupDescribe", 1..=1, Some(0), "B");
        check(78, "ShareFetch", 1..=2, Some(0), "B");
        check(79, "ShareAcknowledge", 1..=2, Some(0), "B");
        check(80, "AddRaftVoter", 0..=1, Some(0), "BC");
        check(81, "RemoveRaftVoter", 0..=0, Some(0), "BC");
        check(82, "UpdateRaftVoter", 0..=0, Some(0), "C");
        check(83, "InitializeShareGroupState", 0..=0, Some(0), "B");
        check(84, "ReadShareGroupState", 0..=0, Some(0), "B");
        check(85, "WriteShareGroupState", 0..=1, Some(0), "B");
        check(86, "DeleteShareGroupState", 0..=0, Some(0), "B");
        check(87, "ReadShareGroupStateSummary", 0..=1, Some(0), "B");
        check(88, "StreamsGroupHeartbeat", 0..=1, Some(0), "B");
        check(89, "StreamsGroupDescribe", 0..=1, Some(0), "B");
        check(90, "DescribeShareGroupOffsets", 0..=1, Some(0), "B");
        check(91, "AlterShareGroupOffsets", 0..=0, Some(0), "B");
        check(92, "DeleteShareGroupOffsets", 0..=0, Some(0), "B");
        check(93, "StreamsGroupTopologyDescriptionUpdate", 0..=0, Some(0), "B");
        check(94, "UnregisterController", 0..=0, Some(0), "BC");
        assert_eq!(APIS.len(), 91);
    }

    #[test]
    fn rows_stand_in_the_order_of_their_keys() {
        for (row, next) in APIS.iter().zip(&APIS[1..]) {
            assert!(row.key < next.key, "{} before {}", row.name, next.name);
            assert!(std::ptr::eq(row.key.api(), row), "{}", row.name);
        }
    }

    #[test]
    fn retired_and_unknown_keys_are_no_apis() {
        for code in [-1, 4, 5, 6, 7, 95, i16::MAX, i16::MIN] {
            assert_eq!(ApiKey::from_code(code), None);
        }
    }

    #[test]
    fn headers_follow_flexibility_except_for_api_versions() {
        let check = |key: ApiKey, version: i16, request: i16, response: i16| {
            let api = key.api();
            assert_eq!(
                (api.request_header_version(version), api.response_header_version(version)),
                (request, response),
                "{key} {version}"
            );
        };
        check(ApiKey::Produce, 8, 1, 0);
        check(ApiKey::Produce, 9, 2, 1);
        check(ApiKey::ApiVersions, 2, 1, 0);
        check(ApiKey::ApiVersions, 3, 2, 0);
        check(ApiKey::SaslHandshake, 1, 1, 0);
        check(ApiKey::OffsetDelete, 0, 1, 0);
    }

    #[test]
    fn only_the_unstable_version_is_left_out_of_the_stable_ones() {
        assert_eq!(ApiKey::InitProducerId.api().stable_versions(), 0..=5);
        assert_eq!(ApiKey::InitProducerId.api().versions, 0..=6);
        assert_eq!(ApiKey::Produce.api().stable_versions(), 3..=13);
    }
}
