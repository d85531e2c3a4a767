//! Responsible for the registry that every metric of a binary goes into, and for what the process itself uses: CPU,
//! resident memory, open files, start time, build. Leaves other metrics to each crate's `metrics.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use rustix::time::{ClockId, clock_gettime};

/// A registry whose names all begin with `footfall_`, with the metrics of this process and
/// `footfall_build_info{binary,version}` in it.
pub fn registry(binary: &'static str) -> Registry {
    let mut registry = Registry::with_prefix("footfall");
    let build = Info::new(vec![("binary", binary), ("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "What is running", build);
    registry.register_collector(Box::new(Process { started: SystemTime::now() }));
    registry
}

/// CPU time that this process has used since it started, in seconds, all threads together.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Memory of this process that is in RAM, in bytes. `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Files and sockets that this process holds open. `None` where there is no `/proc`.
pub fn open_files() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// Read at each scrape, so that nothing has to run between scrapes.
#[derive(Debug)]
struct Process {
    started: SystemTime,
}

impl Collector for Process {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cpu = ConstCounter::new(cpu_seconds());
        cpu.encode(out.encode_descriptor("process_cpu_seconds", "CPU time used", None, cpu.metric_type())?)?;
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        gauge(&mut out, "process_start_time_seconds", "When the process started, in seconds since 1970 UTC", started)?;
        if let Some(bytes) = resident_bytes() {
            gauge(&mut out, "process_resident_bytes", "Memory in RAM", bytes as f64)?;
        }
        if let Some(count) = open_files() {
            gauge(&mut out, "process_open_files", "Open files and sockets", count as f64)?;
        }
        Ok(())
    }
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(out.encode_descriptor(name, help, None, gauge.metric_type())?)
}
