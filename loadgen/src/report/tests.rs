use super::*;
use crate::arrival::Clock;
use crate::latency::Latency;
use crate::ledger::{Ledger, Outcome, Users};
use crate::reader::Watched;
use crate::sender::Sent;
use crate::verify::Finding;

fn asked() -> Asked {
    Asked {
        command: vec!["footfall-loadgen".to_owned(), "run".to_owned()],
        run: "r".to_owned(),
        seed: Some(7),
        target: "http://127.0.0.1:8080".to_owned(),
        lake: Some("file:///lake".to_owned()),
        offered_per_s: Some(10.0),
        goals: Goals {
            ack_p99: Some(Duration::from_millis(500)),
            visible_p99: Some(Duration::from_millis(2_500)),
            send_delay_p99: Some(Duration::from_millis(100)),
        },
    }
}

/// Ten acknowledged events, all in time, all there.
fn good() -> Measured {
    let mut ledger = Ledger::new("r", Users::Numbered("u".to_owned()));
    let mut sent = Sent { last_sent_us: 900_000, last_ack_us: 910_000, ..Sent::default() };
    let mut watched = Watched { files: 1, ..Watched::default() };
    for n in 0..10 {
        let id = ledger.add(0, n * 100_000);
        ledger.record(id.number, Outcome::Ok);
        ledger.see(id);
        sent.send_delay.record(0, 1_000);
        sent.ack.record(0, 10_000);
        watched.visible.record(0, 1_000_000);
    }
    Measured {
        ledger,
        sent,
        watched: Some(watched),
        unseen: 0,
        findings: Some(Findings::default()),
        clock: Clock::started_now(),
        ended_us: 3_000_000,
    }
}

/// Spoils a good run and expects this verdict, and a reason that holds this text.
#[track_caller]
fn check(spoil: impl FnOnce(&mut Measured), verdict: Verdict, reason: &str) {
    let mut measured = good();
    spoil(&mut measured);
    let report = Report::new(asked(), measured, None);
    assert_eq!(report.verdict, verdict, "{:?}", report.reasons);
    assert_eq!(report.exit_code, verdict.code());
    assert!(report.reasons.iter().any(|given| given.contains(reason)) || reason.is_empty(), "{:?}", report.reasons);
    let summary = summary(&report);
    let last = summary.lines().last().unwrap();
    assert!(last.contains(reason), "{last}");
    assert_eq!(last == "PASS", verdict == Verdict::Pass, "{last}");
}

fn slow(ms: u64) -> Latency {
    let mut latency = Latency::default();
    latency.record(0, ms * 1_000);
    latency
}

#[test]
fn loss_weighs_more_than_a_slow_generator_and_that_more_than_a_missed_goal() {
    let loses = |measured: &mut Measured| {
        let missing = Finding { count: 2, examples: vec!["r-0-0-0".to_owned()] };
        measured.findings = Some(Findings { missing, ..Findings::default() });
    };
    let delays = |measured: &mut Measured| measured.sent.send_delay = slow(101);
    let misses = |measured: &mut Measured| measured.watched.as_mut().unwrap().visible = slow(2_600);
    check(|_| {}, Verdict::Pass, "");
    check(misses, Verdict::SloMissed, "visible p99 is 2601.0 ms, over 2500 ms");
    check(|measured| measured.sent.ack = slow(501), Verdict::SloMissed, "ack p99");
    check(|measured| (misses(measured), delays(measured)).0, Verdict::GeneratorBound, "send delay p99");
    check(|measured| (misses(measured), loses(measured)).0, Verdict::VerificationFailed, "2 missing");
    check(|measured| (delays(measured), loses(measured)).0, Verdict::VerificationFailed, "2 missing");
}

#[test]
fn unacknowledged_events_and_torn_files_are_no_pass() {
    check(|measured| measured.ledger.record(3, Outcome::Unknown), Verdict::SloMissed, "1 events were not acknowledged");
    let tear = |measured: &mut Measured| {
        measured.watched.as_mut().unwrap().torn.insert("f".to_owned(), "half".to_owned());
    };
    check(tear, Verdict::VerificationFailed, "1 files could be seen before they were whole");
}

#[test]
fn without_a_lake_the_summary_says_what_was_not_checked() {
    let mut measured = good();
    (measured.watched, measured.findings) = (None, None);
    let report = Report::new(asked(), measured, None);
    assert!(summary(&report).contains("NO --lake"));
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["visible_lag_ms"].is_null() && json["verification"].is_null());
}

#[test]
fn rates_are_over_the_time_of_sending() {
    let report = Report::new(asked(), good(), None);
    assert!((report.rates.achieved_per_s - 10.0).abs() < 0.01, "{:?}", report.rates);
}

#[test]
fn report_is_json_of_version_1_with_the_figures_that_scripts_read() {
    let folder = tempfile::tempdir().unwrap();
    Report::new(asked(), good(), None).write(folder.path()).unwrap();
    let text = std::fs::read(folder.path().join(REPORT_FILE)).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["schema"], "footfall-loadgen-report/1");
    assert_eq!(json["verdict"], "pass");
    for pointer in [
        "/asked/seed",
        "/events/ok",
        "/events/unknown",
        "/rates/achieved_per_s",
        "/ack_ms/p99_ms",
        "/send_delay_ms/p99_ms",
        "/visible_lag_ms/max_ms",
        "/verification/missing/count",
        "/verification/duplicated/count",
        "/verification/reordered/count",
        "/verification/phantom/count",
        "/host/cores",
        "/exit_code",
    ] {
        assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer} is no number");
    }
}
