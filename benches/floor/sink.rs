//! The sink's floor: the least a program can do that turns the log into sorted Parquet files.
//!
//! Responsible for an honest measure: consume, decode, stable sort by user, Parquet with zstd(1), the product's columns,
//! one program. Leaves out everything that makes the files trustworthy: no commits, no duplicates removed, no bad
//! records, no chain of files, no hashes, no bloom filters, no limits to memory.

use std::{
    error::Error,
    fs,
    mem::take,
    path::Path,
    time::{Duration, Instant},
};

use benches::columns::{decode, decoder, parquet, sort, with_place};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};

/// Rows of one file.
pub(crate) const FILE_ROWS: usize = 100_000;

/// Consumes `events` records of the topic into files in `folder`.
pub(crate) fn run(brokers: &str, topic: &str, events: usize, folder: &Path) -> Result<(), Box<dyn Error>> {
    let consumer = consumer(brokers, topic)?;
    let mut decoder = decoder(FILE_ROWS)?;
    let (mut partitions, mut offsets) = (Vec::with_capacity(FILE_ROWS), Vec::with_capacity(FILE_ROWS));
    let (mut seen, mut files) = (0, 0);
    let mut last = Instant::now();
    while seen < events {
        let Some(record) = consumer.poll(Duration::from_secs(60)) else {
            // A poll that served an event of the group, such as the assignment, returns without a record too.
            if last.elapsed() >= Duration::from_secs(60) {
                return Err("no record in 60 s".into());
            }
            continue;
        };
        last = Instant::now();
        let record = record?;
        decode(&mut decoder, record.payload().ok_or("a record without a value")?)?;
        partitions.push(record.partition());
        offsets.push(record.offset());
        seen += 1;
        if decoder.batch_is_full() || seen == events {
            let rows = decoder.flush()?.ok_or("a full decoder holds rows")?;
            let rows = with_place(&rows, take(&mut partitions), take(&mut offsets))?;
            fs::write(folder.join(format!("{files:05}.parquet")), parquet(&sort(&rows)?)?)?;
            files += 1;
        }
    }
    Ok(())
}

fn consumer(brokers: &str, topic: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let group = format!("floor-{}", std::process::id());
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", brokers),
        ("group.id", group.as_str()),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("queued.max.messages.kbytes", "65536"),
        ("check.crcs", "false"),
    ] {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}
