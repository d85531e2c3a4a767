//! One step of the path alone, for the benches.
//!
//! Responsible for nothing at run time: it lets `benches` put a number beside parse, validate and encode without an HTTP
//! connection and a log around them.

use crate::{
    batch::{Batch, Bound, Origin},
    config::IpPolicy,
    dialect::Dialect,
    routes::Routes,
};

/// A batch that is used for one body after the other, as a gateway's thread does.
#[derive(Debug, Default)]
pub struct Stage(Batch);

impl Stage {
    /// From a body of the native dialect to encoded records; says how many there are. `None` if the body is refused.
    pub fn take(&mut self, body: &[u8], received_at_us: i64) -> Option<usize> {
        let origin = Origin {
            received_at_us,
            source: "default",
            user_agent: None,
            ip: Some("127.0.0.0"),
            ip_policy: IpPolicy::Truncated,
            routes: &Routes::NONE,
        };
        let bound = Bound { events_max: u32::MAX, event_bytes_max: usize::MAX };
        Dialect::Native.parse(body, &mut self.0.open(origin, bound)).ok()?;
        Some(self.0.records().len())
    }
}
