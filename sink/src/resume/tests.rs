//! Where writers start, from every kind of chain.

use std::sync::Arc;

use futures::StreamExt;
use object_store::{ObjectStore, PutPayload, memory::InMemory};

use super::*;
use crate::testing::{LOG_ID, chain, conduct, good_log, policy, resume_point};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn write(lake: &Arc<dyn ObjectStore>, records: usize, rows_max: usize) {
    let resume = resume_point(lake).await;
    let start = resume.next;
    conduct(Arc::clone(lake), resume, policy(rows_max)).feed(&good_log(records), start, || 3).await;
}

async fn outcome(lake: &Arc<dyn ObjectStore>, log_id: &str) -> Result<Option<Resume>, ResumeError> {
    resume(&Store::with_objects(Arc::clone(lake), "memory:///"), &chain(), log_id).await
}

async fn put(lake: &Arc<dyn ObjectStore>, path: &Path, content: &'static [u8]) {
    lake.put(path, PutPayload::from_static(content)).await.expect("put");
}

async fn delete(lake: &Arc<dyn ObjectStore>, start: u64) {
    lake.delete(&chain().file(&Path::default(), start)).await.expect("deleted");
}

#[tokio::test]
async fn an_empty_lake_has_no_resume_point() {
    assert_eq!(outcome(&memory(), LOG_ID).await.expect("readable"), None);
}

#[tokio::test]
async fn a_chain_goes_on_where_its_last_file_ends() {
    let lake = memory();
    for records in [4, 9, 23] {
        write(&lake, records, 5).await;
        assert_eq!(resume_point(&lake).await.next, records as u64);
    }
}

#[tokio::test]
async fn files_before_the_newest_checkpoint_are_not_needed() {
    let lake = memory();
    // A checkpoint every third file: at 20..30, 50..60 and 80..90.
    write(&lake, 100, 10).await;
    let checkpoints: Vec<_> = lake.list(Some(&chain().checkpoints(&Path::default()))).collect().await;
    assert_eq!(checkpoints.len(), 3);
    for start in (0..=90).step_by(10) {
        delete(&lake, start).await;
        let expected = if start < 90 { 100 } else { 90 };
        assert_eq!(resume_point(&lake).await.next, expected, "files up to {start} are gone");
    }
}

#[tokio::test]
async fn files_that_a_list_does_not_show_are_found_by_their_names() {
    let lake = memory();
    write(&lake, 60, 10).await;
    let store = Store::with_objects(Arc::clone(&lake), "memory:///");
    let followed = async |from: u64, until: u64| {
        let listed = Resume { files: 1, ..Resume::at(from) };
        let end = follow(&store, &chain(), LOG_ID, listed, until).await.expect("readable");
        (end.next, end.files)
    };
    assert_eq!(followed(20, 15).await, (20, 1));
    assert_eq!(followed(20, 21).await, (30, 2));
    assert_eq!(followed(0, 45).await, (50, 6));
    assert_eq!(followed(40, 100).await, (60, 3), "behind the last file there is none");
    delete(&lake, 30).await;
    assert_eq!(followed(10, 60).await, (30, 3), "a hole is one");
    let other = follow(&store, &chain(), "log-2", Resume::at(0), 60).await.expect_err("of another log").to_string();
    assert!(other.contains("another incarnation"), "{other}");
}

#[tokio::test]
async fn names_that_are_not_ours_are_no_part_of_the_chain() {
    let lake = memory();
    write(&lake, 7, 10).await;
    let folder = chain().files(&Path::default());
    for name in ["notes.txt", "99999.parquet", "copy of 00000000000000000000.parquet"] {
        put(&lake, &folder.clone().join(name), b"something").await;
    }
    assert_eq!(resume_point(&lake).await.next, 7);
}

#[tokio::test]
async fn chains_that_cannot_be_continued_say_which_file_and_what_to_do() {
    async fn check(lake: &Arc<dyn ObjectStore>, log_id: &str, expected: &[&str]) {
        let line = outcome(lake, log_id).await.expect_err("it must be refused").to_string();
        for part in expected {
            assert!(line.contains(part), "{line}");
        }
    }
    let lake = memory();
    write(&lake, 7, 10).await;
    check(&lake, "log-2", &["another incarnation", "log-1, now log-2", "another lake"]).await;
    let tail = chain().file(&Path::default(), 7);
    put(&lake, &tail, b"torn").await;
    check(&lake, LOG_ID, &[tail.as_ref(), "cannot be read", "it has 4 bytes", "move it out of the lake"]).await;
    put(&lake, &tail, b"PAR1 torn in the middle of a page").await;
    check(&lake, LOG_ID, &[tail.as_ref(), "cannot be read"]).await;
    delete(&lake, 7).await;
    // A file of this chain under another's name.
    let first = lake.get(&chain().file(&Path::default(), 0)).await.expect("there").bytes().await.expect("bytes");
    lake.put(&tail, first.into()).await.expect("put");
    check(&lake, LOG_ID, &[tail.as_ref(), "does not match its name"]).await;
    delete(&lake, 7).await;
    put(&lake, &chain().checkpoint(&Path::default(), 7), b"{}").await;
    check(&lake, LOG_ID, &["_checkpoints", "missing field"]).await;
}
