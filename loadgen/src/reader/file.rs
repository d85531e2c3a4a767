//! One Parquet file of the lake.
//!
//! Responsible for the five columns that verification needs, and for what the file says about itself in its footer.
//! Promises to read strings and integers of any width and encoding, so that a change of the writer's types is no change
//! here. Leaves which files there are to `lake`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

const EVENT_ID: &str = "event_id";
const USER_KEY: &str = "user_key";
const PARTITION: &str = "_partition";
const OFFSET: &str = "_offset";
const COLUMNS: [&str; 4] = [EVENT_ID, USER_KEY, PARTITION, OFFSET];

/// One row, as far as verification looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which event it says it is.
    pub event_id: &'a str,
    /// Whose it is.
    pub user_key: &'a str,
    /// The partition it came from.
    pub partition: i64,
    /// Its offset in the log.
    pub offset: i64,
}

/// What a file says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// The first offset that the file covers.
    pub start: Option<u64>,
    /// The first offset that it does not cover any more.
    pub next: Option<u64>,
    /// Rows as counted by the writer.
    pub rows: Option<u64>,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Records that were dropped as duplicates.
    pub duplicates: u64,
    /// Rows as counted by the Parquet format.
    pub rows_found: u64,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The store did not hand it out.
    #[error("it cannot be fetched: {what}")]
    Fetch {
        /// What the store said.
        what: String,
    },
    /// It is no whole Parquet file.
    #[error("it is not a complete Parquet file: {what}")]
    Parquet {
        /// What the Parquet reader said.
        what: String,
    },
    /// A column is missing, of another type, or holds a null.
    #[error("column {column} is missing, has nulls or is of type {found}")]
    Column {
        /// Which column.
        column: &'static str,
        /// Its type.
        found: String,
    },
}

/// Reads all rows of a file in its order.
pub fn read_rows<R: ChunkReader + 'static>(file: R, mut each: impl FnMut(Row<'_>)) -> Result<Footer, FileError> {
    let parquet = |error: &dyn std::fmt::Display| FileError::Parquet { what: error.to_string() };
    // The writer's Arrow types are not asked for: what Parquet itself says is all that other readers have.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|e| parquet(&e))?;
    let footer = footer(builder.metadata());
    let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let reader = builder.with_projection(columns).with_batch_size(8_192).build().map_err(|e| parquet(&e))?;
    for batch in reader {
        each_row(&batch.map_err(|e| parquet(&e))?, &mut each)?;
    }
    Ok(footer)
}

fn each_row(batch: &RecordBatch, each: &mut impl FnMut(Row<'_>)) -> Result<(), FileError> {
    let event_ids = column(batch, EVENT_ID, &DataType::Utf8)?;
    let user_keys = column(batch, USER_KEY, &DataType::Utf8)?;
    let partitions = column(batch, PARTITION, &DataType::Int64)?;
    let offsets = column(batch, OFFSET, &DataType::Int64)?;
    let (event_ids, user_keys) = (event_ids.as_string::<i32>(), user_keys.as_string::<i32>());
    let (partitions, offsets) = (partitions.as_primitive::<Int64Type>(), offsets.as_primitive::<Int64Type>());
    for row in 0..batch.num_rows() {
        each(Row {
            event_id: event_ids.value(row),
            user_key: user_keys.value(row),
            partition: partitions.value(row),
            offset: offsets.value(row),
        });
    }
    Ok(())
}

fn column(batch: &RecordBatch, name: &'static str, wanted: &DataType) -> Result<ArrayRef, FileError> {
    let found = batch.column_by_name(name).map(Arc::clone);
    let wrong = |found: String| FileError::Column { column: name, found };
    let array = found.ok_or_else(|| wrong("nothing".to_owned()))?;
    if array.null_count() > 0 {
        return Err(wrong("null".to_owned()));
    }
    cast(&array, wanted).map_err(|_| wrong(array.data_type().to_string()))
}

fn footer(metadata: &ParquetMetaData) -> Footer {
    let pairs = metadata.file_metadata().key_value_metadata();
    let number = |name: &str| {
        let pair = pairs?.iter().find(|pair| pair.key.strip_prefix("footfall.") == Some(name))?;
        pair.value.as_ref()?.parse().ok()
    };
    Footer {
        start: number("start_offset"),
        next: number("next_offset"),
        rows: number("rows"),
        dead_letters: number("dead_letters").unwrap_or(0),
        duplicates: number("duplicates").unwrap_or(0),
        rows_found: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
    }
}
