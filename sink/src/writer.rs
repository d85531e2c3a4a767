//! Sorted rows -> Parquet bytes.
//!
//! Responsible for the file's physical form: zstd(1); sorted by (user_key, _offset) and declared so; bloom filters on
//! user_id and event_id; a page index on the columns that people filter by, with small pages on the user columns, because
//! a user has few rows; no Arrow schema, so that every reader sees plain Parquet types. Promises: the same rows and facts
//! give the same bytes with the same version.

use std::sync::Arc;

use crate::{
    buffer::Buffer,
    failpoint::{self, Point},
    footer::Footer,
    promote::Promotion,
    row_hash::{RowHasher, chained},
    schema::{Columns, NAMES},
    sort::Row,
};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::SortingColumn,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    },
    schema::types::ColumnPath,
};

/// Program and version, in the footer and as Parquet's `created_by`.
pub(crate) const WRITER: &str = concat!("footfall-sink ", env!("CARGO_PKG_VERSION"));

/// Rows that go to the Parquet writer at once: few enough that they stay in the cache.
const BATCH_ROWS: usize = 8 * 1024;
/// Rows in a page of a column that people look up users by.
const USER_PAGE_ROWS: usize = 4 * 1024;

/// A file's bytes and what is known of it afterwards.
#[derive(Debug)]
pub struct WrittenFile {
    /// Rows, row hash and columns filled in.
    pub footer: Footer,
    /// The whole file.
    pub bytes: Bytes,
    /// For each promoted column, values of another type.
    pub mismatches: Vec<u64>,
}

/// Writes rows in their order.
pub fn write(buffer: &Buffer, rows: &[Row], mut footer: Footer, promotion: &Promotion) -> WrittenFile {
    let file = Vec::with_capacity(64 * 1024 + buffer.extent().log_bytes / 4);
    let options =
        ArrowWriterOptions::new().with_properties(properties(rows.len()).build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(promotion.schema()), options)
        .expect("properties are fixed, columns have checked names and plain types, and tests write them");
    let mut columns = Columns::new(footer.partition, promotion);
    let (mut hash, mut hasher) = (promotion.row_hash_start(), RowHasher::default());
    for batch in rows.chunks(BATCH_ROWS) {
        for row in batch {
            let record = buffer.record(row.place);
            let value = record.value.expect("a row has a value");
            let (version, event) = event::decode_again(value).expect("it has been decoded before");
            hash = chained(hash, hasher.record(record.offset, version, &event, value));
            columns.append(&event, record.offset);
        }
        writer.write(&columns.finish()).expect("writing to memory does not fail");
        failpoint::pass(Point::InRowGroup);
    }
    footer.rows = rows.len() as u64;
    footer.row_hash = hash;
    footer.columns = promotion.text().to_owned();
    footer.to_key_values().into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
    let mut bytes = writer.into_inner().expect("writing to memory does not fail");
    // It may wait for the store for long, and only what it holds is counted.
    bytes.shrink_to_fit();
    WrittenFile { footer, bytes: bytes.into(), mismatches: columns.mismatches() }
}

/// The physical form of a file of so many rows; ADR 0013 says what each choice was measured to give.
pub fn properties(rows: usize) -> WriterPropertiesBuilder {
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("a level of zstd")))
        .set_created_by(WRITER.to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(vec![sorting_column("user_key"), sorting_column("_offset")]));
    let builder = ["event_time", "received_at", "_offset"].into_iter().fold(builder, time_column);
    let builder = ["user_id", "anonymous_id", "user_key"].into_iter().fold(builder, user_column);
    let builder = ["user_id", "event_id"].into_iter().fold(builder, |builder, name| bloom_filter(builder, name, rows));
    // Every value differs: a dictionary would be built and thrown away. Lengths of their own compress better than among ids.
    let builder = builder
        .set_column_dictionary_enabled(column("properties"), false)
        .set_column_dictionary_enabled(column("event_id"), false)
        .set_column_encoding(column("event_id"), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    // Nobody looks for a range of these, and finding the smallest text of each costs more than it tells.
    ["title", "referrer", "element_text", "element_href", "user_agent", "properties"]
        .into_iter()
        .fold(builder, |builder, name| builder.set_column_statistics_enabled(column(name), EnabledStatistics::None))
        .set_column_statistics_enabled(column("type"), EnabledStatistics::Page)
}

fn time_column(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(column(name), false)
        .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED)
        .set_column_statistics_enabled(column(name), EnabledStatistics::Page)
}

fn user_column(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder
        .set_column_data_page_row_count_limit(column(name), USER_PAGE_ROWS)
        .set_column_statistics_enabled(column(name), EnabledStatistics::Page)
}

/// Made for as many values as there are rows, and folded to what they need: one made for more costs a small file a third of
/// its time.
fn bloom_filter(builder: WriterPropertiesBuilder, name: &str, rows: usize) -> WriterPropertiesBuilder {
    builder
        .set_column_bloom_filter_enabled(column(name), true)
        .set_column_bloom_filter_fpp(column(name), 0.01)
        .set_column_bloom_filter_max_ndv(column(name), rows.max(1) as u64)
}

fn sorting_column(name: &str) -> SortingColumn {
    let index = NAMES.iter().position(|other| *other == name).expect("a column of the schema");
    SortingColumn { column_idx: i32::try_from(index).expect("few columns"), descending: false, nulls_first: false }
}

fn column(name: &str) -> ColumnPath {
    debug_assert!(NAMES.contains(&name), "{name}");
    ColumnPath::from(name)
}
