//! What a voter must not forget: its vote (`quorum-state`, Kafka's file) and where its raft log starts (`raft-state`).

use serde::{Deserialize, Serialize};
use vltava_core::id::{BrokerId, DirectoryId, Offset};
use vltava_core::log::LogError;

use super::files::QuorumFiles;
use super::types::{LogId, StoredMembership, Vote, VoterId, log_id, put_membership, take_membership};

const VOTE: &str = "quorum-state";
const PURGED: &str = "raft-state";

/// `quorum-state` as Kafka writes it. A file of version 0 has more fields; they are not needed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuorumState {
    #[serde(default = "none")]
    leader_id: i32,
    leader_epoch: i32,
    #[serde(default = "none")]
    voted_id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voted_directory_id: Option<String>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

fn none() -> i32 {
    BrokerId::NONE.0
}

/// The vote of the file; `None` before the first one.
///
/// It is read as not yet granted by a quorum, although it may have been: so a leader that restarts stands for election
/// again, in a term of its own, instead of going on in one whose batches it may have lost from its memory.
pub(super) fn read_vote(files: &dyn QuorumFiles) -> Result<Option<Vote>, LogError> {
    let Some(content) = files.read(VOTE)? else { return Ok(None) };
    let state: QuorumState = serde_json::from_slice(&content).map_err(|error| corrupt(VOTE, &error))?;
    let directory = state.voted_directory_id.as_deref().map(str::parse).transpose();
    let directory: Option<DirectoryId> = directory.map_err(|error| corrupt(VOTE, &error))?;
    let voted = (state.voted_id >= 0)
        .then(|| VoterId { node: BrokerId(state.voted_id), directory: directory.unwrap_or_default() });
    let term = u64::try_from(state.leader_epoch).unwrap_or(0);
    Ok(Some(Vote { leader_id: openraft::LeaderId { term, voted_for: voted }, committed: false }))
}

/// Writes a vote, durably.
pub(super) fn write_vote(files: &dyn QuorumFiles, vote: &Vote) -> Result<(), LogError> {
    let voted = vote.leader_id.voted_for;
    let state = QuorumState {
        leader_id: voted.filter(|_| vote.committed).map_or(BrokerId::NONE.0, |voter| voter.node.0),
        leader_epoch: super::types::epoch_of(vote.leader_id.term).0,
        voted_id: voted.map_or(BrokerId::NONE.0, |voter| voter.node.0),
        voted_directory_id: Some(voted.map_or(DirectoryId::UNASSIGNED, |voter| voter.directory).to_string()),
        data_version: 1,
    };
    let content = serde_json::to_vec(&state).map_err(|error| corrupt(VOTE, &error))?;
    files.replace(VOTE, &content)
}

/// What was in the part of the raft log that is gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Purged {
    /// The last entry that is gone.
    pub(super) last: LogId,
    /// The end of the projected log with that entry in it.
    pub(super) end: Offset,
    /// The membership at that entry.
    pub(super) membership: StoredMembership,
}

#[derive(Debug, Serialize, Deserialize)]
struct PurgedFile {
    version: i16,
    term: u64,
    index: u64,
    end: i64,
    membership_term: Option<u64>,
    membership_index: Option<u64>,
    membership: Vec<u8>,
}

/// Reads `raft-state`; `None` while the raft log reaches back to its beginning.
pub(super) fn read_purged(files: &dyn QuorumFiles) -> Result<Option<Purged>, LogError> {
    let Some(content) = files.read(PURGED)? else { return Ok(None) };
    let file: PurgedFile = serde_json::from_slice(&content).map_err(|error| corrupt(PURGED, &error))?;
    let membership = take_membership(file.membership.into()).map_err(|error| corrupt(PURGED, &error))?;
    let membership_id = file.membership_term.zip(file.membership_index);
    Ok(Some(Purged {
        last: log_id(file.term, file.index),
        end: Offset(file.end),
        membership: StoredMembership::new(membership_id.map(|(term, index)| log_id(term, index)), membership),
    }))
}

/// Writes `raft-state`, durably.
pub(super) fn write_purged(files: &dyn QuorumFiles, purged: &Purged) -> Result<(), LogError> {
    let mut membership = Vec::new();
    put_membership(&mut membership, purged.membership.membership())
        .map_err(|error| corrupt(PURGED, &error))?;
    let membership_id = *purged.membership.log_id();
    let file = PurgedFile {
        version: 0,
        term: purged.last.leader_id.term,
        index: purged.last.index,
        end: purged.end.0,
        membership_term: membership_id.map(|id| id.leader_id.term),
        membership_index: membership_id.map(|id| id.index),
        membership,
    };
    let content = serde_json::to_vec(&file).map_err(|error| corrupt(PURGED, &error))?;
    files.replace(PURGED, &content)
}

fn corrupt(name: &str, error: &dyn std::fmt::Display) -> LogError {
    LogError::Corrupt {
        path: name.into(),
        position: 0,
        what: format!(
            "{error}; restore the file from a backup, or remove the metadata directory of this node"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::MemoryFiles;
    use super::*;

    fn check(content: &str, expected: Option<(u64, Option<i32>)>) {
        let files = MemoryFiles::default();
        files.replace(VOTE, content.as_bytes()).unwrap();
        let vote = read_vote(&files).ok().flatten();
        let seen = vote.map(|vote| (vote.leader_id.term, vote.leader_id.voted_for.map(|voter| voter.node.0)));
        assert_eq!(seen, expected, "{content}");
    }

    #[test]
    fn kafkas_files_are_read_and_damaged_ones_refused() {
        check(
            r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#,
            Some((2, None)),
        );
        check(
            r#"{"leaderId":-1,"leaderEpoch":5,"votedId":3,"votedDirectoryId":"ASNFZ4mrze8BI0VniavN7w","data_version":1}"#,
            Some((5, Some(3))),
        );
        check("{}", None);
        check("", None);
    }

    #[test]
    fn a_vote_is_read_back_as_not_granted() {
        let files = MemoryFiles::default();
        let voter = VoterId { node: BrokerId(3), directory: DirectoryId::LOST };
        write_vote(&files, &Vote::new_committed(9, voter)).unwrap();
        assert_eq!(read_vote(&files).unwrap(), Some(Vote::new(9, voter)));
    }
}
