//! Bugs that the simulation must find.
//!
//! Responsible for their names. Each is one line in the place where a hasty change would make it, compiled for unit tests
//! only, and does something only in a history that asks for it.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The store overwrites, whatever the condition (after it has passed the boot probe).
    StoreOverwrites,
    /// Whatever lies in a file's place is taken for the file.
    AdoptsUnread,
    /// Rule A is skipped: the next file is written before the one it follows is known to be in the lake.
    SkipsRuleA,
    /// Partitions resume at the group's committed offset.
    ResumesFromCommitted,
    /// What a list does not show is not looked for, so that one that lags behind makes a gap.
    BelievesLists,
    /// Rule B is skipped: the loser of a create goes on with what it has.
    KeepsBuffer,
    /// A user's rows are not kept in log order.
    SortsUnstably,
    /// Who takes a partition over does not learn which events its files hold.
    ForgetsAtTakeover,
}
