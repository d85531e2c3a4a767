//! SIGKILL, again and again: whatever was acknowledged is there, in order, whole, and appends go on.
//!
//! Method: this test binary runs itself as the writer. The writer says on stdout what was acknowledged; its records'
//! contents follow from their keys, so that a torn one shows. After each kill the journal is opened and everything is
//! checked against what the writers said and against what was read after the kill before.

use crate::read_all;
use journal::{Batch, Journal, Options};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const PARTITIONS: u32 = 3;
const ROUNDS: u64 = 20;
const ENV_DIR: &str = "JOURNAL_CRASH_DIR";
const ENV_SEED: &str = "JOURNAL_CRASH_SEED";

fn options() -> Options {
    // The smallest memtables, so that kills also hit flushes, compactions and rotations.
    Options { write_buffer_bytes: 0, ..Options::new(PARTITIONS) }
}

/// A record's content follows from its key.
fn content(key: &str) -> Vec<u8> {
    let seed = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut bytes = vec![0; rng.random_range(0..12_000)];
    rng.fill(&mut bytes[..]);
    bytes
}

/// The child: does nothing unless it is told where. Key: `<seed>.<thread>.<request>.<index>.<records of the request>`.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(ENV_DIR).map(PathBuf::from) else {
        return;
    };
    let seed: u64 = std::env::var(ENV_SEED).unwrap().parse().unwrap();
    let journal = Journal::open(dir, options()).unwrap();
    let before: Vec<_> = (0..PARTITIONS).map(|partition| journal.end_offset(partition)).collect();
    let out = Mutex::new(std::io::stdout());
    let say = |line: String| {
        let mut out = out.lock().unwrap();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
    };
    // The test harness has begun a line of its own.
    say(String::new());
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (journal, say) = (&journal, &say);
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(seed + thread);
                for request in 0u64.. {
                    let count = rng.random_range(1..6);
                    let mut batch = Batch::new(request as i64);
                    let mut line = "ack".to_owned();
                    for index in 0..count {
                        let partition = rng.random_range(0..PARTITIONS);
                        let key = format!("{seed}.{thread}.{request}.{index}.{count}");
                        batch.push(partition, key.as_bytes(), &content(&key));
                        line.push_str(&format!(" {partition}:{key}"));
                    }
                    journal.append(batch).wait_blocking().unwrap();
                    say(line);
                }
            });
        }
        // Truncates only what was there before this run, so that all of this run must be found.
        let mut rng = SmallRng::seed_from_u64(seed + 31);
        loop {
            let partition = rng.random_range(0..PARTITIONS);
            let below = rng.random_range(journal.start_offset(partition)..=before[partition as usize]);
            say(format!("truncating {partition} {below}"));
            journal.truncate_below(partition, below).unwrap();
            say(format!("truncated {partition} {below}"));
            std::thread::sleep(Duration::from_millis(3));
        }
    });
}

#[test]
fn acknowledged_records_survive_sigkill() {
    let seed: u64 = rand::random_range(0..1 << 40);
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let run = (seed << 10) + (round << 5);
        let (acks, starts) = run_and_kill(dir.path(), run, rng.random_range(1..300));
        let journal = Journal::open(dir.path(), options()).unwrap();
        known.check(&journal, run, &acks, &starts);
        let mut batch = Batch::new(0);
        let key = format!("after.{round}.0.0.1");
        batch.push(0, key.as_bytes(), &content(&key));
        let end = journal.end_offset(0);
        journal.append(batch).wait_blocking().unwrap();
        assert_eq!(journal.read(0, end, 1).unwrap().iter().next().unwrap().key, key.as_bytes());
        known.places.insert((0, end), key);
    }
    println!("{} acknowledged records in {ROUNDS} rounds, {} found at the end", known.acknowledged, known.places.len());
    assert!(known.acknowledged > 1000, "too few to mean anything");
}

/// Partition and key of what was acknowledged.
type Acks = Vec<(u32, String)>;
/// By partition: the start offset that was promised, and the one that was tried.
type Starts = HashMap<u32, (u64, u64)>;

/// Lines of a writer that was killed `delay_ms` after its first acknowledgement.
fn run_and_kill(dir: &Path, seed: u64, delay_ms: u64) -> (Acks, Starts) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(ENV_DIR, dir)
        .env(ENV_SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut acks, mut starts, mut killer) = (Acks::new(), Starts::new(), None);
    for line in lines.map_while(Result::ok) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("ack") => {
                acks.extend(words.map(|word| {
                    let (partition, key) = word.split_once(':').unwrap();
                    (partition.parse().unwrap(), key.to_owned())
                }));
                killer.get_or_insert_with(|| kill_later(child.id(), delay_ms));
            }
            Some(verb @ ("truncating" | "truncated")) => {
                let (partition, below) = (words.next().unwrap(), words.next().unwrap());
                let entry = starts.entry(partition.parse().unwrap()).or_default();
                let side = if verb == "truncated" { &mut entry.0 } else { &mut entry.1 };
                *side = below.parse::<u64>().unwrap().max(*side);
            }
            _ => {}
        }
    }
    killer.expect("the writer acknowledges something").join().unwrap();
    reap(child);
    (acks, starts)
}

fn kill_later(id: u32, delay_ms: u64) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(delay_ms));
        assert!(Command::new("kill").args(["-KILL", &id.to_string()]).status().unwrap().success());
    })
}

fn reap(mut child: Child) {
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the writer ended before it was killed");
}

/// What earlier rounds found: a record never moves and never goes unless it was truncated.
#[derive(Default)]
struct Known {
    places: HashMap<(u32, u64), String>,
    acknowledged: usize,
}

impl Known {
    fn check(&mut self, journal: &Journal, run: u64, acks: &Acks, starts: &Starts) {
        let mut found = HashMap::new();
        let mut requests: HashMap<String, (usize, usize)> = HashMap::new();
        for partition in 0..PARTITIONS {
            let start = journal.start_offset(partition);
            let (promised, tried) = starts.get(&partition).copied().unwrap_or_default();
            assert!(start >= promised, "start of partition {partition} went back: {start} < {promised}");
            let before = self.places.keys().filter(|place| place.0 == partition).map(|place| place.1).min();
            assert!(start <= tried.max(before.unwrap_or(0)), "partition {partition} lost records below {start}");
            let mut last: HashMap<String, (u64, u64)> = HashMap::new();
            for (expected, (offset, _, key, value)) in (start..).zip(read_all(journal, partition, 50_000)) {
                assert_eq!(offset, expected, "offsets of partition {partition} are not contiguous");
                let key = String::from_utf8(key).unwrap();
                assert_eq!(value, content(&key), "record {key} is torn");
                let parts: Vec<&str> = key.split('.').collect();
                let order = (parts[2].parse().unwrap(), parts[3].parse().unwrap());
                let previous = last.insert(format!("{}.{}", parts[0], parts[1]), order);
                assert!(previous.is_none_or(|previous| previous < order), "{key} is out of order");
                let request = requests.entry(parts[..3].join(".")).or_insert((0, parts[4].parse().unwrap()));
                request.0 += 1;
                found.insert((partition, offset), key);
            }
        }
        for (place, key) in &self.places {
            let truncated = place.1 < journal.start_offset(place.0);
            assert!(truncated || found.get(place) == Some(key), "{key} is not at {place:?} any more");
        }
        let keys: std::collections::HashSet<_> =
            found.iter().map(|((partition, _), key)| (*partition, key.as_str())).collect();
        assert_eq!(keys.len(), found.len(), "a record is there twice");
        for (partition, key) in acks {
            assert!(keys.contains(&(*partition, key.as_str())), "acknowledged record {key} is lost");
        }
        // Acknowledged or not; nothing of this run was truncated.
        for (request, (have, of)) in requests.iter().filter(|(request, _)| request.starts_with(&format!("{run}."))) {
            assert_eq!(have, of, "request {request} is there in part");
        }
        self.acknowledged += acks.len();
        self.places = found;
    }
}
