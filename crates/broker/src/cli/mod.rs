//! The command line: one binary that serves, and that asks and changes any Kafka cluster.
//!
//! A command parses its arguments, talks to the cluster through [`crate::net::client`], and prints: a table for people, one
//! JSON document with `--json`, progress only to a terminal's standard error. Exit codes: 0 done, 1 it failed or a part of it
//! did, 2 the arguments do not make sense.

mod arguments;
mod completion;
mod config;
mod connect;
mod connector;
mod consume;
mod error;
mod group;
mod log;
mod logging;
mod offsets;
mod output;
mod produce;
mod schema;
mod time;
mod topic;
mod transaction;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio::runtime::Builder;
use vltava_core::clock::BoxFuture;

use crate::config::{ConfigFile, LoadedConfig, load};
use error::CliError;

/// An event-streaming platform that speaks Kafka's protocol.
///
/// Without a command it serves: a broker and controller on 127.0.0.1:9092 with its data below ./data. The other commands
/// work against any Kafka cluster.
#[derive(Debug, Parser)]
#[command(name = "vltava", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

const EXAMPLES: &str = "\
Examples:
  vltava                                            a broker on 127.0.0.1:9092
  vltava serve --config server.properties           a broker with Kafka's own file
  vltava topic create orders --partitions 6
  echo 'hello' | vltava produce orders
  vltava consume orders --from beginning --exit
  vltava group describe billing -b broker:9092
  vltava schema register orders-value order.avsc
  vltava connector list
  vltava log dump data/orders-0 --deep";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker (what happens without a command, too)
    Serve(ServeArguments),
    /// List, create, describe, alter and delete topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Write lines of standard input as records
    Produce(produce::ProduceArguments),
    /// Print records as they come
    Consume(consume::ConsumeArguments),
    /// List, describe and delete consumer groups, and move their offsets
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// List and describe transactional ids, and abort hanging transactions
    #[command(subcommand)]
    Transaction(transaction::TransactionCommand),
    /// Show and change the settings of topics, brokers, groups and client metrics
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Register, check and delete schemas, and set their compatibility, in any registry
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Run a Connect worker against any cluster
    Connect(connect::ConnectArguments),
    /// Create, watch and change connectors, of any Connect worker
    #[command(subcommand)]
    Connector(connector::ConnectorCommand),
    /// Look into the files of a log
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Print a completion script for a shell
    Completion(completion::CompletionArguments),
}

/// What a node is started with.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArguments {
    /// Settings: a server.properties as Kafka has it, or a .toml with one flat table of quoted keys
    #[arg(long, short, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// One setting, over the file; may be given several times
    #[arg(long = "set", alias = "override", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

const SERVE_EXAMPLES: &str = "\
Without --config: one node that is broker and controller, on 127.0.0.1:9092, data below ./data, internal topics
with one replica. With it: Kafka's defaults.

Examples:
  vltava serve --set log.dirs=/var/lib/vltava
  vltava serve --set listeners=PLAINTEXT://0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://$(hostname):9092
  vltava serve --config server.properties --set num.partitions=6";

impl ServeArguments {
    /// The settings these arguments ask for.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn load(&self) -> Result<LoadedConfig, crate::config::LoadError> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        load(file.as_ref(), &self.set)
    }
}

/// Runs the command line of this process: a command, or a node or worker until it is told to stop.
pub fn run() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(()) | Err(CliError::Closed) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vltava: {error}");
            if matches!(error, CliError::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn execute(cli: Cli) -> Result<(), CliError> {
    let command: BoxFuture<'static, Result<(), CliError>> =
        match cli.command.unwrap_or(Command::Serve(cli.serve)) {
            Command::Serve(arguments) => {
                let node = crate::serve(arguments.load()?, logging::start()?);
                return Builder::new_current_thread()
                    .enable_all()
                    .build()?
                    .block_on(node)
                    .map_err(CliError::Start);
            }
            Command::Connect(arguments) => {
                let (config, connectors) = arguments.settings()?;
                let worker = crate::connect(config, connectors, logging::start()?);
                return Builder::new_multi_thread()
                    .enable_all()
                    .build()?
                    .block_on(worker)
                    .map_err(CliError::Start);
            }
            Command::Log(command) => return log::run(&command),
            Command::Completion(arguments) => return completion::run(&arguments, &mut Cli::command()),
            Command::Connector(command) => Box::pin(connector::run(command)),
            Command::Topic(command) => Box::pin(topic::run(command)),
            Command::Produce(arguments) => Box::pin(produce::run(arguments)),
            Command::Consume(arguments) => Box::pin(consume::run(arguments)),
            Command::Group(command) => Box::pin(group::run(command)),
            Command::Transaction(command) => Box::pin(transaction::run(command)),
            Command::Config(command) => Box::pin(config::run(command)),
            Command::Schema(command) => Box::pin(schema::run(command)),
        };
    // One thread is enough for a command that talks to a cluster.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // A read of standard input may still hang in a thread of its own.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests;
