//! A file that is derived again drops what it dropped when it was written, and learns no more than it has to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use object_store::ObjectStore;
use prometheus_client::registry::Registry;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{lake, window, write};
use crate::{
    budget::Budget,
    buffer::{Buffer, Part},
    footer::Footer,
    metrics::Metrics,
    partition::Writer,
    testing::{Fault, Faulty, LOG_ID, Logged, PARTITION, chunk, logged, policy, read_chain, writer_parts},
};

/// A writer that derives files of a lake again, and how often it has looked into the lake.
fn rederiver(lake: &Arc<dyn ObjectStore>) -> (Arc<Writer>, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let counting = Faulty::puts(lake, |_| Fault::None).and_gets(move |_| {
        counted.fetch_add(1, Relaxed);
        Fault::None
    });
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let budget = Budget::new(usize::MAX, Arc::clone(&metrics));
    let parts = writer_parts(Arc::new(counting), window(300), &budget, &metrics);
    (Arc::new(parts.writer(PARTITION, LOG_ID.into(), 0, 0)), looks)
}

/// What the log gives for a file; `before_us` is the largest timestamp of the chain before it.
async fn derived(writer: &Arc<Writer>, log: &[Logged], file: &Footer, before_us: i64) -> Footer {
    let offsets = [file.start_offset, file.next_offset].map(|offset| usize::try_from(offset).expect("a short log"));
    let mut buffer = Buffer::new(file.start_offset, before_us);
    buffer.push(Part::whole(chunk(log, offsets[0]..offsets[1], 0)), &policy(usize::MAX));
    writer.derived(buffer, file.duplicates_since).await.expect("the store answers")
}

/// For all logs and windows: file after file, or any file by itself, as it was written.
#[tokio::test]
async fn a_file_is_derived_as_it_was_written_whatever_was_derived_before() {
    let seed: u64 = rand::rng().random_range(0..1_000_000);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let log: Vec<Logged> = (0..600)
        .map(|n| logged(&format!("e{}", random.random_range(n / 2..=n)), &format!("u{}", n % 3), n * 1_000_000))
        .collect();
    let lake = lake();
    let mut next = 0;
    while next < log.len() {
        // Whoever writes may have another window than the one before.
        let settings = window(random.random_range(0..300));
        next = (next + random.random_range(1..200)).min(log.len());
        write(&lake, &log, next, random.random_range(1..30), &settings).await;
    }
    let (writer, _) = rederiver(&lake);
    let files: Vec<Footer> = read_chain(lake.as_ref()).await.into_iter().map(|(footer, _)| footer).collect();
    let before = |n: usize| n.checked_sub(1).map_or(i64::MIN, |before| files[before].running_max_timestamp_us);
    let check = async |n: usize| {
        let (file, again) = (&files[n], derived(&writer, &log, &files[n], before(n)).await);
        assert!(again.same_content(file), "seed {seed}: {again:?} is not {file:?}");
        assert_eq!(again.duplicates_across_files, file.duplicates_across_files, "seed {seed}");
    };
    for n in 0..files.len() {
        check(n).await;
    }
    for _ in 0..50 {
        check(random.random_range(0..files.len())).await;
    }
    assert!(files.iter().map(|file| file.duplicates_across_files).sum::<u64>() > 10, "seed {seed}: it shows nothing");
}

#[tokio::test]
async fn the_next_file_of_a_chain_costs_one_more_to_read_and_not_all() {
    let log: Vec<Logged> = (0..200).map(|n| logged(&format!("e{n}"), "u", n)).collect();
    let lake = lake();
    write(&lake, &log, log.len(), 2, &window(60)).await;
    let (writer, looks) = rederiver(&lake);
    let files = read_chain(lake.as_ref()).await;
    let mut before_us = i64::MIN;
    for (file, _) in &files {
        assert!(derived(&writer, &log, file, before_us).await.same_content(file));
        before_us = file.running_max_timestamp_us;
    }
    let looks = looks.load(Relaxed);
    assert!(looks <= 4 * files.len(), "{looks} looks for {} files", files.len());
}
