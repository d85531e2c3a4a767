//! Objects of dead letters, read back.

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The offsets of an object's letters.
///
/// # Errors
/// The reason, when it is no such object.
pub fn offsets(object: Bytes) -> Result<Vec<u64>, String> {
    let mut offsets = Vec::new();
    for batch in batches(object)? {
        let column = batch?.column_by_name("_offset").cloned().ok_or("it has no column _offset")?;
        let column = column.as_primitive_opt::<Int64Type>().ok_or("its column _offset is no number")?.clone();
        offsets.extend(column.values().iter().map(|offset| offset.cast_unsigned()));
    }
    Ok(offsets)
}

fn batches(object: Bytes) -> Result<impl Iterator<Item = Result<RecordBatch, String>>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object).and_then(|builder| builder.build());
    let reader = reader.map_err(|error| error.to_string())?;
    Ok(reader.map(|batch| batch.map_err(|error| error.to_string())))
}
