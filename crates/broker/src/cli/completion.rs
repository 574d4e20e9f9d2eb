//! `vltava completion`: scripts that teach a shell the commands.

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::CliError;
use super::output;

/// Arguments of `vltava completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(vltava completion bash)
  vltava completion zsh > ~/.zfunc/_vltava
  vltava completion fish > ~/.config/fish/completions/vltava.fish")]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(arguments: &CompletionArguments, command: &mut Command) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "vltava", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
