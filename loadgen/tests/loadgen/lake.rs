//! A lake written by the test, in the column names that every reader relies on.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Event id, user key, offset.
pub(crate) type PlannedRow = (String, String, i64);

/// The path of the file that begins at `start`.
pub(crate) fn path(lake: &Path, partition: u32, start: u64) -> PathBuf {
    let folder = lake.join(format!("events/topic=events/partition={partition:05}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{start:020}.parquet"))
}

/// The bytes of a file that covers `start` to `next`, with columns that verification does not read, too.
pub(crate) fn parquet(partition: u32, start: u64, next: u64, rows: &[PlannedRow]) -> Vec<u8> {
    let text = |of: fn(&PlannedRow) -> &str| StringViewArray::from_iter_values(rows.iter().map(of));
    let partitions = Int32Array::from(vec![partition as i32; rows.len()]);
    let offsets = Int64Array::from_iter_values(rows.iter().map(|row| row.2));
    let columns: [(&str, ArrayRef); 5] = [
        ("event_id", Arc::new(text(|row| &row.0))),
        ("type", Arc::new(StringArray::from(vec!["page_view"; rows.len()]))),
        ("user_key", Arc::new(text(|row| &row.1))),
        ("_partition", Arc::new(partitions)),
        ("_offset", Arc::new(offsets)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let pair = |key: &str, value: u64| KeyValue::new(format!("footfall.{key}"), value.to_string());
    let footer = vec![pair("start_offset", start), pair("next_offset", next), pair("rows", rows.len() as u64)];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(footer)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

/// Writes a file in one step, as a reader of a good lake sees it.
pub(crate) fn put(lake: &Path, partition: u32, start: u64, next: u64, rows: &[PlannedRow]) -> PathBuf {
    let path = path(lake, partition, start);
    let hidden = lake.join("hidden");
    std::fs::write(&hidden, parquet(partition, start, next, rows)).unwrap();
    std::fs::rename(&hidden, &path).unwrap();
    path
}
