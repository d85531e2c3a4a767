//! (topic, partition, offset) <-> object key.
//!
//! Responsible for every key under the lake's root. Promises: the key of a data file is a function of topic, partition
//! and start offset alone, so that each start offset has one winner; offsets have 20 digits, so that keys sort as
//! offsets do. Only data files match the glob `events/**/*.parquet`.

use object_store::path::Path;

/// Data files lie here.
const EVENTS: &str = "events";

/// One partition of one topic: the owner of a chain of files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Topic in the log.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
}

impl Chain {
    /// The chain of a topic's partition.
    pub fn new(topic: impl Into<String>, partition: u32) -> Chain {
        Chain { topic: topic.into(), partition }
    }

    /// Folder of the data files.
    pub(crate) fn files(&self, root: &Path) -> Path {
        self.folder(root, EVENTS)
    }

    /// The data file that starts at an offset.
    pub(crate) fn file(&self, root: &Path, start: u64) -> Path {
        self.files(root).join(format!("{start:020}.parquet"))
    }

    /// The dead letters of the records from `start` up to `next`. Both offsets are in the name because a writer that
    /// loses its data file may have cut elsewhere: equal names then mean equal content.
    pub(crate) fn dead_letters(&self, root: &Path, start: u64, next: u64) -> Path {
        self.folder(root, "dead-letters").join(format!("{start:020}-{next:020}.parquet"))
    }

    /// Folder of the checkpoints.
    pub(crate) fn checkpoints(&self, root: &Path) -> Path {
        self.folder(root, "_checkpoints")
    }

    /// The checkpoint that stands for the chain up to the file that starts at an offset.
    pub(crate) fn checkpoint(&self, root: &Path, start: u64) -> Path {
        self.checkpoints(root).join(format!("{start:020}.json"))
    }

    fn folder(&self, root: &Path, kind: &str) -> Path {
        topic(root, kind, &self.topic).join(format!("partition={:05}", self.partition))
    }
}

/// Folder of the data files of all partitions of a topic.
pub fn files(root: &Path, topic_name: &str) -> Path {
    topic(root, EVENTS, topic_name)
}

fn topic(root: &Path, kind: &str, name: &str) -> Path {
    root.clone().join(kind).join(format!("topic={name}"))
}

/// Objects of the boot probe lie here, where no reader looks.
pub(crate) fn probe(root: &Path, name: &str) -> Path {
    root.clone().join("_probe").join(name)
}

/// The start offset in an object's name, if the name is one of ours with this extension.
pub(crate) fn start_offset(path: &Path, extension: &str) -> Option<u64> {
    let digits = path.filename()?.strip_suffix(extension)?.strip_suffix('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_offsets_and_give_them_back() {
        #[track_caller]
        fn check(start: u64, expected: &str) {
            let path = Chain::new("events", 7).file(&Path::from("lake"), start);
            assert_eq!(path.as_ref(), expected);
            assert_eq!(start_offset(&path, "parquet"), Some(start));
        }
        check(0, "lake/events/topic=events/partition=00007/00000000000000000000.parquet");
        check(1_234, "lake/events/topic=events/partition=00007/00000000000000001234.parquet");
        check(u64::MAX, "lake/events/topic=events/partition=00007/18446744073709551615.parquet");
    }

    #[test]
    fn names_of_others_have_no_offset() {
        #[track_caller]
        fn check(name: &str) {
            assert_eq!(start_offset(&Path::from(name), "parquet"), None);
        }
        check("a/1234.parquet");
        check("a/0000000000000000123x.parquet");
        check("a/+0000000000000000123.parquet");
        check("a/00000000000000001234.json");
        check("a/99999999999999999999.parquet");
        check("");
    }
}
