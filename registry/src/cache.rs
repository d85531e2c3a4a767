//! What was learned, in a file.
//!
//! Responsible for ids by registry, subject and schema, so that an answer of one registry is never taken for that of
//! another. Promises a whole file whatever happens while it is written. A file that is missing or damaged holds nothing.

use std::{collections::BTreeMap, io, path::PathBuf};

use crate::Settings;

#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    key: String,
}

type Ids = BTreeMap<String, Vec<u32>>;

impl Cache {
    pub(crate) fn new(settings: &Settings, subject: &str, schema: &str) -> Cache {
        let hash = xxhash_rust::xxh3::xxh3_64(schema.as_bytes());
        let key = format!("{} {subject} {hash:016x}", settings.url.trim_end_matches('/'));
        Cache { path: settings.cache.clone(), key }
    }

    /// The ids, the one learned first in front.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.read().remove(&self.key).unwrap_or_default()
    }

    /// Adds an id. That it cannot be kept is told, and no reason to stop.
    pub(crate) fn learned(&self, id: u32) {
        let mut all = self.read();
        let ids = all.entry(self.key.clone()).or_default();
        if ids.contains(&id) {
            return;
        }
        ids.push(id);
        if let Err(error) = self.write(&all) {
            let path = self.path.display();
            tracing::warn!(
                "what the schema registry said cannot be kept in {path} ({error}), so it has to answer at the next start: \
                 set schema.registry.cache to a file that can be written"
            );
        }
    }

    fn read(&self) -> Ids {
        std::fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, ids: &Ids) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&file, ids)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
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
        let nowhere = Settings { cache: "/nowhere/ids.json".into(), ..settings("http://a") };
        Cache::new(&nowhere, "s", "x").learned(1);
    }
}
