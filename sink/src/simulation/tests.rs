//! Whatever happens, the promises hold; and where the product is broken on purpose, the simulation sees it.
//!
//! `FOOTFALL_TEST_SEED` replays one history and prints it; `FOOTFALL_TEST_HISTORIES` says how many run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rand::RngExt;

use super::{
    Bug,
    history::{Told, run},
    invariants::Invariant,
};

/// Histories of one run, and the time after which no more begin.
const HISTORIES: u64 = 600;
const TIME_MAX: Duration = Duration::from_secs(20);
/// A planted bug must be found in so many.
const HISTORIES_TO_FIND: u64 = 100;
/// What must have happened in a run that is to show anything.
const KINDS: [&str; 8] = ["kill", "zombie", "expel", "revoke", "rewind", "retention", "outage", "offsets"];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// Runs a history that must go well.
#[track_caller]
fn check(seed: u64) -> Told {
    let told = run(seed, None);
    if let Some(violation) = &told.violation {
        panic!("FOOTFALL_TEST_SEED={seed} replays it\n{}\n{violation}", told.lines.join("\n"));
    }
    told
}

#[test]
fn every_history_keeps_the_promises() {
    if let Some(seed) = number("FOOTFALL_TEST_SEED") {
        println!("{}", check(seed).lines.join("\n"));
        return;
    }
    let histories = number("FOOTFALL_TEST_HISTORIES");
    let first: u64 = rand::rng().random_range(0..u64::MAX / 2);
    let (started, mut counts, mut done) = (Instant::now(), BTreeMap::new(), 0);
    println!("histories from seed {first}");
    while done < histories.unwrap_or(HISTORIES) && (histories.is_some() || started.elapsed() < TIME_MAX) {
        for (kind, count) in check(first + done).counts {
            *counts.entry(kind).or_insert(0) += count;
        }
        done += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    let absent = KINDS.iter().find(|kind| !counts.contains_key(*kind));
    assert!(done < 100 || absent.is_none(), "no {absent:?} in {done} histories");
    println!("{done} histories in {seconds:.1} s, {:.0} a minute: {counts:?}", done as f64 / seconds * 60.0);
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..5 {
        let (one, other) = (check(seed), check(seed));
        let parted = one.lines.iter().zip(&other.lines).find(|(one, other)| one != other);
        assert_eq!((one.trace, parted), (other.trace, None), "seed {seed}");
        assert_ne!(one.trace, check(seed + 5).trace);
    }
}

/// Each bug is found by one of the first histories; `broken` is the promise that it breaks there.
#[test]
fn every_planted_bug_is_found() {
    #[track_caller]
    fn check(bug: Bug, broken: &[Invariant]) {
        let found = (0..HISTORIES_TO_FIND).find_map(|seed| Some((seed, run(seed, Some(bug)).violation?)));
        let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: found by seed {seed}: {violation}");
        assert!(broken.contains(&violation.invariant), "{bug:?}, seed {seed}: {violation}");
        assert_eq!(run(seed, None).violation, None, "{bug:?}, seed {seed}: only the bug is to blame");
    }
    check(Bug::StoreOverwrites, &[Invariant::OneWinner]);
    // Who looks for duplicates may meet the hole before anybody else sees it, and stops.
    check(Bug::AdoptsUnread, &[Invariant::Tiling, Invariant::NoFailure]);
    check(Bug::SkipsRuleA, &[Invariant::Tiling, Invariant::NoFailure]);
    check(Bug::ResumesFromCommitted, &[Invariant::Tiling, Invariant::NoFailure]);
    check(Bug::BelievesLists, &[Invariant::NoFailure]);
    check(Bug::KeepsBuffer, &[Invariant::Tiling, Invariant::NoFailure]);
    check(Bug::SortsUnstably, &[Invariant::Order]);
    check(Bug::ForgetsAtTakeover, &[Invariant::ExactlyOnce]);
}
