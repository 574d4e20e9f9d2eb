//! Developer tasks of Vltava.

mod codegen;
mod conformance;
mod docs;
mod tidy;

use std::process::ExitCode;

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
    /// Drive a broker with other people's clients and compare it with Apache Kafka.
    Conformance(conformance::Options),
    /// Write the reference pages from the declarations in the code.
    Docs(docs::Arguments),
    /// Check what the invariants forbid
    Tidy,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Codegen(arguments) => codegen::run(&arguments)?,
        Task::Conformance(options) => conformance::run(&options)?,
        Task::Docs(arguments) => docs::run(&arguments)?,
        Task::Tidy => return tidy::run(),
    }
    Ok(ExitCode::SUCCESS)
}
