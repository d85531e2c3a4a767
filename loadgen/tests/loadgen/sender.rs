//! The sender against a gateway that fails.
use std::sync::Arc;
use std::time::Duration;

use loadgen::arrival::{Clock, Schedule};
use loadgen::ledger::{Ledger, Users};
use loadgen::reader::{Footer, Found, Row};
use loadgen::sender::{Sender, Sent, Settings, Target};
use loadgen::tally::Tallies;
use loadgen::traffic::{Batching, Plan, Planned};
use loadgen::verify::{Findings, Verifier};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::gateway::{Gateway, Log, Mood};

const EVENTS: u64 = 2_000;

fn settings() -> Settings {
    Settings {
        connections: 16,
        request_timeout: Duration::from_secs(60),
        deadline: Duration::from_secs(120),
        coalesced_max: 50,
        closed_loop: false,
        seed: 1,
    }
}

/// Sends a seeded stream of few users, so that they get in each other's way, to a gateway.
async fn send(address: std::net::SocketAddr, seed: u64, settings: Settings) -> (Ledger, Sent) {
    let plan = Plan {
        run: "run".to_owned(),
        seed,
        users: 40,
        zipf: 1.0,
        batching: Batching::Mix,
        schedule: Schedule::new(3_000.0, EVENTS),
    };
    let clock = Clock::started_now();
    let ledger = Arc::new(Mutex::new(Ledger::new("run", Users::Numbered("u".to_owned()))));
    let target = Target::parse(&format!("http://{address}")).unwrap();
    let tallies = Arc::new(Tallies::default());
    let sender = Sender::new(Planned::new(&plan, &clock), target, settings, clock, Arc::clone(&ledger), tallies);
    let sent = sender.run(CancellationToken::new()).await;
    (Arc::into_inner(ledger).unwrap().into_inner(), sent)
}

/// Judges what the gateway took as if each event were a file of its own.
fn judge(ledger: &Ledger, log: &Log) -> Findings {
    let mut verifier = Verifier::new(ledger);
    for (offset, (event_id, user_key)) in log.lock().iter().enumerate() {
        let start = offset as u64;
        verifier.begin_file(&Found { topic: "t".to_owned(), partition: 0, start, path: event_id.clone() });
        verifier.row(&Row { event_id, user_key, partition: 0, offset: offset as i64 });
        let footer =
            Footer { start: Some(start), next: Some(start + 1), rows: Some(1), rows_found: 1, ..Footer::default() };
        verifier.end_file(Ok(footer));
    }
    verifier.finish()
}

/// In every mood that leaves a way out, all events are acknowledged in the end, in order, and only what was sent again
/// after an unclear outcome is there more than once.
async fn check(moods: &[Mood], repeats: bool) -> (Ledger, Sent) {
    let seed = seed();
    let gateway = Gateway::start(seed, moods).await;
    // Where nothing hangs, a machine that is slow must not look like a server that does.
    let hangs = moods.contains(&Mood::TakesAndHangs);
    let request_timeout = if hangs { Duration::from_millis(100) } else { settings().request_timeout };
    let (ledger, sent) = send(gateway.address, seed, Settings { request_timeout, ..settings() }).await;
    let tally = ledger.tally();
    assert_eq!(tally.ok, EVENTS, "{moods:?}, seed {seed}: {tally:?} {:?}", sent.attempts);
    let findings = judge(&ledger, &gateway.log);
    assert!(findings.passed(), "{moods:?}, seed {seed}: {findings:#?}");
    assert_eq!(findings.duplicated_resent.count > 0, repeats, "{moods:?}, seed {seed}: {:?}", sent.attempts);
    assert_eq!(sent.ack.count(), EVENTS);
    (ledger, sent)
}

/// Printed when a test fails.
fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[tokio::test]
async fn a_good_gateway_gets_everything_once() {
    let (_, sent) = check(&[Mood::Good], false).await;
    assert_eq!(sent.attempts.keys().collect::<Vec<_>>(), ["200"]);
    assert!(sent.send_delay.count() > 0);
}

#[tokio::test]
async fn certain_refusals_are_sent_again_and_repeat_nothing() {
    check(&[Mood::Good, Mood::Overloaded], false).await;
    check(&[Mood::Good, Mood::Good, Mood::FailsSuffix], false).await;
}

#[tokio::test]
async fn lost_answers_are_sent_again_in_order() {
    check(&[Mood::Good, Mood::Good, Mood::Good, Mood::TakesAndCloses, Mood::Closes], true).await;
}

#[tokio::test]
async fn a_hung_server_costs_time_and_no_order() {
    check(&[Mood::Good, Mood::Good, Mood::Good, Mood::TakesAndHangs], true).await;
}

#[tokio::test]
async fn unclear_and_nonsensical_answers_are_sent_again() {
    check(&[Mood::Good, Mood::Good, Mood::UnclearSuffix], true).await;
    check(&[Mood::Good, Mood::Good, Mood::Good, Mood::UnclearAll, Mood::Garbles], true).await;
}

#[tokio::test]
async fn all_moods_at_once() {
    use Mood::{
        Closes, FailsSuffix, Garbles, Good, Overloaded, TakesAndCloses, TakesAndHangs, UnclearAll, UnclearSuffix,
    };
    let all = [
        Good,
        Good,
        Good,
        Good,
        Good,
        Good,
        Good,
        Good,
        Overloaded,
        TakesAndCloses,
        Closes,
        TakesAndHangs,
        FailsSuffix,
        UnclearSuffix,
        Garbles,
        UnclearAll,
    ];
    check(&all, true).await;
}

#[tokio::test]
async fn a_killed_gateway_is_waited_for() {
    let seed = seed();
    let gateway = Gateway::start(seed, &[Mood::Good]).await;
    let sending = tokio::spawn(send(gateway.address, seed, settings()));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (address, log) = gateway.kill().await;
    let outage_ms = 300;
    tokio::time::sleep(Duration::from_millis(outage_ms)).await;
    let gateway = Gateway::restart(address, log, seed, &[Mood::Good]).await;
    let (ledger, sent) = sending.await.unwrap();
    assert_eq!(ledger.tally().ok, EVENTS, "seed {seed}: {:?}", sent.attempts);
    assert!(sent.attempts.contains_key("not sent: connection refused"), "{:?}", sent.attempts);
    // Latency counts from the due time, so the outage is in it and not hidden by waiting.
    assert!(sent.ack.percentiles().max_ms >= outage_ms as f64 * 0.9, "{:?}", sent.ack.percentiles());
    let findings = judge(&ledger, &gateway.log);
    assert!(findings.passed(), "seed {seed}: {findings:#?}");
}

#[tokio::test]
async fn events_refused_for_good_fail_and_are_not_sent_again() {
    let seed = seed();
    let gateway = Gateway::start(seed, &[Mood::Good, Mood::RefusesSome]).await;
    let (ledger, sent) = send(gateway.address, seed, settings()).await;
    let tally = ledger.tally();
    assert!(tally.fail > 0 && tally.ok + tally.fail == EVENTS, "seed {seed}: {tally:?}");
    let (code, refusal) = sent.refused.iter().next().unwrap();
    assert_eq!((code, refusal.events, sent.refused.events()), ("invalid_event", tally.fail, tally.fail));
    assert_eq!(refusal.examples[0].message, "on purpose");
    assert!(judge(&ledger, &gateway.log).passed());
}

#[tokio::test]
async fn at_the_deadline_what_hangs_is_unknown_and_the_sender_ends() {
    let seed = seed();
    let gateway = Gateway::start(seed, &[Mood::TakesAndHangs]).await;
    let hasty =
        Settings { deadline: Duration::from_millis(200), request_timeout: Duration::from_secs(60), ..settings() };
    let (ledger, sent) = send(gateway.address, seed, hasty).await;
    let tally = ledger.tally();
    assert!(tally.unknown > 0 && tally.unsent > 0, "seed {seed}: {tally:?}");
    assert_eq!((tally.ok, tally.fail, tally.unknown + tally.unsent), (0, 0, EVENTS));
    assert!(sent.gave_up.unwrap().contains("deadline"));
    assert!(judge(&ledger, &gateway.log).passed(), "unknown events may be there");
}

#[tokio::test]
async fn at_the_deadline_what_was_refused_has_failed() {
    let seed = seed();
    let gateway = Gateway::start(seed, &[Mood::Overloaded]).await;
    let hasty = Settings { deadline: Duration::from_millis(200), ..settings() };
    let (ledger, _) = send(gateway.address, seed, hasty).await;
    let tally = ledger.tally();
    // What was on the wire at that very moment is unknown.
    assert!(tally.ok == 0 && tally.fail > 0, "seed {seed}: {tally:?}");
    assert_eq!(tally.fail + tally.unsent + tally.unknown, EVENTS, "seed {seed}: {tally:?}");
    assert!(judge(&ledger, &gateway.log).passed());
}

#[tokio::test]
async fn a_gateway_that_lies_is_found_out() {
    let seed = seed();
    let gateway = Gateway::start(seed, &[Mood::Good, Mood::Lies]).await;
    let (ledger, _) = send(gateway.address, seed, settings()).await;
    assert_eq!(ledger.tally().ok, EVENTS);
    let findings = judge(&ledger, &gateway.log);
    assert!(findings.missing.count > 0 && !findings.passed(), "seed {seed}");
}
