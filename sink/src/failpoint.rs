//! Points of the path at which a test has this process killed.
//!
//! Responsible for SIGKILL the n-th time that a point is passed, as the environment says: `FOOTFALL_FAILPOINT=before_put:3`;
//! with `stop@` before it for SIGSTOP, so that a test can wake the process again.
//! Promises: a build without debug assertions has nothing of it, and one that is not armed does nothing.

/// A point of the path, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Records have come from the source.
    AfterConsume,
    /// Rows have gone to the Parquet writer; the file is not complete.
    InRowGroup,
    /// The file is complete and its dead letters are in the lake.
    BeforePut,
    /// A PUT is on its way: the process dies so many milliseconds later as a third number says.
    DuringPut,
    /// The file is in the lake; the log has not been told.
    AfterPut,
    /// The log has been told.
    AfterCommit,
}

/// This point is passed.
#[inline]
pub(crate) fn pass(point: Point) {
    #[cfg(debug_assertions)]
    armed::pass(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod armed {
    use std::{
        sync::{
            LazyLock,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
        time::Duration,
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::Point;

    const VARIABLE: &str = "FOOTFALL_FAILPOINT";

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var(VARIABLE).ok()?;
        Some(
            Armed::parse(&text)
                .unwrap_or_else(|| panic!("{VARIABLE}={text} is not [stop@]<point>:<times>[:<milliseconds>]")),
        )
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Armed {
        signal: Signal,
        point: Point,
        times: u64,
        delay: Duration,
    }

    impl Armed {
        pub(super) fn parse(text: &str) -> Option<Armed> {
            let (signal, text) = text.strip_prefix("stop@").map_or((Signal::KILL, text), |rest| (Signal::STOP, rest));
            let mut parts = text.split(':');
            let point = match parts.next()? {
                "after_consume" => Point::AfterConsume,
                "in_row_group" => Point::InRowGroup,
                "before_put" => Point::BeforePut,
                "during_put" => Point::DuringPut,
                "after_put" => Point::AfterPut,
                "after_commit" => Point::AfterCommit,
                _ => return None,
            };
            let times = parts.next()?.parse().ok().filter(|times| *times > 0)?;
            let delay = Duration::from_millis(parts.next().map_or(Ok(0), str::parse).ok()?);
            parts.next().is_none().then_some(Armed { signal, point, times, delay })
        }
    }

    pub(super) fn pass(point: Point) {
        let Some(armed) = &*ARMED else { return };
        if armed.point != point || PASSED.fetch_add(1, Relaxed) + 1 != armed.times {
            return;
        }
        if point == Point::DuringPut {
            std::thread::spawn(|| {
                std::thread::sleep(armed.delay);
                die(armed.signal);
            });
        } else {
            die(armed.signal);
        }
    }

    fn die(signal: Signal) {
        kill_process(getpid(), signal).expect("a process may kill itself");
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_armed_by_its_name_and_a_number() {
            #[track_caller]
            fn check(text: &str, expected: Option<(Point, u64, u64)>) {
                let expected = expected.map(|(point, times, delay_ms)| Armed {
                    signal: if text.starts_with("stop@") { Signal::STOP } else { Signal::KILL },
                    point,
                    times,
                    delay: Duration::from_millis(delay_ms),
                });
                assert_eq!(Armed::parse(text), expected, "{text}");
            }
            check("before_put:3", Some((Point::BeforePut, 3, 0)));
            check("during_put:1:20", Some((Point::DuringPut, 1, 20)));
            check("stop@before_put:1", Some((Point::BeforePut, 1, 0)));
            check("before_put", None);
            check("before_put:0", None);
            check("before_put:1:2:3", None);
            check("elsewhere:1", None);
        }
    }
}
