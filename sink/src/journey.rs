//! Where the time between the log and the lake goes.
//!
//! Responsible for the times of a file's first record, which waits longest: in the log until it is read, in the buffer
//! until the file is cut, for its turn, in the encoder, and for the store. Promises: the stages follow each other without
//! a gap, so that they add up to the time from the log's timestamp to the committed file.

use std::time::{Duration, Instant};

use crate::lag::now_us;

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From the log's timestamp until the record was read.
    Log,
    /// Until its file was cut.
    Buffer,
    /// Until the file before it was in the lake and the encoder had room.
    Turn,
    /// Until the file was encoded.
    Encode,
    /// Until the lake had it, dead letters included.
    Upload,
    /// All of it.
    Total,
}

impl Stage {
    /// All stages and the words for them.
    pub(crate) const ALL: [(Stage, &str); 6] = [
        (Stage::Log, "log"),
        (Stage::Buffer, "buffer"),
        (Stage::Turn, "turn"),
        (Stage::Encode, "encode"),
        (Stage::Upload, "upload"),
        (Stage::Total, "total"),
    ];
}

/// The way of one file, stage after stage.
#[derive(Clone, Debug)]
pub(crate) struct Journey {
    read_us: i64,
    read: Instant,
    ended: Vec<(Stage, Instant)>,
}

impl Journey {
    /// The file's first record has just been read.
    pub(crate) fn begin() -> Journey {
        Journey { read_us: now_us(), read: Instant::now(), ended: Vec::with_capacity(4) }
    }

    /// A stage ends now, and the next one begins.
    pub(crate) fn end(&mut self, stage: Stage) {
        self.ended.push((stage, Instant::now()));
    }

    /// How long each stage took for a record with this timestamp.
    pub(crate) fn stages(&self, timestamp_us: i64) -> impl Iterator<Item = (Stage, Duration)> {
        let log = Duration::from_micros(u64::try_from(self.read_us - timestamp_us).unwrap_or(0));
        let starts = std::iter::once(self.read).chain(self.ended.iter().map(|(_, at)| *at));
        let stages = self.ended.iter().zip(starts).map(|((stage, end), start)| (*stage, end.duration_since(start)));
        let end = self.ended.last().map_or(self.read, |(_, at)| *at);
        let total = (Stage::Total, log + end.duration_since(self.read));
        std::iter::once((Stage::Log, log)).chain(stages).chain(std::iter::once(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_add_up() {
        let mut journey = Journey::begin();
        for stage in [Stage::Buffer, Stage::Turn, Stage::Encode, Stage::Upload] {
            std::thread::sleep(Duration::from_millis(1));
            journey.end(stage);
        }
        let stages: Vec<_> = journey.stages(journey.read_us - 5_000_000).collect();
        assert_eq!(stages[0], (Stage::Log, Duration::from_secs(5)));
        let (parts, total) = stages.split_at(5);
        assert_eq!(parts.iter().map(|(_, time)| *time).sum::<Duration>(), total[0].1);
        assert!(parts.iter().all(|(_, time)| !time.is_zero()));
        // A clock that is ahead of the log's.
        assert_eq!(journey.stages(journey.read_us + 1).next(), Some((Stage::Log, Duration::ZERO)));
    }
}
