//! Events that stand before an earlier event of their user.
//!
//! Responsible for promise number three: each user's order, within a file and file after file, and for a user having
//! one partition only. Promises to judge first appearances: a repetition does not disturb. Leaves repetitions to
//! `duplicate`.

use super::Findings;
use crate::ledger::EventId;
use crate::reader::Row;

/// How far each user has come.
#[derive(Debug, Default)]
pub(super) struct Order {
    users: Vec<Option<Progress>>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    sequence: u32,
    partition: i32,
}

impl Order {
    pub(super) fn first_appearance(&mut self, id: EventId, row: &Row<'_>, findings: &mut Findings) {
        let user = id.user as usize;
        if self.users.len() <= user {
            self.users.resize(user + 1, None);
        }
        let partition = i32::try_from(row.partition).unwrap_or(-1);
        let Some(progress) = &mut self.users[user] else {
            self.users[user] = Some(Progress { sequence: id.sequence, partition });
            return;
        };
        if progress.partition != partition {
            findings.wrong_partition.add(|| {
                format!("{} is in partition {partition}, its user began in {}", row.event_id, progress.partition)
            });
        }
        if id.sequence < progress.sequence {
            findings.reordered.add(|| {
                format!("{} at offset {} after event {} of its user", row.event_id, row.offset, progress.sequence)
            });
        }
        progress.sequence = progress.sequence.max(id.sequence);
    }
}
