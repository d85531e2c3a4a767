//! The memory, without a lake.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::duplicates::{
    memory::{PACK_FILES, Recent, Span},
    sieve::Id,
};

fn span(n: u64) -> Span {
    Span { start: n, running_max_us: i64::try_from(n).expect("few files") }
}

fn sorted(mut hashes: Vec<u64>) -> Vec<u64> {
    hashes.sort_unstable();
    hashes
}

fn ids(hashes: &[u64]) -> Vec<Id> {
    let mut ids: Vec<Id> = (0..).zip(hashes).map(|(row, hash)| Id { hash: *hash, row }).collect();
    ids.sort_unstable();
    ids
}

/// (file, row) of all that the memory suggests.
fn found(recent: &Recent, hashes: &[u64], since: i64) -> Vec<(u64, u32)> {
    recent.find(&ids(hashes), since).0.into_iter().map(|suspect| (suspect.file, suspect.row)).collect()
}

/// For all files and ids: what is there is found, where it is, and what is not there is not. With few ids tables keep the
/// leading bits of the hashes, with many they do not.
#[test]
fn every_id_is_found_in_its_file_and_no_other() {
    for ids_max in [60, 600] {
        let seed: u64 = rand::rng().random_range(0..1_000_000);
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut file = || (0..random.random_range(0..ids_max)).map(|_| random.random()).collect();
        let files: Vec<Vec<u64>> = (0..2 * PACK_FILES + 77).map(|_| file()).collect();
        let mut recent = Recent::default();
        let loaded = random.random_range(0..=PACK_FILES);
        let older: Vec<(Span, Vec<u64>)> =
            (0..).zip(&files[..loaded]).map(|(n, hashes)| (span(n), hashes.clone())).collect();
        recent.push_front(&older);
        for (n, hashes) in (0..).zip(&files).skip(loaded) {
            recent.push(span(n), sorted(hashes.clone()));
        }
        for (n, hashes) in (0..).zip(&files) {
            let expected: Vec<(u64, u32)> = (0..).zip(hashes).map(|(row, _)| (n, row)).collect();
            assert_eq!(found(&recent, hashes, 0), expected, "seed {seed}: file {n}");
            let after = i64::try_from(n).expect("few") + 1;
            assert!(found(&recent, hashes, after).is_empty(), "seed {seed}: out of the window");
        }
        let others: Vec<u64> = (0..1000).map(|_| random.random()).collect();
        assert!(found(&recent, &others, 0).len() < 3, "seed {seed}: hardly ever by chance");
        let likely = recent.likely(&ids(&others)).len();
        assert!(likely < 70, "seed {seed}: one in 30 may be looked up in the tables, {likely} of 1000 would be");
    }
}

#[test]
fn an_id_of_several_files_is_suspected_in_each() {
    let mut recent = Recent::default();
    for n in 0..5 {
        recent.push(span(n), vec![u64::MAX, u64::MAX]);
    }
    assert_eq!(found(&recent, &[u64::MAX, 0], 3), [(3, 0), (3, 0), (4, 0), (4, 0)]);
}

/// Hashes that begin alike stand in one bucket, which somebody can bring about.
#[test]
fn every_id_of_a_full_bucket_is_found() {
    let hashes: Vec<u64> = (0..5000).map(|n| 0xabcd_0000_0000_0000 | n << 24).collect();
    let mut recent = Recent::default();
    for (n, of_file) in (0..).zip(hashes.chunks(100)) {
        recent.push(span(n), of_file.to_vec());
    }
    let expected: Vec<(u64, u32)> = (0..5000).map(|row| (u64::from(row) / 100, row)).collect();
    assert_eq!(found(&recent, &hashes, 0), expected);
}

/// Pushed and loaded in turn, as by a sink that lost some creates.
#[test]
fn files_of_any_size_can_be_added_in_any_way() {
    let seed: u64 = rand::rng().random_range(0..1_000_000);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut recent, mut oldest, mut newest, mut files) = (Recent::default(), 5_000, 5_000, Vec::new());
    for _ in 0..600 {
        let hashes: Vec<u64> = (0..random.random_range(0..9)).map(|_| random.random()).collect();
        if random.random_range(0..8) == 0 {
            oldest -= 1;
            recent.push_front(&[(span(oldest), hashes.clone())]);
            files.push((oldest, hashes));
        } else {
            recent.push(span(newest), sorted(hashes.clone()));
            files.push((newest, hashes));
            newest += 1;
        }
    }
    for (n, hashes) in &files {
        let expected: Vec<(u64, u32)> = (0..).zip(hashes).map(|(row, _)| (*n, row)).collect();
        assert_eq!(found(&recent, hashes, 0), expected, "seed {seed}: file {n}");
    }
}

#[test]
fn a_search_looks_into_few_segments_and_an_id_takes_few_bytes() {
    let mut random = StdRng::seed_from_u64(1);
    let mut recent = Recent::default();
    let mut ids = 0;
    for n in 0..5 * PACK_FILES as u64 - 1 {
        recent.push(span(n), sorted((0..400).map(|_| random.random()).collect()));
        ids += 400;
    }
    assert_eq!(recent.segments(), 4 + 14 + 15, "four packs, the groups of sixteen and the files of the next one");
    // The tables alone take 5.4 bytes an id.
    assert!((ids * 6..ids * 7).contains(&recent.bytes()), "{} bytes for {ids} ids", recent.bytes());
    recent.forget_before(2 * PACK_FILES as i64);
    assert_eq!(recent.segments(), 2 + 14 + 15, "only whole segments are forgotten");
    let held = recent.bytes();
    while recent.can_forget() {
        recent.forget_oldest();
    }
    assert!(recent.bytes() < held / 100, "{} of {held} bytes for one file", recent.bytes());
}
