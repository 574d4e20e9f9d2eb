//! The other voters of the quorum: there are none.
//!
//! A quorum of one voter asks nobody. openraft wants a network all the same; this one says of every voter that it
//! cannot be reached, which is the truth for any that a damaged log might name.

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot};

use super::types::{Types, Vote, VoterId, VoterNode};

/// Reaches nobody.
pub(super) struct Alone;

/// There is no way to this voter.
#[derive(Debug, thiserror::Error)]
#[error("this controller is the only voter of its quorum and knows no way to {0}")]
struct NoWay(VoterId);

/// A voter that cannot be reached.
pub(super) struct Absent(VoterId);

impl Absent {
    fn unreachable(&self) -> Unreachable {
        Unreachable::new(&NoWay(self.0))
    }
}

impl RaftNetworkFactory<Types> for Alone {
    type Network = Absent;

    async fn new_client(&mut self, target: VoterId, _: &VoterNode) -> Absent {
        Absent(target)
    }
}

type Failure = RPCError<VoterId, VoterNode, RaftError<VoterId>>;

impl RaftNetwork<Types> for Absent {
    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<VoterId>, Failure> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<VoterId>,
        _: RPCOption,
    ) -> Result<VoteResponse<VoterId>, Failure> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<VoterId>, StreamingError<Types, Fatal<VoterId>>> {
        Err(self.unreachable().into())
    }
}
