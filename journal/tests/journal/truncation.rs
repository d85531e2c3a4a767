//! Truncation gives the disk space back, however long the journal lives.

use journal::{Batch, Journal, Options};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Bytes that are really on disk: the store reserves its journals in advance as holes.
fn disk_bytes(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0; // Unlinked while we look.
    };
    if !metadata.is_dir() {
        return metadata.blocks() * 512;
    }
    std::fs::read_dir(path).map_or(0, |entries| entries.flatten().map(|entry| disk_bytes(&entry.path())).sum())
}

/// Appends `bytes` of random, hence incompressible values.
fn fill(journal: &Journal, rng: &mut SmallRng, partition: u32, bytes: u64) {
    let appends: Vec<_> = (0..bytes / (64 * 1024))
        .map(|_| {
            let mut value = vec![0; 64 * 1024];
            rng.fill(&mut value[..]);
            let mut batch = Batch::new(0);
            batch.push(partition, b"key", &value);
            journal.append(batch)
        })
        .collect();
    for append in appends {
        append.wait_blocking().unwrap();
    }
}

/// Goal: disk use stays bounded over many rounds, with one partition busy and another that was written once, truncated
/// to its end and is idle since: it must not hold back the store's own journals.
#[test]
fn disk_use_is_bounded_over_many_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(1);
    let journal = Journal::open(dir.path(), Options::new(2)).unwrap();
    fill(&journal, &mut rng, 1, 30 * MIB);
    journal.truncate_below(1, journal.end_offset(1)).unwrap();
    let mut largest = 0;
    for _ in 0..40 {
        fill(&journal, &mut rng, 0, 12 * MIB);
        journal.truncate_below(0, journal.end_offset(0)).unwrap();
        largest = largest.max(disk_bytes(dir.path()));
    }
    println!("largest {} MiB of {} MiB appended", largest / MIB, 40 * 12 + 30);
    assert!(largest < 300 * MIB, "{} MiB on disk", largest / MIB);
    let end = journal.end_offset(0);
    drop(journal);
    let journal = Journal::open(dir.path(), Options::new(2)).unwrap();
    assert_eq!((journal.start_offset(0), journal.end_offset(0)), (end, end));
    assert!(journal.read(0, end, 1).unwrap().is_empty());
    fill(&journal, &mut rng, 0, MIB / 16);
    assert_eq!(journal.read(0, end, 1).unwrap().iter().next().unwrap().offset, end);
}

#[test]
fn truncating_a_backlog_shrinks_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(2);
    let journal = Journal::open(dir.path(), Options::new(1)).unwrap();
    // No more than the queue holds at once.
    for _ in 0..10 {
        fill(&journal, &mut rng, 0, 20 * MIB);
    }
    let before = disk_bytes(dir.path());
    journal.truncate_below(0, journal.end_offset(0)).unwrap();
    // What was still on its way to a table is given back by a later call.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while disk_bytes(dir.path()) > 150 * MIB && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(50));
        journal.truncate_below(0, 0).unwrap();
    }
    let after = disk_bytes(dir.path());
    println!("{} MiB before, {} MiB after", before / MIB, after / MIB);
    assert!(before > 150 * MIB && after <= 150 * MIB, "{} MiB before, {} MiB after", before / MIB, after / MIB);
}

#[test]
fn readers_behind_a_truncation_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(3);
    let journal = Journal::open(dir.path(), Options { write_buffer_bytes: 0, ..Options::new(1) }).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut from = 0;
            while from < 320 {
                match journal.read(0, from, 1) {
                    Ok(records) => {
                        assert!(records.iter().zip(from..).all(|(record, offset)| record.offset == offset));
                        from = records.next_offset();
                    }
                    Err(journal::ReadError::Truncated { start, .. }) => from = start,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for _ in 0..20 {
            fill(&journal, &mut rng, 0, MIB);
            journal.truncate_below(0, journal.end_offset(0) - 5).unwrap();
        }
        reader.join().unwrap();
    });
}
