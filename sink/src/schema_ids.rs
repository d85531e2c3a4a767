//! What the schema ids of records stand for.
//!
//! Responsible for the frame of a record, before anything else of it is looked at. Promises: what a registry says of an
//! id counts more than that it is a built-in one, since registries count from 1, too; the built-in ids are ours also
//! with a registry, since a log may be older than it; and an id that nobody knows yet is asked for once, for a bounded
//! time, while the file waits.

use std::sync::Arc;

use event::{Resolver, Version};
use tokio::runtime::Handle;

use crate::{
    budget::{Budget, Held, Holder},
    decode::DeadReason,
    metrics::Metrics,
};

/// The schemas that can be read.
#[derive(Clone, Debug)]
pub struct SchemaIds {
    /// The newest version that is known: what others write is read as this one.
    newest: Version,
    learning: Option<Learning>,
}

#[derive(Clone, Debug)]
struct Learning {
    reader: Arc<registry::Reader>,
    metrics: Arc<Metrics>,
    budget: Budget,
    runtime: Handle,
}

/// What an id stands for that was not known.
pub(crate) enum Schema {
    /// Ours after all.
    Ours,
    /// Another one that can be read as ours.
    Other(Resolver),
    /// Nothing that can be read.
    Unreadable(DeadReason),
}

impl SchemaIds {
    /// Only the built-in ids of the versions up to this one.
    pub fn built_in(newest: Version) -> SchemaIds {
        SchemaIds { newest, learning: None }
    }

    /// Also what a registry says. Has to be called on the runtime that the questions will run on.
    pub(crate) fn learned(
        newest: Version,
        reader: registry::Reader,
        metrics: Arc<Metrics>,
        budget: Budget,
    ) -> SchemaIds {
        let learning = Learning { reader: Arc::new(reader), metrics, budget, runtime: Handle::current() };
        SchemaIds { newest, learning: Some(learning) }
    }

    /// The same for a reader that knew the versions up to this one.
    pub(crate) fn as_of(&self, newest: Version) -> SchemaIds {
        SchemaIds { newest: newest.min(self.newest), ..self.clone() }
    }

    /// The schemas of our versions up to this one, as a registry is to look for them.
    pub(crate) fn schemas(newest: Version) -> Vec<&'static str> {
        versions(newest).map(Version::schema).collect()
    }

    /// The newest version that is known.
    pub(crate) fn newest(&self) -> Version {
        self.newest
    }

    /// Tells the versions of the records of one file: what it was asked last costs one comparison. Asks nobody.
    pub(crate) fn versions(&self) -> impl FnMut(u32) -> Option<Version> {
        let mut last = (self.newest.schema_id(), self.known(self.newest.schema_id()));
        move |id| {
            if id != last.0 {
                last = (id, self.known(id));
            }
            last.1
        }
    }

    /// Can more be known of an id by asking?
    pub(crate) fn can_ask(&self) -> bool {
        self.learning.is_some()
    }

    /// May the id stand for two of our versions: a registry's, and in older records the built-in one?
    pub(crate) fn is_ambiguous(&self, id: u32) -> bool {
        let built_in = Version::of_schema_id(id).filter(|version| *version <= self.newest);
        built_in.is_some() && self.known(id) != built_in
    }

    fn known(&self, id: u32) -> Option<Version> {
        let place = self.learning.as_ref().and_then(|learning| learning.reader.knows(id));
        let learned = place.and_then(|place| versions(self.newest).nth(place));
        learned.or_else(|| Version::of_schema_id(id).filter(|version| *version <= self.newest))
    }

    /// What an id stands for that is not known. Blocks while a registry is asked.
    pub(crate) fn ask(&self, id: u32) -> Schema {
        let unknown = Schema::Unreadable(DeadReason::Decode(event::DecodeError::UnknownSchema { id }));
        let Some(Learning { reader, metrics, runtime, .. }) = &self.learning else { return unknown };
        let answer = runtime.block_on(reader.ask(id));
        metrics.schema_asked(&answer);
        let other = |schema: &str| match Resolver::new(schema, self.newest) {
            Ok(resolver) => Schema::Other(resolver),
            Err(reason) => {
                tracing::warn!(id, %reason, "a schema cannot be read as an event, its records go to the dead letters");
                Schema::Unreadable(DeadReason::UnreadableSchema { id, reason: Arc::new(reason) })
            }
        };
        match answer {
            registry::Answer::Ours(place) if place < versions(self.newest).count() => Schema::Ours,
            // One that came after what is to be known here.
            registry::Answer::Ours(place) => other(Version::ALL[place].schema()),
            registry::Answer::Other(schema) => other(&schema),
            registry::Answer::Missing => unknown,
            registry::Answer::None => Schema::Unreadable(DeadReason::SchemaUnanswered { id }),
        }
    }

    /// Counts records of other schemas that were read.
    pub(crate) fn resolved(&self, records: usize) {
        if let Some(learning) = &self.learning {
            learning.metrics.resolved(records);
        }
    }

    /// Counts the memory of such records, if there can be any.
    pub(crate) fn hold(&self) -> Option<Held> {
        self.learning.as_ref().map(|learning| learning.budget.hold(Holder::Encoding))
    }
}

fn versions(newest: Version) -> impl Iterator<Item = Version> {
    Version::ALL.into_iter().filter(move |version| *version <= newest)
}
