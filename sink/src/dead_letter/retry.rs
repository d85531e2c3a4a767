//! Dead letters enter the log again.
//!
//! Responsible for sending letters as new records with the same key, bytes and headers, behind a check that they would be
//! rows now. Promises: a letter is marked once its new record is acknowledged, and a marked one is not sent again; a crash
//! between the two sends it twice, and then the sink drops the second as a duplicate of the first. When it was received
//! stands in its value, and stays.

use std::sync::Arc;

use operator::Failure;

use super::{
    read::Letter,
    shelf::{Shelf, ShelfError, Tray},
};
use crate::{
    Settings, Store,
    budget::Budget,
    decode::{self, DeadReason},
    schema_ids::SchemaIds,
    source::{Append, SourceError},
};

/// Which letters are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one partition.
    pub partition: Option<u32>,
    /// At one offset.
    pub offset: Option<u64>,
    /// For one reason.
    pub reason: Option<String>,
    /// From a timestamp of the log on, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
}

/// What became of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retried {
    /// Sent, or with a dry run: would be sent.
    pub sent: u64,
    /// Sent earlier.
    pub already: u64,
    /// Not sent, because they would be dead letters again.
    pub hopeless: u64,
}

/// Why letters are not sent.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// They cannot be read or marked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The log does not take them.
    #[error(transparent)]
    Log(#[from] SourceError),
    /// Which schema ids can be read is not known.
    #[error(transparent)]
    SchemaIds(#[from] Failure),
}

impl From<RetryError> for Failure {
    fn from(error: RetryError) -> Failure {
        match error {
            RetryError::SchemaIds(failure) => failure,
            error => Failure::environment(error),
        }
    }
}

impl Filter {
    /// Is a letter meant?
    pub fn takes(&self, letter: &Letter) -> bool {
        self.offset.is_none_or(|offset| letter.offset == offset)
            && self.reason.as_ref().is_none_or(|reason| letter.reason == *reason)
            && self.since_us.is_none_or(|since| letter.timestamp_us >= since)
    }
}

/// Judges letters as the sink would now.
#[derive(Debug)]
pub struct Judge(SchemaIds);

impl Judge {
    /// With what the settings say about schema ids.
    ///
    /// # Errors
    /// When a registry is configured that neither answers nor has answered before.
    pub async fn new(settings: &Settings) -> Result<Judge, Failure> {
        let metrics = crate::unseen_metrics();
        let budget = Budget::new(settings.memory_bytes_max, Arc::clone(&metrics));
        Ok(Judge(crate::schema_ids(settings, &metrics, &budget).await?))
    }

    /// Why a letter would be a dead letter again; `None` if it would be a row. Blocks while an id is asked for.
    pub fn verdict(&self, letter: &Letter) -> Option<DeadReason> {
        decode::why_dead(letter.key.as_deref(), letter.value.as_deref(), &self.0)
    }
}

/// Sends the letters that a filter takes. Without `log` it says what would be done. `is_forced` sends also what would
/// be a dead letter again; `report` hears of each that would.
///
/// # Errors
/// When lake or log do not answer. What was sent until then is marked.
pub async fn retry(
    settings: &Settings,
    store: &Store,
    filter: &Filter,
    log: Option<&mut Append>,
    is_forced: bool,
    report: &mut (dyn FnMut(u32, &Letter, &DeadReason) + Send),
) -> Result<Retried, RetryError> {
    let (judge, shelf) = (Judge::new(settings).await?, Shelf::new(store, &settings.topic));
    let (mut retried, mut log) = (Retried::default(), log);
    for object in shelf.objects(filter.partition).await? {
        let Some(tray) = shelf.tray(object).await? else { continue };
        let mut letters = Vec::new();
        for letter in tray.letters.iter().filter(|letter| filter.takes(letter)) {
            if tray.retried.contains(&letter.offset) {
                retried.already += 1;
                continue;
            }
            let verdict = tokio::task::block_in_place(|| judge.verdict(letter));
            if let Some(reason) = &verdict {
                report(tray.partition, letter, reason);
            }
            if verdict.is_some() && !is_forced {
                retried.hopeless += 1;
            } else {
                letters.push(letter);
            }
        }
        retried.sent += letters.len() as u64;
        if let Some(log) = log.as_deref_mut().filter(|_| !letters.is_empty()) {
            send(&shelf, log, &settings.topic, &tray, &letters).await?;
        }
    }
    Ok(retried)
}

async fn send(
    shelf: &Shelf<'_>,
    log: &mut Append,
    topic: &str,
    tray: &Tray,
    letters: &[&Letter],
) -> Result<(), RetryError> {
    for letter in letters {
        let origin = format!("{topic}/{}/{}", tray.partition, letter.offset);
        log.push(letter.key.as_deref(), letter.value.as_deref(), &letter.headers, &origin)?;
    }
    log.finish().await?;
    let now_us = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros();
    let offsets = letters.iter().map(|letter| letter.offset).collect();
    shelf.mark(tray, offsets, i64::try_from(now_us).unwrap_or(i64::MAX)).await?;
    Ok(())
}
