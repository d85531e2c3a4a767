//! The binary `footfall-loadgen`: flags in, exit code out.

use std::process::ExitCode;

use loadgen::cli::Cli;
use loadgen::exit::{Failure, Verdict};

fn main() -> ExitCode {
    match run() {
        Ok(verdict) => ExitCode::from(verdict.map_or(0, Verdict::code)),
        Err(failure) => {
            operator::exit::finish("footfall-loadgen", Err(operator::Failure::new(failure.code(), failure)))
        }
    }
}

fn run() -> Result<Option<Verdict>, Failure> {
    let cli: Cli = operator::cli::parse().map_err(Failure::config)?;
    operator::logging::init(cli.common.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    runtime.block_on(loadgen::command::execute(&cli))
}
