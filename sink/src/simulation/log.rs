//! A log: partitions of records, of which it is known what they are without asking the product.

use event::Event;
use rand::{RngExt, rngs::StdRng};

use crate::testing::Logged;

/// The log's incarnation.
pub(super) const LOG_ID: &str = "simulated";

/// What a record is, as its maker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Event { user: String, source: String, event_id: String },
    Bad,
}

/// One partition.
#[derive(Debug)]
pub(super) struct LogPartition {
    /// All that will ever be in it; readers see what lies below `end`.
    records: Vec<Logged>,
    pub(super) truths: Vec<Truth>,
    /// First offset that retention has left.
    pub(super) start: u64,
    pub(super) end: u64,
    /// What the sinks said that the lake holds.
    pub(super) told: u64,
    /// The group's committed offset, which anybody can set.
    pub(super) committed: u64,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) partitions: Vec<LogPartition>,
}

impl Log {
    pub(super) fn random(dice: &mut StdRng) -> Log {
        let partitions = dice.random_range(1..=2);
        Log { partitions: (0..partitions).map(|partition| LogPartition::random(partition, dice)).collect() }
    }
}

impl LogPartition {
    /// Few users and sources; now and then a bad record, an id that comes again, or a leap of the clock.
    fn random(partition: u32, dice: &mut StdRng) -> LogPartition {
        let mut log = LogPartition { records: Vec::new(), truths: Vec::new(), start: 0, end: 0, told: 0, committed: 0 };
        let mut time_us = 1_000_000_000;
        for offset in 0..dice.random_range(15..45_usize) {
            time_us += match dice.random_range(0..20) {
                0 => 6_000_000,
                1 => -2_000_000,
                _ => dice.random_range(0..400_000),
            };
            let again = (offset > 0 && dice.random_bool(0.1)).then(|| dice.random_range(0..offset));
            match again.map(|earlier| (log.records[earlier].clone(), log.truths[earlier].clone())) {
                Some((record, truth)) => log.push(Logged { timestamp_us: time_us, ..record }, truth),
                None if dice.random_bool(0.05) => {
                    log.push(Logged { timestamp_us: time_us, key: None, value: Some(vec![1, 2]) }, Truth::Bad);
                }
                None => {
                    log.push_event(format!("e{offset}"), format!("p{partition}-u{}", dice.random_range(0..4)), time_us)
                }
            }
        }
        log
    }

    fn push_event(&mut self, event_id: String, user: String, time_us: i64) {
        let source = if event_id.ends_with('7') { "app" } else { "web" };
        let event = Event {
            event_id: &event_id,
            kind: "click",
            source,
            user_id: Some(&user),
            event_time: time_us,
            received_at: time_us,
            ..Event::default()
        };
        let mut value = Vec::new();
        event::encode(&event, &mut value);
        let key = Some(user.as_bytes().to_vec());
        let truth = Truth::Event { source: source.to_owned(), event_id, user };
        self.push(Logged { timestamp_us: time_us, key, value: Some(value) }, truth);
    }

    fn push(&mut self, record: Logged, truth: Truth) {
        self.records.push(record);
        self.truths.push(truth);
    }

    /// The records that readers can see; indices are offsets.
    pub(super) fn visible(&self) -> &[Logged] {
        &self.records[..usize::try_from(self.end).expect("a short log")]
    }

    /// More records arrive; false when there are no more.
    pub(super) fn append(&mut self, records: u64) -> bool {
        self.end = (self.end + records).min(self.records.len() as u64);
        self.end < self.records.len() as u64
    }
}
