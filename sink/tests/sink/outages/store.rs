//! An S3 server that is gone for a while, and one that no longer knows the sink's key.

use std::{
    fmt,
    io::Write,
    time::{Duration, Instant},
};

use kafka::Broker;
use s3::{ADMIN, SECRET, SeaweedFs};

use crate::{
    kafka::{produce, stop},
    lake::assert_exactly_once_in_order,
    process::{Sink, wait_for},
    s3::{Bucket, sink},
};

/// How long the store is down, 30 unless it is set; 300 for the long run.
const DOWN_SECONDS: &str = "FOOTFALL_TEST_STORE_DOWN_SECONDS";
/// The smallest budget that there is.
const MEMORY_BYTES: usize = 16 << 20;

/// What the operator's graphs show at a moment.
struct Shown {
    /// Since the store went down.
    at: Duration,
    lag_seconds: f64,
    lag_messages: f64,
    failing_seconds: f64,
    file_age_seconds: f64,
    held_bytes: f64,
    resident_bytes: f64,
    is_memory_full: bool,
}

impl Shown {
    fn now(sink: &Sink, since: Instant) -> Shown {
        let metrics = sink.admin("/metrics");
        let series = |name: &str| -> Vec<f64> {
            let of_name = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(['{', ' ']));
            of_name.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect()
        };
        let sum = |name: &str| series(name).iter().sum();
        Shown {
            at: since.elapsed(),
            lag_seconds: series("footfall_sink_lag_seconds").into_iter().fold(0.0, f64::max),
            lag_messages: sum("footfall_sink_lag_messages"),
            failing_seconds: sum("footfall_sink_store_failing_seconds"),
            file_age_seconds: sum("footfall_sink_store_file_age_seconds"),
            held_bytes: sum("footfall_sink_memory_bytes"),
            resident_bytes: sum("footfall_process_resident_bytes"),
            is_memory_full: sum("footfall_sink_memory_full") > 0.0,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6.1} s: lag {:>6.1} s, {:>8} messages; failing {:>5.1} s, last file {:>5.1} s ago; {:>4.1} MiB held, {:>3.0} MiB \
             resident{}",
            self.at.as_secs_f64(),
            self.lag_seconds,
            self.lag_messages,
            self.failing_seconds,
            self.file_age_seconds,
            self.held_bytes / 1_048_576.0,
            self.resident_bytes / 1_048_576.0,
            if self.is_memory_full { ", memory full" } else { "" }
        )
    }
}

/// Says something although the test may pass.
fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn a_store_that_is_down_or_denies_is_waited_for() {
    if kafka::left_out() {
        return;
    }
    let down = std::env::var(DOWN_SECONDS).map_or(30, |seconds| seconds.parse().expect("seconds"));
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-down", 2);
    let mut server = SeaweedFs::start();
    let bucket = Bucket::fresh(&server, "down");
    let mut environment = server.environment(ADMIN);
    for (key, value) in [
        ("FOOTFALL__SINK__ROLL_BYTES_MAX", (MEMORY_BYTES / 8).to_string()),
        ("FOOTFALL__SINK__MEMORY_BYTES_MAX", MEMORY_BYTES.to_string()),
        // A member that does not poll for so long is put out of its group, and its partitions are taken away.
        ("FOOTFALL__KAFKA__PROPERTIES", r#"{"max.poll.interval.ms"="10000"}"#.to_owned()),
    ] {
        environment.push((key, value));
    }
    let running = sink(brokers, &topic, &topic, &bucket.lake(), &environment);
    let mut events = 500;
    produce(brokers, &topic, 0..events);
    wait_for("the first rows", || bucket.rows().len() == events);

    server.kill();
    say("\nthe store is down");
    let (since, length) = (Instant::now(), Duration::from_secs(down));
    let (mut held, mut resident, mut said) = (0.0_f64, 0.0_f64, Instant::now());
    while since.elapsed() < length {
        produce(brokers, &topic, events..events + 4_000);
        events += 4_000;
        std::thread::sleep(Duration::from_millis(500));
        let shown = Shown::now(&running, since);
        held = held.max(shown.held_bytes);
        resident = resident.max(shown.resident_bytes);
        if said.elapsed() >= length / 10 {
            said = Instant::now();
            say(shown);
        }
    }
    assert!(!running.is_ready());
    let failing = Shown::now(&running, since).failing_seconds;
    assert!(failing > down as f64 / 2.0 && running.store_errors("unreachable") > 1.0, "{failing} s");
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let bound = MEMORY_BYTES as f64;
    assert!(held > 0.0 && held <= 1.1 * bound, "{held} bytes are held");
    server.restart(SECRET);
    let back = Instant::now();
    say("the store is back");
    let caught_up = loop {
        let (shown, elapsed) = (Shown::now(&running, since), back.elapsed());
        // Reading all rows takes its time, and is done once the sink says that there is nothing left.
        if shown.lag_messages == 0.0 && bucket.rows().len() >= events {
            say(shown);
            break elapsed.as_secs_f64();
        }
        assert!(elapsed < length + Duration::from_secs(90), "the rows of the outage do not come: {shown}");
        if said.elapsed() >= length / 20 {
            said = Instant::now();
            say(shown);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let (held, resident) = (held / 1_048_576.0, resident / 1_048_576.0);
    say(format_args!(
        "down {down} s: {events} events, at most {held:.1} MiB held, {resident:.0} MiB resident, caught up {caught_up:.1} s after"
    ));

    server.restart("another secret");
    produce(brokers, &topic, events..events + 500);
    events += 500;
    wait_for("a refusal", || running.store_errors("denied") > 1.0 && !running.is_ready());
    server.restart(SECRET);
    wait_for("all rows", || bucket.rows().len() >= events && running.is_ready());
    for reason in ["revoked", "lost"] {
        let lost = running.value(&format!("footfall_sink_rebalances_total{{reason=\"{reason}\"}}"));
        assert!(lost == 0.0, "it kept its partitions all the time: {lost} {reason}");
    }
    let said = stop(running);
    assert!(said.contains("SignatureDoesNotMatch") && said.contains("trying again"), "{said}");
    assert_exactly_once_in_order(&bucket.rows(), events);
}
