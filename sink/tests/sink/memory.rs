//! What the sink takes of memory, as the kernel sees it.
//!
//! Goal: however many partitions there are, whichever of them is hot, and however long the store is away, the process
//! takes at most one and a half times its budget, and nothing is lost for it. Method: a real log that already holds far
//! more than the budget, a real process, its peak (`VmHWM`). `FOOTFALL_TEST_MEMORY=1` measures the table of `docs/sink.md`
//! with the default budget, which takes minutes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kafka::Broker;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    lake::{assert_tiled, files},
    observed::Observed,
    process,
};

const LAG: &str = "footfall_sink_lag_messages";

/// What a sink is given.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    partitions: u32,
    events: usize,
    budget_mib: usize,
    /// All events are one partition's.
    is_hot: bool,
    /// The store is away until memory is full.
    is_away: bool,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
struct Taken {
    ready: Duration,
    written: Duration,
    peak_mib: usize,
}

/// Waits longer than others do: it is a lot of data on a machine that may be busy.
#[track_caller]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Fills the topic with different events of about 500 bytes that do not compress well.
fn fill(topic: &str, case: Case) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", Broker::shared().brokers())
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "20")
        .set("compression.type", "lz4")
        .create()
        .expect("a producer");
    let mut value = Vec::new();
    for number in 0..case.events {
        let user = if case.is_hot { "one-user".to_owned() } else { format!("user-{}", number % 20_000) };
        let event_id = format!("e{number:012}");
        let noise = (0..20u64).map(|n| (number as u64 + n * 7_919).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let noise: Vec<String> = noise.map(|noise| format!("\"{noise:016x}\"")).collect();
        let event = event::Event {
            event_id: &event_id,
            kind: "click",
            source: "default",
            user_id: Some(&user),
            event_time: 1_700_000_000_000_000 + number as i64,
            received_at: 1_700_000_000_000_000 + number as i64,
            url: Some("https://shop.example/a/page"),
            properties: Some(&format!("{{\"noise\":[{}]}}", noise.join(","))),
            ..event::Event::default()
        };
        value.clear();
        event::encode(&event, &mut value);
        while let Err((error, _)) = producer.send(BaseRecord::to(topic).key(&user).payload(&value)) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            producer.poll(Duration::from_millis(20));
        }
    }
    producer.flush(Duration::from_secs(120)).expect("delivered");
}

/// Rows of the lake, from the files' footers.
fn row_count(lake: &Path) -> usize {
    let count = |path: &std::path::PathBuf| {
        let reader = SerializedFileReader::new(std::fs::File::open(path).expect("a file")).expect("a Parquet file");
        reader.metadata().file_metadata().num_rows() as usize
    };
    files(&lake.join("events")).iter().map(count).sum()
}

/// A sink whose files may be as large as the budget allows, so that memory and not the roll decides.
fn start(topic: &str, lake: &Path, budget_mib: usize) -> Observed {
    let environment = [
        ("FOOTFALL__SINK__MEMORY_BYTES_MAX", (budget_mib << 20).to_string()),
        ("FOOTFALL__SINK__ROLL_BYTES_MAX", (budget_mib << 18).to_string()),
        ("FOOTFALL__SINK__ROLL_INTERVAL", "30s".to_owned()),
    ];
    Observed::start(
        Broker::shared().brokers(),
        topic,
        lake,
        &environment.each_ref().map(|(key, value)| (*key, &**value)),
    )
}

fn run(case: Case) -> Taken {
    let topic = Broker::shared().fresh_topic("memory", case.partitions);
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).expect("a folder");
    if !case.is_away {
        fill(&topic, case);
    }
    let started = Instant::now();
    let observed = start(&topic, &lake, case.budget_mib);
    wait_for("the sink's readiness", || observed.is_ready());
    let ready = started.elapsed();
    if case.is_away {
        wait_for("all partitions", || observed.series(LAG).len() == case.partitions as usize);
        // No file can be made where a file has the folder's name.
        std::fs::write(lake.join("events"), "").expect("a file");
        fill(&topic, case);
        wait_for("a full memory", || observed.metric("footfall_sink_memory_full") > 0.0);
        // Nothing is in the lake, and far from everything has been read: the lag tells all of it.
        process::wait_for("the whole lag", || observed.sum(LAG) >= case.events as f64);
        assert!(observed.metric("footfall_sink_records_total") < case.events as f64, "reading waits");
        std::fs::remove_file(lake.join("events")).expect("it is there");
    }
    let begun = Instant::now();
    wait_for("the last row", || observed.metric("footfall_sink_rows_total") >= case.events as f64);
    let taken = Taken { ready, written: begun.elapsed(), peak_mib: observed.peak_mib() };
    assert_eq!(row_count(&lake), case.events, "{case:?}");
    assert_tiled(&lake);
    taken
}

#[test]
fn memory_stays_within_one_and_a_half_budgets() {
    if kafka::left_out() {
        return;
    }
    let even = Case { name: "even", partitions: 64, events: 250_000, budget_mib: 64, is_hot: false, is_away: false };
    let cases = match std::env::var_os("FOOTFALL_TEST_MEMORY") {
        None => vec![even, Case { name: "store away", is_away: true, ..even }],
        Some(_) => {
            let large = Case { partitions: 256, events: 3_000_000, budget_mib: 512, ..even };
            vec![
                large,
                Case { name: "one hot partition", is_hot: true, ..large },
                Case { name: "store away", is_away: true, ..large },
                Case { name: "even, small budget", budget_mib: 128, ..large },
                Case { name: "even", partitions: 1_000, ..large },
            ]
        }
    };
    let mut table = String::from("| partitions | case | budget | peak | peak / budget | ready after | written in |\n");
    let mut worst: f64 = 0.0;
    for case in cases {
        let Taken { ready, written, peak_mib } = run(case);
        let ratio = peak_mib as f64 / case.budget_mib as f64;
        worst = worst.max(ratio);
        table += &format!(
            "| {} | {} | {} MiB | {peak_mib} MiB | {ratio:.2} | {ready:.1?} | {written:.1?} |\n",
            case.partitions, case.name, case.budget_mib
        );
        eprintln!("{table}");
    }
    assert!(worst <= 1.5, "{table}");
}
