//! Responsible for the newest rows that really are in the lake: the last rows of the chains' last files, read as any other
//! reader would. Promises bounded work: few files, only the columns shown, and a file that was read before is not read
//! again. Leaves large files out rather than loading them: they are for a query engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use sink::{Store, object_path};

/// Rows shown.
const ROWS_MAX: usize = 20;
/// Newest files that are looked into.
const FILES_MAX: usize = 16;
/// Larger files are left out.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Longer texts are cut, in characters: the page is for a look, not for the data.
const TEXT_CHARS_MAX: usize = 200;

const COLUMNS: [&str; 9] =
    ["type", "name", "user_key", "received_at", "url", "title", "element_text", "_partition", "_offset"];

/// A row as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// Microseconds since 1970 UTC.
    received_at: i64,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    user: String,
    url: String,
    /// Title of the page, or text of the element that was clicked.
    text: String,
    partition: i32,
    offset: i64,
}

/// Why the newest rows cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewestError {
    #[error("cannot list the lake: {0}")]
    List(object_store::Error),
    #[error("cannot read {path}: {reason}")]
    Read { path: Path, reason: String },
}

/// Reads the newest rows of one topic.
#[derive(Debug)]
pub(super) struct Newest {
    store: Store,
    folder: Path,
    /// Rows of files that were read at the last look; files never change.
    known: Mutex<BTreeMap<Path, Arc<Vec<Row>>>>,
}

impl Newest {
    pub(super) fn new(store: Store, topic: &str) -> Newest {
        let folder = object_path::files(store.root(), topic);
        Newest { store, folder, known: Mutex::default() }
    }

    /// The newest rows, newest first.
    pub(super) async fn rows(&self) -> Result<Vec<Row>, NewestError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut read = BTreeMap::new();
        for path in self.newest_files().await? {
            let known = self.known.lock().get(&path).cloned();
            let of_file = match known {
                Some(rows) => rows,
                None => Arc::new(self.read(&path).await?),
            };
            rows.extend(of_file.iter().cloned());
            read.insert(path, of_file);
        }
        *self.known.lock() = read;
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.received_at, row.partition, row.offset)));
        rows.truncate(ROWS_MAX);
        Ok(rows)
    }

    async fn newest_files(&self) -> Result<Vec<Path>, NewestError> {
        let mut files: Vec<ObjectMeta> = Vec::new();
        let mut listed = self.store.objects().list(Some(&self.folder));
        while let Some(file) = listed.try_next().await.map_err(NewestError::List)? {
            if file.location.extension() == Some("parquet") && file.size <= FILE_BYTES_MAX {
                files.push(file);
                // A lake of a year has many files: only the newest are kept on the way.
                if files.len() >= 64 * FILES_MAX {
                    keep_newest(&mut files);
                }
            }
        }
        keep_newest(&mut files);
        Ok(files.into_iter().map(|file| file.location).collect())
    }

    async fn read(&self, path: &Path) -> Result<Vec<Row>, NewestError> {
        let failed = |reason: String| NewestError::Read { path: path.clone(), reason };
        let bytes = async { self.store.objects().get(path).await?.bytes().await }.await;
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        let rows = tokio::task::spawn_blocking(move || {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
            let columns = ProjectionMask::columns(reader.parquet_schema(), COLUMNS);
            let mut newest = Vec::new();
            for batch in reader.with_projection(columns).build()? {
                newest.extend(rows(&batch?));
                newest.sort_unstable_by_key(|row: &Row| std::cmp::Reverse(row.offset));
                newest.truncate(ROWS_MAX);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(newest)
        });
        rows.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

fn keep_newest(files: &mut Vec<ObjectMeta>) {
    files.sort_unstable_by(|a, b| (b.last_modified, &b.location).cmp(&(a.last_modified, &a.location)));
    files.truncate(FILES_MAX);
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).expect("the sink writes every column");
    let text = |name: &str, row: usize| {
        let texts = column(name).as_string::<i32>();
        if texts.is_null(row) { String::new() } else { texts.value(row).chars().take(TEXT_CHARS_MAX).collect() }
    };
    let (received_at, partition) = (column("received_at"), column("_partition").as_primitive::<Int32Type>());
    let received_at = received_at.as_primitive::<TimestampMicrosecondType>();
    let offset = column("_offset").as_primitive::<Int64Type>();
    let row = |row| Row {
        received_at: received_at.value(row),
        kind: text("type", row),
        name: text("name", row),
        user: text("user_key", row),
        url: text("url", row),
        text: Some(text("element_text", row)).filter(|text| !text.is_empty()).unwrap_or_else(|| text("title", row)),
        partition: partition.value(row),
        offset: offset.value(row),
    };
    (0..batch.num_rows()).map(row).collect()
}
