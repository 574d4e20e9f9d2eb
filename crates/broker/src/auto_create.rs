//! Topics that come into being because somebody uses them: those of clients, and the coordinators' own.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{info, warn};
use vltava_connect::schema::registry::SCHEMAS_TOPIC;
use vltava_coordinator::cluster::command::{CreateTopics, NewTopic};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::id::{GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC, TopicName};

use crate::node::Node;

/// Creates topics with the settings that their kind has, and waits until they can be used here. What cannot be created
/// is logged: whoever asked finds it missing.
pub(crate) async fn create(node: &Arc<Node>, names: &BTreeSet<TopicName>) {
    let topics = names.iter().map(|name| new_topic(node, name)).collect();
    let command = Command::CreateTopics(CreateTopics { topics, validate_only: false });
    let answer = match node.ask_controller(command).await {
        Ok(Answer::CreateTopics(results)) => results,
        Ok(_) => return,
        Err(code) => {
            warn!(?names, %code, "topics cannot be created now");
            return;
        }
    };
    for (name, result) in answer {
        match result {
            Ok(created) => info!(topic = name, partitions = created.partitions, "created on first use"),
            Err(error) if error.code() == ErrorCode::TOPIC_ALREADY_EXISTS => {}
            Err(error) => warn!(topic = name, %error, "cannot be created on first use"),
        }
    }
    node.caught_up().await;
}

fn new_topic(node: &Node, name: &TopicName) -> NewTopic {
    let set = |key: &str, value: String| (key.to_owned(), Some(value));
    match &**name {
        GROUP_OFFSETS_TOPIC => {
            let groups = &node.config.groups;
            NewTopic {
                partitions: groups.offsets_partitions,
                replication_factor: groups.offsets_replication_factor,
                configs: vec![
                    set("cleanup.policy", "compact".to_owned()),
                    set("compression.type", "producer".to_owned()),
                    set("segment.bytes", groups.offsets_segment_bytes.to_string()),
                ],
                ..NewTopic::named(name)
            }
        }
        TRANSACTION_STATE_TOPIC => {
            let transactions = &node.config.transactions;
            NewTopic {
                partitions: transactions.partitions,
                replication_factor: transactions.replication_factor,
                configs: vec![
                    set("cleanup.policy", "compact".to_owned()),
                    set("compression.type", "uncompressed".to_owned()),
                    set("min.insync.replicas", transactions.insync_replicas_min.to_string()),
                    set("segment.bytes", transactions.segment_bytes.to_string()),
                    set("unclean.leader.election.enable", "false".to_owned()),
                ],
                ..NewTopic::named(name)
            }
        }
        SCHEMAS_TOPIC => NewTopic {
            partitions: 1,
            configs: vec![
                set("cleanup.policy", "compact".to_owned()),
                set("unclean.leader.election.enable", "false".to_owned()),
            ],
            ..NewTopic::named(name)
        },
        _ => NewTopic::named(name),
    }
}
