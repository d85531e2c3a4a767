//! What an event costs the sink from the log to a committed file, beside the floor, on a real Kafka.
//!
//! A topic is filled once. Then the two programs take turns, each as a process of its own that reads it from the start
//! until the Parquet files in its folder hold every row; the cost is that process's processor time, start included.
//! Criterion has no part in it: a run is seconds long and its number of events fixed, so there is nothing to iterate.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use benches::{
    broker::{Broker, Filled},
    process::{Process, binary, myself},
    rounds::{FLOOR, Run, alternate, keep, setting, table, us_per_event},
};
use parquet::file::reader::{FileReader, SerializedFileReader};

#[path = "floor/sink.rs"]
mod floor;

/// How long one program may take.
const RUN_MAX: Duration = Duration::from_secs(300);

const PRODUCT: &str = "footfall-sink";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, FLOOR, brokers, topic, events, folder] => be_floor(brokers, topic, events, Path::new(folder)),
        _ if words.iter().any(|word| word == "--bench") => measure(),
        _ => {
            eprintln!("sink: measured by cargo bench only");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn be_floor(brokers: &str, topic: &str, events: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    floor::run(brokers, topic, events.parse()?, folder)?;
    // The bench reads this process's times when it has seen the files, then ends it.
    loop {
        thread::park();
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let product = binary(PRODUCT, &["event", "journal", "operator", "sink"])?;
    let events = setting("FOOTFALL_BENCH_EVENTS", 2_400_000);
    let broker = Broker::start()?;
    let topic = broker.topic()?;
    let Filled { records, bytes } = broker.fill(&topic, 1, events)?;
    let case = format!("{events} events of {} bytes, {} sent again", bytes / records, records - events);
    let log = Log { brokers: broker.addresses(), topic: &topic, records };
    let mut runs = Vec::new();
    for (round, turn) in alternate(2, setting("FOOTFALL_BENCH_ROUNDS", 3)) {
        let folder = tempfile::tempdir()?;
        // The floor writes what is sent again once more.
        let (name, command, rows) = match turn {
            0 => (FLOOR, log.floor(folder.path())?, records),
            _ => (PRODUCT, log.product(&product, folder.path(), round), events),
        };
        let run = run(command, folder.path(), rows, records).map_err(|error| format!("void: {name}: {error}"))?;
        let run = Run { case: case.clone(), program: name.into(), round: round + 1, ..run };
        eprintln!("round {}: {name}: {:.2} us an event", run.round, run.cpu_us_per_event);
        runs.push(run);
    }
    broker.delete(&topic)?;
    eprintln!("\n{}\nkept in {}", table(&runs), keep("sink", &runs)?.display());
    Ok(())
}

struct Log<'a> {
    brokers: &'a str,
    topic: &'a str,
    records: usize,
}

impl Log<'_> {
    fn floor(&self, folder: &Path) -> Result<Command, Box<dyn Error>> {
        let mut command = myself()?;
        command.args([FLOOR, self.brokers, self.topic, &self.records.to_string()]).arg(folder);
        Ok(command)
    }

    fn product(&self, binary: &Path, folder: &Path, round: usize) -> Command {
        let lake = format!("file://{}", folder.display());
        let group = format!("{}-{round}", self.topic);
        let mut command = Command::new(binary);
        command.args(["run", "--brokers", self.brokers, "--topic", self.topic, "--group", &group, "--lake", &lake]);
        command.args(["--admin", "127.0.0.1:0"]).env("RUST_LOG", "warn");
        command.env("FOOTFALL__SINK__ROLL_ROWS_MAX", floor::FILE_ROWS.to_string());
        command
    }
}

/// Runs one program until its files hold all rows that it has to make of the records.
fn run(mut command: Command, folder: &Path, expected: usize, records: usize) -> Result<Run, Box<dyn Error>> {
    let from = Instant::now();
    let mut process = Process::start(&mut command)?;
    let mut files = HashMap::new();
    loop {
        look(folder, &mut files)?;
        let rows: u64 = files.values().map(|file: &Written| file.rows).sum();
        if rows == expected as u64 {
            break;
        }
        if rows > expected as u64 {
            return Err(format!("{rows} rows, not {expected}").into());
        }
        if !process.is_running() || from.elapsed() > RUN_MAX {
            return Err(format!("{rows} rows of {expected} after {:?}", from.elapsed()).into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let (cpu, ticks) = (process.cpu()?, process.cpu_with_ended_threads()?);
    let bytes: u64 = files.values().map(|file| file.bytes).sum();
    let run = Run {
        case: String::new(),
        program: String::new(),
        round: 0,
        events: records as u64,
        // Threads come and go in a consumer group: what the ended ones used counts too.
        cpu_us_per_event: us_per_event(cpu.max(ticks), records as u64),
        events_per_second: records as f64 / from.elapsed().as_secs_f64(),
        rss_peak_mib: process.rss_peak_bytes()? as f64 / f64::from(1 << 20),
        p50_ms: None,
        p99_ms: None,
        half_p50_ms: None,
        half_p99_ms: None,
        bytes_per_event: Some(bytes as f64 / expected as f64),
        files: Some(files.len() as u64),
    };
    process.stop()?;
    Ok(run)
}

struct Written {
    rows: u64,
    bytes: u64,
}

/// Adds the whole Parquet files below the folder that were not seen before.
fn look(folder: &Path, files: &mut HashMap<PathBuf, Written>) -> Result<(), Box<dyn Error>> {
    // The product makes its folders when it needs them.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for path in entries.map(|entry| entry.map(|entry| entry.path())) {
        let path = path?;
        if path.is_dir() {
            look(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") && !files.contains_key(&path) {
            // One that the floor is still writing has no footer yet.
            let Ok(reader) = SerializedFileReader::new(File::open(&path)?) else { continue };
            let rows = reader.metadata().file_metadata().num_rows().cast_unsigned();
            let bytes = fs::metadata(&path)?.len();
            files.insert(path, Written { rows, bytes });
        }
    }
    Ok(())
}
