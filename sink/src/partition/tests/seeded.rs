//! For all logs, cuts, faults and kills: concat(files) = log.
//!
//! Two writers, each killed and restarted at random, write one log through stores that fail at random; at the end one
//! clean writer finishes. Then every record is one row, one dead letter or a duplicate of an earlier one, the files tile
//! the log, and each user's rows stand in log order.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use object_store::{ObjectStore, path::Path};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::memory;
use crate::testing::{Fault, Faulty, Logged, conduct, good_log, policy, read_chain, read_dead_letters, resume_point};

const RECORDS: usize = 300;
/// Seeds of one run; more of them with `FOOTFALL_TEST_SEEDS`.
const SEEDS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_together_are_the_log_whatever_fails() {
    let seeds = std::env::var("FOOTFALL_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let first: u64 = rand::rng().random_range(0..1_000_000);
    for seed in first..first + seeds {
        println!("seed {seed}");
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let (lake, log) = (memory(), Arc::new(random_log(seed)));
    let writers = (1..=2).map(|writer| tokio::spawn(restarting(seed * 10 + writer, lake.clone(), log.clone())));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no writer fails");
    }
    // A clean writer may still lose a create to a late PUT of a killed one, also its last; the next one goes on.
    let mut resume = resume_point(&lake).await;
    while resume.next < log.len() as u64 {
        let start = resume.next;
        conduct(lake.clone(), resume, policy(50)).feed(&log, start, || 20).await;
        resume = resume_point(&lake).await;
    }
    // Late PUTs of killed writers arrive, and change nothing.
    tokio::time::sleep(Duration::from_millis(40)).await;
    check(&lake, &log, seed).await;
}

/// A writer that is killed and started again a few times.
async fn restarting(seed: u64, lake: Arc<dyn ObjectStore>, log: Arc<Vec<Logged>>) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..4 {
        let store = Faulty::puts(&lake, faults(random.random())).and_gets(read_faults(random.random()));
        let resume = resume_point(&lake).await;
        let start = resume.next;
        let partition = conduct(Arc::new(store), resume, policy(random.random_range(3..60)));
        let revoked = partition.revoked.clone();
        let life = Duration::from_millis(random.random_range(1..60));
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            revoked.cancel();
        });
        let mut sizes = StdRng::seed_from_u64(random.random());
        partition.feed(&log, start, move || sizes.random_range(1..40)).await;
    }
}

fn faults(seed: u64) -> impl FnMut(&Path) -> Fault + Send + 'static {
    let mut random = StdRng::seed_from_u64(seed);
    move |_| match random.random_range(0..10) {
        0 => Fault::Refused,
        1 => Fault::LostReply,
        2 => Fault::Conflict,
        3 => Fault::Late(Duration::from_millis(random.random_range(0..80))),
        _ => Fault::None,
    }
}

fn read_faults(seed: u64) -> impl FnMut(&Path) -> Fault + Send + 'static {
    let mut random = StdRng::seed_from_u64(seed);
    move |_| if random.random_range(0..10) == 0 { Fault::Refused } else { Fault::None }
}

/// Few users, a bad record and a repetition here and there.
fn random_log(seed: u64) -> Vec<Logged> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut log = good_log(RECORDS);
    for offset in 1..RECORDS {
        match random.random_range(0..20) {
            0 => log[offset].value = Some(vec![0, 1, 2]),
            1 => log[offset] = log[offset - 1].clone(),
            _ => {}
        }
    }
    log
}

async fn check(lake: &Arc<dyn ObjectStore>, log: &[Logged], seed: u64) {
    let letters: BTreeSet<u64> = read_dead_letters(lake.as_ref()).await.into_iter().map(|(offset, _)| offset).collect();
    let (mut next, mut ids) = (0, BTreeSet::new());
    for (footer, rows) in read_chain(lake.as_ref()).await {
        let covered = footer.start_offset..footer.next_offset;
        let mut expected = Vec::new();
        for offset in covered.clone() {
            let value = log[offset as usize].value.as_deref().expect("set in every record");
            match event::decode(value) {
                Err(_) => assert!(letters.contains(&offset), "seed {seed}: offset {offset} is in the dead letters"),
                Ok(event) if ids.insert(event.event_id.to_owned()) => {
                    let user = event.user_key().expect("set in every record").to_owned();
                    expected.push((offset, user, event.event_id.to_owned()));
                }
                Ok(_) => {}
            }
        }
        expected.sort_by(|left, right| (&left.1, left.0).cmp(&(&right.1, right.0)));
        assert_eq!(rows, expected, "seed {seed}: file of {covered:?}");
        next = footer.next_offset;
    }
    assert_eq!(next, log.len() as u64, "seed {seed}: the whole log is covered");
}
