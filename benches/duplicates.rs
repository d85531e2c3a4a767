//! What the sink remembers of a chain's files: one file's ids looked up behind others, beside a set of the same hashes.
//!
//! No id comes twice, as nearly all are new in a log too. The set says only whether there is one, the memory says in
//! which file.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
    time::Instant,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sink::duplicates::{
    Id,
    memory::{Recent, Span},
};

/// Of a file: what a partition gathers in ten seconds at 300 events a second.
const FILE_IDS: u64 = 3_000;
/// Four minutes, three quarters of an hour and a day of files of ten seconds.
const FILES: [u64; 3] = [24, 255, 8_640];
/// Files that are looked up in turn, so that the caches hold what they would in a sink and no more.
const LOOKED_UP: u64 = 100;

fn duplicates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("duplicates");
    group.throughput(Throughput::Elements(FILE_IDS)).sample_size(20);
    for files in FILES {
        let new: Vec<Vec<Id>> = (files..files + LOOKED_UP).map(ids).collect();
        let mut turns = new.iter().cycle();
        let mut turn = || turns.next().expect("there are some");
        let recent = remembered(files);
        group.bench_function(format!("Recent::find behind {files} files"), |bencher| {
            bencher.iter(|| recent.find(turn(), i64::MIN).0.len());
        });
        drop(recent);
        let set = set(files);
        group.bench_function(format!("HashSet::contains behind {files} files"), |bencher| {
            bencher.iter(|| turn().iter().filter(|id| set.contains(&id.hash)).count());
        });
    }
    group.finish();
}

fn remembered(files: u64) -> Recent {
    let mut recent = Recent::default();
    let mut spent = 0.0;
    for file in 0..files {
        let hashes = ids(file).into_iter().map(|id| id.hash).collect();
        let started = Instant::now();
        recent.push(Span { start: file, running_max_us: 0 }, hashes);
        spent += started.elapsed().as_secs_f64();
    }
    say("Recent", files, recent.bytes(), spent);
    recent
}

fn set(files: u64) -> HashSet<u64, BuildHasherDefault<AsItIs>> {
    let mut set = HashSet::default();
    let mut spent = 0.0;
    for file in 0..files {
        let hashes = ids(file).into_iter().map(|id| id.hash);
        let started = Instant::now();
        set.extend(hashes);
        spent += started.elapsed().as_secs_f64();
    }
    // Filled to seven eighths at most; a byte of control beside each place.
    let bytes = set.capacity() / 7 * 8 * (size_of::<u64>() + 1);
    say("HashSet", files, bytes, spent);
    set
}

fn say(who: &str, files: u64, bytes: usize, spent: f64) {
    let ids = (files * FILE_IDS) as f64;
    eprintln!("{who} of {files} files: {:.2} bytes and {:.0} ns to add an id", bytes as f64 / ids, spent * 1e9 / ids);
}

/// A file's ids as the sink has them: sorted.
fn ids(file: u64) -> Vec<Id> {
    let numbers: Range<u64> = file * FILE_IDS..(file + 1) * FILE_IDS;
    let mut ids: Vec<Id> = (0..).zip(numbers.map(hash)).map(|(row, hash)| Id { hash, row }).collect();
    ids.sort_unstable();
    ids
}

/// `splitmix64`, <https://prng.di.unimi.it/splitmix64.c>: each number has a hash of its own.
fn hash(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is hashed is a hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

criterion_group!(benches, duplicates);
criterion_main!(benches);
