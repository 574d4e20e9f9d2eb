//! `vltava config`: show and change the settings of topics, brokers, groups and client metrics.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vltava_core::id::BrokerId;
use vltava_protocol::describe_configs_request::DescribeConfigsResource;
use vltava_protocol::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use vltava_protocol::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use vltava_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::arguments::{ClusterArguments, key_value};
use super::error::CliError;
use super::output::{self, Table};
use crate::net::client::{Client, ClientError, Route};

/// Commands of `vltava config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show settings and where they come from
    Describe(DescribeArguments),
    /// Change settings at run time
    Alter(AlterArguments),
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResourceKind {
    /// A topic
    Topic,
    /// A broker by its id; without a name, what holds for all brokers
    Broker,
    /// The log levels of a broker
    BrokerLogger,
    /// A subscription of client metrics
    ClientMetrics,
    /// A group
    Group,
}

impl ResourceKind {
    fn id(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// A broker answers for itself; everything else any of them knows.
    fn route(self, name: &str) -> Result<Route, CliError> {
        match self {
            Self::Broker | Self::BrokerLogger if !name.is_empty() => match name.parse() {
                Ok(id) => Ok(Route::Broker(BrokerId(id))),
                Err(_) => Err(CliError::Usage(format!("{name} is no broker; give its id as a number"))),
            },
            _ => Ok(Route::Any),
        }
    }
}

/// Arguments of `vltava config describe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vltava config describe topic orders
  vltava config describe topic orders --all --synonyms
  vltava config describe broker 1 --all
  vltava config describe broker")]
pub struct DescribeArguments {
    /// What to describe
    #[arg(value_enum)]
    kind: ResourceKind,
    /// Its name; a broker's id
    #[arg(default_value = "")]
    name: String,
    /// Show defaults too, not only what somebody set
    #[arg(long, short)]
    all: bool,
    /// Show every place that sets a key, the one that wins first
    #[arg(long)]
    synonyms: bool,
    /// Show what the keys mean
    #[arg(long)]
    documentation: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava config alter`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vltava config alter topic orders --set retention.ms=86400000
  vltava config alter broker --set log.retention.ms=3600000
  vltava config alter topic orders --append cleanup.policy=compact --delete retention.ms")]
pub struct AlterArguments {
    /// What to change
    #[arg(value_enum)]
    kind: ResourceKind,
    /// Its name; a broker's id
    #[arg(default_value = "")]
    name: String,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// What to change.
#[derive(Clone, Debug, Args)]
pub struct Changes {
    /// Replace a setting; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Go back to the default
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,
    /// Add entries to a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    append: Vec<(String, String)>,
    /// Remove entries from a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    subtract: Vec<(String, String)>,
}

impl Changes {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty() && self.append.is_empty() && self.subtract.is_empty()
    }

    fn wire(&self) -> Vec<AlterableConfig> {
        let change = |key: &String, config_operation: i8, value: Option<&String>| AlterableConfig {
            name: key.into(),
            config_operation,
            value: value.map(Into::into),
        };
        let sets = self.set.iter().map(|(key, value)| change(key, 0, Some(value)));
        let deletes = self.delete.iter().map(|key| change(key, 1, None));
        let appends = self.append.iter().map(|(key, value)| change(key, 2, Some(value)));
        let subtracts = self.subtract.iter().map(|(key, value)| change(key, 3, Some(value)));
        sets.chain(deletes).chain(appends).chain(subtracts).collect()
    }
}

/// Runs a command.
pub async fn run(command: ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Describe(arguments) => describe(&arguments).await,
        ConfigCommand::Alter(arguments) => alter(&arguments).await,
    }
}

async fn alter(arguments: &AlterArguments) -> Result<(), CliError> {
    if arguments.changes.is_empty() {
        return Err(CliError::Usage(
            "nothing to change; give --set, --delete, --append or --subtract".to_owned(),
        ));
    }
    let mut client = arguments.cluster.client();
    alter_resource(&mut client, arguments.kind, &arguments.name, &arguments.changes).await?;
    if arguments.cluster.json {
        return output::print_json(&json!({ "name": arguments.name, "error": null }));
    }
    output::print("altered\n")
}

/// Changes the settings of one resource.
///
/// # Errors
/// What the cluster refuses, or why it cannot be asked.
pub async fn alter_resource(
    client: &mut Client,
    kind: ResourceKind,
    name: &str,
    changes: &Changes,
) -> Result<(), CliError> {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind.id(),
            resource_name: name.to_owned().into(),
            configs: changes.wire(),
        }],
        validate_only: false,
    };
    let code = |answer: &IncrementalAlterConfigsResponse| {
        answer.responses.first().map_or(0, |response| response.error_code)
    };
    let answer = client.call(&kind.route(name)?, |_| request.clone(), code).await?;
    for response in &answer.responses {
        ClientError::check(response.error_code, response.error_message.as_deref())?;
    }
    Ok(())
}

/// The settings of one resource.
///
/// # Errors
/// What the cluster refuses, or why it cannot be asked.
pub async fn describe_resource(
    client: &mut Client,
    kind: ResourceKind,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, CliError> {
    let build = |version| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind.id(),
            resource_name: name.to_owned().into(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    let code =
        |answer: &DescribeConfigsResponse| answer.results.first().map_or(0, |result| result.error_code);
    let answer = client.call(&kind.route(name)?, build, code).await?;
    let result = answer.results.into_iter().next();
    let result = result.ok_or_else(|| CliError::Failed("the broker described nothing".to_owned()))?;
    ClientError::check(result.error_code, result.error_message.as_deref())?;
    Ok(result.configs)
}

async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let mut configs = describe_resource(&mut client, arguments.kind, &arguments.name).await?;
    configs.sort_by(|left, right| left.name.cmp(&right.name));
    configs.retain(|config| arguments.all || config.config_source != DEFAULT_SOURCE);
    if arguments.cluster.json {
        return output::print_json(&configs.iter().map(document).collect());
    }
    let mut headers = vec!["KEY", "VALUE", "SOURCE"];
    headers.extend(arguments.synonyms.then_some("SET BY"));
    headers.extend(arguments.documentation.then_some("MEANING"));
    let mut table = Table::new(&headers);
    for config in &configs {
        let mut row = vec![config.name.to_string(), shown(config), source(config.config_source).to_owned()];
        row.extend(
            arguments.synonyms.then(|| config.synonyms.iter().map(synonym).collect::<Vec<_>>().join("; ")),
        );
        row.extend(arguments.documentation.then(|| output::or_dash(config.documentation.as_deref())));
        table.row(row);
    }
    table.print("Nothing is set; every key has its default. Show them with --all.")
}

/// The config source id of a value nobody set.
const DEFAULT_SOURCE: i8 = 5;

fn shown(config: &DescribeConfigsResourceResult) -> String {
    match &config.value {
        None if config.is_sensitive => "(hidden)".to_owned(),
        None => "(null)".to_owned(),
        Some(value) if value.is_empty() => "(empty)".to_owned(),
        Some(value) => value.to_string(),
    }
}

fn synonym(synonym: &DescribeConfigsSynonym) -> String {
    format!("{}={} ({})", synonym.name, synonym.value.as_deref().unwrap_or("null"), source(synonym.source))
}

fn source(id: i8) -> &'static str {
    match id {
        1 => "topic",
        2 => "broker",
        3 => "all brokers",
        4 => "file",
        5 => "default",
        6 => "broker logger",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}

fn document(config: &DescribeConfigsResourceResult) -> Value {
    let synonyms: Vec<Value> = config
        .synonyms
        .iter()
        .map(|synonym| json!({ "name": synonym.name.as_str(), "value": synonym.value.as_deref(), "source": source(synonym.source) }))
        .collect();
    json!({
        "name": config.name.as_str(),
        "value": config.value.as_deref(),
        "source": source(config.config_source),
        "read_only": config.read_only,
        "sensitive": config.is_sensitive,
        "synonyms": synonyms,
        "documentation": config.documentation.as_deref(),
    })
}
