//! What all parts of a history share: its dice, its clock, its log, its lake and what has happened.

use std::{collections::BTreeMap, fmt::Display, sync::Arc, time::Duration};

use object_store::{ObjectStore, memory::InMemory};
use parking_lot::Mutex;
use rand::{
    RngExt, SeedableRng,
    distr::uniform::{SampleRange, SampleUniform},
    rngs::StdRng,
};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{invariants::Violation, lake::Lake, log::Log};

/// See the module. All randomness of a history comes from here.
#[derive(Debug)]
pub(crate) struct World {
    /// Begins with the history; the clock is virtual.
    started: Instant,
    dice: Mutex<StdRng>,
    story: Mutex<Story>,
    pub(super) log: Mutex<Log>,
    pub(super) lake: Mutex<Lake>,
    pub(super) weather: Mutex<Weather>,
    /// What the store holds, beneath all faults.
    pub(super) objects: Arc<dyn ObjectStore>,
}

/// What has happened.
#[derive(Debug, Default)]
struct Story {
    lines: Vec<String>,
    hash: u64,
    counts: BTreeMap<&'static str, u64>,
    violation: Option<Violation>,
}

/// How the store behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// Part of the PUTs that do not go well.
    pub(super) bad_puts: f64,
    /// Part of the reads that fail.
    pub(super) bad_reads: f64,
    /// Part of the lists that do not show the newest objects.
    pub(super) stale_lists: f64,
    /// Part of the PUTs that take longer than anybody waits for them.
    pub(super) late_puts: f64,
    /// Nothing is answered but errors.
    pub(super) is_out: bool,
    /// Part of the hand-overs in which a source reads again what it has read.
    pub(super) read_again: f64,
}

impl World {
    pub(super) fn new(mut dice: StdRng) -> World {
        let log = Log::random(&mut dice);
        World {
            started: Instant::now(),
            story: Mutex::default(),
            lake: Mutex::new(Lake::new(log.partitions.len())),
            log: Mutex::new(log),
            weather: Mutex::new(Weather::random(&mut dice)),
            dice: Mutex::new(dice),
            objects: Arc::new(InMemory::new()),
        }
    }

    /// A number from a range.
    pub(super) fn draw<T: SampleUniform>(&self, range: impl SampleRange<T>) -> T {
        self.dice.lock().random_range(range)
    }

    /// True in this part of all cases.
    pub(super) fn chance(&self, part: f64) -> bool {
        self.dice.lock().random_bool(part)
    }

    pub(super) fn milliseconds(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.draw(range))
    }

    /// Adds a line to the story.
    pub(super) fn note(&self, kind: &'static str, what: impl Display) {
        let line = format!("{:>7} ms  {kind}: {what}", self.started.elapsed().as_millis());
        let mut story = self.story.lock();
        story.hash = xxh3_64_with_seed(line.as_bytes(), story.hash);
        *story.counts.entry(kind).or_default() += 1;
        story.lines.push(line);
    }

    /// Keeps the first violation.
    pub(super) fn judged(&self, verdict: Result<(), Violation>) {
        if let Err(violation) = verdict {
            self.note("violation", &violation);
            self.story.lock().violation.get_or_insert(violation);
        }
    }

    pub(super) fn is_violated(&self) -> bool {
        self.story.lock().violation.is_some()
    }

    /// Hash and lines of the story, how often each kind of thing happened, and the first violation.
    pub(super) fn told(&self) -> (u64, Vec<String>, BTreeMap<&'static str, u64>, Option<Violation>) {
        let story = self.story.lock();
        (story.hash, story.lines.clone(), story.counts.clone(), story.violation.clone())
    }
}

impl Weather {
    /// Each history has its own mixture, and some of it is often absent.
    fn random(dice: &mut StdRng) -> Weather {
        let mut part = |max: f64| if dice.random_bool(0.6) { dice.random_range(0.0..max) } else { 0.0 };
        Weather {
            bad_puts: part(0.5),
            bad_reads: part(0.2),
            stale_lists: part(0.5),
            late_puts: part(0.4),
            is_out: false,
            read_again: part(0.2),
        }
    }
}

/// The dice of a seed.
pub(super) fn dice(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
