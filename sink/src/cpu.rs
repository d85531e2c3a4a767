//! Work of the CPU, away from the threads that serve the log and the store.
//!
//! Responsible for where such work runs. A panic in it is a bug, and ends the partition.

/// Runs work on a thread that may be blocked. A simulated sink does it at once: with other threads no history would come
/// again.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(test)]
    if crate::simulation::is_running() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.expect("a panic in this work is a bug, and ends the partition")
}
