//! Responsible for how a binary ends: one exit code and, unless it is 0, one line on stderr that says what is wrong and
//! what to do. Leaves the wording to whoever found the problem.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Why a binary ends early: a code and one line. The line says what is wrong, then what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct Failure {
    code: u8,
    line: String,
}

impl Failure {
    /// The operator's configuration is wrong (bad flag, unknown key, contradictory values): exit code 64.
    pub fn config(line: impl Display) -> Failure {
        Failure::new(64, line)
    }

    /// The environment cannot be used at boot (port in use, folder not writable, broker not there): exit code 69.
    pub fn environment(line: impl Display) -> Failure {
        Failure::new(69, line)
    }

    /// An error after boot from which this process cannot recover: exit code 70.
    pub fn internal(line: impl Display) -> Failure {
        Failure::new(70, line)
    }

    /// Any other documented exit code, for binaries that have more of them.
    pub fn new(code: u8, line: impl Display) -> Failure {
        Failure { code, line: one_line(&line.to_string()) }
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        self.code
    }
}

/// Ends `main`: prints `<binary>: <line>` to stderr for a failure, and returns its exit code; 0 otherwise.
pub fn finish(binary: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed stderr must not turn an exit code into a panic.
            let _ = writeln!(std::io::stderr(), "{binary}: {}", failure.line);
            ExitCode::from(failure.code)
        }
    }
}

/// Scripts and log collectors read one record per line, and some sources of text (parsers, the OS) write several.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: Failure, code: u8, line: &str) {
        assert_eq!((failure.code(), failure.to_string().as_str()), (code, line));
    }

    #[test]
    fn each_kind_has_its_code_and_one_line() {
        check(Failure::config("unknown key `x`"), 64, "unknown key `x`");
        check(Failure::environment("port 1 is in use:\n  choose another"), 69, "port 1 is in use: choose another");
        check(Failure::internal("\n\nthe log is gone\r\n"), 70, "the log is gone");
        check(Failure::new(3, "generator-bound"), 3, "generator-bound");
    }
}
