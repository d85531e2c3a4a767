//! How far the drain has come: one small file beside the spool's journal.
//!
//! Responsible for what a restart has to know: which records Kafka has for certain, and from where on in each partition
//! of Kafka the others have to be looked for. Promises that the file is replaced as a whole and is on disk when `write`
//! returns.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::entry::Place;
use crate::log::kafka::boot;

const NAME: &str = "checkpoint.json";
const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::log::kafka) struct Checkpoint {
    version: u32,
    /// Whether records beyond `drained` may be in Kafka already.
    pub(super) draining: bool,
    /// For each partition of the spool, the end of what Kafka has acknowledged.
    pub(super) drained: Vec<u64>,
    /// For each topic and partition of Kafka, an offset below which no record beyond `drained` lies.
    pub(super) marks: BTreeMap<String, Vec<i64>>,
    /// What a record batch may have, as Kafka said last: known also where Kafka is down at boot.
    pub(super) batch_bytes_max: Option<usize>,
}

impl Checkpoint {
    pub(super) fn new(drained: Vec<u64>) -> Checkpoint {
        Checkpoint { version: VERSION, drained, ..Checkpoint::default() }
    }

    /// `None` where there is none yet.
    pub(super) fn read(dir: &Path) -> io::Result<Option<Checkpoint>> {
        let bytes = match fs::read(path(dir)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let checkpoint: Checkpoint = sonic_rs::from_slice(&bytes).map_err(io::Error::other)?;
        if checkpoint.version != VERSION {
            return Err(io::Error::other(format!("version {} is not known", checkpoint.version)));
        }
        Ok(Some(checkpoint))
    }

    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let unfinished = dir.join("checkpoint.unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(&sonic_rs::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_data()?;
        fs::rename(&unfinished, path(dir))?;
        File::open(dir)?.sync_all()
    }

    pub(in crate::log::kafka) fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max.unwrap_or(boot::BATCH_BYTES_DEFAULT)
    }

    /// Whether a record of the spool is not known to be in Kafka.
    pub(super) fn is_beyond(&self, place: Place) -> bool {
        self.drained.get(place.partition as usize).is_some_and(|drained| place.offset >= *drained)
    }

    /// Takes note that Kafka has a drained record at `offset`. Nothing below is beyond `drained` once that covers it.
    pub(super) fn passed(&mut self, topic: &str, partition: i32, offset: i64) {
        let Ok(partition) = usize::try_from(partition) else { return };
        let Some(marks) = self.marks.get_mut(topic) else { return };
        if marks.len() <= partition {
            marks.resize(partition + 1, 0);
        }
        marks[partition] = marks[partition].max(offset + 1);
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_a_strange_one_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Checkpoint::read(dir.path()).expect("readable"), None);
        let mut checkpoint = Checkpoint::new(vec![3, 0]);
        checkpoint.marks.insert("events".to_owned(), vec![7]);
        checkpoint.passed("events", 0, 5);
        checkpoint.passed("events", 2, 8);
        checkpoint.passed("unknown", 0, 8);
        assert_eq!(checkpoint.marks["events"], [7, 0, 9]);
        checkpoint.write(dir.path()).expect("writable");
        assert_eq!(Checkpoint::read(dir.path()).expect("readable"), Some(checkpoint));
        let golden =
            r#"{"version":1,"draining":false,"drained":[3,0],"marks":{"events":[7,0,9]},"batch_bytes_max":null}"#;
        assert_eq!(fs::read_to_string(path(dir.path())).expect("readable"), golden);
        fs::write(path(dir.path()), golden.replace(":1,", ":2,")).expect("writable");
        assert!(Checkpoint::read(dir.path()).is_err());
    }
}
