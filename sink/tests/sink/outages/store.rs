//! An S3 server that is gone for a while, and one that no longer knows the sink's key.

use std::{
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

/// How long the store is down; 300 for the long run.
const DOWN_SECONDS: &str = "FOOTFALL_TEST_STORE_DOWN_SECONDS";
/// The smallest budget that there is.
const MEMORY_BYTES: usize = 16 << 20;

fn held_bytes(sink: &Sink) -> f64 {
    let metrics = sink.admin("/metrics");
    let holders = metrics.lines().filter_map(|line| line.strip_prefix("footfall_sink_memory_bytes{"));
    holders.filter_map(|holder| holder.split_once("} ")?.1.parse::<f64>().ok()).sum()
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
    let since = Instant::now();
    let (mut held, mut resident) = (0.0_f64, 0.0_f64);
    while since.elapsed() < Duration::from_secs(down) {
        produce(brokers, &topic, events..events + 4_000);
        events += 4_000;
        std::thread::sleep(Duration::from_millis(500));
        held = held.max(held_bytes(&running));
        resident = resident.max(running.value("footfall_process_resident_bytes"));
    }
    assert!(!running.is_ready());
    let failing = running.value("footfall_sink_store_failing_seconds");
    assert!(failing > down as f64 / 2.0 && running.store_errors("unreachable") > 1.0, "{failing} s");
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let bound = MEMORY_BYTES as f64;
    assert!(held > 0.0 && held <= 1.1 * bound, "{held} bytes are held");
    server.restart(SECRET);
    let back = Instant::now();
    wait_for("the rows of the outage", || bucket.rows().len() >= events);
    let caught_up = back.elapsed().as_secs_f64();
    let (held, resident) = (held / 1_048_576.0, resident / 1_048_576.0);
    let _ = writeln!(
        std::io::stderr(),
        "\ndown {down} s: {events} events, at most {held:.1} MiB held, {resident:.0} MiB resident, caught up {caught_up:.1} s after"
    );

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
