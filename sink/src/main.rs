//! `footfall-sink`: the sink as a process of its own, and the commands that look after a lake.
//!
//! Responsible for the list of commands and the exit code. Their flags are in `cli`, everything else is the library's.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::{Failure, cli::CommonArgs, exit};

use crate::cli::{audit, dead_letters, rebuild, run};

/// From the log to Parquet files in a lake: each user's events in order, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "footfall-sink", version, after_help = run::EXAMPLES)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a Kafka topic and write the lake, sharing the partitions with the other members of the group
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArgs),
    /// Check that a lake is what it promises to be: no gap, no overlap, no damage, and what the log gives
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::AuditArgs),
    /// Write a lake once more from the log
    #[command(after_help = rebuild::EXAMPLES)]
    Rebuild(rebuild::RebuildArgs),
    /// List, show and retry records that could not become rows
    #[command(subcommand, after_help = dead_letters::EXAMPLES)]
    DeadLetters(dead_letters::DeadLetters),
}

fn main() -> ExitCode {
    exit::finish("footfall-sink", start())
}

fn start() -> Result<(), Failure> {
    let Args { common, command } = operator::cli::parse()?;
    match command {
        Command::Run(args) => args.start(&common),
        Command::Audit(args) => args.start(&common),
        Command::Rebuild(args) => args.start(&common),
        Command::DeadLetters(args) => args.start(&common),
    }
}
