//! How long a connection waits for the processor.
//!
//! Responsible for a pair of sockets of the gateway's own: what is written to one end is read at the other by a task like
//! a connection's, so it waits where requests wait, in the kernel's queue and in the runtime's. Promises an answer for two
//! atomic loads, and one that grows while nothing moves at all.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::sleep,
};

const INTERVAL: Duration = Duration::from_millis(50);

/// The last beat's delay, and whether one is on its way.
#[derive(Debug)]
pub(super) struct Pulse {
    start: Instant,
    /// When the beat on its way began, in microseconds since `start`; 0 if none is.
    sent_us: AtomicU64,
    delay_us: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Pulse {
        Pulse { start: Instant::now(), sent_us: AtomicU64::new(0), delay_us: AtomicU64::new(0) }
    }

    /// How long a connection has to wait, at `now`.
    pub(super) fn delay(&self, now: Instant) -> Duration {
        let last_us = self.delay_us.load(Ordering::Relaxed);
        let under_way_us = match self.sent_us.load(Ordering::Relaxed) {
            0 => 0,
            sent_us => self.micros(now).saturating_sub(sent_us),
        };
        Duration::from_micros(last_us.max(under_way_us))
    }

    /// Beats for ever. `listen` is to run as a task of its own.
    pub(super) async fn beat(&self, mut to: UnixStream) -> io::Result<()> {
        loop {
            sleep(INTERVAL).await;
            if self.sent_us.load(Ordering::Relaxed) == 0 {
                self.sent(Instant::now());
                to.write_all(&[1]).await?;
            }
        }
    }

    /// Hears what `beat` sends from the other end.
    pub(super) async fn listen(&self, mut from: UnixStream) -> io::Result<()> {
        loop {
            from.read_u8().await?;
            self.heard(Instant::now());
        }
    }

    pub(super) fn sent(&self, now: Instant) {
        self.sent_us.store(self.micros(now).max(1), Ordering::Relaxed);
    }

    fn heard(&self, now: Instant) {
        let sent_us = self.sent_us.swap(0, Ordering::Relaxed);
        self.delay_us.store(self.micros(now).saturating_sub(sent_us), Ordering::Relaxed);
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_busy_processor_is_felt_and_a_free_one_too() {
        let pulse = Arc::new(Pulse::new());
        let (to, from) = UnixStream::pair().unwrap();
        let (beating, listening) = (pulse.clone(), pulse.clone());
        let tasks = [
            tokio::spawn(async move { beating.beat(to).await }),
            tokio::spawn(async move { listening.listen(from).await }),
        ];
        // Work that lets nothing else run for a while, as a queue of requests does.
        while pulse.delay(Instant::now()) < INTERVAL {
            std::thread::sleep(2 * INTERVAL);
            tokio::task::yield_now().await;
        }
        while pulse.delay(Instant::now()) >= INTERVAL {
            sleep(INTERVAL).await;
        }
        tasks.iter().for_each(|task| assert!(!task.is_finished()));
    }

    #[test]
    fn a_beat_that_does_not_arrive_grows_older() {
        let pulse = Pulse::new();
        let at = |ms: u64| pulse.start + Duration::from_millis(ms);
        assert_eq!(pulse.delay(at(1000)), Duration::ZERO);
        pulse.sent(at(1000));
        assert_eq!(pulse.delay(at(1700)), Duration::from_millis(700));
        pulse.heard(at(1800));
        assert_eq!(pulse.delay(at(5000)), Duration::from_millis(800));
    }
}
