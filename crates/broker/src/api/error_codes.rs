//! Where each response has its error codes, for the metrics.

use vltava_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterConfigsResponse, ApiVersionsResponse,
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreateAclsResponse,
    CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse, DeleteGroupsResponse,
    DeleteRecordsResponse, DeleteTopicsResponse, DescribeAclsResponse, DescribeClusterResponse,
    DescribeConfigsResponse, DescribeGroupsResponse, DescribeLogDirsResponse, DescribeProducersResponse,
    DescribeQuorumResponse, DescribeTopicPartitionsResponse, DescribeTransactionsResponse,
    ElectLeadersResponse, EndTxnResponse, FetchResponse, FindCoordinatorResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse,
    ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse, SyncGroupResponse,
    TxnOffsetCommitResponse, UpdateFeaturesResponse, WriteTxnMarkersResponse,
};

use crate::metrics::requests::Tally;

/// A response whose error codes are counted.
#[diagnostic::on_unimplemented(
    message = "nobody says where `{Self}` has its error codes",
    note = "add a row to the table in `api/error_codes.rs`"
)]
pub(crate) trait ErrorCodes {
    /// Adds every error code of the response, `NONE` included.
    fn tally(&self, tally: &mut Tally);
}

/// Walks down lists, field by field, to the error code at the end.
macro_rules! walk {
    ($tally:ident, $item:expr,) => {
        $tally.add($item.error_code)
    };
    ($tally:ident, $item:expr, $list:ident $($rest:ident)*) => {
        for item in &$item.$list {
            walk!($tally, item, $($rest)*);
        }
    };
}

/// A row names a response and the paths of lists to its error codes; the empty path is the response itself.
macro_rules! error_codes {
    ($($response:ident: $([$($list:ident)*])+;)*) => {
        $(
            impl ErrorCodes for $response {
                fn tally(&self, tally: &mut Tally) {
                    $(walk!(tally, self, $($list)*);)+
                }
            }
        )*
    };
}

error_codes! {
    AddOffsetsToTxnResponse: [];
    AlterConfigsResponse: [responses];
    ApiVersionsResponse: [];
    ConsumerGroupDescribeResponse: [groups];
    ConsumerGroupHeartbeatResponse: [];
    CreateAclsResponse: [results];
    CreatePartitionsResponse: [results];
    CreateTopicsResponse: [topics];
    DeleteAclsResponse: [filter_results];
    DeleteGroupsResponse: [results];
    DeleteRecordsResponse: [topics partitions];
    DeleteTopicsResponse: [responses];
    DescribeAclsResponse: [];
    DescribeClusterResponse: [];
    DescribeConfigsResponse: [results];
    DescribeGroupsResponse: [groups];
    DescribeLogDirsResponse: [] [results];
    DescribeProducersResponse: [topics partitions];
    DescribeQuorumResponse: [] [topics partitions];
    DescribeTopicPartitionsResponse: [topics] [topics partitions];
    DescribeTransactionsResponse: [transaction_states];
    ElectLeadersResponse: [] [replica_election_results partition_result];
    EndTxnResponse: [];
    FetchResponse: [] [responses partitions];
    FindCoordinatorResponse: [] [coordinators];
    HeartbeatResponse: [];
    IncrementalAlterConfigsResponse: [responses];
    InitProducerIdResponse: [];
    JoinGroupResponse: [];
    LeaveGroupResponse: [] [members];
    ListConfigResourcesResponse: [];
    ListGroupsResponse: [];
    ListOffsetsResponse: [topics partitions];
    ListPartitionReassignmentsResponse: [];
    ListTransactionsResponse: [];
    MetadataResponse: [topics] [topics partitions];
    OffsetCommitResponse: [topics partitions];
    OffsetDeleteResponse: [] [topics partitions];
    OffsetFetchResponse: [] [topics partitions] [groups] [groups topics partitions];
    OffsetForLeaderEpochResponse: [topics partitions];
    ProduceResponse: [responses partition_responses];
    SyncGroupResponse: [];
    TxnOffsetCommitResponse: [topics partitions];
    UpdateFeaturesResponse: [] [results];
    WriteTxnMarkersResponse: [markers topics partitions];
}

/// The only response whose codes have a name of their own.
impl ErrorCodes for AddPartitionsToTxnResponse {
    fn tally(&self, tally: &mut Tally) {
        tally.add(self.error_code);
        let of_brokers = self.results_by_transaction.iter().flat_map(|result| &result.topic_results);
        for topic in of_brokers.chain(&self.results_by_topic_v3_and_below) {
            topic.results_by_partition.iter().for_each(|result| tally.add(result.partition_error_code));
        }
    }
}
