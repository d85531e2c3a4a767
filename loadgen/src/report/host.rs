//! The machine, and what the generator used of it.
//!
//! Responsible for the facts without which a figure cannot be compared. Promises to leave out what the system does not
//! tell. Leaves figures of other processes to their own metrics.

use serde::Serialize;

/// Facts about the machine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Host {
    /// Processors that this program may use.
    pub cores: usize,
    /// What the processor calls itself.
    pub processor: Option<String>,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// The kernel.
    pub kernel: Option<String>,
    /// The version of this program.
    pub loadgen_version: &'static str,
    /// Processor time that this program used, all threads.
    pub loadgen_cpu_s: f64,
    /// The same as a share of one core, over the run.
    pub loadgen_cpu_share: f64,
    /// The most memory that this program had, in bytes.
    pub loadgen_memory_bytes_max: Option<u64>,
}

impl Host {
    /// Reads them, for a run that lasted so long.
    pub fn read(lasted_us: u64) -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let loadgen_cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        Host {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: value("/proc/cpuinfo", "model name"),
            memory_bytes: value("/proc/meminfo", "MemTotal").and_then(|text| kibibytes(&text)),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned()),
            loadgen_version: env!("CARGO_PKG_VERSION"),
            loadgen_cpu_s,
            loadgen_cpu_share: if lasted_us == 0 { 0.0 } else { loadgen_cpu_s / (lasted_us as f64 / 1e6) },
            loadgen_memory_bytes_max: value("/proc/self/status", "VmHWM").and_then(|text| kibibytes(&text)),
        }
    }
}

fn value(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}
