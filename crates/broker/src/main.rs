//! The `vltava` binary: the command line of [`vltava_broker::cli`], with a node behind `serve`.

use std::io::IsTerminal;
use std::process::ExitCode;

use vltava_broker::config::LoadedConfig;

fn main() -> ExitCode {
    vltava_broker::cli::run(|loaded| serve(loaded).map_err(|error| format!("{error:#}")))
}

fn serve(loaded: LoadedConfig) -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,openraft=warn".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(vltava_broker::serve(loaded))?)
}
