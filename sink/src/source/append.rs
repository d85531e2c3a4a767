//! New records for the log, for those who look after a lake.
//!
//! Responsible for records that were in the log once and enter it again. Promises: they keep their order, and a user's go
//! where the gateway sends them.

use ::journal::{Batch, Journal};

use super::{SourceError, kafka::append::KafkaAppend};
use crate::{config::KafkaSettings, dead_letter::Header};

/// A log that takes records.
#[derive(Debug)]
pub enum Append {
    /// A journal that no other process has open, and what is to be appended.
    Journal(Journal, Vec<(Vec<u8>, Vec<u8>)>),
    /// A Kafka topic.
    Kafka(Box<KafkaAppend>),
}

impl Append {
    /// A journal.
    pub fn journal(journal: Journal) -> Append {
        Append::Journal(journal, Vec::new())
    }

    /// A topic that is there already.
    ///
    /// # Errors
    /// When the settings make no producer.
    pub fn kafka(settings: &KafkaSettings, topic: &str) -> Result<Append, SourceError> {
        Ok(Append::Kafka(Box::new(KafkaAppend::open(settings, topic)?)))
    }

    /// Takes a record that lay at `origin` before; a journal, whose records have no headers, keeps neither these nor the
    /// note.
    ///
    /// # Errors
    /// When the log refuses it.
    pub(crate) fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
        origin: &str,
    ) -> Result<(), SourceError> {
        match self {
            Append::Journal(_, records) => {
                records.push((key.unwrap_or_default().to_vec(), value.unwrap_or_default().to_vec()));
                Ok(())
            }
            Append::Kafka(kafka) => tokio::task::block_in_place(|| kafka.push(key, value, headers, origin)),
        }
    }

    /// Waits until everything that was pushed is acknowledged.
    ///
    /// # Errors
    /// When something is not, or not within a minute.
    pub(crate) async fn finish(&mut self) -> Result<(), SourceError> {
        match self {
            Append::Journal(journal, records) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let mut batch = Batch::new(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
                for (key, value) in std::mem::take(records) {
                    batch.push(event::partition(&key, journal.partitions()), &key, &value);
                }
                journal.append(batch).await.map_err(|error| SourceError::Append(error.to_string()))
            }
            Append::Kafka(kafka) => tokio::task::block_in_place(|| kafka.finish()),
        }
    }
}
