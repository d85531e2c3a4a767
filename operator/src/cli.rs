//! Responsible for the command line that all binaries share: common flags, usage errors as one line with exit code 64,
//! and addresses printed to stdout. Leaves each binary's own flags to itself.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;
use crate::logging::LogFormat;
use crate::settings;

/// Flags of every binary; use it with `#[command(flatten)]`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CommonArgs {
    /// Settings file (TOML); unknown keys are refused
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Check the settings, say so, and exit
    #[arg(long, global = true)]
    pub check_config: bool,
    /// Form of the log on stderr
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub log_format: LogFormat,
}

impl CommonArgs {
    /// The settings of this process: flag, then environment, then `--config` file, then default.
    ///
    /// # Errors
    /// Exit code 64 with a line that names the key, where it came from, and what is allowed.
    pub fn settings<T: DeserializeOwned>(&self, flags: impl Serialize) -> Result<T, Failure> {
        Ok(settings::load(self.config.as_deref(), flags)?)
    }

    /// Like [`CommonArgs::settings`], over defaults of this binary's own; see [`settings::load_over`].
    ///
    /// # Errors
    /// As for [`CommonArgs::settings`].
    pub fn settings_over<T: DeserializeOwned>(
        &self,
        defaults: impl Serialize,
        flags: impl Serialize,
    ) -> Result<T, Failure> {
        Ok(settings::load_over(defaults, self.config.as_deref(), flags)?)
    }

    /// With `--check-config`: says that the settings are good and returns true; the caller then ends with success. Call
    /// it after every check that needs no network and no disk, and before anything is opened.
    pub fn check_only(&self) -> bool {
        if self.check_config {
            announce("configuration ok");
        }
        self.check_config
    }
}

/// Parses the arguments of this process. `--help` and `--version` print and end the process with success.
///
/// # Errors
/// A usage error as one line, exit code 64.
pub fn parse<P: Parser>() -> Result<P, Failure> {
    match P::try_parse() {
        Ok(args) => Ok(args),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => error.exit(),
        Err(error) => Err(Failure::config(usage_line(&error))),
    }
}

/// Prints one line to stdout at once, even into a pipe: scripts wait for these lines.
pub fn announce(line: impl Display) {
    let mut out = std::io::stdout().lock();
    // Whoever started us may have closed the pipe; that is no reason to stop serving.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The first sentence of clap's error and its tip, without the usage block.
fn usage_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing: see --help".to_owned();
    }
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    match tip {
        Some(tip) => format!("{what}: {tip}"),
        None => format!("{what}: see --help"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        common: CommonArgs,
        #[arg(long)]
        listen: Option<String>,
        #[arg(long)]
        partitions: Option<u32>,
    }

    #[track_caller]
    fn check(flags: &[&str], line: &str) {
        let error = Args::try_parse_from([&["footfall"], flags].concat()).expect_err("must be refused");
        assert_eq!(Failure::config(usage_line(&error)).to_string(), line);
    }

    #[test]
    fn a_usage_error_is_one_line_that_says_what_to_do() {
        check(&["--listn", "x"], "unexpected argument '--listn' found: a similar argument exists: '--listen'");
        check(&["--zzz"], "unexpected argument '--zzz' found: see --help");
        check(
            &["--partitions", "x"],
            "invalid value 'x' for '--partitions <PARTITIONS>': invalid digit found in string: see --help",
        );
        check(
            &["--log-format", "xml"],
            "invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]: see --help",
        );
    }

    #[test]
    fn common_flags_are_parsed() {
        let args = Args::try_parse_from(["footfall", "--config", "f.toml", "--check-config", "--log-format", "json"]);
        let args = args.expect("valid flags");
        assert_eq!(args.common.config, Some(PathBuf::from("f.toml")));
        assert!(args.common.check_config && args.common.log_format == LogFormat::Json);
        assert!(args.listen.is_none() && args.partitions.is_none());
    }
}
