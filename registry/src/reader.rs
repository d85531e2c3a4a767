//! What ids stand for.
//!
//! Responsible for telling whether a record's id stands for a schema that is, for a decoder, one that we know, or else
//! for which one. Promises one question to the registry for each id that appears, no matter how many records carry it;
//! what it said of a schema is kept for good, also in a file, since an id never changes its meaning; and where there
//! was no answer the next question waits, longer each time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Settings, avro, cache::Cache, client::Client};

/// What the registry says of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its schema is one of ours: its place among them.
    Ours(usize),
    /// Its schema is another one, as JSON.
    Other(Arc<str>),
    /// There is no such id.
    Missing,
    /// It did not say.
    None,
}

/// Ids that were asked for.
#[derive(Debug)]
pub struct Reader {
    client: Client,
    /// Schemas that we know, in the caller's order.
    known: Vec<Known>,
    ours: RwLock<Vec<(u32, usize)>>,
    others: Mutex<HashMap<u32, Other>>,
    /// One question at a time: partitions that meet the same new id ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    canonical: Value,
    cache: Cache,
}

#[derive(Clone, Debug)]
enum Other {
    Schema(Arc<str>),
    /// It was missing, or nobody answered.
    Waiting {
        answer: Answer,
        next: Instant,
        wait: Duration,
    },
}

/// The first question about an id may take so many timeouts: without an answer its records become dead letters.
const PATIENCE_TIMEOUTS: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
const WAIT_MIN: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(300);

/// So many ids are remembered as missing or unanswered: records with random bytes must not take all memory.
const WAITING_MAX: usize = 4096;

impl Reader {
    /// Looks up the ids of our own schemas; where there is no answer, takes what was learned before.
    ///
    /// # Errors
    /// The platform has no working TLS.
    ///
    /// # Panics
    /// A schema is no JSON.
    pub async fn start(settings: &Settings, topic: &str, schemas: &[&str]) -> Result<Reader, crate::Error> {
        let subject = settings.subject(topic);
        let known = |schema: &&str| Known {
            canonical: avro::canonical(schema).expect("our own schema is one"),
            cache: Cache::new(settings, &subject, schema),
        };
        let reader = Reader {
            client: Client::new(settings)?,
            known: schemas.iter().map(known).collect(),
            ours: RwLock::default(),
            others: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        };
        let learned = reader
            .known
            .iter()
            .enumerate()
            .flat_map(|(place, known)| known.cache.ids().into_iter().map(move |id| (id, place)));
        *reader.ours.write() = learned.collect();
        for (id, schema) in Cache::others(settings) {
            // One that was another schema to an older version may be ours now.
            let other = Other::Schema(schema.into());
            match reader.place(&other) {
                Some(place) => reader.is_ours(id, place),
                None => drop(reader.others.lock().insert(id, other)),
            }
        }
        reader.look_up(&subject, schemas).await;
        Ok(reader)
    }

    async fn look_up(&self, subject: &str, schemas: &[&str]) {
        for (place, schema) in schemas.iter().enumerate() {
            match self.client.lookup(subject, schema).await {
                Ok(Some(id)) => self.is_ours(id, place),
                Ok(None) => {
                    tracing::info!(
                        subject,
                        version = place + 1,
                        "the schema registry does not hold this schema of ours yet"
                    );
                }
                Err(error) => {
                    let ids = self.ids();
                    tracing::warn!(%error, ?ids, "the schema registry was not heard, going on with the ids learned before");
                    return;
                }
            }
        }
    }

    /// The place of the schema of an id among ours, if it is known to be one. Cheap.
    pub fn knows(&self, id: u32) -> Option<usize> {
        self.ours.read().iter().find(|(known, _)| *known == id).map(|(_, place)| *place)
    }

    /// Ids that are known to be ours.
    pub fn ids(&self) -> Vec<u32> {
        self.ours.read().iter().map(|(id, _)| *id).collect()
    }

    /// Asks for an id that is not known, unless that was done lately.
    pub async fn ask(&self, id: u32) -> Answer {
        let _one = self.asking.lock().await;
        if let Some(place) = self.knows(id) {
            return Answer::Ours(place);
        }
        let before = self.others.lock().get(&id).cloned();
        let (deadline, wait) = match before {
            Some(Other::Schema(schema)) => return Answer::Other(schema),
            Some(Other::Waiting { answer, next, .. }) if Instant::now() < next => return answer,
            Some(Other::Waiting { wait, .. }) => (Instant::now(), (2 * wait).min(WAIT_MAX)),
            None => (Instant::now() + PATIENCE_TIMEOUTS * self.client.timeout(), WAIT_MIN),
        };
        loop {
            match self.client.schema(id).await {
                Ok(Some(schema)) => return self.judged(id, schema.into()),
                Ok(None) => {
                    tracing::warn!(id, "a record's schema id stands for no schema of the schema registry");
                    // It may be registered later.
                    return self.waits(id, Answer::Missing, WAIT_MIN);
                }
                Err(error) if Instant::now() >= deadline => {
                    tracing::warn!(%error, id, "a record's schema id is not known and the schema registry was not heard");
                    return self.waits(id, Answer::None, wait);
                }
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    fn waits(&self, id: u32, answer: Answer, wait: Duration) -> Answer {
        let mut others = self.others.lock();
        if others.len() >= WAITING_MAX {
            others.retain(|_, other| matches!(other, Other::Schema(_)));
        }
        others.insert(id, Other::Waiting { answer: answer.clone(), next: Instant::now() + wait, wait });
        answer
    }

    fn judged(&self, id: u32, schema: Arc<str>) -> Answer {
        let other = Other::Schema(Arc::clone(&schema));
        if let Some(place) = self.place(&other) {
            self.is_ours(id, place);
            self.others.lock().remove(&id);
            return Answer::Ours(place);
        }
        tracing::info!(id, "a record's schema id stands for another schema than ours");
        self.others.lock().insert(id, other);
        if let Some(known) = self.known.first() {
            known.cache.keep_other(id, &schema);
        }
        Answer::Other(schema)
    }

    /// The place among ours of a schema that decodes alike.
    fn place(&self, other: &Other) -> Option<usize> {
        let Other::Schema(schema) = other else { return None };
        let canonical = avro::canonical(schema)?;
        self.known.iter().position(|known| known.canonical == canonical)
    }

    fn is_ours(&self, id: u32, place: usize) {
        if self.knows(id).is_none() {
            self.ours.write().push((id, place));
            self.known[place].cache.learned(id);
        }
    }
}
