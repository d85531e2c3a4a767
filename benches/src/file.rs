//! One file's records, as the sink holds them and as Arrow does.
//!
//! Responsible for giving the benches `sort` and `write` the same events twice. Leaves to them what is measured.

use std::{error::Error, time::Duration};

use arrow::array::RecordBatch;
use sink::{
    buffer::{Buffer, Part},
    decode::judge,
    footer::Footer,
    roll::RollPolicy,
    schema_ids::SchemaIds,
    sort::Row,
    source::chunk::{Chunk, Record},
};

use crate::{
    clickstream::{Clickstream, RECEIVED_AT},
    columns, value,
};

/// Records of the file: what a partition gathers in a roll interval at 10,000 events a second.
pub const ROWS: usize = 100_000;

/// Records of one chunk, about as many as the sink's sources hand over at once.
const CHUNK_ROWS: usize = 2_000;

/// The records and their rows, in log order.
#[must_use]
pub fn buffered() -> (Buffer, Vec<Row>) {
    let policy = RollPolicy { interval: Duration::MAX, bytes_max: usize::MAX, rows_max: usize::MAX };
    let mut buffer = Buffer::new(0, i64::MIN);
    let mut offsets = 0..;
    let mut acts = Clickstream::new(1).take(ROWS).peekable();
    while acts.peek().is_some() {
        let mut chunk = Chunk::new(0);
        for (offset, act) in offsets.by_ref().zip(acts.by_ref()).take(CHUNK_ROWS) {
            let event = act.event();
            let (key, value) = (event.user_key().map(str::as_bytes), value(&event));
            chunk.push(Record { offset, timestamp_us: RECEIVED_AT, key, value: Some(&value) });
        }
        assert!(buffer.push(Part::whole(chunk), &policy).is_none(), "nothing cuts the file");
    }
    let judged = judge(&mut buffer, &SchemaIds::built_in(event::Version::NEWEST));
    assert_eq!(judged.rows.len(), ROWS, "every act is a row");
    (buffer, judged.rows)
}

/// The same events as columns, in log order.
pub fn batch() -> Result<RecordBatch, Box<dyn Error>> {
    let mut decoder = columns::decoder(ROWS)?;
    for act in Clickstream::new(1).take(ROWS) {
        columns::decode(&mut decoder, &value(&act.event()))?;
    }
    let rows = decoder.flush()?.ok_or("the decoder holds rows")?;
    Ok(columns::with_place(&rows, vec![0; ROWS], (0..).take(ROWS).collect())?)
}

/// What the file would say about itself.
#[must_use]
pub fn footer() -> Footer {
    Footer {
        topic: "events".into(),
        partition: 0,
        log_id: "bench".into(),
        start_offset: 0,
        next_offset: ROWS as u64,
        rows: 0,
        dead_letters: 0,
        duplicates: 0,
        duplicates_across_files: 0,
        duplicates_since: 0,
        min_timestamp_us: RECEIVED_AT,
        max_timestamp_us: RECEIVED_AT,
        running_max_timestamp_us: RECEIVED_AT,
        cut_reason: "rows".into(),
        policy_hash: 0,
        schema_id: event::Version::NEWEST.schema_id(),
        row_hash: 0,
        columns: String::new(),
        writer: "bench".into(),
    }
}
