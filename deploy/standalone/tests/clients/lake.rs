//! The rows of a lake, read from its Parquet files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// What is not null.
    texts: BTreeMap<String, String>,
    /// Microseconds since 1970, or an offset.
    numbers: BTreeMap<String, i64>,
}

impl Row {
    /// The text of a column; empty where it is null.
    pub(crate) fn text(&self, column: &str) -> &str {
        self.texts.get(column).map_or("", String::as_str)
    }

    /// A time in microseconds since 1970.
    pub(crate) fn number(&self, column: &str) -> i64 {
        self.numbers[column]
    }

    /// A property; null where there is none.
    pub(crate) fn property(&self, name: &str) -> Value {
        let properties: Value = serde_json::from_str(self.text("properties")).unwrap_or_default();
        properties[name].clone()
    }
}

/// All rows: each partition's in the order of its files and of the log.
pub(crate) fn rows(lake: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in sorted(&lake.join("events/topic=events")) {
        for file in sorted(&partition) {
            let mut read = read(&file);
            read.sort_by_key(|row| row.number("_offset"));
            rows.extend(read);
        }
    }
    rows
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "parquet"));
    paths.sort();
    paths
}

fn read(file: &Path) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).expect("it is listed"));
    let reader = reader.expect("a complete Parquet file").build().expect("readable");
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.expect("readable");
        let row = |at: usize| {
            let mut row = Row { texts: BTreeMap::new(), numbers: BTreeMap::new() };
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let name = field.name().clone();
                match field.data_type() {
                    _ if column.is_null(at) => {}
                    DataType::Utf8 => drop(row.texts.insert(name, column.as_string::<i32>().value(at).to_owned())),
                    DataType::Int64 => drop(row.numbers.insert(name, column.as_primitive::<Int64Type>().value(at))),
                    DataType::Timestamp(..) => {
                        row.numbers.insert(name, column.as_primitive::<TimestampMicrosecondType>().value(at));
                    }
                    _ => {}
                }
            }
            row
        };
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}
