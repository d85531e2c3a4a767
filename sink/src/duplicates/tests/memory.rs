//! The memory, without a lake.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::duplicates::{
    memory::{FILES_MAX, Recent, Span},
    sieve::Id,
};

fn span(n: u64) -> Span {
    Span { start: n, running_max_us: i64::try_from(n).expect("few files") }
}

fn sorted(mut hashes: Vec<u64>) -> Vec<u64> {
    hashes.sort_unstable();
    hashes
}

/// (file, row) of all that the memory suggests.
fn found(recent: &Recent, hashes: &[u64], since: i64) -> Vec<(u64, u32)> {
    let mut ids: Vec<Id> = (0..).zip(hashes).map(|(row, hash)| Id { hash: *hash, row }).collect();
    ids.sort_unstable();
    recent.find(&ids, since).0.into_iter().map(|suspect| (suspect.file, suspect.row)).collect()
}

/// For all files and ids: what is there is found, where it is, and what is not there is not.
#[test]
fn every_id_is_found_in_its_file_and_no_other() {
    let seed: u64 = rand::rng().random_range(0..1_000_000);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let files: Vec<Vec<u64>> =
        (0..2 * FILES_MAX + 77).map(|_| (0..random.random_range(0..60)).map(|_| random.random()).collect()).collect();
    let mut recent = Recent::default();
    let loaded = random.random_range(0..=FILES_MAX);
    let older = (0..).zip(&files[..loaded]).map(|(n, hashes)| (span(n), hashes.clone())).collect();
    recent.push_front(older);
    for (n, hashes) in (0..).zip(&files).skip(loaded) {
        recent.push(span(n), sorted(hashes.clone()));
    }
    for (n, hashes) in (0..).zip(&files) {
        let expected: Vec<(u64, u32)> = (0..).zip(hashes).map(|(row, _)| (n, row)).collect();
        assert_eq!(found(&recent, hashes, 0), expected, "seed {seed}: file {n}");
        assert!(
            found(&recent, hashes, i64::try_from(n).expect("few") + 1).is_empty(),
            "seed {seed}: out of the window"
        );
    }
    let others: Vec<u64> = (0..1000).map(|_| random.random()).collect();
    assert!(found(&recent, &others, 0).len() < 3, "seed {seed}: hardly ever by chance");
}

#[test]
fn an_id_of_several_files_is_suspected_in_each() {
    let mut recent = Recent::default();
    for n in 0..5 {
        recent.push(span(n), vec![u64::MAX, u64::MAX]);
    }
    assert_eq!(found(&recent, &[u64::MAX, 0], 3), [(3, 0), (3, 0), (4, 0), (4, 0)]);
}

#[test]
fn a_search_looks_into_few_segments_and_an_id_takes_few_bytes() {
    let mut random = StdRng::seed_from_u64(1);
    let mut recent = Recent::default();
    let mut ids = 0;
    for n in 0..4 * FILES_MAX as u64 + 255 {
        recent.push(span(n), sorted((0..400).map(|_| random.random()).collect()));
        ids += 400;
    }
    assert_eq!(recent.segments(), 4 + 8, "four tables, and a run for each bit of 255");
    assert!(recent.bytes() < ids * 6, "{} bytes for {ids} ids", recent.bytes());
    recent.forget_before(2 * FILES_MAX as i64);
    assert_eq!(recent.segments(), 2 + 8, "only whole segments are forgotten");
}
