//! When the sink is ready.
//!
//! Responsible for the sink's two conditions: its source has given it work (or told it that there is none for it), and
//! the lake takes files.

use operator::{Condition, Health};

/// The conditions of a sink.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// The log can be read, and it is known which partitions are this process's.
    pub(crate) log: Condition,
    /// The lake takes files.
    pub(crate) lake: Condition,
}

impl Readiness {
    pub(crate) fn register(health: &Health) -> Readiness {
        Readiness { log: health.register("sink_log"), lake: health.register("sink_lake") }
    }
}
