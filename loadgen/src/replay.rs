//! A real access log as page views.
//!
//! Responsible for the `replay` offer: lines in, events out, in the order of the file. Promises that every line becomes
//! an event or is reported with its number and the reason; a line is never dropped silently. Leaves sending to `sender`,
//! which keeps the order of each user.

mod input;
mod parse;
mod payload;
mod played;
mod session;

pub use input::{Input, InputError};
pub use parse::{LineError, LogLine, parse};
pub use played::{Pace, Played, Reading, Unparsed};
