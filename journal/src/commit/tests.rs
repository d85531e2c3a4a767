//! The order of write, persist and completion, with a persist that the test holds in its hands.

use super::*;
use crate::{Batch, Journal, Options};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A journal whose every persist announces itself and then waits for the test's verdict.
struct Held {
    journal: Journal,
    entered: Receiver<()>,
    verdict: Sender<fjall::Result<()>>,
    dir: tempfile::TempDir,
}

const LONG: Duration = Duration::from_secs(60);

fn held(queue_bytes_max: usize) -> Held {
    let dir = tempfile::tempdir().unwrap();
    let (enter, entered) = channel();
    let (verdict, verdicts) = channel();
    let persist = Box::new(move |_: &Database| {
        let _ = enter.send(());
        verdicts.recv().unwrap_or(Ok(()))
    });
    let options = Options { queue_bytes_max, ..Options::new(2) };
    let journal = Journal::open_with(dir.path(), &options, persist).unwrap();
    Held { journal, entered, verdict, dir }
}

fn one(partition: u32, value: &[u8]) -> Batch {
    let mut batch = Batch::new(7);
    batch.push(partition, b"user", value);
    batch
}

fn disk_error() -> fjall::Result<()> {
    Err(fjall::Error::Io(std::io::Error::other("the disk is gone")))
}

fn pending<F: Future + Unpin>(future: &mut F) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context).is_pending()
}

#[test]
fn nothing_is_acknowledged_or_visible_before_persist() {
    let Held { journal, entered, verdict, dir: _dir } = held(1 << 20);
    let mut append = journal.append(one(1, b"v"));
    let mut wait = Box::pin(journal.wait(1, 0));
    entered.recv_timeout(LONG).unwrap();
    // The write has happened, the fsync has not.
    assert!(pending(&mut append));
    assert!(pending(&mut wait));
    assert_eq!(journal.end_offset(1), 0);
    assert!(journal.read(1, 0, 1000).unwrap().is_empty());
    verdict.send(Ok(())).unwrap();
    append.wait_blocking().unwrap();
    assert_eq!(journal.end_offset(1), 1);
    assert!(!pending(&mut wait));
    assert_eq!(journal.read(1, 0, 1000).unwrap().len(), 1);
}

#[test]
fn everyone_who_waits_shares_one_fsync() {
    let Held { journal, entered, verdict, dir: _dir } = held(1 << 20);
    let first = journal.append(one(0, b"first"));
    entered.recv_timeout(LONG).unwrap();
    let rest: Vec<_> = (0..50).map(|n| journal.append(one(n % 2, b"later"))).collect();
    verdict.send(Ok(())).unwrap();
    verdict.send(Ok(())).unwrap();
    first.wait_blocking().unwrap();
    for append in rest {
        append.wait_blocking().unwrap();
    }
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.records, stats.groups, stats.fsyncs), (51, 51, 2, 2));
    assert_eq!((journal.end_offset(0), journal.end_offset(1)), (26, 25));
}

#[test]
fn a_failed_fsync_ends_appends_for_good_but_not_reads() {
    let Held { journal, entered, verdict, dir } = held(1 << 20);
    verdict.send(Ok(())).unwrap();
    journal.append(one(0, b"safe")).wait_blocking().unwrap();
    entered.recv_timeout(LONG).unwrap();

    let unclear = journal.append(one(0, b"unclear"));
    entered.recv_timeout(LONG).unwrap();
    let waiting = journal.append(one(0, b"waiting"));
    verdict.send(disk_error()).unwrap();
    assert!(matches!(unclear.wait_blocking(), Err(AppendError::Unclear { reason }) if reason.contains("disk is gone")));
    assert!(matches!(waiting.wait_blocking(), Err(AppendError::Failed { .. })));

    // The disk works again, but the kernel may have dropped the pages: still nothing is accepted.
    verdict.send(Ok(())).unwrap();
    assert!(matches!(journal.append(one(0, b"later")).wait_blocking(), Err(AppendError::Failed { .. })));
    assert!(entered.try_recv().is_err(), "a second fsync was tried");
    assert!(journal.stats().failed && journal.failure().is_some());
    assert_eq!(journal.end_offset(0), 1);
    assert_eq!(journal.read(0, 0, 1000).unwrap().iter().next().unwrap().value, b"safe");

    drop(journal);
    let journal = Journal::open(dir.path(), Options::new(2)).unwrap();
    journal.append(one(0, b"again")).wait_blocking().unwrap();
    let records = journal.read(0, 0, 1000).unwrap();
    let values: Vec<_> = records.iter().map(|record| record.value.to_vec()).collect();
    assert_eq!(values.first().map(Vec::as_slice), Some(&b"safe"[..]));
    assert_eq!(values.last().map(Vec::as_slice), Some(&b"again"[..]));
    assert!(!values.contains(&b"waiting".to_vec()) && !values.contains(&b"later".to_vec()));
}

#[test]
fn a_full_queue_refuses_at_once_and_recovers() {
    let Held { journal, entered, verdict, dir: _dir } = held(1000);
    assert!(matches!(journal.append(one(0, &[0; 1001])).wait_blocking(), Err(AppendError::TooLarge { .. })));
    let first = journal.append(one(0, &[0; 700]));
    entered.recv_timeout(LONG).unwrap();
    let second = journal.append(one(0, &[0; 700]));
    assert!(matches!(journal.append(one(0, &[0; 700])).wait_blocking(), Err(AppendError::Full { .. })));
    assert_eq!(journal.stats().queue_bytes, 724);
    verdict.send(Ok(())).unwrap();
    first.wait_blocking().unwrap();
    entered.recv_timeout(LONG).unwrap();
    let third = journal.append(one(0, &[0; 700]));
    drop(verdict);
    second.wait_blocking().unwrap();
    third.wait_blocking().unwrap();
    assert_eq!(journal.end_offset(0), 3);
}

#[test]
fn a_dead_committer_leaves_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let persist = Box::new(|_: &Database| panic!("on purpose: the committer dies"));
    let journal = Journal::open_with(dir.path(), &Options::new(1), persist).unwrap();
    assert!(matches!(journal.append(one(0, b"v")).wait_blocking(), Err(AppendError::Unclear { .. })));
    // The thread may still be unwinding, then the request waits for its last breath.
    let later = journal.append(one(0, b"v")).wait_blocking();
    assert!(matches!(later, Err(AppendError::Failed { .. })), "{later:?}");
}

#[test]
fn dropping_the_last_handle_writes_what_waits() {
    let Held { journal, entered, verdict, dir } = held(1 << 20);
    let first = journal.append(one(0, b"first"));
    entered.recv_timeout(LONG).unwrap();
    let second = journal.append(one(0, b"second"));
    drop(verdict);
    drop(journal);
    first.wait_blocking().unwrap();
    second.wait_blocking().unwrap();
    assert_eq!(Journal::open(dir.path(), Options::new(2)).unwrap().end_offset(0), 2);
}
