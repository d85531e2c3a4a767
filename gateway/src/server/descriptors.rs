//! Room for sockets.
//!
//! Responsible for the process's limit on open files, which holds connections back long before memory does.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no connections: the log's, the admin port's.
const OTHERS: usize = 200;

/// Raises the limit on open files as far as the system lets it, and warns if that is too little for `connections_max`.
pub(super) fn raise(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the limit on open files");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < (connections_max + OTHERS) as u64 {
        tracing::warn!(
            files,
            connections_max,
            "the limit on open files is below gateway.connections_max: raise it (ulimit -n, LimitNOFILE), or connections \
             wait in the listener's queue"
        );
    }
}
