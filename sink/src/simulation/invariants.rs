//! What must hold of a lake, in every state: pure functions over what lies there and what is known of the log.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

use object_store::path::Path;

use super::{
    lake::{LakeFile, SeenRow},
    log::Truth,
};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    /// The files of a partition cover the log from 0 on without gap or overlap.
    Tiling,
    /// What lies at a key never changes.
    OneWinner,
    /// A user's rows stand in log order, in a file and file after file.
    Order,
    /// Each good record is a row or repeats one; each bad one is a dead letter; nothing else is there.
    ExactlyOnce,
    /// What is in the log comes into the lake once faults have stopped.
    Progress,
    /// A sink ends only when it cannot go on.
    NoFailure,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) invariant: Invariant,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// Is it so?
pub(super) fn hold(invariant: Invariant, is_so: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is_so { Ok(()) } else { Err(Violation { invariant, what: what() }) }
}

/// For all files of a partition, in the order of their keys. A file that follows nothing breaks rule A as well.
pub(super) fn tiling(files: &[LakeFile]) -> Result<(), Violation> {
    let mut next = 0;
    for LakeFile { key, footer, .. } in files {
        hold(Invariant::Tiling, footer.start_offset == *key, || {
            format!("file {key} says that it starts at {}", footer.start_offset)
        })?;
        hold(Invariant::Tiling, *key == next, || {
            format!("partition {}: file {key} stands where {next} comes next", footer.partition)
        })?;
        next = footer.next_offset;
    }
    Ok(())
}

/// For all pairs of states of the store, by key and content.
pub(super) fn one_winner(before: &BTreeMap<Path, u64>, after: &BTreeMap<Path, u64>) -> Result<(), Violation> {
    let changed = before.iter().find(|(path, content)| after.get(*path) != Some(*content));
    hold(Invariant::OneWinner, changed.is_none(), || {
        changed.map(|(path, _)| format!("{path} has changed or is gone")).unwrap_or_default()
    })
}

/// For all files of a partition, in the order of their keys.
pub(super) fn order(files: &[LakeFile]) -> Result<(), Violation> {
    let mut newest: HashMap<&str, u64> = HashMap::new();
    for LakeFile { key, rows, .. } in files {
        let is_sorted = rows.is_sorted_by(|left, right| (&left.user, left.offset) < (&right.user, right.offset));
        hold(Invariant::Order, is_sorted, || format!("the rows of file {key} are not sorted by user and offset"))?;
        for SeenRow { user, offset, .. } in rows {
            let before = newest.insert(user, *offset);
            hold(Invariant::Order, before < Some(*offset), || {
                format!("file {key} has {user}'s offset {offset} after {before:?}")
            })?;
        }
    }
    Ok(())
}

/// For all files of a partition, in the order of their keys, which tile a part of the log.
pub(super) fn exactly_once(files: &[LakeFile], letters: &BTreeSet<u64>, log: &[Truth]) -> Result<(), Violation> {
    let mut seen = HashSet::new();
    for LakeFile { key, footer, rows } in files {
        let (mut expected, mut dead, mut repeated) = (Vec::new(), 0, 0);
        for offset in footer.start_offset..footer.next_offset {
            let truth = log.get(offset as usize);
            hold(Invariant::ExactlyOnce, truth.is_some(), || {
                format!("file {key} covers {offset}, which is no record")
            })?;
            match truth {
                Some(Truth::Event { source, event_id, user }) if seen.insert((source, event_id)) => {
                    let (user, source, event_id) = (user.clone(), source.clone(), event_id.clone());
                    expected.push(SeenRow { offset, user, source, event_id });
                }
                Some(Truth::Event { .. }) => repeated += 1,
                Some(Truth::Bad) | None => {
                    dead += 1;
                    hold(Invariant::ExactlyOnce, letters.contains(&offset), || {
                        format!("file {key} covers the bad record {offset}, which is not in the dead letters")
                    })?;
                }
            }
        }
        let mut rows = rows.clone();
        rows.sort_by_key(|row| row.offset);
        hold(Invariant::ExactlyOnce, rows == expected, || format!("file {key} holds {rows:?} and not {expected:?}"))?;
        let counts = (footer.rows, footer.dead_letters, footer.duplicates);
        hold(Invariant::ExactlyOnce, counts == (expected.len() as u64, dead, repeated), || {
            format!("file {key} says {counts:?} and not {:?}", (expected.len(), dead, repeated))
        })?;
    }
    Ok(())
}

/// For all files of a partition, in the order of their keys, once faults have stopped for long.
pub(super) fn progress(partition: usize, files: &[LakeFile], log_end: u64) -> Result<(), Violation> {
    let end = files.last().map_or(0, |file| file.footer.next_offset);
    hold(Invariant::Progress, end == log_end, || {
        format!("partition {partition} is in the lake up to {end}, and the log ends at {log_end}")
    })
}
