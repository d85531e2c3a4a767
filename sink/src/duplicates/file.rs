//! The ids in a data file of the lake.
//!
//! Responsible for reading a file's columns `event_id` and `source`, and nothing else of it. Promises: a file that is not
//! one, or lacks these columns, is an error with the reason.

use std::{ops::Range, sync::Arc};

use arrow::array::{Array, AsArray, StringArray};
use bytes::{Buf, Bytes};
use object_store::{ObjectStore, path::Path};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
    file::{
        metadata::ParquetMetaData,
        reader::{ChunkReader, Length},
    },
};

use crate::footer::{self, Footer, FooterError};

/// A file whose footer is known.
#[derive(Debug)]
pub(crate) struct IdFile {
    pub(crate) footer: Footer,
    metadata: Arc<ParquetMetaData>,
}

/// The bytes of a file's id columns.
#[derive(Debug)]
pub(crate) struct IdColumns {
    metadata: Arc<ParquetMetaData>,
    pieces: Pieces,
}

const COLUMNS: [&str; 2] = ["event_id", "source"];
const BATCH_ROWS: usize = 8 * 1024;

/// Reads a file's footer; `None` when there is no such file.
///
/// # Errors
/// When the store does not answer, or the object is not a data file.
pub(crate) async fn open(objects: &dyn ObjectStore, path: &Path) -> Result<Option<IdFile>, FooterError> {
    let Some(metadata) = footer::metadata(objects, path).await? else { return Ok(None) };
    Ok(Some(IdFile { footer: Footer::of(&metadata)?, metadata: Arc::new(metadata) }))
}

impl IdFile {
    /// Fetches the columns.
    ///
    /// # Errors
    /// When the store does not answer, or the file has no such columns.
    pub(crate) async fn columns(&self, objects: &dyn ObjectStore, path: &Path) -> Result<IdColumns, FooterError> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for group in self.metadata.row_groups() {
            let columns =
                group.columns().iter().filter(|column| COLUMNS.contains(&column.column_path().string().as_str()));
            ranges.extend(columns.map(|column| {
                let (start, bytes) = column.byte_range();
                start..start + bytes
            }));
        }
        if ranges.len() != COLUMNS.len() * self.metadata.num_row_groups() {
            return Err(FooterError::Corrupt("it lacks the column event_id or source".to_owned()));
        }
        let bytes = if ranges.is_empty() { Vec::new() } else { objects.get_ranges(path, &ranges).await? };
        let pieces = ranges.iter().map(|range| range.start).zip(bytes).collect();
        Ok(IdColumns { metadata: Arc::clone(&self.metadata), pieces: Pieces(Arc::new(pieces)) })
    }
}

impl IdColumns {
    /// Calls back with (source, event id) of each row. Takes time: not for an asynchronous thread.
    ///
    /// # Errors
    /// When the columns cannot be decoded.
    pub(crate) fn for_each(self, mut row: impl FnMut(&str, &str)) -> Result<(), String> {
        let reason = |error: ParquetError| error.to_string();
        let metadata = ArrowReaderMetadata::try_new(self.metadata, ArrowReaderOptions::new()).map_err(reason)?;
        let mask = ProjectionMask::columns(metadata.parquet_schema(), COLUMNS);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.pieces, metadata);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(reason)?;
        for batch in batches {
            let batch = batch.map_err(|error| error.to_string())?;
            let text = |name: &str| -> Option<StringArray> { batch.column_by_name(name)?.as_string_opt().cloned() };
            let (Some(event_ids), Some(sources)) = (text("event_id"), text("source")) else {
                return Err("its column event_id or source is no text".to_owned());
            };
            (0..event_ids.len()).for_each(|n| row(sources.value(n), event_ids.value(n)));
        }
        Ok(())
    }
}

/// Some ranges of a file: their starts and bytes.
#[derive(Clone, Debug)]
struct Pieces(Arc<Vec<(u64, Bytes)>>);

impl Pieces {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let within = |piece: &&(u64, Bytes)| (piece.0..piece.0 + piece.1.len() as u64).contains(&start);
        let found = self.0.iter().find(within);
        let (piece_start, bytes) = found.ok_or_else(|| ParquetError::EOF(format!("no bytes were read at {start}")))?;
        Ok(bytes.slice(usize::try_from(start - piece_start).expect("within the piece")..))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.0.iter().map(|(start, bytes)| start + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} were not read")));
        }
        Ok(bytes.slice(..length))
    }
}
