//! Developer tasks of Vltava.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer tasks of Vltava")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {}
}
