//! A program under measurement.
//!
//! Responsible for finding the product's binaries, for starting and ending a program and for what `/proc` knows of it.
//! Promises that no program outlives its [`Process`], and that processor time is the program's own: of all its threads,
//! to the nanosecond where the kernel keeps it.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end after SIGTERM; then it is killed.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// What `/proc/PID/stat` counts in: `USER_HZ`, 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it. What it prints is dropped, what it says on stderr comes through.
    pub fn start(command: &mut Command) -> io::Result<Process> {
        Ok(Process { child: command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()? })
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself; says whether with success.
    pub fn wait(&mut self) -> io::Result<bool> {
        Ok(self.child.wait()?.success())
    }

    /// Processor time of the threads that live now.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            sum += cpu_of(&task?.path());
        }
        Ok(sum)
    }

    /// Processor time of all threads, also of those that ended, in ticks of 10 ms: for the whole of a run.
    pub fn cpu_with_ended_threads(&self) -> io::Result<Duration> {
        let line = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The command's name may hold spaces; `utime` and `stime` are the 12th and 13th fields after its parenthesis.
        let fields: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
        Ok(TICK * u32::try_from(ticks(11) + ticks(12)).map_err(|_| io::ErrorKind::InvalidData)?)
    }

    /// The most memory it held at once.
    pub fn rss_peak_bytes(&self) -> io::Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// The memory it holds now.
    pub fn rss_bytes(&self) -> io::Result<u64> {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kib.ok_or(io::ErrorKind::InvalidData)? * 1024)
    }

    /// Processor time by thread name, of the threads that live now; the names of a pool's threads count as one.
    pub fn cpu_by_thread(&self) -> io::Result<BTreeMap<String, Duration>> {
        let mut by_name = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?.path();
            let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
            let name = name.trim().trim_end_matches(|last: char| last.is_ascii_digit()).to_owned();
            *by_name.entry(name).or_default() += cpu_of(&task);
        }
        Ok(by_name)
    }

    /// Its number, for tools that look at it from outside.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an operator does, and waits until it did.
    pub fn stop(mut self) -> io::Result<()> {
        self.signal(Signal::TERM);
        let from = Instant::now();
        while from.elapsed() < DRAIN_MAX {
            if !self.is_running() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the program did not end after SIGTERM"))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of one thread; none if it ended between the listing and the look.
fn cpu_of(task: &Path) -> Duration {
    let line = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    Duration::from_nanos(line.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

/// This very program again, to be started as a floor.
pub fn myself() -> io::Result<Command> {
    Ok(Command::new(env::current_exe()?))
}

/// Path of one of the product's binaries, built by `cargo build --release --workspace` into the target folder that this
/// bench was built into. `Err`: what to do, if it is not there or older than the sources of `crates`.
pub fn binary(name: &str, crates: &[&str]) -> Result<PathBuf, String> {
    let build = "build it: cargo build --release --workspace";
    let bench = env::current_exe().map_err(|error| error.to_string())?;
    let folder = bench.parent().and_then(Path::parent).ok_or("the bench does not lie in a target folder")?;
    let path = folder.join(name);
    let built = modified(&path).ok_or_else(|| format!("{} is missing: {build}", path.display()))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match crates.iter().filter_map(|folder| newest(&root.join(folder))).max() {
        Some((changed, source)) if changed > built => {
            Err(format!("{} is older than {}: {build}", path.display(), source.display()))
        }
        _ => Ok(path),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The source below a crate that changed last; its tests are not part of the binary.
fn newest(folder: &Path) -> Option<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let sources = entries.filter_map(|path| match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.ends_with("tests") || path.ends_with("tests.rs") => None,
        Some("rs" | "avsc" | "toml" | "html") => Some((modified(&path)?, path)),
        None => newest(&path),
        Some(_) => None,
    });
    sources.max()
}
