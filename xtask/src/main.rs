//! Developer tasks of Vltava.

mod codegen;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer tasks of Vltava")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Turn the message tables into Rust
    Codegen(codegen::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Codegen(arguments) => codegen::run(&arguments),
    }
}
