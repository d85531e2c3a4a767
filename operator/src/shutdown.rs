//! Responsible for turning SIGTERM and SIGINT into a cancellation that services drain on. A second signal ends the
//! process at once, for an operator who does not want to wait. Leaves the order of the drain to the binary.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that a second signal ended in the middle of its drain: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. Call it once, inside a runtime, before anything that takes
/// time: from then on a signal no longer kills the process.
pub fn on_signal() -> CancellationToken {
    let term = signal(SignalKind::terminate()).expect("the runtime handles signals");
    let int = signal(SignalKind::interrupt()).expect("the runtime handles signals");
    let token = CancellationToken::new();
    tokio::spawn(watch(term, int, token.clone()));
    token
}

async fn watch(mut term: Signal, mut int: Signal, token: CancellationToken) {
    let name = next(&mut term, &mut int).await;
    tracing::info!(signal = name, "draining; a second signal stops at once");
    token.cancel();
    let name = next(&mut term, &mut int).await;
    tracing::warn!(signal = name, "stopped in the middle of the drain");
    std::process::exit(INTERRUPTED);
}

async fn next(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
