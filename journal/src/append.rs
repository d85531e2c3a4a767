//! Hands a request to the committer and waits for its fsync.
//!
//! Promises: requests are queued in the order of the calls, before `append` returns its future. Leaves the write to
//! `commit`.

use crate::batch::Batch;
use crate::open::Journal;
use crate::queue::Request;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Why a request was not acknowledged. Only after `Unclear` may its records be in the journal all the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full; nothing was written. Try again later.
    #[error("journal queue is full: {waiting_bytes} of {bytes_max} bytes wait for the disk")]
    Full { waiting_bytes: usize, bytes_max: usize },
    /// The request can never fit in the queue.
    #[error("request of {bytes} bytes is larger than the journal queue of {bytes_max} bytes")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// The partition does not exist; nothing was written.
    #[error("partition {partition} does not exist: the journal has {partitions}")]
    NoPartition { partition: u32, partitions: u32 },
    /// An earlier write or fsync failed; nothing of this request was written.
    #[error("journal accepts nothing since a write failed, restart to recover: {reason}")]
    Failed { reason: String },
    /// The write or the fsync of this very request failed: after a restart it may be there or not.
    #[error("journal write failed and its outcome is unknown: {reason}")]
    Unclear { reason: String },
}

/// Resolves when the request is durable. Dropping it does not take the request back.
#[derive(Debug)]
#[must_use = "a request is acknowledged only when this resolves"]
pub struct Append {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Result<(), AppendError>),
    Waiting(oneshot::Receiver<Result<(), AppendError>>),
}

impl Journal {
    /// Queues the request now; the future resolves after the fsync that covers it.
    pub fn append(&self, batch: Batch) -> Append {
        let state = match self.submit(batch) {
            Ok(Some(done)) => State::Waiting(done),
            Ok(None) => State::Ready(Ok(())),
            Err(error) => State::Ready(Err(error)),
        };
        Append { state }
    }

    fn submit(&self, batch: Batch) -> Result<Option<oneshot::Receiver<Result<(), AppendError>>>, AppendError> {
        let partitions = self.partitions();
        if let Some(part) = batch.parts.iter().find(|part| part.partition >= partitions) {
            return Err(AppendError::NoPartition { partition: part.partition, partitions });
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let (done, waiting) = oneshot::channel();
        let bytes = batch.bytes();
        self.queue().put(Request { batch, bytes, done })?;
        Ok(Some(waiting))
    }
}

impl Append {
    /// Whether the request was refused already: nothing of it was queued, and nothing of it will be in the journal.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(&self.state, State::Ready(Err(_)))
    }

    /// Blocks until the request is durable; for threads outside a runtime.
    ///
    /// # Errors
    /// As when awaited.
    pub fn wait_blocking(self) -> Result<(), AppendError> {
        match self.state {
            State::Ready(result) => result,
            State::Waiting(done) => done.blocking_recv().unwrap_or_else(|_| Err(gone())),
        }
    }
}

impl Future for Append {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Ready(result) => Poll::Ready(result.clone()),
            State::Waiting(done) => Pin::new(done).poll(context).map(|result| result.unwrap_or_else(|_| Err(gone()))),
        }
    }
}

/// The committer vanished without an answer (it panicked).
fn gone() -> AppendError {
    AppendError::Unclear { reason: "the committer thread ended".to_owned() }
}
