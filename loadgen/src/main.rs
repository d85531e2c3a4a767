//! The binary `footfall-loadgen`: flags in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use loadgen::cli::Cli;
use loadgen::exit::Failure;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Whoever closed stdout does not want to read it.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(Failure::config(one_line(&error.to_string()))),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "footfall-loadgen: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    let verdict = runtime.block_on(loadgen::command::execute(cli))?;
    Ok(ExitCode::from(verdict.code()))
}

/// What clap says, without its usage text.
fn one_line(text: &str) -> String {
    let text = text.trim_start_matches("error: ");
    let text = text.split("\n\n").next().unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    format!("{}: see footfall-loadgen --help", words.join(" "))
}
