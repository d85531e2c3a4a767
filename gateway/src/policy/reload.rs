//! A new configuration for a running gateway.
//!
//! Responsible for noticing it (SIGHUP, or another content of the file) and for putting it in place. Promises that a
//! configuration which is no good changes nothing, with one line that says why, and that what is only half written is
//! not taken for one: a new content counts when it is the same at two looks in a row. What needs a restart is named.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use operator::Failure;
use serde::Serialize;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::Policy;
use crate::{Gateway, config::Serving};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Settings that a reload applies, by the beginning of their names.
const RELOADED: [&str; 5] = ["keys", "gateway.limits", "gateway.trusted_proxies", "gateway.ip", "gateway.source"];

/// Where a running gateway gets a new configuration from.
pub struct Reload {
    file: Option<PathBuf>,
    hangup: Signal,
    read: Arc<dyn Fn() -> Result<Settings, Failure> + Send + Sync>,
}

struct Settings {
    serving: Serving,
    /// All settings of the binary by their names, to tell what else has changed.
    all: BTreeMap<String, String>,
}

impl Reload {
    /// `file` is watched; `read` gives all settings of the binary anew, checked, and those that serve requests. Call it
    /// inside a runtime and early: a SIGHUP that comes before ends the process.
    pub fn new<S: Serialize>(
        file: Option<PathBuf>,
        read: impl Fn() -> Result<(Serving, S), Failure> + Send + Sync + 'static,
    ) -> Reload {
        let read = move || {
            let (serving, settings) = read()?;
            let all = sonic_rs::to_value(&settings).map(|all| flat(&all)).unwrap_or_default();
            Ok(Settings { serving, all })
        };
        let hangup = signal(SignalKind::hangup()).expect("the runtime handles signals");
        Reload { file, hangup, read: Arc::new(read) }
    }

    /// Reads and checks the settings on a thread that may wait for the disk.
    async fn read(&self) -> Result<Settings, Failure> {
        let read = self.read.clone();
        tokio::task::spawn_blocking(move || read()).await.unwrap_or_else(|error| Err(Failure::internal(error)))
    }

    /// What is in the file now; empty where it cannot be read, which is another content as well.
    async fn content(&self) -> Option<Vec<u8>> {
        Some(tokio::fs::read(self.file.as_ref()?).await.unwrap_or_default())
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Applies each new configuration, for as long as it is polled.
pub(crate) async fn follow(gateway: &Gateway, reload: &mut Reload) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let boot = reload.read().await.map(|settings| settings.all).unwrap_or_default();
    let mut watch = Watch::new(reload.content().await);
    loop {
        let asked = tokio::select! {
            _ = reload.hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        // Before reading: a change in between is found at the next look.
        if !watch.is_new(reload.content().await) && !asked {
            continue;
        }
        watch.read();
        match reload.read().await {
            Ok(settings) => apply(gateway, &settings, &boot),
            Err(failure) => refuse(gateway, &failure),
        }
    }
}

/// What the file held at the last look, and when it was last read.
struct Watch {
    last: Option<Vec<u8>>,
    read: Option<Vec<u8>>,
}

impl Watch {
    fn new(content: Option<Vec<u8>>) -> Watch {
        Watch { last: content.clone(), read: content }
    }

    /// Whether the content is another than the one that was read, and has been at the look before this one too: a file
    /// that is being written is not to be read.
    fn is_new(&mut self, content: Option<Vec<u8>>) -> bool {
        let settled = content == self.last;
        self.last = content;
        settled && self.last != self.read
    }

    fn read(&mut self) {
        self.read.clone_from(&self.last);
    }
}

fn apply(gateway: &Gateway, settings: &Settings, boot: &BTreeMap<String, String>) {
    let old = gateway.policy.load_full();
    match Policy::new(&gateway.reloaded(&settings.serving), Some(&old)) {
        Ok(policy) => gateway.policy.store(Arc::new(policy)),
        Err(error) => return refuse(gateway, &error),
    }
    gateway.metrics.reloads.applied.inc();
    let restart = changed(boot, &settings.all);
    if restart.is_empty() {
        tracing::info!(keys = settings.serving.keys.len(), "the configuration was read again");
    } else {
        let settings = restart.join(", ");
        tracing::warn!(settings, "the configuration was read again, but these changes need a restart");
    }
}

fn refuse(gateway: &Gateway, why: &dyn fmt::Display) {
    gateway.metrics.reloads.refused.inc();
    tracing::error!(%why, "the new configuration is refused and the old one stays: correct it");
}

/// Names of the settings that differ and that a reload does not apply.
fn changed(boot: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = boot.keys().chain(now.keys()).collect();
    let applied = |name: &str| {
        let rest = |reloaded: &&str| {
            name.strip_prefix(*reloaded).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        RELOADED.iter().any(rest)
    };
    let differ = names.into_iter().filter(|name| boot.get(*name) != now.get(*name) && !applied(name));
    differ.cloned().collect()
}

/// Every value by its dotted name.
fn flat(all: &Value) -> BTreeMap<String, String> {
    fn add(name: &str, value: &Value, to: &mut BTreeMap<String, String>) {
        if let Some(object) = value.as_object() {
            for (key, value) in object.iter() {
                add(&if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }, value, to);
            }
        } else if let Some(array) = value.as_array() {
            array.iter().enumerate().for_each(|(index, value)| add(&format!("{name}[{index}]"), value, to));
        } else if !value.is_null() {
            to.insert(name.to_owned(), value.to_string());
        }
    }
    let mut to = BTreeMap::new();
    add("", all, &mut to);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_not_read() {
        let content = |text: &str| Some(text.as_bytes().to_vec());
        let mut watch = Watch::new(content("old"));
        let mut looks = |texts: &[&str]| texts.iter().map(|text| watch.is_new(content(text))).collect::<Vec<_>>();
        assert_eq!(looks(&["old", "ha", "half", "whole", "whole"]), [false, false, false, false, true]);
        watch.read();
        let mut looks = |texts: &[&str]| texts.iter().map(|text| watch.is_new(content(text))).collect::<Vec<_>>();
        assert_eq!(looks(&["whole", "whole", "old", "whole", "whole"]), [false; 5], "there and back is no change");
        assert_eq!(looks(&["old", "old"]), [false, true]);
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        #[track_caller]
        fn check(before: &str, after: &str, expected: &[&str]) {
            let all = |json| flat(&sonic_rs::from_str::<Value>(json).expect("JSON"));
            assert_eq!(changed(&all(before), &all(after)), expected);
        }
        let before =
            r#"{"gateway":{"listen":"a","ip":"full","limits":{"x":1}},"keys":[{"key":"k"}],"kafka":{"topic":"t"}}"#;
        check(before, before, &[]);
        check(before, &before.replace(":1}", ":2}").replace("full", "none").replace("\"k\"", "\"l\""), &[]);
        check(before, &before.replace("\"a\"", "\"b\"").replace("\"t\"", "\"u\""), &["gateway.listen", "kafka.topic"]);
        check(before, r#"{"gateway":{"ip_of":1}}"#, &["gateway.ip_of", "gateway.listen", "kafka.topic"]);
    }
}
