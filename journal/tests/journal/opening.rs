//! How opening fails: each reason has its own error and a message that says what to do.

use journal::{Batch, Journal, OpenError, Options};
use std::fs;

#[track_caller]
fn refused(dir: &std::path::Path, partitions: u32, words: &[&str]) -> OpenError {
    let error = Journal::open(dir, Options::new(partitions)).unwrap_err();
    let message = error.to_string();
    assert!(words.iter().all(|word| message.contains(word)) && !message.contains('\n'), "{message}");
    error
}

#[test]
fn an_open_journal_is_locked_until_its_last_handle_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options::new(2)).unwrap();
    let id = journal.id();
    let second = journal.clone();
    drop(journal);
    assert!(matches!(refused(dir.path(), 2, &["in use by another process"]), OpenError::Locked { .. }));
    drop(second);
    assert_eq!(Journal::open(dir.path(), Options::new(2)).unwrap().id(), id);
}

#[test]
fn the_partition_count_is_fixed_at_creation() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path(), Options::new(2)).unwrap());
    let error = refused(dir.path(), 3, &["created with 2 partitions", "set partitions to 2, not 3"]);
    assert!(matches!(error, OpenError::Partitions { found: 2, wanted: 3, .. }));
    assert!(matches!(refused(dir.path(), 0, &["at least one"]), OpenError::NoPartitions));
    drop(Journal::open(dir.path(), Options::new(2)).unwrap());
}

#[test]
fn an_unusable_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file.join("data"), 2, &["file/data", "writable"]), OpenError::Folder { .. }));
    assert!(matches!(refused(&file, 2, &["writable"]), OpenError::Folder { .. }));
}

#[test]
fn an_unknown_store_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path(), Options::new(2)).unwrap());
    fs::write(dir.path().join("log/version"), "XXXX").unwrap();
    assert!(matches!(refused(dir.path(), 2, &["format version"]), OpenError::Version { .. }));
}

#[test]
fn a_torn_write_at_the_tail_is_cut_off() {
    // A kill between two write calls leaves the first part of a write batch and then the preallocated zeros.
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options::new(1)).unwrap();
    let append = |journal: &Journal, value: &[u8]| {
        let mut batch = Batch::new(0);
        batch.push(0, b"k", value);
        journal.append(batch).wait_blocking().unwrap();
    };
    append(&journal, b"kept");
    drop(journal);
    let file = dir.path().join("log/0.jnl");
    let whole = fs::read(&file).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    for torn in [1, 9, 20, 40] {
        // The last batch again, without its end.
        let mut bytes = whole.clone();
        let start = used.saturating_sub(80);
        let tail = whole[start..used].to_vec();
        let begin = tail.iter().position(|&byte| byte == 1).unwrap_or(0);
        let part = &tail[begin..(begin + torn).min(tail.len() - 1)];
        bytes.resize(bytes.len().max(used + part.len()), 0);
        bytes[used..used + part.len()].copy_from_slice(part);
        fs::write(&file, bytes).unwrap();
        let journal = Journal::open(dir.path(), Options::new(1)).unwrap();
        assert_eq!(journal.end_offset(0), 1, "torn after {torn} bytes");
        append(&journal, b"more");
        assert_eq!(journal.end_offset(0), 2);
        drop(journal);
    }
}
