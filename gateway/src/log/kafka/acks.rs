//! What Kafka says about drained records.
//!
//! Responsible for one completion per round of the drain: how many of its records are open, whether one failed, and where
//! the last of each partition lies. Promises that a report of an earlier round, of a producer that is gone, changes
//! nothing.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Tells the opaque of a drained record from a request's ticket, whose number never gets there.
const DRAINED: usize = 1 << (usize::BITS - 1);

#[derive(Debug, Default)]
pub(super) struct Acks {
    round: Mutex<Round>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Round {
    opaque: usize,
    open: usize,
    failure: Option<String>,
    ends: Vec<(String, i32, i64)>,
}

/// The state of a round.
#[derive(Debug)]
pub(super) enum Word {
    /// Some records are not reported yet.
    Open,
    /// Kafka has all of them; for each topic and partition the offset of the last one.
    All(Vec<(String, i32, i64)>),
    /// Kafka does not have this one, for a reason that does not go away by itself.
    Failed(String),
}

/// The opaque of records of a round.
pub(super) fn opaque(round: u64) -> usize {
    DRAINED | (round as usize & !DRAINED)
}

pub(super) fn is_drained(opaque: usize) -> bool {
    opaque & DRAINED != 0
}

impl Acks {
    pub(super) fn begin(&self, round: u64) {
        *self.round.lock() = Round { opaque: opaque(round), ..Round::default() };
    }

    pub(super) fn expect_one(&self) {
        self.round.lock().open += 1;
    }

    pub(super) fn forgo_one(&self) {
        self.round.lock().open -= 1;
    }

    pub(super) fn acknowledged(&self, opaque: usize, topic: &str, partition: i32, offset: i64) {
        self.report(opaque, |round| {
            match round.ends.iter_mut().find(|(at, number, _)| *number == partition && at == topic) {
                Some((_, _, end)) => *end = offset.max(*end),
                None => round.ends.push((topic.to_owned(), partition, offset)),
            }
        });
    }

    pub(super) fn failed(&self, opaque: usize, reason: String) {
        self.report(opaque, |round| round.failure = Some(reason));
    }

    /// Waits for at most `patience` until every record of the round is reported.
    pub(super) fn wait(&self, patience: Duration) -> Word {
        let mut round = self.round.lock();
        if round.open > 0 {
            self.done.wait_for(&mut round, patience);
        }
        match &round.failure {
            _ if round.open > 0 => Word::Open,
            Some(reason) => Word::Failed(reason.clone()),
            None => Word::All(std::mem::take(&mut round.ends)),
        }
    }

    fn report(&self, opaque: usize, take: impl FnOnce(&mut Round)) {
        let mut round = self.round.lock();
        if round.opaque != opaque {
            return;
        }
        take(&mut round);
        round.open -= 1;
        if round.open == 0 {
            self.done.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_complete_with_its_own_last_report() {
        let acks = Acks::default();
        acks.begin(1);
        acks.expect_one();
        acks.begin(2);
        (0..3).for_each(|_| acks.expect_one());
        acks.forgo_one();
        acks.acknowledged(opaque(1), "events", 0, 99);
        acks.acknowledged(opaque(2), "events", 0, 7);
        assert!(matches!(acks.wait(Duration::ZERO), Word::Open));
        acks.acknowledged(opaque(2), "events", 0, 8);
        assert!(matches!(acks.wait(Duration::ZERO), Word::All(ends) if ends == [("events".to_owned(), 0, 8)]));
        acks.begin(3);
        acks.expect_one();
        acks.failed(opaque(3), "no".to_owned());
        assert!(matches!(acks.wait(Duration::ZERO), Word::Failed(reason) if reason == "no"));
        assert!(is_drained(opaque(3)) && !is_drained(7 << 24 | 5));
    }
}
