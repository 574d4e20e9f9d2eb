//! `vltava topic`: list, create, describe, alter and delete topics.

mod describe;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vltava_core::error::ErrorCode;
use vltava_core::id::TopicId;
use vltava_core::wire::WireStr;
use vltava_protocol::create_partitions_request::CreatePartitionsTopic;
use vltava_protocol::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use vltava_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};
use vltava_protocol::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

use super::arguments::{ClusterArguments, key_value};
use super::config::{Changes, ResourceKind, alter_resource};
use super::error::CliError;
use super::output::{self, Table};
use crate::net::client::{Client, ClientError, Route};

/// Commands of `vltava topic`.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// List topics with their partitions and replicas
    List(ListArguments),
    /// Create topics
    Create(CreateArguments),
    /// Show partitions, leaders, offsets, sizes and settings
    Describe(DescribeArguments),
    /// Add partitions, or change settings
    #[command(visible_alias = "config")]
    Alter(AlterArguments),
    /// Delete topics and their records
    Delete(DeleteArguments),
}

/// Arguments of `vltava topic list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Show internal topics too
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava topic create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vltava topic create orders
  vltava topic create orders payments --partitions 12 --replication-factor 3
  vltava topic create prices --config cleanup.policy=compact --config retention.ms=86400000
  vltava topic create pinned --assign 1,2 --assign 2,3")]
pub struct CreateArguments {
    /// Names of the topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// Number of partitions; the broker's num.partitions when left out
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Number of replicas; the broker's default.replication.factor when left out
    #[arg(long, short, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting of the topic; may be given several times
    #[arg(long = "config", short, value_name = "KEY=VALUE", value_parser = key_value)]
    configs: Vec<(String, String)>,
    /// Brokers of the next partition, the preferred leader first; once per partition
    #[arg(long, value_name = "BROKER,…", conflicts_with_all = ["partitions", "replication_factor"])]
    assign: Vec<String>,
    /// Succeed when a topic exists already
    #[arg(long)]
    if_not_exists: bool,
    /// Check everything, create nothing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava topic describe`.
#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// Names of the topics
    #[arg(required = true)]
    topics: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava topic alter`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vltava topic alter orders --partitions 24
  vltava topic alter orders --set retention.ms=86400000 --delete cleanup.policy
  vltava topic config orders --append cleanup.policy=compact")]
pub struct AlterArguments {
    /// Name of the topic
    topic: String,
    /// New number of partitions; it can only grow
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava topic delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Names of the topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// Succeed when a topic does not exist
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Runs a command.
pub async fn run(command: TopicCommand) -> Result<(), CliError> {
    match command {
        TopicCommand::List(arguments) => list(&arguments).await,
        TopicCommand::Create(arguments) => create(&arguments).await,
        TopicCommand::Describe(arguments) => describe::describe(&arguments).await,
        TopicCommand::Alter(arguments) => alter(&arguments).await,
        TopicCommand::Delete(arguments) => delete(&arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let answer = arguments.cluster.client().metadata(None).await?;
    let mut topics: Vec<_> =
        answer.topics.iter().filter(|topic| arguments.internal || !topic.is_internal).collect();
    topics.sort_by(|left, right| left.name.cmp(&right.name));
    if arguments.cluster.json {
        return output::print_json(&topics.into_iter().map(summary).collect());
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICAS", "UNDER-REPLICATED", "LEADERLESS"]);
    for topic in topics {
        table.row(vec![
            name(topic),
            topic.partitions.len().to_string(),
            replication(topic).to_string(),
            topic.partitions.iter().filter(|partition| under_replicated(partition)).count().to_string(),
            topic.partitions.iter().filter(|partition| partition.leader_id < 0).count().to_string(),
        ]);
    }
    table.print("There are no topics. Create one: vltava topic create NAME")
}

fn summary(topic: &MetadataResponseTopic) -> Value {
    json!({
        "topic": name(topic),
        "id": TopicId(topic.topic_id).to_string(),
        "internal": topic.is_internal,
        "partitions": topic.partitions.len(),
        "replicas": replication(topic),
        "under_replicated": topic.partitions.iter().filter(|partition| under_replicated(partition)).count(),
        "leaderless": topic.partitions.iter().filter(|partition| partition.leader_id < 0).count(),
    })
}

fn name(topic: &MetadataResponseTopic) -> String {
    topic.name.as_deref().unwrap_or("").to_owned()
}

fn replication(topic: &MetadataResponseTopic) -> usize {
    topic.partitions.iter().map(|partition| partition.replica_nodes.len()).max().unwrap_or(0)
}

fn under_replicated(partition: &MetadataResponsePartition) -> bool {
    partition.isr_nodes.len() < partition.replica_nodes.len()
}

/// What became of one topic of several.
struct Outcome {
    topic: String,
    code: ErrorCode,
    message: Option<String>,
    done: String,
}

impl Outcome {
    fn new(topic: &str, code: i16, message: Option<&str>, done: String) -> Self {
        Self {
            topic: topic.to_owned(),
            code: ErrorCode::from_code(code),
            message: message.map(str::to_owned),
            done,
        }
    }

    fn text(&self) -> &str {
        self.message.as_deref().unwrap_or(self.code.message())
    }

    fn json(&self) -> Value {
        let error = self.code.is_error().then(|| json!({ "code": self.code.name(), "message": self.text() }));
        json!({ "topic": self.topic, "error": error })
    }
}

/// Prints what became of several topics; fails when one failed whose code is not tolerated.
fn report(outcomes: &[Outcome], tolerated: Option<ErrorCode>, as_json: bool) -> Result<(), CliError> {
    if as_json {
        output::print_json(&outcomes.iter().map(Outcome::json).collect())?;
    }
    let mut failed = Vec::new();
    for outcome in outcomes {
        if outcome.code.is_none() {
            if !as_json {
                output::print(&format!("{}: {}\n", outcome.topic, outcome.done))?;
            }
        } else if Some(outcome.code) != tolerated {
            failed.push(format!("{}: {}: {}", outcome.topic, outcome.code.name(), outcome.text()));
        } else if !as_json {
            output::print(&format!("{}: {}\n", outcome.topic, outcome.text()))?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::Failed(failed.join("\nvltava: "))) }
}

async fn create(arguments: &CreateArguments) -> Result<(), CliError> {
    let assignments = assignments(&arguments.assign)?;
    let topic = |name: &String| CreatableTopic {
        name: name.into(),
        num_partitions: if assignments.is_empty() { arguments.partitions.unwrap_or(-1) } else { -1 },
        replication_factor: if assignments.is_empty() {
            arguments.replication_factor.unwrap_or(-1)
        } else {
            -1
        },
        assignments: assignments.clone(),
        configs: arguments
            .configs
            .iter()
            .map(|(key, value)| CreatableTopicConfig { name: key.into(), value: Some(value.into()) })
            .collect(),
    };
    let request = CreateTopicsRequest {
        topics: arguments.topics.iter().map(topic).collect(),
        timeout_ms: arguments.cluster.timeout_ms(),
        validate_only: arguments.validate_only,
    };
    let code = |answer: &CreateTopicsResponse| retriable(answer.topics.iter().map(|topic| topic.error_code));
    let answer = arguments.cluster.client().call(&Route::Controller, |_| request.clone(), code).await?;
    let outcomes: Vec<_> = answer
        .topics
        .iter()
        .map(|topic| {
            let verb = if arguments.validate_only { "could be created" } else { "created" };
            let done = if topic.num_partitions > 0 {
                format!(
                    "{verb} with {} partitions, {} replicas",
                    topic.num_partitions, topic.replication_factor
                )
            } else {
                verb.to_owned()
            };
            Outcome::new(&topic.name, topic.error_code, topic.error_message.as_deref(), done)
        })
        .collect();
    report(
        &outcomes,
        arguments.if_not_exists.then_some(ErrorCode::TOPIC_ALREADY_EXISTS),
        arguments.cluster.json,
    )
}

fn assignments(given: &[String]) -> Result<Vec<CreatableReplicaAssignment>, CliError> {
    let invalid = |text: &str| {
        CliError::Usage(format!(
            "--assign {text}: write the broker ids of a partition with commas, such as 1,2,3"
        ))
    };
    (0..)
        .zip(given)
        .map(|(partition_index, text)| {
            let broker_ids = text
                .split(',')
                .map(|id| id.trim().parse::<i32>())
                .collect::<Result<_, _>>()
                .map_err(|_| invalid(text))?;
            Ok(CreatableReplicaAssignment { partition_index, broker_ids })
        })
        .collect()
}

/// The first code that another try may cure.
fn retriable(codes: impl Iterator<Item = i16>) -> i16 {
    let mut codes = codes;
    codes.find(|code| *code == ErrorCode::NOT_CONTROLLER.code()).unwrap_or(0)
}

async fn delete(arguments: &DeleteArguments) -> Result<(), CliError> {
    // Version 6 names topics in another field; up to 5 is enough to delete by name.
    let build = |_| DeleteTopicsRequest {
        topic_names: arguments.topics.iter().map(WireStr::from).collect(),
        timeout_ms: arguments.cluster.timeout_ms(),
        ..DeleteTopicsRequest::default()
    };
    let code =
        |answer: &DeleteTopicsResponse| retriable(answer.responses.iter().map(|topic| topic.error_code));
    let answer = arguments.cluster.client().call_within(&Route::Controller, &(1..=5), build, code).await?;
    let outcome = |topic: &vltava_protocol::delete_topics_response::DeletableTopicResult| {
        Outcome::new(
            topic.name.as_deref().unwrap_or(""),
            topic.error_code,
            topic.error_message.as_deref(),
            "deleted".to_owned(),
        )
    };
    let outcomes: Vec<_> = answer.responses.iter().map(outcome).collect();
    report(
        &outcomes,
        arguments.if_exists.then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        arguments.cluster.json,
    )
}

async fn alter(arguments: &AlterArguments) -> Result<(), CliError> {
    if arguments.partitions.is_none() && arguments.changes.is_empty() {
        return Err(CliError::Usage(
            "nothing to change; give --partitions, --set, --delete, --append or --subtract".to_owned(),
        ));
    }
    let mut client = arguments.cluster.client();
    if let Some(count) = arguments.partitions {
        add_partitions(&mut client, arguments, count).await?;
    }
    if !arguments.changes.is_empty() {
        alter_resource(&mut client, ResourceKind::Topic, &arguments.topic, &arguments.changes).await?;
    }
    if arguments.cluster.json {
        return output::print_json(&json!({ "topic": arguments.topic, "error": null }));
    }
    output::print(&format!("{}: altered\n", arguments.topic))
}

async fn add_partitions(client: &mut Client, arguments: &AlterArguments, count: i32) -> Result<(), CliError> {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: (&arguments.topic).into(), count, assignments: None }],
        timeout_ms: arguments.cluster.timeout_ms(),
        validate_only: false,
    };
    let code =
        |answer: &CreatePartitionsResponse| retriable(answer.results.iter().map(|topic| topic.error_code));
    let answer = client.call(&Route::Controller, |_| request.clone(), code).await?;
    for topic in &answer.results {
        ClientError::check(topic.error_code, topic.error_message.as_deref())?;
    }
    Ok(())
}
