//! The consumer group: which process owns which partition, and when each of them learns it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Bug, feed::Feed, is_planted, log::LOG_ID, wire::Life, world::World};
use crate::{
    resume::Resume,
    source::{Assignment, CHUNKS_WAITING_MAX, Control, Ownership, Running, SourceContext, SourceError, Tenure},
};

/// A log that one sink reads as a member of the simulated group.
#[derive(Debug)]
pub struct SimulatedSource {
    pub(super) group: Arc<Group>,
    pub(super) life: Arc<Life>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Group {
    world: Arc<World>,
    members: Mutex<BTreeMap<u32, Member>>,
}

/// A process in the group. Dropping it ends all that runs for it.
#[derive(Debug)]
struct Member {
    life: Arc<Life>,
    context: SourceContext,
    assignments: mpsc::Sender<Assignment>,
    failures: mpsc::Sender<SourceError>,
    drain: CancellationToken,
    /// The group counts on it; a member that is not heard of keeps what it thinks it owns.
    is_heard: bool,
    owned: BTreeMap<u32, Owned>,
}

#[derive(Debug)]
struct Owned {
    ownership: Ownership,
    feeding: AbortOnDropHandle<()>,
}

/// So long a member writes what it has, while its heir may already have begun.
const RELEASE_TIME: Duration = Duration::from_secs(3);

impl Owned {
    /// Lets the owner write what it has. Real groups wait for that; the lake does not need them to.
    fn release(self) {
        self.ownership.released.cancel();
        tokio::spawn(async move {
            sleep(RELEASE_TIME).await;
            self.ownership.revoked.cancel();
            drop(self.feeding);
        });
    }
}

impl SimulatedSource {
    pub(crate) async fn start(self, context: SourceContext) -> Result<Running, SourceError> {
        let (assignments, assigned) = mpsc::channel(64);
        let (failures, mut failed) = mpsc::channel(64);
        let (drain, leave) = (CancellationToken::new(), CancellationToken::new());
        context.readiness.log.set(true, "");
        let process = self.life.process;
        let member = Member {
            life: self.life,
            context,
            assignments,
            failures,
            drain: drain.clone(),
            is_heard: true,
            owned: BTreeMap::new(),
        };
        self.group.members.lock().insert(process, member);
        self.group.rebalance(Manner::Orderly);
        let (group, left, drained) = (self.group, leave.clone(), drain.clone());
        let done = tokio::spawn(async move {
            let draining = async {
                drained.cancelled().await;
                // The channel of assignments closes when the last sender is gone.
                group.take_no_more(process);
                std::future::pending::<()>().await;
            };
            let result = tokio::select! {
                biased;
                Some(error) = failed.recv() => Err(error),
                () = left.cancelled() => Ok(()),
                () = draining => Ok(()),
            };
            group.leave(process);
            result
        });
        Ok(Running { assignments: assigned, drain, leave, done })
    }
}

/// How a rebalance takes partitions from those who have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// The old owner has stopped before the new one begins.
    Orderly,
    /// The old owner learns it some time after the new one has begun.
    Late,
}

impl Group {
    pub(super) fn new(world: Arc<World>) -> Group {
        Group { world, members: Mutex::default() }
    }

    /// A process is dead, or has left.
    pub(super) fn leave(self: &Arc<Self>, process: u32) {
        let left = self.members.lock().remove(&process);
        if left.is_some() {
            self.rebalance(Manner::Orderly);
        }
    }

    /// A process has not been heard of for too long: the others share what it has.
    pub(super) fn expel(self: &Arc<Self>, process: u32) {
        if let Some(member) = self.members.lock().get_mut(&process) {
            member.is_heard = false;
        }
        self.world.note("expel", process);
        self.rebalance(Manner::Late);
    }

    /// A process is heard of again.
    pub(super) fn welcome(self: &Arc<Self>, process: u32) {
        if let Some(member) = self.members.lock().get_mut(&process) {
            member.is_heard = true;
        }
    }

    fn take_no_more(&self, process: u32) {
        if let Some(member) = self.members.lock().get_mut(&process) {
            member.is_heard = false;
            member.assignments = mpsc::channel(1).0;
        }
    }

    /// Gives every partition an owner, often another one.
    pub(super) fn rebalance(self: &Arc<Self>, manner: Manner) {
        let heard: Vec<u32> =
            self.members.lock().iter().filter(|(_, member)| member.is_heard).map(|(process, _)| *process).collect();
        if heard.is_empty() {
            return;
        }
        let partitions = self.world.log.lock().partitions.len() as u32;
        for partition in 0..partitions {
            let owner = self.owner(partition);
            if owner.is_some_and(|owner| heard.contains(&owner)) && self.world.chance(0.5) {
                continue;
            }
            let heir = heard[self.world.draw(0..heard.len())];
            if owner != Some(heir) {
                self.world.note("move", format_args!("{partition} from {owner:?} to {heir}, {manner:?}"));
                self.take(partition, manner);
                self.give(heir, partition);
            }
        }
    }

    fn owner(&self, partition: u32) -> Option<u32> {
        let members = self.members.lock();
        members
            .iter()
            .find(|(_, member)| member.is_heard && member.owned.contains_key(&partition))
            .map(|found| *found.0)
    }

    /// Takes a partition from everybody who has it.
    fn take(self: &Arc<Self>, partition: u32, manner: Manner) {
        for member in self.members.lock().values_mut() {
            let Some(owned) = member.owned.remove(&partition) else { continue };
            if manner == Manner::Orderly && member.is_heard {
                match partition % 2 {
                    0 => owned.ownership.revoked.cancel(),
                    _ => owned.release(),
                }
                continue;
            }
            let (life, delay) = (Arc::clone(&member.life), self.world.milliseconds(50..15_000));
            let world = Arc::clone(&self.world);
            tokio::spawn(async move {
                sleep(delay).await;
                life.thawed().await;
                world.note("revoke", format_args!("{partition} from {}, late", life.process));
                owned.ownership.revoked.cancel();
            });
        }
    }

    fn give(self: &Arc<Self>, process: u32, partition: u32) {
        let mut members = self.members.lock();
        let Some(member) = members.get_mut(&process) else { return };
        let (ownership, tenure) = Ownership::begin();
        let gift = Gift {
            world: Arc::clone(&self.world),
            life: Arc::clone(&member.life),
            context: member.context.clone(),
            assignments: member.assignments.clone(),
            drain: member.drain.clone(),
            partition,
            tenure,
        };
        let failures = member.failures.clone();
        let feeding = tokio::spawn(async move {
            if let Err(error) = gift.feed().await {
                let _ = failures.send(error).await;
            }
        });
        member.owned.insert(partition, Owned { ownership, feeding: AbortOnDropHandle::new(feeding) });
    }
}

/// A partition on its way to a process.
struct Gift {
    world: Arc<World>,
    life: Arc<Life>,
    context: SourceContext,
    assignments: mpsc::Sender<Assignment>,
    drain: CancellationToken,
    partition: u32,
    tenure: Tenure,
}

impl Gift {
    /// What the product's rebalance callback does, and then its feed.
    async fn feed(self) -> Result<(), SourceError> {
        sleep(Duration::from_millis(5)).await;
        self.life.thawed().await;
        let end = self.context.resume(self.partition, LOG_ID).await?;
        let (resume, position) = self.checked(end).await?;
        let Gift { world, life, partition, drain, tenure, .. } = self;
        world.note("resume", format_args!("{} at {} of {partition}", life.process, resume.next));
        let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
        let (commands, wishes) = mpsc::channel(16);
        let control = Control { partition, commands };
        let assignment = Assignment { partition, log_id: LOG_ID.into(), resume, chunks, tenure, control };
        if self.assignments.send(assignment).await.is_err() {
            return Ok(());
        }
        drop(self.assignments);
        Feed { world, life, partition, position, generation: 0, chunks: sender, wishes, drain }.run().await
    }

    /// Where the chain goes on, and where to read from.
    async fn checked(&self, listed: Option<Resume>) -> Result<(Resume, u64), SourceError> {
        let (mut log, committed) = {
            let log = self.world.log.lock();
            let log = &log.partitions[self.partition as usize];
            (log.start..log.end, log.committed)
        };
        let Some(listed) = listed else { return Ok((Resume::at(0), log.start)) };
        let mut resume = match is_planted(Bug::BelievesLists) {
            true => listed,
            false => self.context.confirmed(self.partition, LOG_ID, listed, &mut log).await?,
        };
        if is_planted(Bug::ResumesFromCommitted) {
            resume.next = committed;
        }
        let position = self.context.position(self.partition, &mut resume, log)?;
        Ok((resume, position))
    }
}
