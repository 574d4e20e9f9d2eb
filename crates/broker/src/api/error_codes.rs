//! Where each response has its error codes, for the metrics.

use vltava_protocol::messages::{
    AlterConfigsResponse, ApiVersionsResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeClusterResponse,
    DescribeConfigsResponse, DescribeGroupsResponse, DescribeLogDirsResponse, DescribeProducersResponse,
    DescribeQuorumResponse, DescribeTopicPartitionsResponse, FetchResponse, FindCoordinatorResponse,
    HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse,
    LeaveGroupResponse, ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse,
    MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse,
    OffsetForLeaderEpochResponse, ProduceResponse, SyncGroupResponse, UpdateFeaturesResponse,
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
    AlterConfigsResponse: [responses];
    ApiVersionsResponse: [];
    CreatePartitionsResponse: [results];
    CreateTopicsResponse: [topics];
    DeleteGroupsResponse: [results];
    DeleteRecordsResponse: [topics partitions];
    DeleteTopicsResponse: [responses];
    DescribeClusterResponse: [];
    DescribeConfigsResponse: [results];
    DescribeGroupsResponse: [groups];
    DescribeLogDirsResponse: [] [results];
    DescribeProducersResponse: [topics partitions];
    DescribeQuorumResponse: [] [topics partitions];
    DescribeTopicPartitionsResponse: [topics] [topics partitions];
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
    MetadataResponse: [topics] [topics partitions];
    OffsetCommitResponse: [topics partitions];
    OffsetDeleteResponse: [] [topics partitions];
    OffsetFetchResponse: [] [topics partitions] [groups] [groups topics partitions];
    OffsetForLeaderEpochResponse: [topics partitions];
    ProduceResponse: [responses partition_responses];
    SyncGroupResponse: [];
    UpdateFeaturesResponse: [] [results];
}
