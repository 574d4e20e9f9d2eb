//! What a node finds when it opens its quorum: what it has voted, where its raft log stands, and what of it is projected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use openraft::entry::EntryPayload;
use vltava_core::id::{LeaderEpoch, Offset};
use vltava_core::log::{Log, ReadLimit};
use vltava_core::record::HeaderWalk;

use super::checkpoints::Checkpoints;
use super::progress::Progress;
use super::projection::{Projected, read_epochs};
use super::raft_log::{blocking, read_entries};
use super::types::{self, Membership, RaftEntry, Vote, VoterId, VoterNode, log_id};
use super::{QuorumError, QuorumSettings, QuorumStorage, state};
use crate::runtime::gather;

/// How much of the metadata log is read at a time when its last epoch is looked for, in bytes.
const SCAN_BYTES: usize = 1 << 20;

/// What a node finds when it opens its quorum.
pub(super) struct Found {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<state::Purged>,
    pub(super) last: Option<types::LogId>,
    pub(super) projected: Arc<Projected>,
}

impl Found {
    pub(super) async fn read(
        storage: &QuorumStorage,
        id: VoterId,
        settings: &QuorumSettings,
    ) -> Result<Found, QuorumError> {
        let raft = |error: &dyn fmt::Display| QuorumError::Raft(error.to_string());
        let files = storage.files.clone();
        let read = move || {
            Ok((state::read_vote(&*files)?, state::read_purged(&*files)?, Checkpoints::open(files.clone())?))
        };
        let (mut vote, purged, checkpoints) = blocking(read).await.map_err(|error| raft(&error))?;
        catch_up_with_snapshot(storage, &checkpoints).await?;
        let start = purged.as_ref().map_or(0, |purged| purged.last.index.saturating_add(1));
        let start = Offset(i64::try_from(start).unwrap_or(i64::MAX));
        let end = storage.raft.bounds().end;
        let mut entries = read_entries(&*storage.raft, start, end).await.map_err(|error| raft(&error))?;
        if entries.is_empty() && purged.is_none() {
            let term = highest_epoch(&*storage.metadata, &checkpoints, vote).await?;
            entries.push(found_quorum(storage, id, settings, term).await?);
        }
        // No vote may be older than what was written under it, even where the file of votes is not kept.
        let written = entries.last().map(|entry| entry.log_id).max(purged.as_ref().map(|purged| purged.last));
        let term = written.map_or(0, |id| id.leader_id.term);
        if vote.is_none_or(|vote| vote.leader_id.term < term) {
            vote = Some(Vote { leader_id: openraft::LeaderId { term, voted_for: None }, committed: false });
        }
        let progress = Progress::derive(purged.as_ref(), entries.iter(), storage.metadata.bounds().end);
        let epochs = read_epochs(&*storage.metadata)?;
        let projected = Projected::new(storage.metadata.clone(), checkpoints, progress, epochs);
        let last = entries.last().map(|entry| entry.log_id);
        Ok(Found { vote, purged, last, projected: Arc::new(projected) })
    }
}

/// A metadata log that ends below its newest snapshot was lost or never there: it goes on behind the snapshot.
async fn catch_up_with_snapshot(
    storage: &QuorumStorage,
    checkpoints: &Checkpoints,
) -> Result<(), QuorumError> {
    let Some(newest) = checkpoints.newest().filter(|newest| newest.end > storage.metadata.bounds().end)
    else {
        return Ok(());
    };
    let metadata = storage.metadata.clone();
    let trimmed = blocking(move || metadata.trim(newest.end)).await;
    trimmed.map_err(|error| QuorumError::Raft(error.to_string()))
}

/// The first entry of a raft log: this node is the only voter.
async fn found_quorum(
    storage: &QuorumStorage,
    id: VoterId,
    settings: &QuorumSettings,
    term: u64,
) -> Result<RaftEntry, QuorumError> {
    let node = VoterNode { endpoints: settings.endpoints.clone() };
    let membership = Membership::new(vec![BTreeSet::from([id])], BTreeMap::from([(id, node)]));
    let entry = RaftEntry { log_id: log_id(term, 0), payload: EntryPayload::Membership(membership) };
    let batch = types::encode(&entry).map_err(|error| QuorumError::Raft(error.to_string()))?;
    storage.raft.append(&[batch])?;
    let log = storage.raft.clone();
    let flushed = blocking(move || log.flush()).await;
    flushed.map_err(|error| QuorumError::Raft(error.to_string()))?;
    Ok(entry)
}

/// The highest leader epoch of anything that is there already, 0 when nothing is.
async fn highest_epoch(
    metadata: &dyn Log,
    checkpoints: &Checkpoints,
    vote: Option<Vote>,
) -> Result<u64, QuorumError> {
    let mut highest = checkpoints.newest().map_or(LeaderEpoch(0), |checkpoint| checkpoint.epoch);
    let end = metadata.bounds().end;
    let filled = metadata.spans().into_iter().rev().find(|span| span.end > span.base);
    let mut next = filled.map_or(end, |span| span.base.max(metadata.bounds().start));
    while next < end {
        let limit = ReadLimit { below: end, bytes: SCAN_BYTES, whole_first_batch: true };
        let region = gather(metadata.read(next, limit)?).await;
        let region = region.map_err(|error| QuorumError::Raft(error.to_string()))?;
        let before = next;
        for (_, header) in HeaderWalk::new(&region).map_while(Result::ok) {
            highest = highest.max(header.partition_leader_epoch);
            next = next.max(header.next_offset());
        }
        if next == before {
            break;
        }
    }
    let voted = vote.map_or(0, |vote| vote.leader_id.term);
    Ok(u64::try_from(highest.0).unwrap_or(0).max(voted))
}
