//! Two writers of one partition: the lake decides.

use std::time::Duration;

use super::memory;
use crate::{
    resume::Resume,
    source::Command,
    testing::{self, Fault, Faulty, chunk, conduct, good_log, policy, read_chain},
};

#[tokio::test]
async fn loser_of_a_create_rewinds_to_the_winners_end() {
    let (lake, log) = (memory(), good_log(20));
    let winner = conduct(lake.clone(), Resume::at(0), policy(7));
    winner.chunks.as_ref().expect("open").send(chunk(&log, 0..7, 0)).await.expect("room");
    winner.finish().await.expect("created");
    let mut loser = conduct(lake.clone(), Resume::at(0), policy(10));
    let chunks = loser.chunks.clone().expect("open");
    chunks.send(chunk(&log, 0..15, 0)).await.expect("room");
    let wish = loser.commands.recv().await;
    assert_eq!(wish, Some(Command::Seek { partition: testing::PARTITION, offset: 7, generation: 1 }));
    // What was read before the seek still comes, and must not be taken.
    chunks.send(chunk(&log, 15..20, 0)).await.expect("room");
    chunks.send(chunk(&log, 7..20, 1)).await.expect("room");
    drop(chunks);
    loser.finish().await.expect("goes on");
    let files = read_chain(lake.as_ref()).await;
    let bounds: Vec<_> = files.iter().map(|(footer, _)| (footer.start_offset, footer.next_offset)).collect();
    assert_eq!(bounds, [(0, 7), (7, 17), (17, 20)]);
}

#[tokio::test]
async fn late_put_of_a_zombie_loses() {
    let (lake, log) = (memory(), good_log(10));
    // The zombie's PUT leaves it, and arrives long after the zombie is gone.
    let slow = Faulty::puts(&lake, |_| Fault::Late(Duration::from_millis(100)));
    let zombie = conduct(std::sync::Arc::new(slow), Resume::at(0), policy(4));
    zombie.chunks.as_ref().expect("open").send(chunk(&log, 0..4, 0)).await.expect("room");
    tokio::time::sleep(Duration::from_millis(20)).await;
    zombie.revoked.cancel();
    let heir = conduct(lake.clone(), Resume::at(0), policy(6));
    heir.feed(&log, 0, || 3).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let files = read_chain(lake.as_ref()).await;
    assert_eq!(files.iter().map(|(footer, _)| footer.next_offset).collect::<Vec<_>>(), [6, 10]);
}

#[tokio::test]
async fn twins_adopt_each_others_file() {
    let (lake, log) = (memory(), good_log(9));
    for _ in 0..2 {
        let twin = conduct(lake.clone(), Resume::at(0), policy(3));
        twin.chunks.as_ref().expect("open").send(chunk(&log, 0..9, 0)).await.expect("room");
        twin.finish().await.expect("created or adopted");
    }
    assert_eq!(read_chain(lake.as_ref()).await.len(), 3);
}

#[tokio::test]
async fn no_file_is_created_before_the_one_it_follows() {
    let (lake, log) = (memory(), good_log(12));
    // The first file cannot be created; those behind it are complete at once.
    let stuck = Faulty::puts(&lake, |path| {
        if path.as_ref().contains("00000000000000000000.parquet") { Fault::Refused } else { Fault::None }
    });
    let partition = conduct(std::sync::Arc::new(stuck), Resume::at(0), policy(4));
    let chunks = partition.chunks.clone().expect("open");
    for start in [0, 4, 8] {
        chunks.send(chunk(&log, start..start + 4, 0)).await.expect("room");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(read_chain(lake.as_ref()).await.is_empty(), "nothing is there before the first file is");
    partition.revoked.cancel();
}
