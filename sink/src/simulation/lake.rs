//! What lies in the lake, as a plain reader sees it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{array::AsArray, datatypes::Int64Type};
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    invariants::{self, Violation},
    log::LogPartition,
};
use crate::{footer::Footer, object_path};

/// A data file.
#[derive(Clone, Debug)]
pub(super) struct LakeFile {
    /// The offset in its key.
    pub(super) key: u64,
    pub(super) footer: Footer,
    pub(super) rows: Vec<SeenRow>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenRow {
    pub(super) offset: u64,
    pub(super) user: String,
    pub(super) source: String,
    pub(super) event_id: String,
}

/// Everything of one partition, by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub(super) files: BTreeMap<u64, LakeFile>,
    /// Offsets that are in the dead letters.
    pub(super) letters: BTreeSet<u64>,
}

/// All objects that were seen, and what they mean.
#[derive(Debug)]
pub(super) struct Lake {
    pub(super) chains: Vec<Chain>,
    pub(super) objects: BTreeMap<Path, u64>,
}

impl Lake {
    pub(super) fn new(partitions: usize) -> Lake {
        Lake { chains: vec![Chain::default(); partitions], objects: BTreeMap::new() }
    }

    /// Takes an object that has just come, and judges the chain with it.
    pub(super) fn landed(&mut self, path: &Path, bytes: Bytes, log: &[LogPartition]) -> Result<(), Violation> {
        let mut after = self.objects.clone();
        after.insert(path.clone(), xxh3_64(&bytes));
        invariants::one_winner(&self.objects, &after)?;
        self.objects = after;
        let partition = path.as_ref().split('/').find_map(|part| part.strip_prefix("partition="));
        let Some(partition) = partition.and_then(|digits| digits.parse::<usize>().ok()) else { return Ok(()) };
        let chain = &mut self.chains[partition];
        if path.as_ref().starts_with("dead-letters") {
            chain.letters.extend(letters(bytes));
        } else if let Some(key) = object_path::start_offset(path, "parquet") {
            chain.files.insert(key, file(key, bytes));
            let files: Vec<LakeFile> = chain.files.values().cloned().collect();
            invariants::tiling(&files)?;
            invariants::order(&files)?;
            invariants::exactly_once(&files, &chain.letters, &log[partition].truths)?;
        }
        Ok(())
    }
}

fn file(key: u64, bytes: Bytes) -> LakeFile {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
    let metadata = builder.metadata().file_metadata();
    let footer = Footer::from_key_values(metadata.key_value_metadata().expect("key-values")).expect("a footer");
    let names = ["event_id", "source", "user_key", "_offset"];
    let columns = ProjectionMask::columns(metadata.schema_descr(), names);
    let mut rows = Vec::new();
    for batch in builder.with_projection(columns).build().expect("a reader") {
        let batch = batch.expect("a batch");
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).expect("a column");
            column.as_string::<i32>().value(row).to_owned()
        };
        let offsets = batch.column_by_name("_offset").expect("a column").as_primitive::<Int64Type>();
        rows.extend((0..batch.num_rows()).map(|row| SeenRow {
            offset: offsets.value(row).cast_unsigned(),
            user: text("user_key", row),
            source: text("source", row),
            event_id: text("event_id", row),
        }));
    }
    LakeFile { key, footer, rows }
}

fn letters(bytes: Bytes) -> Vec<u64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file").build().expect("a reader");
    let mut offsets = Vec::new();
    for batch in reader {
        let batch = batch.expect("a batch");
        let column = batch.column_by_name("_offset").expect("a column").as_primitive::<Int64Type>();
        offsets.extend(column.values().iter().map(|offset| offset.cast_unsigned()));
    }
    offsets
}
