//! The `vltava` binary: the command line of [`vltava_broker::cli`], with a node behind `serve`.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};
use vltava_broker::LogLevels;
use vltava_broker::cli::Task;
use vltava_broker::config::LoadedConfig;
use vltava_connect::settings::Config;

fn main() -> ExitCode {
    vltava_broker::cli::run(|task| {
        match task {
            Task::Serve(loaded) => serve(*loaded),
            Task::Connect { config, connectors } => connect(config, connectors),
        }
        .map_err(|error| format!("{error:#}"))
    })
}

fn serve(loaded: LoadedConfig) -> anyhow::Result<()> {
    let levels = log()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(vltava_broker::serve(loaded, levels))?)
}

fn connect(config: Config, connectors: Vec<Config>) -> anyhow::Result<()> {
    let levels = log()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(vltava_broker::connect(config, connectors, levels))?)
}

/// Logs to standard error, at the levels of `RUST_LOG`: `info,krafka=error,openraft=warn` without it.
fn log() -> anyhow::Result<LogLevels> {
    let set = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let text = set.unwrap_or_else(|| "info,krafka=error,openraft=warn".to_owned());
    let targets: Targets = text.parse().with_context(|| format!("RUST_LOG={text} names no log levels"))?;
    let (filter, handle) = reload::Layer::new(targets.clone());
    let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(LogLevels::new(&targets, move |targets| {
        if let Err(error) = handle.reload(targets) {
            tracing::error!(%error, "the log levels stay as they were");
        }
    }))
}
