//! Responsible for readiness: named conditions, each owned by the part that knows it. Ready means that all of them hold.
//! Promises that a condition starts as not ready. Leaves liveness to the admin port, which answers as long as it runs.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};

/// All conditions of a process; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    conditions: Arc<Mutex<Vec<State>>>,
}

/// One thing that must hold for the process to be ready; clones share it.
#[derive(Debug, Clone)]
pub struct Condition {
    health: Health,
    index: usize,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    /// Why not, where it does not hold.
    lacking: Option<String>,
    /// What is worth knowing although it holds.
    note: Option<String>,
}

/// The reason of a condition that has not held yet.
const STARTING: &str = "starting";

impl Health {
    /// Adds a condition that does not hold yet ("starting"). A name that is registered again is the same condition: so a
    /// binary can say at its very start what it will have to wait for, before the parts that know have begun.
    pub fn register(&self, name: &'static str) -> Condition {
        let mut conditions = self.lock();
        let index = conditions.iter().position(|state| state.name == name).unwrap_or_else(|| {
            conditions.push(State { name, lacking: Some(STARTING.to_owned()), note: None });
            conditions.len() - 1
        });
        Condition { health: self.clone(), index }
    }

    /// # Errors
    /// `name: reason` of every condition that does not hold.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let conditions = self.lock();
        let reasons: Vec<String> = conditions
            .iter()
            .filter_map(|state| state.lacking.as_ref().map(|reason| format!("{}: {reason}", state.name)))
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// `name: note` of every condition that has one.
    pub fn notes(&self) -> Vec<String> {
        let conditions = self.lock();
        let noted = conditions.iter().filter_map(|state| Some((state.name, state.note.as_ref()?)));
        noted.map(|(name, note)| format!("{name}: {note}")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.conditions.lock().expect("no holder of this lock panics")
    }
}

impl Condition {
    /// Does it hold?
    pub fn holds(&self) -> bool {
        self.health.lock()[self.index].lacking.is_none()
    }

    /// Says what an operator should know although the condition may hold; `None` takes it back.
    pub fn note(&self, note: Option<String>) {
        self.health.lock()[self.index].note = note;
    }

    /// Says whether the condition holds, and why not. The change is logged, not the repetition, so it may be called often.
    pub fn set(&self, ready: bool, reason: impl Display) {
        let mut conditions = self.health.lock();
        let state = &mut conditions[self.index];
        if ready == state.lacking.is_none() {
            if !ready {
                state.lacking = Some(reason.to_string());
            }
            return;
        }
        let name = state.name;
        if ready {
            let lacked = state.lacking.take();
            // The end of a start is announced elsewhere; the end of trouble is news.
            if lacked.as_deref() == Some(STARTING) {
                tracing::debug!(condition = name, "ready");
            } else {
                tracing::info!(condition = name, "ready again");
            }
        } else {
            tracing::warn!(condition = name, %reason, "not ready");
            state.lacking = Some(reason.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_condition_holds() {
        let health = Health::default();
        assert_eq!(health.ready(), Ok(()));
        let (log, lake) = (health.register("log"), health.register("lake"));
        assert_eq!(health.ready(), Err(vec!["log: starting".to_owned(), "lake: starting".to_owned()]));
        assert!(!log.holds());
        log.set(true, "");
        assert!(log.holds() && !lake.holds());
        lake.set(false, "no space left");
        assert_eq!(health.ready(), Err(vec!["lake: no space left".to_owned()]));
        lake.set(true, "");
        assert_eq!(health.clone().ready(), Ok(()));
        log.note(Some("spooling".to_owned()));
        assert_eq!((health.ready(), health.notes()), (Ok(()), vec!["log: spooling".to_owned()]));
        log.note(None);
        assert!(health.notes().is_empty());
        health.register("log").set(false, "draining");
        assert_eq!(health.ready(), Err(vec!["log: draining".to_owned()]));
    }
}
