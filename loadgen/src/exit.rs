//! How the program ends.
//!
//! Responsible for exit codes: scripts and CI decide by them. Promises one line for every failure, which says what to
//! do. Leaves the reasons of a verdict to `report`.

use serde::Serialize;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// A goal for latency or throughput was missed.
    SloMissed,
    /// The lake does not hold what it must.
    VerificationFailed,
    /// The generator was too slow itself: its figures say nothing about the system.
    GeneratorBound,
}

impl Verdict {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::SloMissed => 1,
            Verdict::VerificationFailed => 2,
            Verdict::GeneratorBound => 3,
        }
    }
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What was asked for makes no sense: exit code 4.
    #[error("{0}")]
    Config(String),
    /// What is needed is not there: exit code 5.
    #[error("{0}")]
    Environment(String),
}

impl Failure {
    /// A configuration error.
    pub fn config(what: impl ToString) -> Self {
        Failure::Config(what.to_string())
    }

    /// An environment error.
    pub fn environment(what: impl ToString) -> Self {
        Failure::Environment(what.to_string())
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Config(_) => 4,
            Failure::Environment(_) => 5,
        }
    }
}
