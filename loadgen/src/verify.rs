//! Whether the lake holds what was acknowledged, once, in order, and nothing else.
//!
//! Responsible for comparing the ledger of a run with the rows of the lake, read in the order of partition, start offset
//! and row. Promises a pure judgement: rows go in, findings come out, and one byte per event and eight per user are all
//! that is kept. Leaves reading to `reader`.

use serde::Serialize;

use crate::ledger::{EventId, Ledger};
use crate::reader::{FileError, Footer, Found, Lake, LakeError, Row};

mod chain;
mod duplicate;
mod missing;
mod order;
mod phantom;

use chain::Chain;
use duplicate::Duplicates;
use order::Order;

/// How many examples of each finding are kept.
const EXAMPLES_MAX: usize = 10;

/// One kind of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How often it was found.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Finding {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Files that were read.
    pub files: u64,
    /// Rows of this run.
    pub rows: u64,
    /// Rows of other runs and other senders.
    pub rows_of_others: u64,
    /// Objects among the event files that are not named like one. Not a failure.
    pub objects_of_others: u64,
    /// Acknowledged, but not there.
    pub missing: Finding,
    /// There more than once, although sent once.
    pub duplicated: Finding,
    /// There more than once, sent again after an unclear outcome. Not a failure.
    pub duplicated_resent: Finding,
    /// Before an earlier event of its user.
    pub reordered: Finding,
    /// There, although never sent or refused with certainty.
    pub phantom: Finding,
    /// There under another user's key.
    pub wrong_user: Finding,
    /// In another partition than its file, or than its user's first row.
    pub wrong_partition: Finding,
    /// Not sorted by user key and offset within its file.
    pub unsorted: Finding,
    /// Places where offsets between two files of a partition are covered by none.
    pub gaps: Finding,
    /// Places where offsets are covered or stand twice.
    pub overlaps: Finding,
    /// Files whose footer contradicts their name or rows.
    pub wrong_footer: Finding,
    /// Files that cannot be read.
    pub unreadable: Finding,
}

impl Findings {
    /// Every kind of finding that breaks a promise, with its name, in the order in which it is reported.
    pub fn failures(&self) -> [(&'static str, &Finding); 11] {
        [
            ("missing", &self.missing),
            ("duplicated", &self.duplicated),
            ("reordered", &self.reordered),
            ("phantom", &self.phantom),
            ("wrong user", &self.wrong_user),
            ("wrong partition", &self.wrong_partition),
            ("unsorted", &self.unsorted),
            ("gaps", &self.gaps),
            ("overlaps", &self.overlaps),
            ("wrong footer", &self.wrong_footer),
            ("unreadable files", &self.unreadable),
        ]
    }

    /// Whether no promise is broken.
    pub fn passed(&self) -> bool {
        self.failures().iter().all(|(_, finding)| finding.count == 0)
    }
}

/// Compares rows with a ledger while they are read.
#[derive(Debug)]
pub struct Verifier<'a> {
    ledger: &'a Ledger,
    findings: Findings,
    duplicates: Duplicates,
    order: Order,
    chain: Chain,
}

impl<'a> Verifier<'a> {
    /// Begins with no rows.
    pub fn new(ledger: &'a Ledger) -> Self {
        Verifier {
            ledger,
            findings: Findings::default(),
            duplicates: Duplicates::new(ledger.len()),
            order: Order::default(),
            chain: Chain::default(),
        }
    }

    /// The rows that follow are from this file. Files come by topic, partition and start offset.
    pub fn begin_file(&mut self, found: &Found) {
        self.findings.files += 1;
        self.chain.begin(found);
    }

    /// Takes the next row of the file.
    pub fn row(&mut self, row: &Row<'_>) {
        self.chain.row(row, &mut self.findings);
        if !row.event_id.strip_prefix(self.ledger.run()).is_some_and(|rest| rest.starts_with('-')) {
            self.findings.rows_of_others += 1;
            return;
        }
        self.findings.rows += 1;
        let Some(id) = EventId::parse(self.ledger.run(), row.event_id) else {
            self.findings.phantom.add(|| format!("{} is no id of this run", row.event_id));
            return;
        };
        if !phantom::is_of_ledger(id, row, self.ledger, &mut self.findings) {
            return;
        }
        if self.duplicates.is_first(id, row, self.ledger, &mut self.findings) {
            self.order.first_appearance(id, row, &mut self.findings);
        }
    }

    /// The file has ended, or could not be read (any further).
    pub fn end_file(&mut self, footer: Result<Footer, FileError>) {
        self.chain.end(footer, &mut self.findings);
    }

    /// All files have been read.
    pub fn finish(mut self) -> Findings {
        missing::find(self.ledger, &self.duplicates, &mut self.findings);
        self.findings
    }
}

/// Reads the whole lake in order and compares it with the ledger.
pub async fn verify(ledger: &Ledger, lake: &Lake) -> Result<Findings, LakeError> {
    let listing = lake.list().await?;
    let mut verifier = Verifier::new(ledger);
    verifier.findings.objects_of_others = listing.others.len() as u64;
    for found in &listing.files {
        verifier.begin_file(found);
        let footer = lake.read(found, |row| verifier.row(&row)).await;
        verifier.end_file(footer);
    }
    Ok(verifier.finish())
}

#[cfg(test)]
mod tests;
