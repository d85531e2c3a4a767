//! The summary that a person reads.
//!
//! Responsible for turning a report into a few lines. Promises that the verdict comes last, where the eye is, and that
//! what was not checked is said. Leaves judgement to the report.

use std::fmt::Write;

use super::Report;
use crate::exit::Verdict;
use crate::latency::Percentiles;
use crate::verify::Findings;

/// The report in words.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_summary(report, &mut out);
    out
}

/// What verification found, in words.
pub fn findings(findings: &Findings) -> String {
    let mut out = String::new();
    let _ = write_findings(findings, &mut out);
    out
}

fn write_summary(report: &Report, out: &mut String) -> std::fmt::Result {
    let Report { asked, events, rates, .. } = report;
    writeln!(out)?;
    match asked.seed {
        Some(seed) => writeln!(out, "run {} (seed {seed}) to {}, {:.1} s", asked.run, asked.target, report.lasted_s)?,
        None => writeln!(out, "run {} to {}, {:.1} s", asked.run, asked.target, report.lasted_s)?,
    }
    write_log(report, out)?;
    match asked.offered_per_s {
        Some(offered) => write!(out, "  offered       {:>10} events  {offered:>9.1}/s", events.offered)?,
        None => write!(out, "  offered       {:>10} events", events.offered)?,
    }
    writeln!(out, " by {} users", report.users)?;
    writeln!(out, "  sent          {:>10} events  {:>9.1}/s", events.offered - events.unsent, rates.achieved_per_s)?;
    writeln!(out, "  acknowledged  {:>10} events  {:>9.1}/s", events.ok, rates.acked_per_s)?;
    let rest = [
        (events.fail, "refused       ", "with certainty, so they must not be in the lake"),
        (events.unknown, "unknown       ", "were never answered clearly, so they may be in the lake once"),
        (events.unsent, "unsent        ", "did not get their turn before the deadline"),
        (events.resent, "sent again    ", "after an unclear outcome"),
        (report.held_by_order, "held by order ", "waited for an earlier request of their user"),
        (report.held_by_connections, "held by limit ", "waited for a connection (--connections)"),
    ];
    for (count, name, what) in rest.into_iter().filter(|(count, ..)| *count > 0) {
        writeln!(out, "  {name}{count:>10} events  {what}")?;
    }
    write_refusals(report, out)?;
    write_attempts(report, out)?;
    writeln!(out, "                       p50        p90        p99      p99.9        max")?;
    write_latency("send delay", &report.send_delay_ms, out)?;
    write_latency("ack", &report.ack_ms, out)?;
    match &report.visible_lag_ms {
        Some(lag) => write_latency("visible", lag, out)?,
        None => writeln!(out, "  NO --lake: neither the visible lag nor loss, duplicates or order were checked")?,
    }
    if let Some(unseen) = report.unseen_at_deadline.filter(|unseen| *unseen > 0) {
        writeln!(out, "  {unseen} acknowledged events were not seen; they count as visible at the deadline or later")?;
    }
    if let Some(findings) = &report.verification {
        write_findings(findings, out)?;
    }
    write_reader(report, out)?;
    let host = &report.host;
    writeln!(
        out,
        "  generator     {:.1} s of processor time, {:.0} % of a core",
        host.loadgen_cpu_s,
        host.loadgen_cpu_share * 100.0
    )?;
    write_verdict(report, out)
}

fn write_log(report: &Report, out: &mut String) -> std::fmt::Result {
    let Some(log) = &report.replayed else { return Ok(()) };
    writeln!(out, "  log           {:>10} lines of {}", log.lines, log.file)?;
    if log.unparsed > 0 {
        writeln!(out, "  unparsed      {:>10} lines", log.unparsed)?;
        for (reason, count) in &log.unparsed_reasons {
            writeln!(out, "    {count} because {reason}")?;
        }
        for example in &log.unparsed_examples {
            writeln!(out, "    {example}")?;
        }
        if log.unparsed > log.unparsed_examples.len() as u64 {
            writeln!(out, "    ... all of them in {} of --report DIR", super::replayed::UNPARSED_FILE)?;
        }
    }
    Ok(())
}

fn write_refusals(report: &Report, out: &mut String) -> std::fmt::Result {
    for (code, refusal) in report.refused.iter() {
        writeln!(out, "    {} {code}", refusal.events)?;
        for example in &refusal.examples {
            writeln!(out, "      {}: {}", example.event_id, example.message)?;
        }
    }
    Ok(())
}

fn write_attempts(report: &Report, out: &mut String) -> std::fmt::Result {
    let attempts: u64 = report.attempts.values().sum();
    let kinds: Vec<String> = report.attempts.iter().map(|(how, count)| format!("{count} {how}")).collect();
    writeln!(out, "  requests      {attempts:>10}         {}", kinds.join(", "))
}

fn write_latency(name: &str, percentiles: &Percentiles, out: &mut String) -> std::fmt::Result {
    let Percentiles { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms, negative } = percentiles;
    write!(
        out,
        "  {name:<12}{p50_ms:>9.1}  {p90_ms:>9.1}  {p99_ms:>9.1}  {p999_ms:>9.1}  {max_ms:>9.1} ms of {count}"
    )?;
    match negative {
        0 => writeln!(out),
        _ => writeln!(out, ", {negative} ended before they began"),
    }
}

fn write_findings(findings: &Findings, out: &mut String) -> std::fmt::Result {
    let Findings { files, rows, rows_of_others, duplicated_resent, .. } = findings;
    writeln!(out, "  lake          {rows:>10} rows of this run, {rows_of_others} of others, in {files} files")?;
    let wrong: Vec<_> = findings.failures().into_iter().filter(|(_, finding)| finding.count > 0).collect();
    if wrong.is_empty() {
        writeln!(out, "  verified      nothing missing, duplicated, reordered or foreign; the files tile the log")?;
    }
    for (name, finding) in wrong {
        writeln!(out, "  WRONG         {:>10} {name}", finding.count)?;
        for example in &finding.examples {
            writeln!(out, "    {example}")?;
        }
    }
    if duplicated_resent.count > 0 {
        let count = duplicated_resent.count;
        writeln!(out, "  repeated      {count:>10} rows of events that were sent again after an unclear outcome")?;
    }
    Ok(())
}

fn write_reader(report: &Report, out: &mut String) -> std::fmt::Result {
    let Some(reader) = &report.reader else { return Ok(()) };
    for (path, why) in &reader.torn {
        writeln!(out, "  TORN          {path}: {why}")?;
    }
    if let Some(error) = &reader.last_listing_error {
        writeln!(out, "  {} listings of the lake failed, the last one: {error}", reader.listing_errors)?;
    }
    Ok(())
}

fn write_verdict(report: &Report, out: &mut String) -> std::fmt::Result {
    let verdict = match report.verdict {
        Verdict::Pass => return writeln!(out, "PASS"),
        Verdict::SloMissed => "SLO MISSED",
        Verdict::VerificationFailed => "VERIFICATION FAILED",
        Verdict::GeneratorBound => {
            "GENERATOR-BOUND: the generator was too slow, its figures say nothing about the system"
        }
    };
    writeln!(out, "{verdict}: {}", report.reasons.join("; "))
}
