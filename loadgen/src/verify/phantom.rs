//! Rows that should not be there.
//!
//! Responsible for rows which nobody sent, which were refused with certainty, or which belong to another user. Promises
//! that a row which passes is an event of the ledger. Leaves repetitions to `duplicate`.

use super::Findings;
use crate::ledger::{EventId, Ledger, Outcome};
use crate::reader::Row;

/// Whether the row is an event of the ledger.
pub(super) fn is_of_ledger(id: EventId, row: &Row<'_>, ledger: &Ledger, findings: &mut Findings) -> bool {
    if !ledger.holds(id) {
        findings.phantom.add(|| format!("{} was never offered", row.event_id));
        return false;
    }
    match ledger.outcome(id.number) {
        Outcome::Unsent => findings.phantom.add(|| format!("{} was never sent", row.event_id)),
        Outcome::Fail => findings.phantom.add(|| format!("{} was refused", row.event_id)),
        Outcome::Ok | Outcome::Unknown => {}
    }
    if !ledger.names().is(id.user, row.user_key) {
        findings.wrong_user.add(|| format!("{} has user key {:?}", row.event_id, row.user_key));
    }
    true
}
