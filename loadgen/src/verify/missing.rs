//! Acknowledged events that are not there.
//!
//! Responsible for promise number one: nothing acknowledged is lost. Promises to look at every event of the ledger.
//! Leaves counting rows to `duplicate`.

use super::Findings;
use super::duplicate::Duplicates;
use crate::ledger::{Ledger, Outcome};

/// Finds them, when all rows have been seen.
pub(super) fn find(ledger: &Ledger, seen: &Duplicates, findings: &mut Findings) {
    for number in ledger.numbers() {
        if ledger.outcome(number) == Outcome::Ok && !seen.has_seen(number) {
            findings.missing.add(|| ledger.id(number).text(ledger.run()));
        }
    }
}
