//! `vltava transaction`: list and describe transactional ids, and abort transactions that hang.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vltava_core::id::{BrokerId, PartitionIndex, Timestamp};
use vltava_protocol::describe_producers_request::TopicRequest;
use vltava_protocol::describe_producers_response::ProducerState;
use vltava_protocol::describe_transactions_response::TransactionState;
use vltava_protocol::list_transactions_response::TransactionState as ListedTransaction;
use vltava_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};
use vltava_protocol::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};

use super::arguments::ClusterArguments;
use super::error::CliError;
use super::output::{self, Table};
use crate::net::client::{Client, ClientError, Route};

/// Commands of `vltava transaction`.
#[derive(Debug, Subcommand)]
pub enum TransactionCommand {
    /// List transactional ids with their producer and state
    List(ListArguments),
    /// Show what is known of transactional ids, and the partitions of their open transactions
    Describe(DescribeArguments),
    /// Abort a transaction that hangs in a partition, because its coordinator does not know of it
    Abort(AbortArguments),
}

/// Arguments of `vltava transaction list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only in this state, such as Ongoing or PrepareCommit; may be given several times
    #[arg(long)]
    state: Vec<String>,
    /// Only of this producer id; may be given several times
    #[arg(long, value_name = "ID")]
    producer: Vec<i64>,
    /// Only transactions that began longer ago than so many milliseconds
    #[arg(long, value_name = "MILLISECONDS")]
    longer_than: Option<i64>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava transaction describe`.
#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// Transactional ids
    #[arg(required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava transaction abort`.
#[derive(Debug, Args)]
#[command(after_help = "\
Only for a transaction that its coordinator has forgotten: it holds back the last stable offset of the partition for ever.
Aborting one that is still in use tears it.

Example:
  vltava transaction abort orders 3 --start-offset 4711")]
pub struct AbortArguments {
    /// Name of the topic
    topic: String,
    /// The partition
    partition: i32,
    /// Where the transaction begins
    #[arg(long, value_name = "OFFSET")]
    start_offset: i64,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Runs a command.
pub async fn run(command: TransactionCommand) -> Result<(), CliError> {
    match command {
        TransactionCommand::List(arguments) => list(&arguments).await,
        TransactionCommand::Describe(arguments) => describe(&arguments).await,
        TransactionCommand::Abort(arguments) => abort(&arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    client.metadata(Some(&[])).await?;
    let mut listed = BTreeMap::new();
    for broker in client.brokers() {
        // Each broker lists the transactional ids that it coordinates. Older ones cannot filter by duration.
        let build = |version| ListTransactionsRequest {
            state_filters: arguments.state.iter().map(|state| state.clone().into()).collect(),
            producer_id_filters: arguments.producer.clone(),
            duration_filter: if version > 0 { arguments.longer_than.unwrap_or(-1) } else { -1 },
            transactional_id_pattern: None,
        };
        let code = |answer: &ListTransactionsResponse| answer.error_code;
        let answer = client.call(&Route::Broker(broker), build, code).await?;
        ClientError::check(answer.error_code, None)?;
        if let Some(unknown) = answer.unknown_state_filters.first() {
            return Err(CliError::Usage(format!("there is no state {unknown}")));
        }
        let states = answer.transaction_states.into_iter();
        listed.extend(states.map(|state| (state.transactional_id.to_string(), (broker, state))));
    }
    if arguments.cluster.json {
        let document = |(id, (broker, state)): (&String, &(BrokerId, ListedTransaction))| {
            let (producer, state) = (state.producer_id, state.transaction_state.as_str());
            json!({ "id": id, "coordinator": broker.0, "producer": producer, "state": state })
        };
        return output::print_json(&Value::Array(listed.iter().map(document).collect()));
    }
    let mut table = Table::new(&["ID", "COORDINATOR", "PRODUCER", "STATE"]);
    for (id, (broker, state)) in listed {
        let state_name = state.transaction_state.to_string();
        table.row(vec![id, broker.to_string(), state.producer_id.to_string(), state_name]);
    }
    table.print("no transactional ids")
}

async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let mut documents = Vec::new();
    for id in &arguments.ids {
        let found = describe_one(&mut client, id).await?;
        if arguments.cluster.json {
            documents.push(document(&found));
        } else {
            output::print(&text(&found))?;
        }
    }
    if arguments.cluster.json { output::print_json(&Value::Array(documents)) } else { Ok(()) }
}

async fn describe_one(client: &mut Client, id: &str) -> Result<TransactionState, CliError> {
    let build = |_| DescribeTransactionsRequest { transactional_ids: vec![id.to_owned().into()] };
    let code = |answer: &DescribeTransactionsResponse| {
        answer.transaction_states.first().map_or(0, |state| state.error_code)
    };
    let answer = client.call(&Route::TransactionCoordinator(id.to_owned()), build, code).await?;
    let found = answer.transaction_states.into_iter().next();
    let found = found.ok_or_else(|| CliError::Failed("the coordinator described nothing".to_owned()))?;
    ClientError::check(found.error_code, Some(id))?;
    Ok(found)
}

fn document(state: &TransactionState) -> Value {
    let topics: BTreeMap<&str, &[i32]> =
        state.topics.iter().map(|topic| (topic.topic.as_str(), topic.partitions.as_slice())).collect();
    json!({
        "id": state.transactional_id.as_str(),
        "state": state.transaction_state.as_str(),
        "producer": state.producer_id,
        "epoch": state.producer_epoch,
        "timeoutMs": state.transaction_timeout_ms,
        "startedMs": Some(state.transaction_start_time_ms).filter(|started| *started >= 0),
        "partitions": topics,
    })
}

fn text(state: &TransactionState) -> String {
    let started = match Timestamp(state.transaction_start_time_ms) {
        Timestamp::NONE => "-".to_owned(),
        started => super::time::show(started),
    };
    let mut lines = vec![
        format!("{}: {}", state.transactional_id, state.transaction_state),
        format!("  producer {} epoch {}", state.producer_id, state.producer_epoch),
        format!("  timeout {} ms, started {started}", state.transaction_timeout_ms),
    ];
    let topics = state.topics.iter();
    lines.extend(topics.map(|topic| format!("  {}: {}", topic.topic, output::numbers(&topic.partitions))));
    lines.push(String::new());
    lines.join("\n")
}

async fn abort(arguments: &AbortArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let route = Route::Leader(arguments.topic.clone(), PartitionIndex(arguments.partition));
    let producer = hanging(&mut client, &route, arguments).await?;
    let marker = WritableTxnMarker {
        producer_id: producer.producer_id,
        producer_epoch: i16::try_from(producer.producer_epoch).unwrap_or(i16::MAX),
        transaction_result: false,
        topics: vec![WritableTxnMarkerTopic {
            name: arguments.topic.clone().into(),
            partition_indexes: vec![arguments.partition],
        }],
        // A producer whose first transaction hangs has no marker yet.
        coordinator_epoch: producer.coordinator_epoch.max(0),
        transaction_version: 0,
    };
    let code = |answer: &WriteTxnMarkersResponse| {
        let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
        topics.flat_map(|topic| &topic.partitions).map(|result| result.error_code).next().unwrap_or(0)
    };
    let build = |_| WriteTxnMarkersRequest { markers: vec![marker.clone()] };
    let answer = client.call(&route, build, code).await?;
    ClientError::check(code(&answer), None)?;
    output::print(&format!(
        "aborted the transaction of producer {} at offset {}\n",
        producer.producer_id, arguments.start_offset
    ))
}

/// The producer whose open transaction begins at the given offset.
async fn hanging(
    client: &mut Client,
    route: &Route,
    arguments: &AbortArguments,
) -> Result<ProducerState, CliError> {
    let build = |_| DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: arguments.topic.clone().into(),
            partition_indexes: vec![arguments.partition],
        }],
    };
    let first = |answer: &DescribeProducersResponse| {
        answer.topics.first().and_then(|topic| topic.partitions.first()).cloned()
    };
    let code = |answer: &DescribeProducersResponse| first(answer).map_or(0, |found| found.error_code);
    let answer = client.call(route, build, code).await?;
    let found = first(&answer).unwrap_or_default();
    ClientError::check(found.error_code, found.error_message.as_deref())?;
    let open = |producer: &ProducerState| producer.current_txn_start_offset == arguments.start_offset;
    found.active_producers.into_iter().find(open).ok_or_else(|| {
        CliError::Failed(format!(
            "no open transaction begins at offset {} of {}-{}",
            arguments.start_offset, arguments.topic, arguments.partition
        ))
    })
}
