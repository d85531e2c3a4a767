//! A partition that will go to somebody else.

use std::{sync::Arc, time::Duration};

use super::memory;
use crate::{
    resume::Resume,
    testing::{Fault, Faulty, chunk, conduct, good_log, policy, read_chain},
};

async fn within_a_minute<T>(end: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("the task ends")
}

#[tokio::test]
async fn what_will_go_to_somebody_else_is_written_first() {
    let (lake, log) = (memory(), good_log(10));
    let partition = conduct(lake.clone(), Resume::at(0), policy(100));
    partition.chunks.as_ref().expect("open").send(chunk(&log, 0..10, 0)).await.expect("room");
    while partition.metrics.lag().read().first().is_none_or(|lag| lag.messages < 10) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    partition.released.cancel();
    // The source has not closed the channel: the task ends all the same.
    within_a_minute(partition.task).await.expect("no panic").expect("written");
    let chain = read_chain(lake.as_ref()).await;
    let [(footer, rows)] = &chain[..] else { panic!("one file: {}", chain.len()) };
    assert_eq!((footer.next_offset, rows.len(), footer.cut_reason.as_str()), (10, 10, "revoked"));
}

#[tokio::test]
async fn a_store_that_does_not_answer_does_not_hold_a_partition() {
    let (lake, log) = (memory(), good_log(10));
    let store = Faulty::puts(&lake, |_| Fault::Hang);
    let partition = conduct(Arc::new(store), Resume::at(0), policy(100));
    partition.chunks.as_ref().expect("open").send(chunk(&log, 0..10, 0)).await.expect("room");
    partition.released.cancel();
    tokio::time::sleep(Duration::from_millis(20)).await;
    partition.revoked.cancel();
    within_a_minute(partition.task).await.expect("no panic").expect("dropped");
    assert!(read_chain(lake.as_ref()).await.is_empty());
}
