//! Latency distributions.
//!
//! Responsible for one HDR histogram per measured thing and its percentiles. Promises three significant digits from a
//! microsecond to a day, a count beside every percentile, and that nothing is clamped at zero: what cannot be is counted
//! apart. Leaves to others when a latency begins and ends.

use hdrhistogram::Histogram;
use serde::Serialize;

const MICROSECONDS_MAX: u64 = 24 * 3_600 * 1_000_000;

/// A distribution of latencies in microseconds.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
    negative: u64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram =
            Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3).expect("the bounds and digits are constants");
        Latency { histogram, negative: 0 }
    }
}

/// What a report says of a distribution: milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many values the percentiles are of.
    pub count: u64,
    /// Values that ended before they began: a broken clock. In no percentile.
    pub negative: u64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// 90 % were at most this.
    pub p90_ms: f64,
    /// 99 % were at most this.
    pub p99_ms: f64,
    /// 99.9 % were at most this.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    /// Counts something that began at `from_us` and ended at `to_us`.
    pub fn record(&mut self, from_us: u64, to_us: u64) {
        match to_us.checked_sub(from_us) {
            Some(us) => self.histogram.saturating_record(us.max(1)),
            None => self.negative += 1,
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value at `quantile` (0 to 1), in milliseconds; 0 if there is none.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.histogram.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The percentiles that reports show.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count(),
            negative: self.negative,
            p50_ms: self.quantile_ms(0.5),
            p90_ms: self.quantile_ms(0.9),
            p99_ms: self.quantile_ms(0.99),
            p999_ms: self.quantile_ms(0.999),
            max_ms: self.histogram.max() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latency = Latency::default();
        for us in 1..=100_000 {
            latency.record(7, us + 7);
        }
        let percentiles = latency.percentiles();
        assert_eq!(percentiles.count, 100_000);
        for (got, want) in [(percentiles.p50_ms, 50.0), (percentiles.p99_ms, 99.0), (percentiles.max_ms, 100.0)] {
            assert!((got - want).abs() / want < 0.001, "{got} is not {want}");
        }
    }

    #[test]
    fn what_ends_before_it_begins_is_counted_apart() {
        let mut latency = Latency::default();
        latency.record(10, 9);
        assert_eq!((latency.count(), latency.percentiles().negative), (0, 1));
    }

    #[test]
    fn the_long_tail_is_kept() {
        let mut latency = Latency::default();
        latency.record(0, 4 * 3_600 * 1_000_000);
        assert!(latency.percentiles().max_ms > 14_390_000.0);
    }
}
