//! What an audit says.
//!
//! Responsible for the closed list of findings, for which of them mean that something is wrong, and for their two forms,
//! a line for people and an object for programs. Promises: kinds keep their words.

use std::fmt;

use serde::Serialize;

/// What was found. The first group means that the lake is not what it promises to be, the second is worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Offsets that no file covers.
    Gap,
    /// A file that covers offsets of the file before it, and so belongs to no chain.
    Overlap,
    /// An object that readers would take for a data file, and that belongs to no chain.
    Orphan,
    /// A file that cannot be read, or does not hold what its footer says.
    Damaged,
    /// Rows that do not stand by user and offset, or outside of the file's offsets.
    Order,
    /// Dead letters that a file speaks of and that are not there.
    DeadLetters,
    /// A checkpoint that the chain contradicts.
    Checkpoint,
    /// A file that the log, or another lake, contradicts.
    Differs,
    /// The chain and the log do not belong together.
    Log,
    /// A file that was not derived again, because one before it that may hold the same events cannot be read.
    NotDerived,
    /// Offsets that were lost before they were read, and whose loss was accepted.
    GapMarker,
    /// An object that nothing needs: of a writer that lost a race, of the boot probe, or of somebody else.
    Leftover,
    /// A file that was not derived again, because the log no longer holds its records.
    NotInLog,
    /// The lake that is compared with has not come so far.
    Behind,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Is something wrong?
    pub is_error: bool,
    /// What it is.
    pub kind: Kind,
    /// Whose it is, where it belongs to a partition.
    pub partition: Option<u32>,
    /// The object, or the folder.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// The rows of a chain as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChainFacts {
    /// Partition of the topic.
    pub partition: u32,
    /// First offset that no file covers.
    pub next_offset: u64,
    /// Files in the chain, gap markers included.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Records in the dead letters.
    pub dead_letters: u64,
    /// Records that repeated an event.
    pub duplicates: u64,
    /// Offsets that gap markers cover.
    pub gap_records: u64,
    /// Files that were derived again from the log.
    pub rederived: u64,
    /// Hash of the set of rows: equal for two lakes that hold the same rows, wherever their files are cut.
    #[serde(serialize_with = "as_hex")]
    pub rows_hash: u64,
}

/// What the audit came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Things that are wrong.
    pub errors: u64,
    /// Things worth knowing.
    pub notes: u64,
    /// Chains.
    pub partitions: u64,
    /// Files of all chains.
    pub files: u64,
    /// Rows of all files.
    pub rows: u64,
    /// Files that were derived again from the log.
    pub rederived: u64,
}

/// A line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Line {
    /// Something that was found.
    Finding(Finding),
    /// A chain that was walked to its end.
    Partition(ChainFacts),
    /// The end of the audit.
    Summary(Summary),
}

impl Kind {
    /// Does it mean that something is wrong?
    pub fn is_error(self) -> bool {
        self < Kind::GapMarker
    }

    /// The word for it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Gap => "gap",
            Kind::Overlap => "overlap",
            Kind::Orphan => "orphan",
            Kind::Damaged => "damaged",
            Kind::Order => "order",
            Kind::DeadLetters => "dead_letters",
            Kind::Checkpoint => "checkpoint",
            Kind::Differs => "differs",
            Kind::Log => "log",
            Kind::NotDerived => "not_derived",
            Kind::GapMarker => "gap_marker",
            Kind::Leftover => "leftover",
            Kind::NotInLog => "not_in_log",
            Kind::Behind => "behind",
        }
    }
}

impl Finding {
    /// A finding about an object or a folder.
    pub fn new(kind: Kind, partition: Option<u32>, path: impl fmt::Display, message: impl Into<String>) -> Finding {
        Finding { is_error: kind.is_error(), kind, partition, path: path.to_string(), message: message.into() }
    }
}

impl Summary {
    pub(super) fn add(&mut self, line: &Line) {
        match line {
            Line::Finding(finding) if finding.is_error => self.errors += 1,
            Line::Finding(_) => self.notes += 1,
            Line::Partition(facts) => {
                self.partitions += 1;
                self.files += facts.files;
                self.rows += facts.rows;
                self.rederived += facts.rederived;
            }
            Line::Summary(_) => {}
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Finding(Finding { is_error, kind, path, message, .. }) => {
                let severity = if *is_error { "error" } else { "note" };
                write!(f, "{severity:<5} {}: {path}: {message}", kind.label())
            }
            Line::Partition(facts) => write!(
                f,
                "hash  partition {}: {:016x} ({} rows, {} files up to offset {}, {} dead letters, {} duplicates, {} lost, {} files \
                 derived again)",
                facts.partition,
                facts.rows_hash,
                facts.rows,
                facts.files,
                facts.next_offset,
                facts.dead_letters,
                facts.duplicates,
                facts.gap_records,
                facts.rederived
            ),
            Line::Summary(summary) => {
                let verdict = if summary.errors == 0 { "clean" } else { "not clean" };
                write!(
                    f,
                    "{verdict}: {} errors, {} notes; {} partitions, {} files, {} rows, {} files derived again",
                    summary.errors, summary.notes, summary.partitions, summary.files, summary.rows, summary.rederived
                )
            }
        }
    }
}

fn as_hex<S: serde::Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:016x}"))
}
