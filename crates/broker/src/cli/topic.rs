//! `vltava topic`: list, create, describe, alter and delete topics.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, PartitionIndex, TopicId};
use vltava_core::wire::WireStr;
use vltava_protocol::create_partitions_request::CreatePartitionsTopic;
use vltava_protocol::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use vltava_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use vltava_protocol::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

use super::arguments::{ClusterArguments, key_value};
use super::config::{Changes, ResourceKind, alter_resource, describe_resource};
use super::error::CliError;
use super::offsets::{self, EARLIEST, LATEST, TopicPartition};
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
        TopicCommand::Describe(arguments) => describe(&arguments).await,
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

async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let answer = client.metadata(Some(&arguments.topics)).await?;
    let mut failed = Vec::new();
    let mut documents = Vec::new();
    for topic in &answer.topics {
        if topic.error_code != 0 {
            let code = ErrorCode::from_code(topic.error_code);
            failed.push(format!("{}: {}: {}", name(topic), code.name(), code.message()));
            continue;
        }
        let details = Details::fetch(&mut client, topic).await?;
        if arguments.cluster.json {
            documents.push(details.json(topic));
        } else {
            output::print(&details.text(topic))?;
        }
    }
    if arguments.cluster.json {
        output::print_json(&Value::Array(documents))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::Failed(failed.join("\nvltava: "))) }
}

/// What a topic's description adds to its metadata.
struct Details {
    starts: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    sizes: BTreeMap<i32, i64>,
    configs: Vec<(String, String)>,
}

impl Details {
    async fn fetch(client: &mut Client, topic: &MetadataResponseTopic) -> Result<Self, CliError> {
        let led = || topic.partitions.iter().filter(|partition| partition.leader_id >= 0);
        let key =
            |partition: &MetadataResponsePartition| (name(topic), PartitionIndex(partition.partition_index));
        let starts =
            offsets::list(client, &led().map(|partition| (key(partition), EARLIEST)).collect(), false)
                .await?;
        let ends =
            offsets::list(client, &led().map(|partition| (key(partition), LATEST)).collect(), false).await?;
        let sizes = sizes(client, topic).await.unwrap_or_default();
        let configs = describe_resource(client, ResourceKind::Topic, &name(topic)).await?;
        let own = configs.into_iter().filter(|config| config.config_source == TOPIC_SOURCE);
        let configs =
            own.map(|config| (config.name.to_string(), output::or_dash(config.value.as_deref()))).collect();
        Ok(Self { starts, ends, sizes, configs })
    }

    fn text(&self, topic: &MetadataResponseTopic) -> String {
        let mut text = format!(
            "Topic {}  id {}  {} partitions\n",
            name(topic),
            TopicId(topic.topic_id),
            topic.partitions.len()
        );
        for (key, value) in &self.configs {
            text.push_str(&format!("  {key}={value}\n"));
        }
        let mut table =
            Table::new(&["PARTITION", "LEADER", "REPLICAS", "IN-SYNC", "START", "END", "RECORDS", "SIZE"]);
        for partition in sorted(topic) {
            let (start, end) = self.bounds(topic, partition);
            let shown = |offset: Option<Offset>| offset.map_or("-".to_owned(), |offset| offset.to_string());
            table.row(vec![
                partition.partition_index.to_string(),
                if partition.leader_id < 0 { "none".to_owned() } else { partition.leader_id.to_string() },
                output::numbers(&partition.replica_nodes),
                output::numbers(&partition.isr_nodes),
                shown(start),
                shown(end),
                start.zip(end).map_or("-".to_owned(), |(start, end)| end.since(start).to_string()),
                self.sizes
                    .get(&partition.partition_index)
                    .map_or("-".to_owned(), |bytes| output::size(*bytes)),
            ]);
        }
        text.push_str(&table.render());
        text
    }

    fn json(&self, topic: &MetadataResponseTopic) -> Value {
        let partitions: Vec<Value> = sorted(topic)
            .into_iter()
            .map(|partition| {
                let (start, end) = self.bounds(topic, partition);
                json!({
                    "partition": partition.partition_index,
                    "leader": partition.leader_id,
                    "leader_epoch": partition.leader_epoch,
                    "replicas": partition.replica_nodes,
                    "in_sync": partition.isr_nodes,
                    "offline": partition.offline_replicas,
                    "start_offset": start.map(|offset| offset.0),
                    "end_offset": end.map(|offset| offset.0),
                    "bytes": self.sizes.get(&partition.partition_index),
                })
            })
            .collect();
        let configs: BTreeMap<_, _> = self.configs.iter().cloned().collect();
        json!({
            "topic": name(topic),
            "id": TopicId(topic.topic_id).to_string(),
            "internal": topic.is_internal,
            "configs": configs,
            "partitions": partitions,
        })
    }

    fn bounds(
        &self,
        topic: &MetadataResponseTopic,
        partition: &MetadataResponsePartition,
    ) -> (Option<Offset>, Option<Offset>) {
        let key = (name(topic), PartitionIndex(partition.partition_index));
        (self.starts.get(&key).copied(), self.ends.get(&key).copied())
    }
}

/// The config source id of a setting of the topic itself.
const TOPIC_SOURCE: i8 = 1;

fn sorted(topic: &MetadataResponseTopic) -> Vec<&MetadataResponsePartition> {
    let mut partitions: Vec<_> = topic.partitions.iter().collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions
}

/// The bytes of each partition on its leader; `None` when a broker does not tell, which leaves the column empty.
async fn sizes(client: &mut Client, topic: &MetadataResponseTopic) -> Option<BTreeMap<i32, i64>> {
    let mut sizes = BTreeMap::new();
    let mut leaders: Vec<i32> =
        topic.partitions.iter().map(|partition| partition.leader_id).filter(|id| *id >= 0).collect();
    leaders.sort_unstable();
    leaders.dedup();
    for leader in leaders {
        let led: Vec<i32> =
            topic.partitions.iter().filter(|p| p.leader_id == leader).map(|p| p.partition_index).collect();
        let request = DescribeLogDirsRequest {
            topics: Some(vec![vltava_protocol::describe_log_dirs_request::DescribableLogDirTopic {
                topic: topic.name.clone().unwrap_or_default(),
                partitions: led,
            }]),
        };
        let answer = client
            .call(&Route::Broker(BrokerId(leader)), |_| request.clone(), |_: &DescribeLogDirsResponse| 0)
            .await
            .ok()?;
        for found in answer.results.iter().flat_map(|dir| &dir.topics).flat_map(|topic| &topic.partitions) {
            if !found.is_future_key {
                sizes.insert(found.partition_index, found.partition_size);
            }
        }
    }
    Some(sizes)
}
