//! Answers of a store that do not say what happened.

use std::{sync::Arc, time::Duration};

use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::memory;
use crate::{
    partition::PartitionError,
    resume::Resume,
    source::Command,
    testing::{Conducted, Fault, Faulty, chain, chunk, conduct, good_log, policy, read_chain},
};

/// Writes a log whose PUTs meet these faults first, and none after.
async fn write(lake: &Arc<dyn ObjectStore>, faults: Vec<Fault>) -> Conducted {
    let mut faults = faults.into_iter();
    let store = Faulty::puts(lake, move |_| faults.next().unwrap_or(Fault::None));
    let partition = conduct(Arc::new(store), Resume::at(0), policy(5));
    partition.chunks.as_ref().expect("open").send(chunk(&good_log(10), 0..10, 0)).await.expect("room");
    partition
}

#[tokio::test]
async fn unclear_puts_end_in_one_file_for_each_range() {
    async fn check(faults: &[Fault]) {
        let lake = memory();
        write(&lake, faults.to_vec()).await.finish().await.expect("written");
        let bounds: Vec<_> = read_chain(lake.as_ref()).await.iter().map(|(footer, _)| footer.next_offset).collect();
        assert_eq!(bounds, [5, 10], "{faults:?}");
    }
    check(&[]).await;
    check(&[Fault::LostReply]).await;
    check(&[Fault::Refused, Fault::Refused, Fault::LostReply]).await;
    check(&[Fault::Conflict]).await;
    check(&[Fault::Conflict, Fault::Conflict, Fault::None, Fault::LostReply]).await;
    check(&[Fault::Hang]).await;
    check(&[Fault::Hang, Fault::Late(Duration::from_millis(10))]).await;
    check(&[Fault::Late(Duration::from_millis(70)), Fault::Hang]).await;
    check(&[Fault::Late(Duration::from_millis(200))]).await;
}

#[tokio::test]
async fn a_lost_reply_is_adopted_and_not_told_to_the_log() {
    let lake = memory();
    let mut partition = write(&lake, vec![Fault::LostReply]).await;
    // The first file was adopted: only the second, which this process created itself, lets the log drop records.
    let wish = partition.commands.recv().await;
    assert_eq!(wish, Some(Command::Committed { partition: 3, next: 10 }));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_until_it_does() {
    let lake = memory();
    let partition = write(&lake, vec![Fault::Refused; 12]).await;
    let metrics = Arc::clone(&partition.metrics);
    while metrics.lag().read().first().is_none_or(|lag| lag.seconds == 0.0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(read_chain(lake.as_ref()).await.is_empty(), "the lag is there while the files are not");
    partition.finish().await.expect("written in the end");
    assert_eq!(read_chain(lake.as_ref()).await.len(), 2);
}

#[tokio::test]
async fn a_damaged_file_in_the_way_stops_the_partition() {
    async fn check(content: &'static [u8], expected: &str) {
        let lake = memory();
        let path = chain().file(&object_store::path::Path::default(), 0);
        lake.put(&path, PutPayload::from_static(content)).await.expect("put");
        let Err(PartitionError::Write { reason, .. }) = write(&lake, vec![]).await.finish().await else {
            panic!("the partition must stop");
        };
        let line = reason.to_string();
        assert!(line.contains(path.as_ref()) && line.contains(expected) && line.contains("restore it"), "{line}");
    }
    check(b"", "it has 0 bytes").await;
    check(b"PAR1....not a footer..........PAR1", "longer than it").await;
    check(b"certainly not a Parquet file", "Corrupt footer").await;
}
