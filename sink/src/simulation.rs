//! Several sinks, a log, an object store and a clock, simulated from one seed on one thread.
//!
//! Responsible for running the product's own sink, from [`crate::run`] down to Parquet bytes, against a group, a log and
//! a store of which every answer, delay and failure comes from the seed, on a clock that stands still while anything can
//! run. Promises: the same seed makes the same history, and [`invariants`] judge every state of the lake on the way. So the
//! sink's own `select!` are biased, its dice are [`jitter`], and it leaves no work to other threads.
//! Leaves real brokers and real stores, and what only they do, to the integration tests.

mod feed;
mod fleet;
mod group;
mod history;
mod invariants;
mod lake;
mod log;
mod planted;
mod tests;
mod wire;
mod world;

use std::{cell::RefCell, sync::Arc};

pub(crate) use group::SimulatedSource;
pub(crate) use planted::Bug;
use world::World;

thread_local! {
    /// The history that runs on this thread.
    static RUNNING: RefCell<Option<(Arc<World>, Option<Bug>)>> = const { RefCell::new(None) };
}

/// Does a history run on this thread? Then nothing may be left to other threads.
pub(crate) fn is_running() -> bool {
    RUNNING.with_borrow(Option::is_some)
}

/// The history's answer where the product rolls dice.
pub(crate) fn jitter() -> Option<f64> {
    RUNNING.with_borrow(|running| running.as_ref().map(|(world, _)| world.draw(0.5..1.0)))
}

/// Was the product given this bug?
pub(crate) fn is_planted(bug: Bug) -> bool {
    RUNNING.with_borrow(|running| running.as_ref().is_some_and(|(_, planted)| *planted == Some(bug)))
}
