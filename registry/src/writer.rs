//! The id to write.
//!
//! Responsible for the questions of a boot: is the schema registered, and if not, may it be. Promises that nothing is
//! registered that could not read what is in the topic already, whatever the registry itself would allow.

use std::time::Duration;

use crate::{Error, Settings, avro, cache::Cache, client::Client};

/// An id under which may be written.
#[derive(Debug)]
pub struct Learned {
    /// The id.
    pub id: u32,
    /// Set where the registry did not answer and the id is what it said earlier.
    pub from_cache: Option<Error>,
}

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The registry did not answer, now or ever.
    #[error(
        "{reason}, and nothing was learned from it before (no entry in {cache}): start it, or correct schema.registry.url"
    )]
    NothingLearned {
        /// What happened.
        reason: Error,
        /// The file that would know.
        cache: String,
    },
    /// The registry answered no.
    #[error("{reason}: correct schema.registry.user, password or subject")]
    Refused {
        /// What it said.
        reason: Error,
    },
    /// The schema is not there and may not be registered.
    #[error(
        "the schema registry {url} does not hold this version's schema under {subject}: register it, or set \
         schema.registry.register = true"
    )]
    NotRegistered {
        /// Its address.
        url: String,
        /// Under which it was looked for.
        subject: String,
    },
    /// What is there cannot be followed by the schema.
    #[error(
        "the newest schema under {subject} of the schema registry {url} cannot be followed by this version's: {reason}: \
         choose another schema.registry.subject, or update footfall"
    )]
    Incompatible {
        /// Its address.
        url: String,
        /// Under which it was found.
        subject: String,
        /// The first difference that matters.
        reason: String,
    },
}

/// Tries where nothing was learned before: a registry may start at the same time as we do.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The id of `schema` for a topic, from the registry, or, where that does not answer, from what it said before.
///
/// # Errors
/// There is none, or the schema may not be written.
pub async fn writer_id(settings: &Settings, topic: &str, schema: &str) -> Result<Learned, WriterError> {
    let subject = settings.subject(topic);
    let cache = Cache::new(settings, &subject, schema);
    for tries_left in (0..TRIES).rev() {
        let reason = match ask(settings, &subject, schema).await {
            Ok(id) => {
                cache.learned(id);
                return Ok(Learned { id, from_cache: None });
            }
            Err(Asked::NoAnswer(reason)) => reason,
            Err(Asked::Answered(error)) => return Err(error),
        };
        if let Some(id) = cache.ids().first() {
            return Ok(Learned { id: *id, from_cache: Some(reason) });
        }
        if tries_left == 0 {
            return Err(WriterError::NothingLearned { reason, cache: settings.cache.display().to_string() });
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    unreachable!("the last try returns")
}

enum Asked {
    NoAnswer(Error),
    Answered(WriterError),
}

impl From<Error> for Asked {
    fn from(error: Error) -> Asked {
        match error {
            Error::Unreachable { .. } => Asked::NoAnswer(error),
            Error::Refused { .. } => Asked::Answered(WriterError::Refused { reason: error }),
        }
    }
}

async fn ask(settings: &Settings, subject: &str, schema: &str) -> Result<u32, Asked> {
    let client = Client::new(settings)?;
    if let Some(id) = client.lookup(subject, schema).await? {
        return Ok(id);
    }
    let (url, subject) = (client.url().to_owned(), subject.to_owned());
    if !settings.register {
        return Err(Asked::Answered(WriterError::NotRegistered { url, subject }));
    }
    let incompatible =
        |reason| Asked::Answered(WriterError::Incompatible { url: url.clone(), subject: subject.clone(), reason });
    let latest = client.latest(&subject).await?;
    if let Some(latest) = &latest {
        avro::readable(schema, latest).map_err(incompatible)?;
        if !client.allows(&subject, schema).await? {
            return Err(incompatible("the registry's own rule for this subject forbids it".to_owned()));
        }
    }
    let registered = client.register(&subject, schema).await;
    let id = registered.map_err(|error| match error {
        Error::Refused { status: 409, message, .. } => incompatible(message),
        error => error.into(),
    })?;
    if latest.is_none() {
        // The subject is ours. That the registry does not let us set its rule is no reason not to write.
        if let Err(error) = client.protect(&subject).await {
            tracing::info!(%error, subject, "the subject's compatibility could not be set to BACKWARD");
        }
    }
    Ok(id)
}
