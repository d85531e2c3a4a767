//! Events that are there more than once.
//!
//! Responsible for promise number two: exactly once. Promises to count apart what was sent again after an unclear
//! outcome. Leaves which rows are of this run to `phantom`.

use super::Findings;
use crate::ledger::{EventId, Ledger};
use crate::reader::Row;

/// Which events have been seen.
#[derive(Debug)]
pub(super) struct Duplicates {
    seen: Vec<bool>,
}

impl Duplicates {
    pub(super) fn new(events: usize) -> Self {
        Duplicates { seen: vec![false; events] }
    }

    pub(super) fn has_seen(&self, number: u32) -> bool {
        self.seen[number as usize]
    }

    /// Whether this is the first row of the event; if not, it is counted.
    pub(super) fn is_first(&mut self, id: EventId, row: &Row<'_>, ledger: &Ledger, findings: &mut Findings) -> bool {
        if !std::mem::replace(&mut self.seen[id.number as usize], true) {
            return true;
        }
        let finding = match ledger.resent(id.number) {
            true => &mut findings.duplicated_resent,
            false => &mut findings.duplicated,
        };
        finding.add(|| format!("{} again in partition {} at offset {}", row.event_id, row.partition, row.offset));
        false
    }
}
