//! The control records of the quorum, as Kafka has them.

use vltava_core::generated::leader_change_message::Voter as ChangeVoter;
use vltava_core::generated::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
};
use vltava_core::id::{BrokerId, LeaderEpoch, Offset, Timestamp};
use vltava_core::image::Endpoint;
use vltava_core::record::{Batch, BatchBuilder, Compression, ControlRecordType, RecordError};
use vltava_core::wire::{Message, encode_contiguous};

use super::types::{VoterId, voters_record};

/// The version of the quorum's records and requests: 1 has voters with directory ids (KIP-853).
pub const KRAFT_VERSION: i16 = 1;

/// A voter and where it is reached.
pub(super) type VoterAt<'a> = (&'a VoterId, &'a [Endpoint]);

/// A batch of control records in the making.
pub(super) struct Control {
    builder: BatchBuilder,
    timestamp: Timestamp,
    failure: Option<RecordError>,
}

impl Control {
    pub(super) fn new(base: Offset, epoch: LeaderEpoch, timestamp: Timestamp) -> Control {
        let mut builder = BatchBuilder::new(Compression::None).control();
        (builder.base_offset, builder.leader_epoch) = (base, epoch);
        Control { builder, timestamp, failure: None }
    }

    /// A new leader, with the voters and those who voted for it.
    pub(super) fn leader_change(
        self,
        leader: BrokerId,
        voters: &[VoterAt<'_>],
        granting: &[VoterId],
    ) -> Control {
        // Version 0, which Kafka writes and reads: without the directories, which the voters' record has.
        let voter = |id: &VoterId| ChangeVoter { voter_id: id.node.0, ..ChangeVoter::default() };
        let message = LeaderChangeMessage {
            version: 0,
            leader_id: leader.0,
            voters: voters.iter().map(|(id, _)| voter(id)).collect(),
            granting_voters: granting.iter().map(voter).collect(),
        };
        self.record(ControlRecordType::LeaderChange, &message, 0)
    }

    /// The version of the quorum and its voters.
    pub(super) fn voters(self, voters: &[VoterAt<'_>]) -> Control {
        let version = KRaftVersionRecord { version: 0, kraft_version: KRAFT_VERSION };
        let record = voters_record(voters.iter().copied());
        self.record(ControlRecordType::KraftVersion, &version, 0).record(
            ControlRecordType::KraftVoters,
            &record,
            0,
        )
    }

    /// The first record of a snapshot.
    pub(super) fn snapshot_header(self, last_contained: Timestamp) -> Control {
        let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: last_contained.0 };
        self.record(ControlRecordType::SnapshotHeader, &header, 0)
    }

    /// The last record of a snapshot.
    pub(super) fn snapshot_footer(self) -> Control {
        self.record(ControlRecordType::SnapshotFooter, &SnapshotFooterRecord { version: 0 }, 0)
    }

    pub(super) fn build(self) -> Result<Batch, RecordError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => self.builder.build(),
        }
    }

    fn record<M: Message>(mut self, kind: ControlRecordType, message: &M, version: i16) -> Control {
        match encode_contiguous(message, version) {
            Ok(value) => self.builder.append(self.timestamp, Some(&kind.key()), Some(&value), &[]),
            Err(_) => self.failure = Some(RecordError::Structure("a control record cannot be written")),
        }
        self
    }
}
