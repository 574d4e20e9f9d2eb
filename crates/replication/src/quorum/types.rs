//! The types that openraft is instantiated with, and how an entry of its log is written.
//!
//! An entry is one record batch in a log of its own: its base offset is the raft index, its leader epoch the term, and
//! the value of its only record a kind and the payload. So the log that partitions use (recovery, rolling, trimming,
//! flushing) serves the quorum as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::{BufMut, Bytes};
use openraft::entry::{EntryPayload, RaftPayload};
use vltava_core::generated::VotersRecord;
use vltava_core::generated::voters_record::{
    Endpoint as WireEndpoint, KRaftVersionFeature, Voter as WireVoter,
};
use vltava_core::id::{BrokerId, DirectoryId, LeaderEpoch, Offset, Timestamp};
use vltava_core::image::Endpoint;
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::wire::{WireStr, decode_exactly, encode_contiguous};

openraft::declare_raft_types!(
    /// What openraft is generic over.
    pub(super) Types:
        D = Proposal,
        R = (),
        NodeId = VoterId,
        Node = VoterNode,
        SnapshotData = Bytes,
);

pub(super) type RaftEntry = openraft::Entry<Types>;
pub(super) type LogId = openraft::LogId<VoterId>;
pub(super) type Membership = openraft::Membership<VoterId, VoterNode>;
pub(super) type StoredMembership = openraft::StoredMembership<VoterId, VoterNode>;
pub(super) type StorageError = openraft::StorageError<VoterId>;
pub(super) type Vote = openraft::Vote<VoterId>;

/// A voter is a node and its metadata directory: with another disk it is another voter, because it has forgotten what
/// it voted (KIP-853).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VoterId {
    pub(super) node: BrokerId,
    pub(super) directory: DirectoryId,
}

impl fmt::Display for VoterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.directory)
    }
}

/// Where a voter is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VoterNode {
    pub(super) endpoints: Vec<Endpoint>,
}

/// What one entry proposes: batches that already have their offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) batches: Vec<Batch>,
}

impl Proposal {
    /// The end of the projected log with this proposal in it.
    pub(super) fn end(&self) -> Option<Offset> {
        self.batches.last().map(|batch| batch.header.next_offset())
    }
}

/// An entry of the raft log cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the raft log: {why}")]
pub(super) struct EntryError {
    pub(super) index: u64,
    pub(super) why: String,
}

const BLANK: u8 = 0;
const PROPOSAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The entry as a batch.
pub(super) fn encode(entry: &RaftEntry) -> Result<Batch, EntryError> {
    let index = entry.log_id.index;
    let failed = |why: String| EntryError { index, why };
    let mut value = Vec::new();
    match &entry.payload {
        EntryPayload::Blank => value.put_u8(BLANK),
        EntryPayload::Normal(proposal) => {
            value.put_u8(PROPOSAL);
            proposal.batches.iter().for_each(|batch| batch.encode_into(&mut value));
        }
        EntryPayload::Membership(membership) => {
            value.put_u8(MEMBERSHIP);
            put_membership(&mut value, membership).map_err(failed)?;
        }
    }
    let mut builder = BatchBuilder::new(Compression::None);
    builder.base_offset = Offset(i64::try_from(index).map_err(|error| failed(error.to_string()))?);
    builder.leader_epoch = epoch_of(entry.log_id.leader_id.term);
    builder.append(Timestamp(0), None, Some(&value), &[]);
    builder.build().map_err(|error| failed(error.to_string()))
}

/// The entry that a batch holds.
pub(super) fn decode(batch: &Batch) -> Result<RaftEntry, EntryError> {
    let index = u64::try_from(batch.header.base_offset.0).unwrap_or(0);
    let failed = |why: &dyn fmt::Display| EntryError { index, why: why.to_string() };
    batch.check_crc().map_err(|error| failed(&error))?;
    let records = batch.records().map_err(|error| failed(&error))?;
    let record =
        records.iter().next().ok_or_else(|| failed(&"it is empty"))?.map_err(|error| failed(&error))?;
    let mut value = records.body().slice_ref(record.value.unwrap_or_default());
    if value.is_empty() {
        return Err(failed(&"it has no kind"));
    }
    let kind = value.split_to(1);
    let payload = match kind.first() {
        Some(&BLANK) => EntryPayload::Blank,
        Some(&PROPOSAL) => {
            let batches: Result<_, _> = Batch::split(value).collect();
            EntryPayload::Normal(Proposal { batches: batches.map_err(|error| failed(&error))? })
        }
        Some(&MEMBERSHIP) => EntryPayload::Membership(take_membership(value).map_err(|why| failed(&why))?),
        kind => return Err(failed(&format!("kind {kind:?} is not known"))),
    };
    let term = u64::try_from(batch.header.partition_leader_epoch.0).unwrap_or(0);
    Ok(RaftEntry { log_id: log_id(term, index), payload })
}

/// The id of an entry.
pub(super) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(openraft::CommittedLeaderId::new(term, VoterId::default()), index)
}

/// A raft term as a leader epoch. Terms grow by one for each election, so that 2³¹ of them do not come.
pub(super) fn epoch_of(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

/// The membership in an entry.
pub(super) fn membership_of(entry: &RaftEntry) -> Option<StoredMembership> {
    entry.get_membership().map(|membership| StoredMembership::new(Some(entry.log_id), membership.clone()))
}

/// The voters as Kafka's record has them.
pub(super) fn voters_record<'a>(
    voters: impl IntoIterator<Item = (&'a VoterId, &'a [Endpoint])>,
) -> VotersRecord {
    let endpoint = |endpoint: &Endpoint| WireEndpoint {
        name: WireStr::copy_of(&endpoint.listener),
        host: WireStr::copy_of(&endpoint.host),
        port: endpoint.port,
    };
    let voter = |(id, endpoints): (&VoterId, &[Endpoint])| WireVoter {
        voter_id: id.node.0,
        voter_directory_id: id.directory.0,
        endpoints: endpoints.iter().map(endpoint).collect(),
        kraft_version_feature: KRaftVersionFeature { min_supported_version: 0, max_supported_version: 1 },
    };
    VotersRecord { version: 0, voters: voters.into_iter().map(voter).collect() }
}

/// A membership as bytes: how many configurations of voters there are, each of them, and then the other nodes.
pub(super) fn put_membership(out: &mut Vec<u8>, membership: &Membership) -> Result<(), String> {
    let endpoints = |id: &VoterId| membership.get_node(id).map_or(&[][..], |node| &node.endpoints);
    let configs = membership.get_joint_config();
    out.put_u8(u8::try_from(configs.len()).map_err(|error| error.to_string())?);
    let learners: BTreeSet<_> = membership.learner_ids().collect();
    for ids in configs.iter().chain([&learners]) {
        let record = voters_record(ids.iter().map(|id| (id, endpoints(id))));
        let record = encode_contiguous(&record, 0).map_err(|error| error.to_string())?;
        out.put_u32(u32::try_from(record.len()).map_err(|error| error.to_string())?);
        out.put_slice(&record);
    }
    Ok(())
}

/// Reads what [`put_membership`] writes.
pub(super) fn take_membership(mut bytes: Bytes) -> Result<Membership, String> {
    const SHORT: &str = "the membership is cut off";
    let configs_count = take(&mut bytes, 1).and_then(|count| count.first().copied()).ok_or(SHORT)?;
    let (mut configs, mut nodes) = (Vec::new(), BTreeMap::new());
    for position in 0..=configs_count {
        let length = take(&mut bytes, 4).and_then(|length| length.first_chunk().copied()).ok_or(SHORT)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|error| error.to_string())?;
        let record = take(&mut bytes, length).ok_or(SHORT)?;
        let record: VotersRecord = decode_exactly(record, 0).map_err(|error| error.to_string())?;
        let mut config = BTreeSet::new();
        for voter in record.voters {
            let id =
                VoterId { node: BrokerId(voter.voter_id), directory: DirectoryId(voter.voter_directory_id) };
            config.insert(id);
            nodes.insert(id, VoterNode { endpoints: voter.endpoints.iter().map(endpoint_of).collect() });
        }
        if position < configs_count {
            configs.push(config);
        }
    }
    Ok(Membership::new(configs, nodes))
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn endpoint_of(endpoint: &WireEndpoint) -> Endpoint {
    Endpoint {
        listener: endpoint.name.as_str().to_owned(),
        host: endpoint.host.as_str().to_owned(),
        port: endpoint.port,
        security_protocol: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: EntryPayload<Types>) {
        let entry = RaftEntry { log_id: log_id(7, 42), payload };
        let batch = encode(&entry).unwrap();
        assert_eq!((batch.header.base_offset, batch.header.next_offset()), (Offset(42), Offset(43)));
        assert_eq!(batch.header.partition_leader_epoch, LeaderEpoch(7));
        assert_eq!(decode(&batch).unwrap(), entry);
    }

    #[test]
    fn entries_survive_their_bytes() {
        check(EntryPayload::Blank);
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(Timestamp(5), Some(b"k"), None, &[]);
        let batch = builder.build().unwrap();
        check(EntryPayload::Normal(Proposal { batches: vec![batch.clone(), batch] }));
        let voter = |node| VoterId {
            node: BrokerId(node),
            directory: DirectoryId(vltava_core::id::Uuid::from_u128(9)),
        };
        let endpoint = Endpoint { listener: "C".into(), host: "h".into(), port: 9093, security_protocol: 0 };
        let nodes: BTreeMap<_, _> =
            (1..4).map(|node| (voter(node), VoterNode { endpoints: vec![endpoint.clone()] })).collect();
        let configs = vec![[voter(1)].into(), [voter(1), voter(2)].into()];
        check(EntryPayload::Membership(Membership::new(configs, nodes)));
    }
}
