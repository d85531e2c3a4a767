//! Objects of dead letters, read back.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::headers::{self, Header};

/// A record that could not become a row, as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where it lay in its partition.
    pub offset: u64,
    /// The log's timestamp, in microseconds since 1970 UTC.
    pub timestamp_us: i64,
    /// The reason in one word.
    pub reason: String,
    /// The reason in a sentence.
    pub message: String,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// The record's headers, in their order.
    pub headers: Vec<Header>,
}

impl Letter {
    /// The schema id in the value's frame, if it has one.
    pub fn schema_id(&self) -> Option<u32> {
        let (frame, _) = self.value.as_deref()?.split_first_chunk::<5>()?;
        let [0, id @ ..] = *frame else { return None };
        Some(u32::from_be_bytes(id))
    }
}

/// The letters of an object, in log order.
///
/// # Errors
/// The reason, when it is no such object.
pub(super) fn letters(object: Bytes) -> Result<Vec<Letter>, String> {
    let mut letters = Vec::new();
    for batch in batches(object)? {
        let batch = batch?;
        let (offsets, times) = (offsets_of(&batch)?, column(&batch, "_timestamp")?);
        let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or("its column _timestamp is no time")?;
        let texts = |name| column(&batch, name)?.as_string_opt::<i32>().ok_or_else(|| format!("its {name} is no text"));
        let bytes =
            |name| column(&batch, name)?.as_binary_opt::<i32>().ok_or_else(|| format!("its {name} is no bytes"));
        let (reasons, messages) = (texts("reason")?, texts("message")?);
        let (keys, values) = (bytes("key")?, bytes("value")?);
        // Older objects do not have it.
        let headers = batch.column_by_name("headers").map(|_| texts("headers")).transpose()?;
        for (row, offset) in offsets.into_iter().enumerate() {
            let headers = headers.filter(|headers| headers.is_valid(row)).map(|headers| headers.value(row));
            letters.push(Letter {
                offset,
                timestamp_us: times.value(row),
                reason: reasons.value(row).to_owned(),
                message: messages.value(row).to_owned(),
                key: keys.is_valid(row).then(|| keys.value(row).to_vec()),
                value: values.is_valid(row).then(|| values.value(row).to_vec()),
                headers: headers.map_or(Ok(Vec::new()), headers::from_text)?,
            });
        }
    }
    Ok(letters)
}

/// The offsets of an object's letters.
///
/// # Errors
/// The reason, when it is no such object.
pub fn offsets(object: Bytes) -> Result<Vec<u64>, String> {
    let mut offsets = Vec::new();
    for batch in batches(object)? {
        offsets.extend(offsets_of(&batch?)?);
    }
    Ok(offsets)
}

fn offsets_of(batch: &RecordBatch) -> Result<Vec<u64>, String> {
    let offsets = column(batch, "_offset")?.as_primitive_opt::<Int64Type>().ok_or("its column _offset is no number")?;
    Ok(offsets.values().iter().map(|offset| offset.cast_unsigned()).collect())
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b dyn Array, String> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| format!("it has no column {name}"))
}

fn batches(object: Bytes) -> Result<impl Iterator<Item = Result<RecordBatch, String>>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object).and_then(|builder| builder.build());
    let reader = reader.map_err(|error| error.to_string())?;
    Ok(reader.map(|batch| batch.map_err(|error| error.to_string())))
}
