//! One step of the path alone, for the benches and the fuzz targets.
//!
//! Responsible for nothing at run time: it lets `benches` put a number beside parse, validate and encode, and lets
//! `fuzz` hold each parser against another one, without an HTTP connection and a log around them.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use crate::{
    batch::{Batch, Bound, Origin},
    body::{encoding::Encoding, inflate::inflate as undo},
    config::IpPolicy,
    dialect::Dialect,
    load_shed::LoadShed,
    rejection::Code,
    routes::Routes,
};

/// A batch that is used for one body after the other, as a gateway's thread does.
#[derive(Debug, Default)]
pub struct Stage(Batch);

/// What a dialect made of a body.
#[derive(Debug)]
pub struct Taken {
    /// How many events the body held.
    pub events: u32,
    /// Position of each event that became a record, its key and its value, in the order in which they go to the log.
    pub records: Vec<(u32, Vec<u8>, Vec<u8>)>,
    /// Position of each other event, and why.
    pub rejected: Vec<(u32, Code)>,
}

impl Stage {
    /// From a body of the native dialect to encoded records; says how many there are. `None` if the body is refused.
    pub fn take(&mut self, body: &[u8], received_at_us: i64) -> Option<usize> {
        let bound = Bound { events_max: u32::MAX, event_bytes_max: usize::MAX };
        Dialect::Native.parse(body, &mut self.0.open(origin(received_at_us), bound)).ok()?;
        Some(self.0.records().len())
    }

    /// The same, in full, with room for `events_max` events.
    ///
    /// # Errors
    /// Why the body was refused whole.
    pub fn judge(&mut self, body: &[u8], received_at_us: i64, events_max: u32) -> Result<Taken, Code> {
        let bound = Bound { events_max, event_bytes_max: usize::MAX };
        let mut intake = self.0.open(origin(received_at_us), bound);
        Dialect::Native.parse(body, &mut intake).map_err(|rejection| rejection.code)?;
        let events = intake.events();
        let records = self.0.records().map(|record| (record.index, record.key.to_vec(), record.value.to_vec()));
        Ok(Taken {
            events,
            records: records.collect(),
            rejected: self.0.take_rejected().into_iter().map(|it| (it.index, it.rejection.code)).collect(),
        })
    }
}

static ROUTES: Routes = Routes::NONE;

fn origin(received_at_us: i64) -> Origin<'static> {
    Origin {
        received_at_us,
        source: "default",
        user_agent: None,
        ip: Some("127.0.0.0"),
        ip_policy: IpPolicy::Truncated,
        routes: &ROUTES,
    }
}

/// Inflates a gzip body under a cap of its own and a scale with room for `room` bytes of all requests.
///
/// # Errors
/// Why it was refused.
pub fn inflate(raw: &[u8], bytes_max: usize, room: usize) -> Result<Vec<u8>, Code> {
    let shed = Arc::new(LoadShed::new(Gauge::default(), room));
    let mut seat = shed.admit(0).map_err(|rejection| rejection.code)?;
    undo(Encoding::Gzip, raw, &mut seat, bytes_max).map_err(|rejection| rejection.code)
}
