//! The binary `footfall`: arguments and settings in, exit code and one line out.

use std::process::ExitCode;

use gateway::Reload;
use operator::{Failure, cli, exit, logging};
use standalone::{args::Args, config::Settings, pipeline};

fn main() -> ExitCode {
    exit::finish("footfall", start())
}

fn start() -> Result<(), Failure> {
    let args: Args = cli::parse()?;
    let settings = read(&args)?;
    if args.common.check_only() {
        return Ok(());
    }
    logging::init(args.common.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        let reload = Reload::new(args.common.config.clone(), move || {
            let settings = read(&args)?;
            Ok((settings.serving(), settings))
        });
        pipeline::run(settings, reload).await
    })
}

fn read(args: &Args) -> Result<Settings, Failure> {
    let settings: Settings = args.common.settings_over(Settings::defaults(), args.flags())?;
    settings.check().map(|()| settings)
}
