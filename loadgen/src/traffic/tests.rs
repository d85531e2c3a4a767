use std::collections::HashMap;
use std::time::Duration;

use super::payload::{Context, write};
use super::*;
use crate::arrival::{Clock, Schedule};
use crate::ledger::{Ledger, Users};
use crate::offer::{Item, Load, Next, Offer};

fn payloads(seed: u64, events: usize) -> Vec<u8> {
    let context = Context { run: "golden".to_owned(), start_unix_us: 1_767_323_045_000_000 };
    let mut traffic = Traffic::new(seed, 1_000, 0.9, 100.0);
    let mut ledger = Ledger::new("golden", Users::Numbered("u".to_owned()));
    let mut out = Vec::new();
    for n in 0..events {
        let (user, event) = traffic.next_visit();
        let due_us = n as u64 * 10_000;
        write(&context, &Item { id: ledger.add(user, due_us), due_us, event }, &mut out);
        out.push(b'\n');
    }
    out
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The bytes of a seed may only change on purpose: results of two versions could not be compared otherwise.
#[test]
fn bytes_of_a_seed_stay() {
    assert_eq!(
        fingerprint(&payloads(7, 10_000)),
        16_353_446_599_753_816_236,
        "the traffic of seed 7 is not what it was"
    );
}

#[test]
fn another_seed_gives_another_stream() {
    assert_eq!(payloads(1, 100), payloads(1, 100));
    assert_ne!(payloads(1, 100), payloads(2, 100));
}

#[test]
fn every_payload_is_json_with_what_a_gateway_needs() {
    let bytes = payloads(3, 2_000);
    let (mut views, mut clicks) = (0, 0);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event: serde_json::Value = serde_json::from_slice(line).unwrap();
        match event["type"].as_str().unwrap() {
            "page_view" => views += 1,
            "click" => clicks += 1,
            other => panic!("{other} is neither a page view nor a click"),
        }
        assert!(event["user_id"].as_str().unwrap().starts_with('u'));
        assert_eq!(event["properties"]["run"], "golden");
        event["event_time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    assert!(views > 700 && clicks > 700, "{views} page views and {clicks} clicks are no mix");
}

#[test]
fn popularity_follows_zipf() {
    let mut traffic = Traffic::new(11, 1_000, 1.0, 1_000.0);
    let mut events: HashMap<u32, u32> = HashMap::new();
    for _ in 0..200_000 {
        *events.entry(traffic.next_visit().0).or_default() += 1;
    }
    // The weight of user 0 of 1,000 is 1 / H(1000) = 13.4 %, that of user 9 a tenth of it.
    let share = |user: u32| f64::from(events[&user]) / 200_000.0;
    assert!((0.11..0.16).contains(&share(0)), "{}", share(0));
    assert!((0.010..0.018).contains(&share(9)), "{}", share(9));
}

#[test]
fn sessions_begin_with_a_page_view_and_clicks_lead_to_pages() {
    let mut traffic = Traffic::new(5, 50, 0.5, 20.0);
    let mut last: HashMap<u32, Visit> = HashMap::new();
    for _ in 0..20_000 {
        let (_, visit) = traffic.next_visit();
        match last.insert(visit.session, visit) {
            None => assert_eq!(visit.action, Action::PageView),
            Some(Visit { action: Action::Click, other, page, .. }) => match visit.action {
                Action::PageView => assert_eq!((visit.page, visit.other), (other, page)),
                Action::Click => assert_eq!(visit.page, page),
            },
            Some(before) if visit.action == Action::Click => assert_eq!(visit.page, before.page),
            Some(before) => assert_eq!(visit.other, before.page),
        }
    }
}

#[test]
fn a_plan_offers_every_event_at_its_time_and_does_not_wait_for_answers() {
    let plan = Plan {
        run: "r".to_owned(),
        seed: 1,
        users: 10,
        zipf: 0.0,
        batching: Batching::Mix,
        schedule: Schedule::lasting(1_000.0, Duration::from_secs(2)),
    };
    let mut planned = Planned::new(&plan, &Clock::started_now());
    let busy = Load { free: 0, waiting: 1_000_000 };
    let (mut now_us, mut events) = (0, 0);
    loop {
        match planned.next(now_us, busy) {
            Next::Batch(batch) => {
                assert_eq!(batch.due_us, plan.schedule.due_us(events));
                events += batch.events.len() as u64;
            }
            Next::At(at_us) => {
                assert!(at_us > now_us);
                // The sender comes late, as it does on a busy machine: what is due stays due when it was.
                now_us = at_us + 33_333;
            }
            Next::Later => panic!("an open loop waits for nobody"),
            Next::End => break,
        }
    }
    assert_eq!(events, 2_000);
}

#[test]
fn batch_is_a_number_or_mix() {
    assert_eq!("mix".parse(), Ok(Batching::Mix));
    assert_eq!("100".parse(), Ok(Batching::Fixed(100)));
    for wrong in ["0", "-1", "10001", "", "some"] {
        assert!(wrong.parse::<Batching>().is_err(), "{wrong}");
    }
}
