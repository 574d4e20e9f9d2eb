//! DeleteTopics: by name or by identity.

use vltava_coordinator::cluster::command::{DeletedTopic, TopicReference};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::id::TopicId;
use vltava_core::wire::WireStr;
use vltava_protocol::delete_topics_request::DeleteTopicState;
use vltava_protocol::delete_topics_response::DeletableTopicResult;
use vltava_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The response has messages.
const MESSAGES: Capability = Capability::since(5);
/// Topics may be named by their ids.
const TOPIC_IDS: Capability = Capability::since(6);
/// A broker that does not delete topics says so by its own code.
const DELETION_DISABLED: Capability = Capability::since(3);

pub(crate) async fn handle(call: Call<DeleteTopicsRequest>) -> DeleteTopicsResponse {
    let named: Vec<DeleteTopicState> = if call.has(TOPIC_IDS) {
        call.request.topics.clone()
    } else {
        let by_name = |name: &WireStr| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        call.request.topic_names.iter().map(by_name).collect()
    };
    let mut responses = Vec::with_capacity(named.len());
    let mut references = Vec::new();
    for topic in named {
        match reference(&call, &topic) {
            Ok(reference) => references.push(reference),
            Err(code) => responses.push(DeletableTopicResult {
                name: topic.name,
                topic_id: topic.topic_id,
                error_code: code.code(),
                error_message: call.has(MESSAGES).then(|| WireStr::from(code.message())),
            }),
        }
    }
    if !references.is_empty() {
        responses.extend(delete(&call, references).await);
    }
    DeleteTopicsResponse { throttle_time_ms: 0, responses }
}

/// What the controller is asked, when the peer may ask it.
fn reference(
    call: &Call<DeleteTopicsRequest>,
    topic: &DeleteTopicState,
) -> Result<TopicReference, ErrorCode> {
    match &topic.name {
        Some(_) if !topic.topic_id.is_nil() => Err(ErrorCode::INVALID_REQUEST),
        Some(name) => {
            call.authorize(Operation::Delete, Resource::Topic(name))?;
            Ok(TopicReference::named(name))
        }
        None => {
            let id = TopicId(topic.topic_id);
            if let Ok(lookup) = call.node.lookup_id(id) {
                call.authorize(Operation::Delete, Resource::Topic(lookup.name()))?;
            }
            Ok(TopicReference::identified(id))
        }
    }
}

async fn delete(
    call: &Call<DeleteTopicsRequest>,
    references: Vec<TopicReference>,
) -> Vec<DeletableTopicResult> {
    let asked = references.clone();
    match call.node.ask_controller(Command::DeleteTopics(references)).await {
        Ok(Answer::DeleteTopics(deleted)) => {
            call.node.caught_up().await;
            deleted.into_iter().map(|deleted| response(call, deleted)).collect()
        }
        answer => {
            let code = answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            asked
                .into_iter()
                .map(|topic| DeletableTopicResult {
                    name: topic.name.map(WireStr::from),
                    topic_id: topic.id.0,
                    error_code: code.code(),
                    error_message: None,
                })
                .collect()
        }
    }
}

fn response(call: &Call<DeleteTopicsRequest>, deleted: DeletedTopic) -> DeletableTopicResult {
    let (code, message) = match &deleted.result {
        Ok(()) => (ErrorCode::NONE, None),
        Err(error) => (error.code(), error.message()),
    };
    let code = match code {
        ErrorCode::TOPIC_DELETION_DISABLED if !call.has(DELETION_DISABLED) => ErrorCode::INVALID_REQUEST,
        code => code,
    };
    DeletableTopicResult {
        name: deleted.name.map(WireStr::from),
        topic_id: if call.has(TOPIC_IDS) { deleted.id.0 } else { Default::default() },
        error_code: code.code(),
        error_message: message.filter(|_| call.has(MESSAGES)).map(WireStr::from),
    }
}
