//! What was learned, in a file.
//!
//! Responsible for ids by registry, subject and schema, so that an answer of one registry is never taken for that of
//! another; and for other schemas, by registry and id, in a second file beside it. Promises a whole file whatever
//! happens while it is written. A file that is missing or damaged holds nothing.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::Settings;

#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    url: String,
    key: String,
}

type Ids = BTreeMap<String, Vec<u32>>;

impl Cache {
    pub(crate) fn new(settings: &Settings, subject: &str, schema: &str) -> Cache {
        let hash = xxhash_rust::xxh3::xxh3_64(schema.as_bytes());
        let url = url(settings);
        let key = format!("{url} {subject} {hash:016x}");
        Cache { path: settings.cache.clone(), url, key }
    }

    /// The ids, the one learned first in front.
    pub(crate) fn ids(&self) -> Vec<u32> {
        read::<Ids>(&self.path).remove(&self.key).unwrap_or_default()
    }

    /// Adds an id.
    pub(crate) fn learned(&self, id: u32) {
        let mut all: Ids = read(&self.path);
        let ids = all.entry(self.key.clone()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
            keep(&self.path, &all);
        }
    }

    /// Other schemas that the registry has told of, with their ids.
    pub(crate) fn others(settings: &Settings) -> Vec<(u32, String)> {
        let mut all: Others = read(&beside(&settings.cache));
        all.remove(&url(settings)).unwrap_or_default().into_iter().collect()
    }

    /// Adds another schema.
    pub(crate) fn keep_other(&self, id: u32, schema: &str) {
        let path = beside(&self.path);
        let mut all: Others = read(&path);
        all.entry(self.url.clone()).or_default().insert(id, schema.to_owned());
        keep(&path, &all);
    }
}

/// By registry.
type Others = BTreeMap<String, BTreeMap<u32, String>>;

fn url(settings: &Settings) -> String {
    settings.url.trim_end_matches('/').to_owned()
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("schemas.json")
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> T {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// That it cannot be kept is told, and no reason to stop.
fn keep(path: &Path, learned: &impl Serialize) {
    if let Err(error) = write(path, learned) {
        let path = path.display();
        tracing::warn!(
            "what the schema registry said cannot be kept in {path} ({error}), so it has to answer at the next start: \
             set schema.registry.cache to a file that can be written"
        );
    }
}

fn write(path: &Path, learned: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&file, learned)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_found_again_under_the_same_registry_subject_and_schema() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            |url: &str| Settings { url: url.to_owned(), cache: folder.path().join("ids.json"), ..Settings::default() };
        let cache = Cache::new(&settings("http://a/"), "s", "x");
        assert!(cache.ids().is_empty());
        cache.learned(7);
        cache.learned(5);
        cache.learned(7);
        assert_eq!(Cache::new(&settings("http://a"), "s", "x").ids(), [7, 5]);
        for (url, subject, schema) in [("http://b", "s", "x"), ("http://a", "t", "x"), ("http://a", "s", "y")] {
            assert!(Cache::new(&settings(url), subject, schema).ids().is_empty());
        }
        std::fs::write(folder.path().join("ids.json"), "damaged").unwrap();
        assert!(cache.ids().is_empty());
        cache.keep_other(9, "schema 9");
        assert_eq!(Cache::others(&settings("http://a")), [(9, "schema 9".to_owned())]);
        assert_eq!(Cache::others(&settings("http://b")), []);
        let nowhere = Settings { cache: "/nowhere/ids.json".into(), ..settings("http://a") };
        Cache::new(&nowhere, "s", "x").learned(1);
    }
}
