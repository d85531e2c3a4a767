//! Which records go to the spool.
//!
//! Responsible for the rule that nobody is overtaken: as long as a partition holds a record that was not handed to the
//! producer, its new records go behind it. Promises that what it counts covers also what waits for its fsync, and that
//! with a new producer everything that was handed over and not acknowledged is held again. Pure: the journal and the
//! producer are the callers' business, who hold the gate while they append.

/// State of one partition of the spool, in offsets: `drained <= handed <= submitted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// End of what was given to the journal, durable or on its way.
    pub(super) submitted: u64,
    /// End of what was handed to the producer.
    pub(super) handed: u64,
    /// End of what Kafka has acknowledged, written down in the checkpoint.
    pub(super) drained: u64,
    /// When the oldest record that is not drained came, as far as is known: never later.
    pub(super) oldest_us: i64,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Why everything goes to the spool at present.
    pub(super) shut: Option<String>,
    pub(super) lanes: Vec<Lane>,
    /// Keys and stored values that are not drained.
    pub(super) bytes: u64,
    /// Counts producers: what was handed to an earlier one says nothing any more.
    pub(super) producer: u64,
}

impl Lane {
    fn holds(self) -> bool {
        self.handed < self.submitted
    }

    pub(super) fn records(self) -> u64 {
        self.submitted - self.drained
    }
}

impl Gate {
    /// Whether a new record of this partition has to go to the spool.
    pub(super) fn holds(&self, partition: u32) -> bool {
        self.shut.is_some() || self.lanes[partition as usize].holds()
    }

    /// Whether any new record has to.
    pub(super) fn is_engaged(&self) -> bool {
        self.shut.is_some() || self.lanes.iter().any(|lane| lane.holds())
    }

    /// A record was given to the journal.
    pub(super) fn submitted(&mut self, partition: u32, bytes: u64, received_at_us: i64) {
        let lane = &mut self.lanes[partition as usize];
        if lane.records() == 0 {
            lane.oldest_us = received_at_us;
        }
        lane.submitted += 1;
        self.bytes += bytes;
    }

    /// The records below `offset` were handed to producer number `producer`.
    pub(super) fn handed(&mut self, partition: u32, offset: u64, producer: u64) {
        let lane = &mut self.lanes[partition as usize];
        if producer == self.producer {
            lane.handed = lane.handed.max(offset);
        }
    }

    /// Kafka has the records below `offset`, which came until `last_us`.
    pub(super) fn drained(&mut self, partition: u32, offset: u64, bytes: u64, last_us: i64) {
        let lane = &mut self.lanes[partition as usize];
        lane.drained = offset;
        lane.handed = lane.handed.max(offset);
        lane.oldest_us = last_us;
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// What was handed over and not acknowledged has to be handed over again, before anything else.
    pub(super) fn rewind(&mut self) {
        self.producer += 1;
        for lane in &mut self.lanes {
            lane.handed = lane.drained;
        }
    }

    /// The journal takes nothing more, and what it did not make durable will not be.
    pub(super) fn ends_at(&mut self, end: impl Fn(u32) -> u64) {
        for (lane, partition) in self.lanes.iter_mut().zip(0..) {
            lane.submitted = end(partition).max(lane.handed);
        }
    }

    /// Records that are not drained.
    pub(super) fn records(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.records()).sum()
    }

    pub(super) fn oldest_us(&self) -> Option<i64> {
        self.lanes.iter().filter(|lane| lane.records() > 0).map(|lane| lane.oldest_us).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_records_stay_behind_what_was_not_handed_over() {
        let mut gate = Gate { lanes: vec![Lane::default(); 2], ..Gate::default() };
        assert!(!gate.is_engaged() && !gate.holds(0));
        gate.shut = Some("Kafka is down".to_owned());
        assert!(gate.holds(0) && gate.holds(1));
        gate.submitted(0, 10, 5);
        gate.submitted(0, 10, 7);
        gate.shut = None;
        assert!(gate.is_engaged() && gate.holds(0) && !gate.holds(1), "only the partition that holds records");
        assert_eq!((gate.records(), gate.bytes, gate.oldest_us()), (2, 20, Some(5)));
        gate.handed(0, 1, 0);
        assert!(gate.holds(0), "one is still waiting, perhaps for its fsync");
        gate.handed(0, 2, 0);
        assert!(!gate.is_engaged(), "the producer keeps the order from here");
        gate.drained(0, 2, 20, 7);
        assert_eq!((gate.records(), gate.bytes, gate.oldest_us()), (0, 0, None));
    }

    #[test]
    fn with_a_new_producer_the_unacknowledged_are_held_again() {
        let mut gate = Gate { lanes: vec![Lane::default()], ..Gate::default() };
        (0..3).for_each(|at| gate.submitted(0, 1, at));
        gate.handed(0, 3, 0);
        gate.drained(0, 1, 1, 0);
        gate.rewind();
        assert!(gate.holds(0));
        gate.handed(0, 3, 0);
        assert!(gate.holds(0), "what went to the old producer does not count");
        gate.handed(0, 3, 1);
        assert!(!gate.holds(0));
    }

    #[test]
    fn what_a_failed_journal_did_not_keep_holds_nobody() {
        let mut gate = Gate { lanes: vec![Lane::default()], ..Gate::default() };
        (0..3).for_each(|at| gate.submitted(0, 1, at));
        gate.ends_at(|_| 2);
        gate.handed(0, 2, 0);
        assert!(!gate.holds(0));
    }
}
