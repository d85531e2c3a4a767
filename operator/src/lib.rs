//! What an operator meets in every Footfall binary, the same in each: the command line, the settings and their errors,
//! the log on stderr, exit codes with one clear line, the drain on SIGTERM, readiness, and the admin port.
//!
//! It promises that these behave alike everywhere. It knows nothing of events, logs or lakes.

/// The admin port: health, readiness, metrics, and a console where there is one.
pub mod admin;
/// The command line: common flags, usage errors as one line, printed addresses.
pub mod cli;
/// Exit codes and the one line that explains them.
pub mod exit;
/// Named conditions for readiness.
pub mod health;
/// Sockets opened at boot.
pub mod listen;
/// The log on stderr.
pub mod logging;
/// The metrics registry and what the process itself uses.
pub mod process;
/// Settings from flags, environment, file and defaults; unknown keys are refused.
pub mod settings;
/// SIGTERM and SIGINT as a cancellation.
pub mod shutdown;

pub use exit::Failure;
pub use health::{Condition, Health};
pub use listen::bind;
