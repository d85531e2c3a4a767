//! Which schema ids stand for the event that this version reads.
//!
//! Responsible for the frame of a record, before anything else of it is looked at. Promises: the built-in id is always
//! ours, also with a registry, since a log may be older than it; an id that nobody knows yet is asked for once, for a
//! bounded time, while the file waits. May be asked only where blocking is allowed.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::metrics::Metrics;

/// The ids that are ours.
#[derive(Clone, Debug, Default)]
pub struct SchemaIds(Option<Learning>);

#[derive(Clone, Debug)]
struct Learning {
    reader: Arc<registry::Reader>,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

impl SchemaIds {
    /// Only the built-in id.
    pub fn built_in() -> SchemaIds {
        SchemaIds(None)
    }

    /// Also what a registry says. Has to be called on the runtime that the questions will run on.
    pub(crate) fn learned(reader: registry::Reader, metrics: Arc<Metrics>) -> SchemaIds {
        SchemaIds(Some(Learning { reader: Arc::new(reader), metrics, runtime: Handle::current() }))
    }

    /// A judge for the records of one file: what it was asked last costs one comparison.
    pub(crate) fn judge(&self) -> impl FnMut(u32) -> bool {
        let mut last = event::SCHEMA_ID;
        move |id| {
            let is_ours = id == last || self.is_ours(id);
            if is_ours {
                last = id;
            }
            is_ours
        }
    }

    fn is_ours(&self, id: u32) -> bool {
        let Some(Learning { reader, metrics, runtime }) = &self.0 else { return id == event::SCHEMA_ID };
        if id == event::SCHEMA_ID || reader.knows(id) {
            return true;
        }
        let answer = runtime.block_on(reader.ask(id));
        metrics.schema_asked(answer);
        answer == registry::Answer::Ours
    }
}
