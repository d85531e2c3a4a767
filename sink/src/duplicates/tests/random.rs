//! For all logs, windows, cuts, kills, faults and limits of memory: the rows are those of a model that knows everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use object_store::ObjectStore;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::lake;
use crate::{
    config::DuplicatesSettings,
    testing::{Fault, Faulty, Logged, conduct_with, logged_from, policy, read_chain, resume_point},
};

const RECORDS: usize = 300;
/// Seeds of one run; more of them with `FOOTFALL_TEST_SEEDS`.
const SEEDS: u64 = 8;
const SECOND: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_of_a_model_that_knows_everything() {
    let seeds = std::env::var("FOOTFALL_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let first: u64 = rand::rng().random_range(0..1_000_000);
    for seed in first..first + seeds {
        println!("seed {seed}");
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (lake, log) = (lake(), Arc::new(random_log(&mut random)));
    let settings = DuplicatesSettings {
        window: Duration::from_secs(random.random_range(0..120)),
        memory_bytes_max: if random.random_range(0..3) == 0 { 4096 } else { usize::MAX },
    };
    let writers = (0..2).map(|_| restarting(random.random(), lake.clone(), log.clone(), settings.clone()));
    for writer in writers.map(tokio::spawn).collect::<Vec<_>>() {
        writer.await.expect("no writer fails");
    }
    let mut resume = resume_point(&lake).await;
    while resume.next < log.len() as u64 {
        let start = resume.next;
        conduct_with(lake.clone(), resume, policy(50), settings.clone()).feed(&log, start, || 20).await;
        resume = resume_point(&lake).await;
    }
    check(&lake, &log, &settings, seed).await;
}

/// Ids come again after a while, from the same source or another, by the same user or another.
fn random_log(random: &mut StdRng) -> Vec<Logged> {
    let mut now = 0;
    let record = |_| {
        now += random.random_range(-SECOND..2 * SECOND);
        let (id, source) = (random.random_range(0..RECORDS), random.random_range(0..4) / 3);
        let user = if random.random_range(0..4) == 0 { 9 } else { id % 5 };
        logged_from(["web", "app"][source], &format!("e{id}"), &format!("user-{user}"), now)
    };
    (0..RECORDS).map(record).collect()
}

/// A writer that is killed and started again a few times, on a store that fails now and then.
async fn restarting(seed: u64, lake: Arc<dyn ObjectStore>, log: Arc<Vec<Logged>>, settings: DuplicatesSettings) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..4 {
        let fault = |seed: u64| {
            let mut random = StdRng::seed_from_u64(seed);
            move |_: &object_store::path::Path| match random.random_range(0..12) {
                0 => Fault::Refused,
                1 => Fault::LostReply,
                2 => Fault::Conflict,
                _ => Fault::None,
            }
        };
        let store = Faulty::puts(&lake, fault(random.random())).and_gets(fault(random.random()));
        let resume = resume_point(&lake).await;
        let start = resume.next;
        let partition = conduct_with(Arc::new(store), resume, policy(random.random_range(3..40)), settings.clone());
        let (revoked, life) = (partition.revoked.clone(), Duration::from_millis(random.random_range(1..60)));
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            revoked.cancel();
        });
        partition.feed(&log, start, || 20).await;
    }
}

/// The rule as the module states it, over all rows of all earlier files.
async fn check(lake: &Arc<dyn ObjectStore>, log: &[Logged], settings: &DuplicatesSettings, seed: u64) {
    let window_us = i64::try_from(settings.window.as_micros()).expect("a short window");
    // Start -> (running maximum at the end, ids of the rows).
    let mut earlier: BTreeMap<u64, (i64, BTreeSet<(String, String)>)> = BTreeMap::new();
    let mut running_max = i64::MIN;
    for (footer, rows) in read_chain(lake.as_ref()).await {
        let covered =
            usize::try_from(footer.start_offset).expect("short")..usize::try_from(footer.next_offset).expect("short");
        let opened = running_max.max(log[covered.start].timestamp_us);
        let is_near = |(end, _): &(i64, _)| window_us > 0 && *end >= opened.saturating_sub(window_us);
        let near = earlier.iter().find(|(_, file)| is_near(file)).map_or(footer.start_offset, |(start, _)| *start);
        if settings.memory_bytes_max == usize::MAX {
            assert_eq!(footer.duplicates_since, near, "seed {seed}: file of {covered:?}");
        }
        assert!(footer.duplicates_since >= near, "seed {seed}: file of {covered:?}");
        let (mut ids, mut offsets, mut across) = (BTreeSet::new(), BTreeSet::new(), 0);
        for offset in covered.clone() {
            running_max = running_max.max(log[offset].timestamp_us);
            let event = event::decode(log[offset].value.as_deref().expect("a value")).expect("an event");
            let id = (event.source.to_owned(), event.event_id.to_owned());
            let is_held = earlier.range(footer.duplicates_since..).any(|(_, (_, ids))| ids.contains(&id));
            if ids.insert(id) {
                across += u64::from(is_held);
                offsets.extend((!is_held).then_some(offset as u64));
            }
        }
        let seen: BTreeSet<u64> = rows.iter().map(|(offset, _, _)| *offset).collect();
        assert_eq!(seen, offsets, "seed {seed}: file of {covered:?}");
        let all = covered.len() as u64 - footer.rows;
        assert_eq!((footer.duplicates, footer.duplicates_across_files), (all, across), "seed {seed}: {covered:?}");
        let row_id = |offset: &u64| {
            let value = log[usize::try_from(*offset).expect("short")].value.as_deref().expect("a value");
            let event = event::decode(value).expect("an event");
            (event.source.to_owned(), event.event_id.to_owned())
        };
        earlier.insert(footer.start_offset, (running_max, offsets.iter().map(row_id).collect()));
        assert_eq!(footer.running_max_timestamp_us, running_max);
    }
}
