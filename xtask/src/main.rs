//! Developer tasks of Vltava.

mod bench;
mod campaign;
mod ci;
mod codegen;
mod conformance;
mod docs;
mod examples;
mod history;
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
    /// Measure a broker beside the barest servers that could stand in its place
    Bench(bench::Options),
    /// One of those barest servers
    #[command(hide = true)]
    BenchFloor(bench::floor::Arguments),
    /// Run the seeded tests on seeds that nobody has run before
    Campaign(campaign::Options),
    /// Run everything that a change has to pass
    Ci(ci::Options),
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
        Task::Bench(options) => bench::run(&options)?,
        Task::BenchFloor(arguments) => bench::floor::run(&arguments)?,
        Task::Campaign(options) => return campaign::run(&options),
        Task::Ci(options) => return ci::run(&options),
        Task::Codegen(arguments) => codegen::run(&arguments)?,
        Task::Conformance(options) => return conformance::run(&options),
        Task::Docs(arguments) => docs::run(&arguments)?,
        Task::Tidy => return tidy::run(),
    }
    Ok(ExitCode::SUCCESS)
}
