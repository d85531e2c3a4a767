//! (topic, partition, offset) <-> object key.
//!
//! Responsible for every key under the lake's root. Promises: the key of a data file is a function of topic, partition
//! and start offset alone, so that each start offset has one winner; offsets have 20 digits, so that keys sort as
//! offsets do. Only data files match the glob `events/**/*.parquet`.

use object_store::path::Path;

/// Data files lie here.
const EVENTS: &str = "events";
const DEAD_LETTERS: &str = "dead-letters";
const RETRIED: &str = ".retried-";
const CHECKPOINTS: &str = "_checkpoints";
const PROBES: &str = "_probe";

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
        self.dead_letters_folder(root).join(format!("{start:020}-{next:020}.parquet"))
    }

    /// Folder of the dead letters.
    pub(crate) fn dead_letters_folder(&self, root: &Path) -> Path {
        self.folder(root, DEAD_LETTERS)
    }

    /// Folder of the checkpoints.
    pub(crate) fn checkpoints(&self, root: &Path) -> Path {
        self.folder(root, CHECKPOINTS)
    }

    /// The checkpoint that stands for the chain up to the file that starts at an offset.
    pub(crate) fn checkpoint(&self, root: &Path, start: u64) -> Path {
        self.checkpoints(root).join(format!("{start:020}.json"))
    }

    fn folder(&self, root: &Path, kind: &str) -> Path {
        topic(root, kind, &self.topic).join(partition_name(self.partition))
    }
}

fn partition_name(partition: u32) -> String {
    format!("partition={partition:05}")
}

/// The partition whose folder this is.
pub(crate) fn partition(folder: &Path) -> Option<u32> {
    partition_of(folder.filename()?)
}

/// The partition that a folder's name says.
pub(crate) fn partition_of(name: &str) -> Option<u32> {
    let partition = name.strip_prefix("partition=")?.parse().ok()?;
    (partition_name(partition) == name).then_some(partition)
}

/// Folder of the dead letters of all partitions of a topic.
pub(crate) fn dead_letters_root(root: &Path, topic_name: &str) -> Path {
    topic(root, DEAD_LETTERS, topic_name)
}

/// The mark that says which letters of a dead-letter object were sent again; an object may have several.
pub(crate) fn retried(dead_letters: &Path, number: u32) -> Path {
    Path::from(format!("{}{RETRIED}{number:05}.json", dead_letters.as_ref().trim_end_matches(".parquet")))
}

/// Is it such a mark?
pub(crate) fn is_retried(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.contains(RETRIED) && name.ends_with(".json"))
}

/// Folder of the data files of all partitions of a topic.
pub fn files(root: &Path, topic_name: &str) -> Path {
    topic(root, EVENTS, topic_name)
}

fn topic(root: &Path, kind: &str, name: &str) -> Path {
    root.clone().join(kind).join(format!("topic={name}"))
}

/// Folders of everything that belongs to a topic.
pub(crate) fn topic_folders(root: &Path, topic_name: &str) -> [Path; 3] {
    [EVENTS, DEAD_LETTERS, CHECKPOINTS].map(|kind| topic(root, kind, topic_name))
}

/// Objects of the boot probe lie here, where no reader looks.
pub(crate) fn probe(root: &Path, name: &str) -> Path {
    probes(root).join(name)
}

/// Folder of the boot probe.
pub(crate) fn probes(root: &Path) -> Path {
    root.clone().join(PROBES)
}

/// Does the glob `events/**/*.parquet` find an object that lies in one of a topic's folders?
pub(crate) fn is_in_glob(path: &Path) -> bool {
    path.parts().any(|part| part.as_ref() == EVENTS) && path.as_ref().ends_with(".parquet")
}

/// The offsets in the name of a dead-letter object.
pub(crate) fn dead_letters_range(path: &Path) -> Option<(u64, u64)> {
    let (start, next) = path.filename()?.strip_suffix(".parquet")?.split_once('-')?;
    Some((digits(start)?, digits(next)?))
}

/// The start offset in an object's name, if the name is one of ours with this extension.
pub(crate) fn start_offset(path: &Path, extension: &str) -> Option<u64> {
    digits(path.filename()?.strip_suffix(extension)?.strip_suffix('.')?)
}

fn digits(digits: &str) -> Option<u64> {
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
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
