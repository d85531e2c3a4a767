//! Bad records and their object.
//!
//! Responsible for the form of dead letters: one row for each record that is not a row of the data file, with its reason
//! and its bytes and headers as they lie in the log. Promises: the object is there before the data file that covers its
//! records. A writer that loses its data file afterwards may leave an object that overlaps with the winner's; `_offset`
//! tells.

mod headers;
mod read;
mod retry;
mod shelf;

use std::sync::Arc;

pub use self::{
    headers::Header,
    read::{Letter, offsets},
    retry::{Filter, Judge, Retried, RetryError, retry},
    shelf::{Shelf, ShelfError, Tray},
};

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use crate::{
    buffer::{Buffer, Place},
    decode::DeadReason,
    source::chunk::Record,
    writer::WRITER,
};

/// The Parquet bytes of a buffer's dead letters.
pub fn encode(buffer: &Buffer, partition: u32, letters: &[(Place, DeadReason)]) -> Bytes {
    let records: Vec<Record<'_>> = letters.iter().map(|(place, _)| buffer.record(*place)).collect();
    let timestamps = records.iter().map(|record| record.timestamp_us);
    let headers = letters.iter().map(|(place, _)| headers::to_text(buffer.headers(*place)));
    let columns: [(&str, ArrayRef); 8] = [
        ("_partition", Arc::new(Int32Array::from_value(partition.cast_signed(), records.len()))),
        ("_offset", Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset.cast_signed())))),
        ("_timestamp", Arc::new(TimestampMicrosecondArray::from_iter_values(timestamps).with_timezone("UTC"))),
        ("reason", Arc::new(StringArray::from_iter_values(letters.iter().map(|(_, reason)| reason.label())))),
        ("message", Arc::new(StringArray::from_iter_values(letters.iter().map(|(_, reason)| reason.to_string())))),
        ("key", Arc::new(records.iter().map(|record| record.key).collect::<BinaryArray>())),
        ("value", Arc::new(records.iter().map(|record| record.value).collect::<BinaryArray>())),
        ("headers", Arc::new(headers.collect::<StringArray>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, array)| (name, Arc::clone(&array), ["key", "value", "headers"].contains(&name))),
    )
    .expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("a level of zstd")))
        .set_created_by(WRITER.to_owned())
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).expect("the schema is a fixed one");
    writer.write(&batch).expect("writing to memory does not fail");
    writer.into_inner().expect("writing to memory does not fail").into()
}
