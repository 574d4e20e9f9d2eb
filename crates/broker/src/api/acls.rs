//! DescribeAcls, CreateAcls, DeleteAcls: there are no access control lists, whoever asks.
//!
//! Without an authorizer nothing is denied, and Kafka's answer is SECURITY_DISABLED. [`crate::authorizer::Authorizer`]
//! decides without lists, so one of your own changes who may ask and not the answer.

use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::create_acls_response::AclCreationResult;
use vltava_protocol::delete_acls_response::DeleteAclsFilterResult;
use vltava_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

const NO_LISTS: &str = "No Authorizer that keeps access control lists is configured.";

pub(crate) async fn describe(call: Call<DescribeAclsRequest>) -> DescribeAclsResponse {
    let (error_code, error_message) = refusal(&call, Operation::Describe);
    DescribeAclsResponse { error_code, error_message, ..DescribeAclsResponse::default() }
}

pub(crate) async fn create(call: Call<CreateAclsRequest>) -> CreateAclsResponse {
    let (error_code, error_message) = refusal(&call, Operation::Alter);
    let result = AclCreationResult { error_code, error_message };
    CreateAclsResponse { throttle_time_ms: 0, results: vec![result; call.request.creations.len()] }
}

pub(crate) async fn delete(call: Call<DeleteAclsRequest>) -> DeleteAclsResponse {
    let (error_code, error_message) = refusal(&call, Operation::Alter);
    let result = DeleteAclsFilterResult { error_code, error_message, matching_acls: Vec::new() };
    DeleteAclsResponse { throttle_time_ms: 0, filter_results: vec![result; call.request.filters.len()] }
}

fn refusal<R>(call: &Call<R>, operation: Operation) -> (i16, Option<WireStr>) {
    match call.authorize(operation, Resource::Cluster) {
        Ok(()) => (ErrorCode::SECURITY_DISABLED.code(), Some(wire(NO_LISTS))),
        Err(code) => (code.code(), None),
    }
}
