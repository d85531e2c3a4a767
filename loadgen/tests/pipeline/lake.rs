//! What the lake says about itself in its files' footers, and what the broker says about the log.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use crate::service::PARTITIONS;

/// Key-values of every data file, by partition and start offset.
pub(crate) type Footers = BTreeMap<(u32, u64), BTreeMap<String, String>>;

/// Every data file of a topic.
pub(crate) fn footers(lake: &Path, topic: &str) -> Footers {
    let mut found = Footers::new();
    for partition in 0..PARTITIONS {
        let folder = lake.join(format!("events/topic={topic}/partition={partition:05}"));
        let files = std::fs::read_dir(folder).into_iter().flatten();
        for path in files.map(|entry| entry.expect("a readable folder").path()) {
            let Some(start) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet")) else {
                continue;
            };
            let start = start.parse().expect("a start offset");
            found.insert((partition, start), key_values(&path));
        }
    }
    found
}

fn key_values(path: &Path) -> BTreeMap<String, String> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).expect("a readable file"));
    let reader = reader.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let pairs = reader.metadata().file_metadata().key_value_metadata().expect("a footer").clone();
    let ours = pairs.into_iter().filter_map(|pair| Some((pair.key.strip_prefix("footfall.")?.to_owned(), pair.value?)));
    ours.collect()
}

/// Where each partition's newest file says that the next one starts; 0 for a partition without files.
pub(crate) fn chain_ends(lake: &Path, topic: &str) -> Vec<i64> {
    let mut ends = vec![0; PARTITIONS as usize];
    // In the order of their offsets, so that the newest comes last.
    for ((partition, _), footer) in footers(lake, topic) {
        ends[partition as usize] = footer["next_offset"].parse().expect("a number");
    }
    ends
}

/// The end offset of each partition, from the broker.
pub(crate) fn log_ends(brokers: &str, topic: &str) -> Vec<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a consumer can be made");
    let ends = (0..PARTITIONS as i32).map(|partition| {
        let watermarks = consumer.fetch_watermarks(topic, partition, Duration::from_secs(20));
        watermarks.expect("the broker answers").1
    });
    ends.collect()
}

/// Objects that a killed PUT to a local disk left under its working name, `<key>#<number>`.
pub(crate) fn left_halfway(lake: &Path) -> usize {
    let mut folders: Vec<PathBuf> = vec![lake.to_owned()];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            found += usize::from(path.is_file() && path.to_string_lossy().contains(".parquet#"));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    found
}
