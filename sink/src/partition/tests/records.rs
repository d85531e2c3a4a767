//! What becomes of each record: a row in its user's order, a dead letter, or a duplicate.

use std::{sync::Arc, time::Duration};

use super::memory;
use crate::{
    footer::Footer,
    resume::Resume,
    roll::RollPolicy,
    testing::{Logged, SeenRow, chunk, conduct, good_log, logged, policy, read_chain, read_dead_letters},
};

/// Writes a log as one file.
async fn one_file(log: &[Logged]) -> (Footer, Vec<SeenRow>, Vec<(u64, String)>) {
    let lake = memory();
    let partition = conduct(lake.clone(), Resume::at(0), policy(usize::MAX));
    partition.chunks.as_ref().expect("open").send(chunk(log, 0..log.len(), 0)).await.expect("room");
    partition.finish().await.expect("written");
    let letters = read_dead_letters(lake.as_ref()).await;
    let (footer, rows) = read_chain(lake.as_ref()).await.pop().expect("one file");
    (footer, rows, letters)
}

#[tokio::test]
async fn rows_stand_by_user_and_each_users_rows_in_log_order() {
    let (footer, rows, letters) = one_file(&good_log(20_000)).await;
    let mut expected: Vec<u64> = (0..20_000).collect();
    expected.sort_by_key(|offset| (offset % 5, *offset));
    assert_eq!(rows.iter().map(|(offset, _, _)| *offset).collect::<Vec<_>>(), expected);
    assert_eq!((footer.rows, footer.dead_letters, footer.duplicates, letters.len()), (20_000, 0, 0, 0));
}

#[tokio::test]
async fn one_bad_record_costs_one_record() {
    async fn check(reason: &str, change: impl FnOnce(&mut Logged)) {
        let mut log = good_log(5);
        change(&mut log[2]);
        let (footer, rows, letters) = one_file(&log).await;
        assert_eq!(letters, [(2, reason.to_owned())]);
        let mut offsets: Vec<_> = rows.iter().map(|(offset, _, _)| *offset).collect();
        offsets.sort_unstable();
        assert_eq!(offsets, [0, 1, 3, 4], "{reason}");
        assert_eq!((footer.next_offset, footer.dead_letters), (5, 1));
    }
    let value = |record: &Logged| record.value.clone().expect("a good record");
    check("null_value", |record| record.value = None).await;
    check("null_key", |record| record.key = None).await;
    check("key_mismatch", |record| record.key = Some(b"user-9".to_vec())).await;
    check("not_framed", |record| record.value = Some(b"{\"json\":1}".to_vec())).await;
    check("not_framed", |record| record.value = Some(Vec::new())).await;
    check("unknown_schema", |record| record.value = Some([&[0, 0, 0, 0, 99], &value(record)[5..]].concat())).await;
    check("truncated", |record| record.value = Some(value(record)[..20].to_vec())).await;
    check("trailing_bytes", |record| record.value = Some([value(record), vec![7]].concat())).await;
    check("invalid_utf8", |record| {
        let mut bytes = value(record);
        bytes[6] = 0xff;
        record.value = Some(bytes);
    })
    .await;
}

#[tokio::test]
async fn a_file_of_bad_records_has_no_rows_and_covers_them() {
    let log: Vec<_> = good_log(4).into_iter().map(|record| Logged { value: Some(vec![1]), ..record }).collect();
    let (footer, rows, letters) = one_file(&log).await;
    assert_eq!((footer.start_offset, footer.next_offset, footer.rows), (0, 4, 0));
    assert_eq!((rows.len(), letters.len()), (0, 4));
}

#[tokio::test]
async fn a_repeated_event_id_is_one_row_the_first() {
    let log = [
        logged("a", "user-1", 1),
        logged("b", "user-1", 2),
        logged("a", "user-1", 3),
        logged("a", "user-2", 4),
        logged("b", "user-1", 5),
        logged("c", "user-1", 6),
    ];
    let (footer, rows, _) = one_file(&log).await;
    assert_eq!(rows.iter().map(|(offset, _, _)| *offset).collect::<Vec<_>>(), [0, 1, 5]);
    assert_eq!((footer.rows, footer.duplicates, footer.next_offset), (3, 3, 6));
}

#[tokio::test]
async fn a_silent_partition_is_written_after_the_roll_interval() {
    let (lake, log) = (memory(), good_log(3));
    let policy = RollPolicy { interval: Duration::from_millis(50), ..policy(usize::MAX) };
    let partition = conduct(Arc::clone(&lake), Resume::at(0), policy);
    partition.chunks.as_ref().expect("open").send(chunk(&log, 0..3, 0)).await.expect("room");
    let mut files = Vec::new();
    while files.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        files = read_chain(lake.as_ref()).await;
    }
    assert_eq!((files[0].0.cut_reason.as_str(), files[0].0.next_offset), ("idle", 3));
}

#[tokio::test]
async fn the_footer_says_what_the_file_covers() {
    let log = [logged("a", "u", 30), logged("b", "u", 10), logged("c", "u", 20)];
    let (footer, _, _) = one_file(&log).await;
    assert_eq!((footer.min_timestamp_us, footer.max_timestamp_us, footer.running_max_timestamp_us), (10, 30, 30));
    assert_eq!((footer.cut_reason.as_str(), footer.schema_id, footer.log_id.as_str()), ("shutdown", 2, "log-1"));
    let (again, _, _) = one_file(&log).await;
    assert_eq!(footer, again, "a replay gives the same facts");
    let (other, _, _) = one_file(&[logged("a", "u", 30), logged("x", "u", 10), logged("c", "u", 20)]).await;
    assert!(!footer.same_content(&other), "the hash tells rows apart");
}
