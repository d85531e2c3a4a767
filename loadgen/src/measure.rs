//! One measured run: a sender, a reader, and somebody who watches both.
//!
//! Responsible for threads and their end. The sender and the reader have a thread and a runtime each, so that decoding
//! Parquet never delays a request. Promises to end: sending at its deadline, and looking for rows at a deadline after
//! the last acknowledgement. Leaves figures and verdicts to `report`.

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::arrival::Clock;
use crate::exit::Failure;
use crate::ledger::{self, Ledger, Outcome, Users};
use crate::offer::Offer;
use crate::progress::Progress;
use crate::reader::{self, Lake, Watched};
use crate::sender::{Sender, Sent, Settings, Target};
use crate::tally::Tallies;
use crate::verify::{self, Findings};

/// How long the gateway may take to accept a connection before the run begins.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where events go.
    pub target: Target,
    /// Where they must appear; without it there is neither visible lag nor verification.
    pub lake: Option<Lake>,
    /// How to send.
    pub sending: Settings,
    /// The id of the run.
    pub run: String,
    /// How its users are called.
    pub users: Users,
    /// Events that will be offered, if that is known.
    pub events: Option<u64>,
    /// Where the ledger is kept for `verify`.
    pub ledger_file: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The outcome of every event.
    pub ledger: Ledger,
    /// The sender's figures.
    pub sent: Sent,
    /// The reader's figures, if there is a lake. Events that were not seen are in its histogram at the time when the
    /// reader gave up: leaving them out would make a lake that loses events look fast.
    pub watched: Option<Watched>,
    /// Acknowledged events that were not seen before the deadline.
    pub unseen: u64,
    /// What verification found, if there is a lake.
    pub findings: Option<Findings>,
    /// The run's clock.
    pub clock: Clock,
    /// When the reader stopped, or the sender if there is no lake, in microseconds since the start.
    pub ended_us: u64,
}

/// Measures. `offer` is made when the clock starts.
pub async fn measure<O>(job: Job, offer: impl FnOnce(&Clock) -> O) -> Result<Measured, Failure>
where
    O: Offer + Send + 'static,
    O::Event: Send + 'static,
{
    let known = check_environment(&job).await?;
    let clock = Clock::started_now();
    let ledger = Arc::new(Mutex::new(Ledger::new(&job.run, job.users)));
    let tallies = Arc::new(Tallies::default());
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone());
    let sender =
        Sender::new(offer(&clock), job.target, job.sending.clone(), clock, Arc::clone(&ledger), Arc::clone(&tallies));
    let sending = on_thread("sender", sender.run(stop.clone()));
    let seen_all = CancellationToken::new();
    let watching = job.lake.clone().map(|lake| {
        let watch = reader::watch(lake, known, Arc::clone(&ledger), Arc::clone(&tallies), clock, seen_all.clone());
        on_thread("reader", watch)
    });
    let mut progress = Progress::start(job.events);
    let sent = wait(sending, || progress.show(&tallies.snapshot(), clock.now_us())).await?;
    let watched = match watching {
        None => None,
        Some(watching) => {
            let until_us = clock.now_us().max(sent.last_ack_us) + job.sending.deadline.as_micros() as u64;
            while clock.now_us() < until_us && ledger.lock().tally().ok_unseen > 0 {
                progress.show(&tallies.snapshot(), clock.now_us());
                tokio::time::sleep(TICK).await;
            }
            seen_all.cancel();
            Some(wait(watching, || {}).await?)
        }
    };
    progress.finish();
    let ended_us = clock.now_us();
    let ledger = Arc::into_inner(ledger).expect("both threads have ended").into_inner();
    if let Some(file) = &job.ledger_file {
        // Before verification: if the lake cannot be read now, it can be judged later.
        ledger::write(&ledger, file).map_err(Failure::environment)?;
    }
    let (watched, unseen) = censor(watched, &ledger, ended_us);
    let findings = match &job.lake {
        None => None,
        Some(lake) => Some(verify::verify(&ledger, lake).await.map_err(Failure::environment)?),
    };
    Ok(Measured { ledger, sent, watched, unseen, findings, clock, ended_us })
}

async fn check_environment(job: &Job) -> Result<HashSet<String>, Failure> {
    job.target.probe(PROBE_TIMEOUT).await.map_err(|error| {
        let address = job.target.address();
        Failure::environment(format!("nobody answers at {address} ({error}): start the gateway or correct --target"))
    })?;
    match &job.lake {
        Some(lake) => reader::known(lake).await.map_err(Failure::environment),
        None => Ok(HashSet::new()),
    }
}

/// Counts acknowledged events that were not seen as visible at the end at the earliest.
fn censor(watched: Option<Watched>, ledger: &Ledger, ended_us: u64) -> (Option<Watched>, u64) {
    let Some(mut watched) = watched else { return (None, 0) };
    let mut unseen = 0;
    for number in ledger.numbers() {
        if ledger.outcome(number) == Outcome::Ok && !ledger.visible(number) {
            watched.visible.record(ledger.due_us(number), ended_us);
            unseen += 1;
        }
    }
    (Some(watched), unseen)
}

/// The first signal ends the offer, the second the program.
fn stop_on_signals(stop: CancellationToken) {
    tokio::spawn(async move {
        for _ in 0..2 {
            let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            let Ok(mut terminated) = terminated else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
}

/// Runs a future to its end on a thread of its own.
fn on_thread<T: Send + 'static>(name: &str, work: impl Future<Output = T> + Send + 'static) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs no privileges");
        // If nobody waits any more, the program is ending.
        let _ = done.send(runtime.block_on(work));
    });
    thread.expect("a process can have three threads");
    result
}

async fn wait<T>(mut result: oneshot::Receiver<T>, mut meanwhile: impl FnMut()) -> Result<T, Failure> {
    loop {
        match tokio::time::timeout(TICK, &mut result).await {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(_)) => return Err(Failure::environment("a thread of the generator ended in a panic: see above")),
            Err(_) => meanwhile(),
        }
    }
}
