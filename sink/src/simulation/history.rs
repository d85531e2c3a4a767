//! One history: from its seed to the verdict.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Bug, RUNNING,
    fleet::Fleet,
    invariants::{self, Violation},
    lake::LakeFile,
    world::{Weather, World, dice},
};

/// How a history went.
#[derive(Debug)]
pub(super) struct Told {
    /// Hash of all that happened.
    pub(super) trace: u64,
    pub(super) lines: Vec<String>,
    /// How often each kind of thing happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) violation: Option<Violation>,
}

/// Longer than any request is on its way.
const LATEST_PUT: Duration = Duration::from_secs(60);
/// After the last fault, everything must be in the lake after this time.
const PROGRESS: Duration = Duration::from_secs(600);

/// Runs the history of a seed, with the product as it is or with a bug in it.
pub(super) fn run(seed: u64, bug: Option<Bug>) -> Told {
    // A runtime of its own: its clock begins at 0, and dropping it ends all that still runs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can be made").block_on(async {
        let world = Arc::new(World::new(dice(seed)));
        RUNNING.set(Some((Arc::clone(&world), bug)));
        live(&world).await;
        RUNNING.set(None);
        let (trace, lines, counts, violation) = world.told();
        Told { trace, lines, counts, violation }
    })
}

async fn live(world: &Arc<World>) {
    let mut fleet = Fleet::new(world);
    let trouble_ends = Instant::now() + world.milliseconds(10_000..60_000);
    let arriving = tokio::spawn(arrive(Arc::clone(world)));
    while Instant::now() < trouble_ends && !world.is_violated() {
        sleep(world.milliseconds(50..3_000)).await;
        fleet.tend(0.8);
        fleet.strike();
    }
    *world.weather.lock() = Weather::default();
    let deadline = Instant::now() + PROGRESS;
    while !world.is_violated() && !fleet.is_gap_made() && (!arriving.is_finished() || behind(world).is_err()) {
        if Instant::now() > deadline {
            world.judged(behind(world));
        }
        sleep(Duration::from_secs(1)).await;
        fleet.tend(1.0);
    }
    fleet.stop();
    sleep(LATEST_PUT).await;
    world.judged(untouched(world).await);
    if !fleet.is_gap_made() {
        world.judged(behind(world));
    }
}

/// Records come, for every partition, until all of them are there.
async fn arrive(world: Arc<World>) {
    let mut more = true;
    while more {
        sleep(world.milliseconds(50..1_500)).await;
        let records = world.draw(0..5);
        let mut log = world.log.lock();
        let partitions: Vec<bool> = log.partitions.iter_mut().map(|partition| partition.append(records)).collect();
        more = partitions.contains(&true);
    }
}

/// Is there something in the log that is not in the lake?
fn behind(world: &World) -> Result<(), Violation> {
    let (lake, log) = (world.lake.lock(), world.log.lock());
    for (number, (chain, log)) in lake.chains.iter().zip(&log.partitions).enumerate() {
        let files: Vec<LakeFile> = chain.files.values().cloned().collect();
        invariants::progress(number, &files, log.end)?;
    }
    Ok(())
}

/// Has nobody changed what had come?
async fn untouched(world: &World) -> Result<(), Violation> {
    let listed: Vec<_> = world.objects.list(None).try_collect().await.expect("the store beneath does not fail");
    let mut now = BTreeMap::new();
    for meta in listed {
        let bytes = async { world.objects.get(&meta.location).await?.bytes().await }.await;
        now.insert(meta.location, xxh3_64(&bytes.expect("the store beneath does not fail")));
    }
    invariants::one_winner(&world.lake.lock().objects, &now)
}
