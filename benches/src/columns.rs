//! The least from a log's values to a file: arrow-avro decode, sort by user, Parquet with zstd(1).
//!
//! Responsible for the work of the sink's floor and for the baselines of the benches `decode`, `sort` and `write`. Takes
//! what Arrow offers as it stands: string views, its own sort, its own writer, with no bloom filters, page limits or
//! hashes. It promises the product's columns, not a file that one could rely on.

use std::{error::Error, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, UInt32Array},
    compute::{SortColumn, is_not_null, kernels::zip::zip, lexsort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
};
use arrow_avro::{
    reader::{Decoder, ReaderBuilder},
    schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

/// A decoder of record values that fills batches of at most this many rows.
pub fn decoder(rows: usize) -> Result<Decoder, Box<dyn Error>> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    let newest = event::Version::NEWEST;
    store.set(Fingerprint::Id(newest.schema_id()), AvroSchema::new(newest.schema().to_owned()))?;
    let builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(rows).with_utf8_view(true);
    Ok(builder.build_decoder()?)
}

/// Adds one value.
pub fn decode(decoder: &mut Decoder, value: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut done = 0;
    while done < value.len() {
        done += decoder.decode(&value[done..])?;
    }
    Ok(())
}

/// Adds the columns that a record does not carry in its value: the user key and where the record lay.
pub fn with_place(rows: &RecordBatch, partitions: Vec<i32>, offsets: Vec<i64>) -> Result<RecordBatch, ArrowError> {
    let (user_id, anonymous_id) = (column(rows, "user_id")?, column(rows, "anonymous_id")?);
    let user_key = zip(&is_not_null(user_id)?, user_id, anonymous_id)?;
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    let place: [(&str, DataType, ArrayRef); 3] = [
        ("user_key", user_key.data_type().clone(), user_key),
        ("_partition", DataType::Int32, Arc::new(Int32Array::from(partitions))),
        ("_offset", DataType::Int64, Arc::new(Int64Array::from(offsets))),
    ];
    for (name, kind, values) in place {
        fields.push(Arc::new(Field::new(name, kind, false)));
        columns.push(values);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The order by user key in which a user's rows stay as they came.
pub fn order(rows: &RecordBatch) -> Result<UInt32Array, ArrowError> {
    let count = u32::try_from(rows.num_rows()).map_err(|error| ArrowError::ComputeError(error.to_string()))?;
    let arrival: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..count));
    let by = [column(rows, "user_key")?.clone(), arrival].map(|values| SortColumn { values, options: None });
    lexsort_to_indices(&by, None)
}

/// The rows in that order.
pub fn sort(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    take_record_batch(rows, &order(rows)?)
}

/// The rows as the bytes of a file.
pub fn parquet(rows: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_dictionary_enabled("event_id".into(), false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::with_capacity(16 << 20), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("the schema has no {name}")))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringViewArray};

    use super::*;
    use crate::{clickstream::Clickstream, value};

    #[test]
    fn sorted_rows_hold_every_event_with_users_in_order() {
        const ROWS: usize = 10_000;
        let mut decoder = decoder(ROWS).unwrap();
        for act in Clickstream::new(1).take(ROWS) {
            decode(&mut decoder, &value(&act.event())).unwrap();
        }
        let rows = decoder.flush().unwrap().unwrap();
        let rows = sort(&with_place(&rows, vec![0; ROWS], (0..).take(ROWS).collect()).unwrap()).unwrap();
        let users: &StringViewArray = column(&rows, "user_key").unwrap().as_string_view();
        let offsets = column(&rows, "_offset").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
        let places: Vec<_> = users.iter().zip(offsets.values()).collect();
        assert_eq!(places.len(), ROWS);
        assert!(places.is_sorted() && users.null_count() == 0);
    }
}
