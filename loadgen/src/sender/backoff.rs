//! How long to rest before the next attempt.
//!
//! Responsible for one pure function. Promises rests that double up to two seconds, spread by chance so that clients do
//! not come back all at once, and never shorter than the server asked for. Leaves the deadline to the sender.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// A server that asks for more is a server that is wrong: the deadline decides, not its header.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The rest after `attempts` attempts; `chance` is from 0 to 1.
pub(super) fn rest(attempts: u32, retry_after: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST);
    match retry_after {
        Some(asked) => asked.min(RETRY_AFTER_MAX) + FIRST.mul_f64(chance),
        None => doubled.mul_f64(0.5 + chance / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempts: u32, retry_after: Option<u64>, chance: f64, ms: u64) {
        let rest = rest(attempts, retry_after.map(Duration::from_secs), chance);
        assert_eq!(
            rest,
            Duration::from_millis(ms),
            "{attempts} attempts, retry after {retry_after:?}, chance {chance}"
        );
    }

    #[test]
    fn rests_double_to_a_limit_and_retry_after_is_a_floor() {
        check(1, None, 1.0, 50);
        check(1, None, 0.0, 25);
        check(2, None, 1.0, 100);
        check(6, None, 1.0, 1_600);
        check(7, None, 1.0, 2_000);
        check(u32::MAX, None, 1.0, 2_000);
        check(1, Some(3), 0.0, 3_000);
        check(9, Some(3), 1.0, 3_050);
        check(1, Some(86_400), 0.0, 60_000);
    }
}
