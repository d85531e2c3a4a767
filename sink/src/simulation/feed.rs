//! The source's side of one assigned partition: hands records over, obeys seeks, and reads some records twice.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{wire::Life, world::World};
use crate::{
    source::{Chunk, Command, SourceError},
    testing::{TOPIC, chunk},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) world: Arc<World>,
    pub(super) life: Arc<Life>,
    pub(super) partition: u32,
    pub(super) position: u64,
    pub(super) generation: u32,
    pub(super) chunks: mpsc::Sender<Chunk>,
    pub(super) wishes: mpsc::Receiver<Command>,
    pub(super) drain: CancellationToken,
}

impl Feed {
    /// Runs until the partition is taken away or the sink stops.
    pub(super) async fn run(mut self) -> Result<(), SourceError> {
        loop {
            let wait = self.pause();
            tokio::select! {
                biased;
                () = self.drain.cancelled() => break,
                Some(wish) = self.wishes.recv() => self.obey(wish),
                () = sleep(wait) => {
                    self.life.thawed().await;
                    self.hand_over()?;
                }
            }
        }
        let Feed { world, partition, mut wishes, chunks, .. } = self;
        drop(chunks);
        while let Some(wish) = wishes.recv().await {
            if let Command::Committed { next, .. } = wish {
                tell(&world, partition, next);
            }
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        let is_at_end = self.position >= self.world.log.lock().partitions[self.partition as usize].end;
        self.world.milliseconds(if is_at_end { 200..1_500 } else { 1..150 })
    }

    fn hand_over(&mut self) -> Result<(), SourceError> {
        let read_again = self.world.weather.lock().read_again;
        let log = self.world.log.lock();
        let log = &log.partitions[self.partition as usize];
        if self.position < log.start {
            let reason = format!("offset {} of a log from {}", self.position, log.start);
            return Err(SourceError::OutOfRange { topic: TOPIC.to_owned(), reason });
        }
        if self.position > log.start && self.world.chance(read_again) {
            self.position = self.world.draw(log.start..self.position);
        }
        let next = (self.position + self.world.draw(1..12)).min(log.end);
        if self.position < next {
            let records = chunk(log.visible(), self.position as usize..next as usize, self.generation);
            if self.chunks.try_send(records).is_ok() {
                self.position = next;
            }
        }
        Ok(())
    }

    fn obey(&mut self, wish: Command) {
        match wish {
            Command::Seek { offset, generation, .. } => {
                let process = self.life.process;
                self.world.note("rewind", format_args!("{process} goes on with {} at {offset}", self.partition));
                (self.position, self.generation) = (offset, generation);
            }
            Command::Committed { next, .. } => tell(&self.world, self.partition, next),
        }
    }
}

fn tell(world: &World, partition: u32, next: u64) {
    let mut log = world.log.lock();
    let log = &mut log.partitions[partition as usize];
    // An older process may still speak.
    log.told = log.told.max(next);
    log.committed = next;
}
