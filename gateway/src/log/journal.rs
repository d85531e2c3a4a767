//! The local journal as the gateway's log.
//!
//! Responsible for placing each record in the partition of its user and for translating the journal's answer. Promises
//! what the journal promises: a request is durable as a whole, after an fsync, or not acknowledged.

use journal::{AppendError, Journal};

use super::Availability;
use crate::{batch::Batch, rejection::Code};

#[derive(Debug)]
pub(super) struct JournalLog {
    journal: Journal,
}

impl JournalLog {
    pub(super) fn new(journal: Journal) -> JournalLog {
        JournalLog { journal }
    }

    pub(super) fn is_up(&self) -> bool {
        self.journal.failure().is_none()
    }

    pub(super) fn availability(&self) -> Availability {
        self.journal.failure().map_or(Availability::Up, Availability::Lost)
    }

    pub(super) fn append(&self, batch: &Batch, received_at_us: i64) -> journal::Append {
        let partitions = self.journal.partitions();
        let mut records = journal::Batch::new(received_at_us);
        for record in batch.records() {
            records.push(event::partition(record.key, partitions), record.key, record.value);
        }
        self.journal.append(records)
    }
}

/// The code of every record of a request that the journal did not take.
pub(super) fn failure(error: &AppendError) -> Code {
    match error {
        AppendError::Full { .. } => Code::Overloaded,
        AppendError::TooLarge { .. } => Code::BodyTooLarge,
        AppendError::NoPartition { .. } | AppendError::Failed { .. } => Code::LogUnavailable,
        AppendError::Unclear { .. } => {
            tracing::error!(%error, "a request may or may not be in the journal");
            Code::DeliveryUnknown
        }
    }
}
