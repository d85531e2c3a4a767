//! The client's clock against the gateway's.
//!
//! Responsible for one subtraction: what the sender wrote on the envelope (`sent_at`) is now, so its clock is wrong by the
//! difference to the arrival. Promises that the time between the event and its sending stays what it was, and that a
//! time is left as it came where `sent_at` cannot be what it claims to be.

/// The largest difference that is taken for a wrong clock: as far as a wrong time zone or a wrong date goes. More is an
/// envelope that waited to be sent again, or nonsense.
pub(super) const SKEW_US_MAX: i64 = 24 * 60 * 60 * 1_000_000;

/// Both times are of one clock, but some clients write one of them in whole seconds.
const ROUNDING_US: i64 = 1_000_000;

/// `event_time_us` by the gateway's clock.
pub(super) fn corrected(event_time_us: i64, sent_at_us: i64, received_at_us: i64) -> i64 {
    let skew_us = received_at_us.saturating_sub(sent_at_us);
    // An event of the same clock happened before it was sent.
    let is_of_one_clock = event_time_us <= sent_at_us.saturating_add(ROUNDING_US);
    if is_of_one_clock && skew_us.unsigned_abs() <= SKEW_US_MAX.unsigned_abs() {
        event_time_us.saturating_add(skew_us)
    } else {
        event_time_us
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_US: i64 = 1_767_323_045_000_000;
    const HOUR_US: i64 = 60 * 60 * 1_000_000;

    #[test]
    fn a_wrong_clock_is_put_right_and_nonsense_is_left_alone() {
        #[track_caller]
        fn check(event_time: i64, sent_at: i64, expected: i64) {
            assert_eq!(corrected(NOW_US + event_time, NOW_US + sent_at, NOW_US), NOW_US + expected);
        }
        check(-5, 0, -5);
        check(2 * HOUR_US - 7, 2 * HOUR_US, -7);
        check(-2 * HOUR_US - 7, -2 * HOUR_US, -7);
        check(24 * HOUR_US, 24 * HOUR_US, 0);
        check(-30 * 24 * HOUR_US, HOUR_US, -30 * 24 * HOUR_US - HOUR_US);
        check(ROUNDING_US, 0, ROUNDING_US);
        // Further off than a wrong clock.
        check(24 * HOUR_US + 1, 24 * HOUR_US + 1, 24 * HOUR_US + 1);
        check(-24 * HOUR_US - 1, -24 * HOUR_US - 1, -24 * HOUR_US - 1);
        check(-7, 3_000_000_000 * 1_000_000, -7);
        check(-7, -NOW_US, -7);
        // Sent before it happened.
        check(0, -HOUR_US, 0);
    }

    proptest! {
        /// The interval from the event to its sending stays, or nothing is touched; and nothing overflows.
        #[test]
        fn either_the_interval_stays_or_the_time(event_time: i64, sent_at: i64, received_at: i64) {
            let time = corrected(event_time, sent_at, received_at);
            let interval = i128::from(sent_at) - i128::from(event_time);
            prop_assert!(time == event_time || i128::from(received_at) - i128::from(time) == interval);
        }

        #[test]
        fn a_plausible_clock_is_always_put_right(skew in -SKEW_US_MAX..=SKEW_US_MAX, age in 0..=365 * 24 * HOUR_US) {
            let sent_at = NOW_US + skew;
            prop_assert_eq!(corrected(sent_at - age, sent_at, NOW_US), NOW_US - age);
        }
    }
}
