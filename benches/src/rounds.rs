//! Runs of two or more programs in alternation, and what is made of them.
//!
//! Responsible for the order of the runs, for medians and ratios, and for the two forms in which they are kept: a table
//! to read and a JSON file for later. Promises that a ratio only ever puts runs of the same case and bench beside each
//! other, and that every program begins as many rounds as the others.

use std::{env, fs, io, path::PathBuf, str::FromStr, time::Duration};

use serde::Serialize;
use serde_json::json;

/// The program that the others are put beside.
pub const FLOOR: &str = "floor";

/// One program measured once.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub case: String,
    pub program: String,
    pub round: usize,
    pub events: u64,
    /// Processor time of the program under measurement, not of the broker and the client.
    pub cpu_us_per_event: f64,
    pub events_per_second: f64,
    pub rss_peak_mib: f64,
    /// Latency of a request, where there are requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Latency from the intended time, at half of the rate that the closed loop reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_p99_ms: Option<f64>,
    /// On disk, where files are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_event: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// The order of one case: each round starts with another program, so that none always follows the same one.
pub fn alternate(programs: usize, rounds: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rounds).flat_map(move |round| (0..programs).map(move |turn| (round, (round + turn) % programs)))
}

/// A number from the environment, else the default.
pub fn setting<T: FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().ok().unwrap_or_else(|| panic!("{name}: not a number: {text}")),
    }
}

/// `text` as processor time of one of `events`.
#[must_use]
pub fn us_per_event(cpu: Duration, events: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / events as f64
}

/// The middle value, or the mean of the two in the middle.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}

/// All runs of one bench, as Markdown: a line for each case and program.
#[must_use]
pub fn table(runs: &[Run]) -> String {
    let mut text =
        "| case | program | CPU us/event (range) | x floor | p50 / p99 ms | at half, p50 / p99 ms | peak RSS MiB | \
                    events/s | bytes/event | files |\n|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (case, program) in lines(runs) {
        let these: Vec<&Run> = of(runs, case, program).collect();
        let costs = || these.iter().map(|run| run.cpu_us_per_event);
        let (low, high) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
        let over = |field: fn(&Run) -> Option<f64>| median(these.iter().filter_map(|run| field(run)));
        let optional = |value: f64, digits| if value.is_nan() { "-".into() } else { format!("{value:.digits$}") };
        text += &format!(
            "| {case} | {program} | {:.2} ({low:.2} to {high:.2}) | {:.2} | {} / {} | {} / {} | {:.0} | {:.0} | {} | {} |\n",
            median(costs()),
            ratio(runs, case, program),
            optional(over(|run| run.p50_ms), 1),
            optional(over(|run| run.p99_ms), 1),
            optional(over(|run| run.half_p50_ms), 1),
            optional(over(|run| run.half_p99_ms), 1),
            over(|run| Some(run.rss_peak_mib)),
            over(|run| Some(run.events_per_second)),
            optional(over(|run| run.bytes_per_event), 1),
            optional(over(|run| run.files.map(|files| files as f64)), 0),
        );
    }
    text
}

/// Keeps runs and ratios as JSON, in the file that `FOOTFALL_BENCH_JSON` names, else under criterion's own folder. Says
/// where.
pub fn keep(bench: &str, runs: &[Run]) -> io::Result<PathBuf> {
    let ratios: Vec<_> = lines(runs)
        .into_iter()
        .filter(|(_, program)| *program != FLOOR)
        .map(|(case, program)| json!({"case": case, "program": program, "ratio": ratio(runs, case, program)}))
        .collect();
    let path = match env::var_os("FOOTFALL_BENCH_JSON") {
        Some(path) => PathBuf::from(path),
        None => target()?.join("criterion").join(format!("footfall-{bench}.json")),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let kept = json!({"bench": bench, "machine": machine(), "ratios": ratios, "runs": runs});
    fs::write(&path, format!("{kept:#}\n"))?;
    Ok(path)
}

/// Median of the program's cost over that of the floor's.
fn ratio(runs: &[Run], case: &str, program: &str) -> f64 {
    let cost = |program| median(of(runs, case, program).map(|run| run.cpu_us_per_event));
    cost(program) / cost(FLOOR)
}

fn of<'a>(runs: &'a [Run], case: &'a str, program: &'a str) -> impl Iterator<Item = &'a Run> {
    runs.iter().filter(move |run| run.case == case && run.program == program)
}

/// Cases and programs, in the order of their first runs.
fn lines(runs: &[Run]) -> Vec<(&str, &str)> {
    let mut lines = Vec::new();
    for run in runs {
        let line = (run.case.as_str(), run.program.as_str());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {}", model.unwrap_or("unknown processor"))
}

/// The target folder: the bench lies in `<target>/<profile>/deps`.
fn target() -> io::Result<PathBuf> {
    let bench = env::current_exe()?;
    bench.ancestors().nth(3).map(PathBuf::from).ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, cpu_us_per_event: f64) -> Run {
        Run {
            case: "c".into(),
            program: program.into(),
            round: 0,
            events: 1,
            cpu_us_per_event,
            events_per_second: 1.0,
            rss_peak_mib: 1.0,
            p50_ms: None,
            p99_ms: None,
            half_p50_ms: None,
            half_p99_ms: None,
            bytes_per_event: None,
            files: None,
        }
    }

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_ratio_is_that_of_the_medians() {
        let runs = [run(FLOOR, 2.0), run("ours", 3.0), run("ours", 5.0), run(FLOOR, 2.0), run(FLOOR, 9.0)];
        assert_eq!(ratio(&runs, "c", "ours"), 2.0);
        assert!(table(&runs).contains("| c | ours | 4.00 (3.00 to 5.00) | 2.00 |"), "{}", table(&runs));
    }

    #[test]
    fn each_round_begins_with_another_program() {
        let order: Vec<_> = alternate(2, 3).collect();
        assert_eq!(order, [(0, 0), (0, 1), (1, 1), (1, 0), (2, 0), (2, 1)]);
    }
}
