//! Requests that wait for the committer, bounded in bytes.
//!
//! Promises: first in, first out; never more than `bytes_max` waiting, except that one request of at most that size is
//! always let in when nothing waits. After `fail` or `close` nothing is let in.

use crate::append::AppendError;
use crate::batch::Batch;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) bytes: usize,
    pub(crate) done: oneshot::Sender<Result<(), AppendError>>,
}

pub(crate) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Request>,
    waiting_bytes: usize,
    closed: bool,
    failure: Option<String>,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), wake: Condvar::new() }
    }

    pub(crate) fn put(&self, request: Request) -> Result<(), AppendError> {
        if request.bytes > self.bytes_max {
            return Err(AppendError::TooLarge { bytes: request.bytes, bytes_max: self.bytes_max });
        }
        let mut state = self.state.lock();
        if let Some(reason) = &state.failure {
            return Err(AppendError::Failed { reason: reason.clone() });
        }
        if state.waiting_bytes + request.bytes > self.bytes_max {
            return Err(AppendError::Full { waiting_bytes: state.waiting_bytes, bytes_max: self.bytes_max });
        }
        state.waiting_bytes += request.bytes;
        state.waiting.push(request);
        // The committer sleeps only when nothing waits, so only the first of a group needs to wake it.
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Swaps everything that waits into `group`, which is empty; blocks until there is something. `false`: closed and
    /// drained.
    pub(crate) fn take(&self, group: &mut Vec<Request>) -> bool {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            self.wake.wait(&mut state);
        }
        std::mem::swap(&mut state.waiting, group);
        state.waiting_bytes = 0;
        !group.is_empty()
    }

    /// Refuses everything from now on; what waits is refused too, and for certain: it was never written.
    pub(crate) fn fail(&self, reason: &str) {
        let mut state = self.state.lock();
        state.failure.get_or_insert_with(|| reason.to_owned());
        state.waiting_bytes = 0;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for request in waiting {
            let _ = request.done.send(Err(AppendError::Failed { reason: reason.to_owned() }));
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().waiting_bytes
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }
}
