//! The way between one sink and the store.
//!
//! Responsible for what can happen to a request: it takes its time, is refused, is lost, arrives long after its sender
//! has stopped waiting or is dead, or is done and not answered. A request that has left is the network's: nobody takes it
//! back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{Bug, is_planted, world::World};

/// One process: dead or alive, and frozen for now or not.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) process: u32,
    frozen_until: Mutex<Instant>,
    is_over: AtomicBool,
}

impl Life {
    pub(super) fn new(process: u32) -> Life {
        Life { process, frozen_until: Mutex::new(Instant::now()), is_over: AtomicBool::new(false) }
    }

    pub(super) fn freeze(&self, time: Duration) {
        *self.frozen_until.lock() = Instant::now() + time;
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Nothing leaves a frozen process and nothing reaches it.
    pub(super) async fn thawed(&self) {
        loop {
            let until = *self.frozen_until.lock();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) world: Arc<World>,
    pub(super) life: Arc<Life>,
}

/// What becomes of a PUT.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    /// HTTP 503, and nothing happened.
    Refused,
    /// HTTP 409 as `object_store` tells it: "already exists", and nothing happened.
    Conflict,
    /// It never arrives, and nobody says so.
    Lost,
    /// It is done, and an error comes back.
    DoneAndRefused,
    /// It is done, and nothing comes back.
    DoneInSilence,
}

impl Wire {
    fn fate(&self) -> Fate {
        let weather = *self.world.weather.lock();
        if weather.is_out {
            return Fate::Refused;
        }
        if !self.world.chance(weather.bad_puts) {
            return Fate::Done;
        }
        [Fate::Refused, Fate::Conflict, Fate::Lost, Fate::DoneAndRefused, Fate::DoneInSilence][self.world.draw(0..5)]
    }

    /// A PUT of which nobody knows who still waits for it.
    async fn travel(self, path: Path, payload: PutPayload, options: PutOptions, fate: Fate, answer: Answer) {
        let late = self.world.weather.lock().late_puts;
        let way = if self.world.chance(late) { 100..30_000 } else { 1..60 };
        sleep(self.world.milliseconds(way)).await;
        let result = match fate {
            Fate::Lost => return,
            Fate::Refused => Err(unavailable()),
            Fate::Conflict => Err(conflict(&path)),
            Fate::Done | Fate::DoneAndRefused | Fate::DoneInSilence => self.arrive(&path, payload, options).await,
        };
        if self.life.is_over.load(Relaxed) {
            self.world.note("zombie", format_args!("PUT {path} of a dead process: {}", said(&result)));
        }
        sleep(self.world.milliseconds(1..60)).await;
        let _ = match fate {
            Fate::DoneAndRefused => answer.send(Err(unavailable())),
            Fate::DoneInSilence => return,
            _ => answer.send(result),
        };
    }

    async fn arrive(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if is_planted(Bug::StoreOverwrites) {
            options.mode = PutMode::Overwrite;
        }
        let result = self.world.objects.put_opts(path, payload, options).await;
        if result.is_ok() {
            let stored = self.world.objects.get(path).await?.bytes().await?;
            let verdict = self.world.lake.lock().landed(path, stored, &self.world.log.lock().partitions);
            self.world.judged(verdict);
        }
        self.world.note("put", format_args!("{path} by {}: {}", self.life.process, said(&result)));
        result
    }

    /// A question takes its time, and sometimes is not answered.
    async fn ask(&self, what: &'static str, path: &Path) -> Result<()> {
        self.life.thawed().await;
        sleep(self.world.milliseconds(1..40)).await;
        self.life.thawed().await;
        let weather = *self.world.weather.lock();
        let fails = weather.is_out || self.world.chance(weather.bad_reads);
        self.world.note(what, format_args!("{path} by {}{}", self.life.process, if fails { ": 503" } else { "" }));
        if fails { Err(unavailable()) } else { Ok(()) }
    }

    async fn listed(self, prefix: Path) -> Result<Vec<ObjectMeta>> {
        if is_probe(&prefix) {
            return self.world.objects.list(Some(&prefix)).try_collect().await;
        }
        self.ask("list", &prefix).await?;
        let mut found: Vec<ObjectMeta> = self.world.objects.list(Some(&prefix)).try_collect().await?;
        let stale = self.world.weather.lock().stale_lists;
        if self.world.chance(stale) {
            let hidden = self.world.draw(0..3);
            found.truncate(found.len().saturating_sub(hidden));
        }
        Ok(found)
    }
}

type Answer = oneshot::Sender<Result<PutResult>>;

/// The boot probe's objects have names that no seed knows, and its faults are another test's.
fn is_probe(path: &Path) -> bool {
    path.as_ref().starts_with("_probe")
}

fn said(result: &Result<PutResult>) -> &'static str {
    match result {
        Ok(_) => "created",
        Err(Error::AlreadyExists { .. }) => "exists",
        Err(_) => "refused",
    }
}

fn unavailable() -> Error {
    Error::Generic { store: "simulated", source: "503 slow down".into() }
}

fn conflict(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409 conflict".into() }
}

#[async_trait]
impl ObjectStore for Wire {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if is_probe(path) {
            return self.world.objects.put_opts(path, payload, options).await;
        }
        self.life.thawed().await;
        let (answer, answered) = oneshot::channel();
        let fate = self.fate();
        self.world.note("send", format_args!("{path} by {}: {fate:?}", self.life.process));
        tokio::spawn(self.clone().travel(path.clone(), payload, options, fate, answer));
        let result = match answered.await {
            Ok(result) => result,
            Err(_) => std::future::pending().await,
        };
        self.life.thawed().await;
        result
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("a multipart upload cannot be conditional")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if !is_probe(path) {
            self.ask("get", path).await?;
        }
        self.world.objects.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.world.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.clone().listed(prefix.cloned().unwrap_or_default());
        stream::once(listed).map_ok(|found| stream::iter(found).map(Ok)).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.world.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("the sink copies nothing")
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated store of process {}", self.life.process)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.life.process)
    }
}
