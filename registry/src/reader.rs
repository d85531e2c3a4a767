//! Which ids can be read.
//!
//! Responsible for telling whether a record's id stands for a schema that is, for a decoder, the one we know. Promises one
//! question to the registry for each id that appears, no matter how many records carry it; an id that stands for another
//! schema is remembered as such for good, and where there was no answer the next question waits, longer each time.

use std::{collections::HashMap, time::Duration};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Settings, avro, cache::Cache, client::Client};

/// What the registry says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its schema is ours.
    Ours,
    /// Its schema is another one, or there is no such id.
    Foreign,
    /// It did not say.
    None,
}

/// Ids that were asked for.
#[derive(Debug)]
pub struct Reader {
    client: Client,
    cache: Cache,
    canonical: Value,
    ours: RwLock<Vec<u32>>,
    others: Mutex<HashMap<u32, Other>>,
    /// One question at a time: partitions that meet the same new id ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
enum Other {
    Foreign,
    Unanswered { next: Instant, wait: Duration },
}

/// The first question about an id may take so many timeouts: without an answer its records become dead letters.
const PATIENCE_TIMEOUTS: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
const WAIT_MIN: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(300);

impl Reader {
    /// Looks up the schema's own id; where there is no answer, takes what was learned before.
    ///
    /// # Errors
    /// The platform has no working TLS.
    ///
    /// # Panics
    /// `schema` is no JSON.
    pub async fn start(settings: &Settings, topic: &str, schema: &str) -> Result<Reader, crate::Error> {
        let subject = settings.subject(topic);
        let reader = Reader {
            client: Client::new(settings)?,
            cache: Cache::new(settings, &subject, schema),
            canonical: avro::canonical(schema).expect("our own schema is one"),
            ours: RwLock::default(),
            others: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        };
        *reader.ours.write() = reader.cache.ids();
        match reader.client.lookup(&subject, schema).await {
            Ok(Some(id)) => reader.is_ours(id),
            Ok(None) => tracing::info!(subject, "the schema registry does not hold our schema yet"),
            Err(error) => {
                let ids = &*reader.ours.read();
                tracing::warn!(%error, ?ids, "the schema registry was not heard, going on with the ids learned before");
            }
        }
        Ok(reader)
    }

    /// Whether an id is known to be ours. Cheap.
    pub fn knows(&self, id: u32) -> bool {
        self.ours.read().contains(&id)
    }

    /// Ids that are known to be ours.
    pub fn ids(&self) -> Vec<u32> {
        self.ours.read().clone()
    }

    /// Asks for an id that is not known, unless that was done lately.
    pub async fn ask(&self, id: u32) -> Answer {
        let _one = self.asking.lock().await;
        if self.knows(id) {
            return Answer::Ours;
        }
        let before = self.others.lock().get(&id).copied();
        let (deadline, wait) = match before {
            Some(Other::Foreign) => return Answer::Foreign,
            Some(Other::Unanswered { next, .. }) if Instant::now() < next => return Answer::None,
            Some(Other::Unanswered { wait, .. }) => (Instant::now(), (2 * wait).min(WAIT_MAX)),
            None => (Instant::now() + PATIENCE_TIMEOUTS * self.client.timeout(), WAIT_MIN),
        };
        loop {
            match self.client.schema(id).await {
                Ok(schema) => return self.judged(id, schema.as_deref()),
                Err(error) if Instant::now() >= deadline => {
                    tracing::warn!(%error, id, "a record's schema id is not known and the schema registry was not heard");
                    let next = Instant::now() + wait;
                    self.others.lock().insert(id, Other::Unanswered { next, wait });
                    return Answer::None;
                }
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    fn judged(&self, id: u32, schema: Option<&str>) -> Answer {
        if schema.and_then(avro::canonical).is_some_and(|canonical| canonical == self.canonical) {
            self.is_ours(id);
            self.others.lock().remove(&id);
            return Answer::Ours;
        }
        tracing::warn!(id, "a record's schema id stands for another schema than ours, or for none");
        // One that does not exist yet may be registered later; one that does never changes.
        let other = match schema {
            Some(_) => Other::Foreign,
            None => Other::Unanswered { next: Instant::now() + WAIT_MIN, wait: WAIT_MIN },
        };
        self.others.lock().insert(id, other);
        Answer::Foreign
    }

    fn is_ours(&self, id: u32) {
        let mut ours = self.ours.write();
        if !ours.contains(&id) {
            ours.push(id);
        }
        drop(ours);
        self.cache.learned(id);
    }
}
