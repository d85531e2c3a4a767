//! The sinks: started, stopped, frozen, killed and started again.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use operator::{Failure, Health};
use prometheus_client::registry::Registry;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    group::{Group, Manner, SimulatedSource},
    invariants::{Invariant, hold},
    wire::{Life, Wire},
    world::World,
};
use crate::{Metrics, Settings, Source, Store, testing::TOPIC};

/// A member that is not heard of for so long loses its partitions.
const SESSION: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Fleet {
    world: Arc<World>,
    group: Arc<Group>,
    settings: Settings,
    sinks: Vec<Option<Process>>,
    started: u32,
    /// Retention has taken what the lake does not have: sinks must refuse to go on.
    is_gap_made: bool,
    /// A sink that reads behind the others may find that the log has dropped what it wants to read.
    has_retained: bool,
}

#[derive(Debug)]
struct Process {
    life: Arc<Life>,
    handle: JoinHandle<Result<(), Failure>>,
    shutdown: CancellationToken,
}

impl Fleet {
    pub(super) fn new(world: &Arc<World>) -> Fleet {
        let group = Arc::new(Group::new(Arc::clone(world)));
        let sinks = world.draw(2..=3);
        let roll_bytes_max = if world.chance(0.5) { 1_500 } else { 1 << 20 };
        let settings = Settings {
            topic: TOPIC.to_owned(),
            lake: "memory:///".to_owned(),
            roll_interval: world.milliseconds(500..6_000),
            roll_bytes_max,
            roll_rows_max: world.draw(3..20),
            checkpoint_files: world.draw(1..6),
            request_timeout: Duration::from_secs(5),
            resume_timeout: Duration::from_secs(20),
            drain_timeout: Duration::from_secs(30),
            ..Settings::default()
        };
        let mut fleet = Fleet {
            world: Arc::clone(world),
            group,
            settings,
            sinks: (0..sinks).map(|_| None).collect(),
            started: 0,
            is_gap_made: false,
            has_retained: false,
        };
        (0..sinks).for_each(|sink| fleet.start(sink));
        fleet
    }

    fn start(&mut self, sink: usize) {
        self.started += 1;
        let life = Arc::new(Life::new(self.started));
        let (world, group) = (Arc::clone(&self.world), Arc::clone(&self.group));
        world.note("start", format_args!("sink {sink} as process {}", self.started));
        let source = Source::Simulated(SimulatedSource { group, life: Arc::clone(&life) });
        let store = Store::with_objects(Arc::new(Wire { world, life: Arc::clone(&life) }), "memory:///");
        let (settings, shutdown) = (self.settings.clone(), CancellationToken::new());
        let stop = shutdown.clone();
        let handle = tokio::spawn(async move {
            let metrics = Arc::new(Metrics::register(&mut Registry::default()));
            Box::pin(crate::run(settings, source, store, metrics, &Health::default(), stop)).await
        });
        self.sinks[sink] = Some(Process { life, handle, shutdown });
    }

    /// Something happens to somebody.
    pub(super) fn strike(&mut self) {
        let sink = self.world.draw(0..self.sinks.len());
        match self.world.draw(0..9) {
            0 => self.kill(sink),
            1 => self.freeze(sink),
            2 => self.group.rebalance(Manner::Orderly),
            3 | 4 => self.group.rebalance(Manner::Late),
            5 => self.terminate(sink),
            6 => self.retain(),
            7 => self.rewind_group(),
            _ => self.cut_store_off(),
        }
    }

    /// SIGKILL. What has left the process is on its way.
    fn kill(&mut self, sink: usize) {
        let Some(process) = self.sinks[sink].take() else { return };
        self.world.note("kill", process.life.process);
        process.life.end();
        process.handle.abort();
        self.group.leave(process.life.process);
    }

    /// SIGSTOP, and SIGCONT later: perhaps after the group has given its partitions away.
    fn freeze(&self, sink: usize) {
        let Some(process) = &self.sinks[sink] else { return };
        let (time, number) = (self.world.milliseconds(500..30_000), process.life.process);
        self.world.note("freeze", format_args!("{number} for {time:?}"));
        process.life.freeze(time);
        let (group, life) = (Arc::clone(&self.group), Arc::clone(&process.life));
        tokio::spawn(async move {
            if time > SESSION {
                sleep(SESSION).await;
                group.expel(number);
            }
            life.thawed().await;
            group.welcome(number);
        });
    }

    /// SIGTERM.
    fn terminate(&self, sink: usize) {
        let Some(process) = &self.sinks[sink] else { return };
        self.world.note("terminate", process.life.process);
        process.shutdown.cancel();
    }

    /// Retention takes what the lake has, and rarely more.
    fn retain(&mut self) {
        let takes_too_much = self.world.chance(0.02);
        let mut log = self.world.log.lock();
        let number = self.world.draw(0..log.partitions.len());
        let partition = &mut log.partitions[number];
        let mut start = self.world.draw(partition.start..=partition.told.max(partition.start));
        if takes_too_much && start > 0 {
            start = partition.end;
            self.is_gap_made = true;
        }
        partition.start = start;
        self.has_retained |= start > 0;
        self.world.note("retention", format_args!("{number} begins at {start}"));
    }

    /// Somebody resets the group's offsets, which mean nothing.
    fn rewind_group(&self) {
        let mut log = self.world.log.lock();
        for partition in &mut log.partitions {
            partition.committed = self.world.draw(partition.start..=partition.end);
        }
        self.world.note(
            "offsets",
            format_args!("reset to {:?}", log.partitions.iter().map(|p| p.committed).collect::<Vec<_>>()),
        );
    }

    fn cut_store_off(&self) {
        let (world, time) = (Arc::clone(&self.world), self.world.milliseconds(500..20_000));
        world.note("outage", format_args!("for {time:?}"));
        world.weather.lock().is_out = true;
        tokio::spawn(async move {
            sleep(time).await;
            world.weather.lock().is_out = false;
        });
    }

    /// Starts again what has ended, as an operator's supervisor does.
    pub(super) fn tend(&mut self, restarts: f64) {
        for sink in 0..self.sinks.len() {
            let ended = self.sinks[sink].as_mut().and_then(|process| {
                let ended = (&mut process.handle).now_or_never()?;
                Some((process.life.process, ended))
            });
            if let Some((process, ended)) = ended {
                self.world.note("end", format_args!("{process} {ended:?}"));
                self.judge(ended);
                self.sinks[sink] = None;
            }
            if self.sinks[sink].is_none() && self.world.chance(restarts) {
                self.start(sink);
            }
        }
    }

    /// No sink may end by itself, unless the store or the log leaves it no choice.
    fn judge(&self, ended: Result<Result<(), Failure>, tokio::task::JoinError>) {
        let line = match ended {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(error) => error.to_string(),
        };
        let is_store = line.contains("check the store") || line.contains("stays in the log");
        let is_gap = self.is_gap_made && line.contains("are gone from the log");
        let is_behind = self.has_retained && line.contains("retention has passed");
        self.world.judged(hold(Invariant::NoFailure, is_store || is_gap || is_behind, || line));
    }

    pub(super) fn is_gap_made(&self) -> bool {
        self.is_gap_made
    }

    /// Ends all of them.
    pub(super) fn stop(&mut self) {
        (0..self.sinks.len()).for_each(|sink| self.kill(sink));
    }
}
