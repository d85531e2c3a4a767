//! Seeing rows become visible.
//!
//! Responsible for visible lag: a loop that lists the lake, reads what is new, and looks up when each event was due.
//! Promises one clock for both ends, each file read once, and that a file which cannot be read is remembered: a reader
//! must never see half a file. Leaves whether the rows are right to `verify`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::lake::{Found, Lake, LakeError};
use crate::arrival::Clock;
use crate::latency::Latency;
use crate::ledger::{EventId, Ledger, Sighting};
use crate::tally::Tallies;

/// The shortest time between two listings: half of it is the error of the lag.
const POLL_MIN: Duration = Duration::from_millis(50);
/// Listings take at most one part in so many of the time, however many files there are.
const POLL_SHARE: u32 = 20;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// From due to visible, of each event's first row.
    pub visible: Latency,
    /// Files that were read.
    pub files: u64,
    /// Files that could not be read at first sight, and why.
    pub torn: HashMap<String, String>,
    /// Listings that failed.
    pub listing_errors: u64,
    /// What the last of them said.
    pub last_listing_error: Option<String>,
    /// When the last new row was seen, in microseconds since the start.
    pub last_visible_us: u64,
}

/// The files that are there now: they cannot hold events of a run that has not begun.
pub async fn known(lake: &Lake) -> Result<HashSet<String>, LakeError> {
    Ok(lake.list().await?.files.into_iter().map(|found| found.path).collect())
}

/// Watches the lake until `stop`, and looks once more after that.
pub async fn watch(
    lake: Lake,
    mut known: HashSet<String>,
    ledger: Arc<Mutex<Ledger>>,
    tallies: Arc<Tallies>,
    clock: Clock,
    stop: CancellationToken,
) -> Watched {
    let mut watched = Watched::default();
    loop {
        let last_look = stop.is_cancelled();
        let began = Instant::now();
        match lake.list().await {
            Ok(listing) => {
                let took = began.elapsed();
                let news: Vec<Found> = listing.files.into_iter().filter(|found| !known.contains(&found.path)).collect();
                for found in news {
                    if look(&lake, &found, &mut watched, &ledger, &tallies, &clock).await {
                        known.insert(found.path);
                    }
                }
                rest(took, &stop).await;
            }
            Err(error) => {
                watched.listing_errors += 1;
                watched.last_listing_error = Some(error.to_string());
                rest(began.elapsed(), &stop).await;
            }
        }
        if last_look {
            return watched;
        }
    }
}

async fn rest(listing_took: Duration, stop: &CancellationToken) {
    let rest = POLL_MIN.max(listing_took * POLL_SHARE);
    tokio::select! {
        () = tokio::time::sleep(rest) => {}
        () = stop.cancelled() => {}
    }
}

/// Whether the file could be read.
async fn look(
    lake: &Lake,
    found: &Found,
    watched: &mut Watched,
    ledger: &Mutex<Ledger>,
    tallies: &Tallies,
    clock: &Clock,
) -> bool {
    let run = ledger.lock().run().to_owned();
    let mut ids = Vec::new();
    let read = lake.read(found, |row| ids.extend(EventId::parse(&run, row.event_id))).await;
    if let Err(error) = read {
        watched.torn.insert(found.path.clone(), error.to_string());
        return false;
    }
    // The row counts as visible when it has been read, not when its file was listed.
    let seen_us = clock.now_us();
    watched.files += 1;
    for some in ids.chunks(1_024) {
        let mut ledger = ledger.lock();
        let mut first = 0;
        for id in some {
            if let Sighting::First { due_us } = ledger.see(*id) {
                watched.visible.record(due_us, seen_us);
                first += 1;
            }
        }
        tallies.visible(first);
        watched.last_visible_us = seen_us;
    }
    true
}
