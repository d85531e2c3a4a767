//! What became of a log.
//!
//! Responsible for the part of the report that only a replay has. Promises to name every line that was no line of an
//! access log. Leaves refusals by the gateway to the report.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::replay::Reading;

/// The name of the file inside a report folder that lists lines which did not parse.
pub(super) const UNPARSED_FILE: &str = "unparsed.txt";

/// How many lines that did not parse are shown.
const SHOWN_MAX: usize = 10;

/// What became of a log.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The file.
    pub file: String,
    /// Its lines, as far as it was read.
    pub lines: u64,
    /// Users among them.
    pub users: u64,
    /// Lines that did not parse.
    pub unparsed: u64,
    /// The same by reason.
    pub unparsed_reasons: BTreeMap<String, u64>,
    /// The first of them.
    pub unparsed_examples: Vec<String>,
    /// Why reading ended before the file did.
    pub broken: Option<String>,
}

impl Replayed {
    /// Sums up what was read.
    pub fn new(file: &Path, reading: &Reading) -> Self {
        Replayed {
            file: file.display().to_string(),
            lines: reading.lines,
            users: reading.users,
            unparsed: reading.unparsed.len() as u64,
            unparsed_reasons: reading.unparsed_reasons.iter().map(|(why, count)| (why.to_string(), *count)).collect(),
            unparsed_examples: lines(reading).take(SHOWN_MAX).collect(),
            broken: reading.broken.clone(),
        }
    }

    /// Writes all lines that did not parse into the folder, with their numbers and reasons.
    pub fn write_unparsed(reading: &Reading, folder: &Path) -> io::Result<()> {
        let mut out = io::BufWriter::new(std::fs::File::create(folder.join(UNPARSED_FILE))?);
        for line in lines(reading) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}

fn lines(reading: &Reading) -> impl Iterator<Item = String> {
    reading.unparsed.iter().map(|line| format!("line {}: {}", line.number, line.reason))
}
