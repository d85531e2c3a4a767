//! Key-values in a data file: what it covers, how it was cut and what it holds.
//!
//! Responsible for writing them, and for reading them back from the end of an object. Promises: the footer alone is
//! enough to go on with the chain and to tell whether two files hold the same rows. A file whose footer cannot be read
//! is an error with the reason, never "no file".

use bytes::Bytes;
use event::Version;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use parquet::file::metadata::{FooterTail, KeyValue, ParquetMetaData, ParquetMetaDataReader};

/// The facts in a data file's footer. Key `footfall.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Topic the records came from.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Incarnation of the log that the offsets belong to.
    pub log_id: String,
    /// First offset that the file covers; equals the offset in its key.
    pub start_offset: u64,
    /// First offset that it no longer covers, and start of the next file.
    pub next_offset: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Covered records that are in the dead letters instead.
    pub dead_letters: u64,
    /// Covered records that repeated an event id, of the same file or of an earlier one.
    pub duplicates: u64,
    /// Those of them that repeated an event id of an earlier file.
    pub duplicates_across_files: u64,
    /// Start of the oldest file that was looked at for them; the file's own start if none was.
    pub duplicates_since: u64,
    /// Smallest record timestamp, in microseconds since 1970 UTC.
    pub min_timestamp_us: i64,
    /// Largest record timestamp.
    pub max_timestamp_us: i64,
    /// Largest record timestamp of the whole chain so far.
    pub running_max_timestamp_us: i64,
    /// Why the file was closed, see [`crate::roll::CutReason`].
    pub cut_reason: String,
    /// The limits and promoted columns that were in force.
    pub policy_hash: u64,
    /// Number of the newest version of the event's schema that the writer knew: what later ones add is not in its rows.
    pub schema_id: u32,
    /// Of all rows in their order, and of how the promoted columns are made; see `row_hash`.
    pub row_hash: u64,
    /// Name, origin and type of each promoted column, which make its values from the event; not there if there are none.
    pub columns: String,
    /// Program and version.
    pub writer: String,
}

/// Why a footer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FooterError {
    /// The object's bytes are not a Parquet file of this sink.
    #[error("{0}")]
    Corrupt(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

const PREFIX: &str = "footfall.";
/// Enough for the metadata of most files in one request.
const TAIL_BYTES: u64 = 64 * 1024;
const FOOTER_BYTES: u64 = 8;

impl Footer {
    /// As Parquet key-values.
    pub fn to_key_values(&self) -> Vec<KeyValue> {
        let fields: [(&str, String); 18] = [
            ("topic", self.topic.clone()),
            ("partition", self.partition.to_string()),
            ("log_id", self.log_id.clone()),
            ("start_offset", self.start_offset.to_string()),
            ("next_offset", self.next_offset.to_string()),
            ("rows", self.rows.to_string()),
            ("dead_letters", self.dead_letters.to_string()),
            ("duplicates", self.duplicates.to_string()),
            ("duplicates_across_files", self.duplicates_across_files.to_string()),
            ("duplicates_since", self.duplicates_since.to_string()),
            ("min_timestamp", self.min_timestamp_us.to_string()),
            ("max_timestamp", self.max_timestamp_us.to_string()),
            ("running_max_timestamp", self.running_max_timestamp_us.to_string()),
            ("cut_reason", self.cut_reason.clone()),
            ("policy_hash", format!("{:016x}", self.policy_hash)),
            ("schema_id", self.schema_id.to_string()),
            ("row_hash", format!("{:016x}", self.row_hash)),
            ("writer", self.writer.clone()),
        ];
        let columns = (!self.columns.is_empty()).then(|| ("columns", self.columns.clone()));
        let fields = fields.into_iter().chain(columns);
        fields.map(|(key, value)| KeyValue::new(format!("{PREFIX}{key}"), value)).collect()
    }

    /// From a file's metadata.
    ///
    /// # Errors
    /// See [`Footer::from_key_values`].
    pub(crate) fn of(metadata: &ParquetMetaData) -> Result<Footer, FooterError> {
        Footer::from_key_values(metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice))
    }

    /// From Parquet key-values.
    ///
    /// # Errors
    /// When a key is missing or its value is not of its type, or the range is empty.
    pub fn from_key_values(key_values: &[KeyValue]) -> Result<Footer, FooterError> {
        let values = Values(key_values);
        let footer = Footer {
            topic: values.text("topic")?.to_owned(),
            partition: values.number("partition")?,
            log_id: values.text("log_id")?.to_owned(),
            start_offset: values.number("start_offset")?,
            next_offset: values.number("next_offset")?,
            rows: values.number("rows")?,
            dead_letters: values.number("dead_letters")?,
            duplicates: values.number("duplicates")?,
            duplicates_across_files: values.number_or("duplicates_across_files", 0)?,
            duplicates_since: values.number_or("duplicates_since", values.number("start_offset")?)?,
            min_timestamp_us: values.number("min_timestamp")?,
            max_timestamp_us: values.number("max_timestamp")?,
            running_max_timestamp_us: values.number("running_max_timestamp")?,
            cut_reason: values.text("cut_reason")?.to_owned(),
            policy_hash: values.hash("policy_hash")?,
            schema_id: values.number("schema_id")?,
            row_hash: values.hash("row_hash")?,
            columns: values.text("columns").unwrap_or_default().to_owned(),
            writer: values.text("writer")?.to_owned(),
        };
        if footer.next_offset <= footer.start_offset {
            return Err(FooterError::Corrupt(format!(
                "its range from {} to {} is empty",
                footer.start_offset, footer.next_offset
            )));
        }
        Ok(footer)
    }

    /// The version of the event's schema that its rows and columns are of, as far as this program knows.
    pub(crate) fn version(&self) -> Version {
        Version::of_number(self.schema_id).unwrap_or(Version::NEWEST)
    }

    /// Do both files cover the same records of the same log and hold the same rows?
    pub fn same_content(&self, other: &Footer) -> bool {
        (&self.topic, self.partition, &self.log_id) == (&other.topic, other.partition, &other.log_id)
            && (self.start_offset, self.next_offset) == (other.start_offset, other.next_offset)
            && (self.rows, self.row_hash) == (other.rows, other.row_hash)
    }
}

struct Values<'a>(&'a [KeyValue]);

impl Values<'_> {
    fn text(&self, key: &str) -> Result<&str, FooterError> {
        self.0
            .iter()
            .find(|pair| pair.key.strip_prefix(PREFIX) == Some(key))
            .and_then(|pair| pair.value.as_deref())
            .ok_or_else(|| FooterError::Corrupt(format!("its footer has no {PREFIX}{key}")))
    }

    fn number<N: std::str::FromStr>(&self, key: &str) -> Result<N, FooterError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| FooterError::Corrupt(format!("its footer has {PREFIX}{key} = {text:?}")))
    }

    /// For a key that older files do not have.
    fn number_or<N: std::str::FromStr>(&self, key: &str, absent: N) -> Result<N, FooterError> {
        if self.text(key).is_ok() { self.number(key) } else { Ok(absent) }
    }

    fn hash(&self, key: &str) -> Result<u64, FooterError> {
        let text = self.text(key)?;
        u64::from_str_radix(text, 16)
            .map_err(|_| FooterError::Corrupt(format!("its footer has {PREFIX}{key} = {text:?}")))
    }
}

/// Reads the footer of an object from its last bytes; `None` when there is no such object.
///
/// # Errors
/// When the store does not answer, or the object is not a data file.
pub async fn read(store: &dyn ObjectStore, path: &Path) -> Result<Option<Footer>, FooterError> {
    metadata(store, path).await?.map(|metadata| Footer::of(&metadata)).transpose()
}

/// Reads the Parquet metadata of an object from its last bytes; `None` when there is no such object.
///
/// # Errors
/// When the store does not answer, or the object is not a Parquet file.
pub(crate) async fn metadata(store: &dyn ObjectStore, path: &Path) -> Result<Option<ParquetMetaData>, FooterError> {
    let size = match store.head(path).await {
        Ok(meta) => meta.size,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if size < FOOTER_BYTES {
        return Err(FooterError::Corrupt(format!("it has {size} bytes, which is no Parquet file")));
    }
    let tail = range(store, path, size.saturating_sub(TAIL_BYTES)..size).await?;
    let corrupt = |error: parquet::errors::ParquetError| FooterError::Corrupt(error.to_string());
    let end: &[u8; FOOTER_BYTES as usize] =
        tail.last_chunk().ok_or_else(|| FooterError::Corrupt("its last bytes are missing".to_owned()))?;
    let metadata_bytes = FooterTail::try_new(end).map_err(corrupt)?.metadata_length() as u64;
    let metadata_end = size - FOOTER_BYTES;
    let metadata_start = metadata_end
        .checked_sub(metadata_bytes)
        .ok_or_else(|| FooterError::Corrupt(format!("its metadata of {metadata_bytes} bytes is longer than it")))?;
    let tail_start = size - tail.len() as u64;
    let metadata = if metadata_start >= tail_start {
        let start = usize::try_from(metadata_start - tail_start).expect("within the tail");
        tail.slice(start..tail.len() - FOOTER_BYTES as usize)
    } else {
        range(store, path, metadata_start..metadata_end).await?
    };
    ParquetMetaDataReader::decode_metadata(&metadata).map_err(corrupt).map(Some)
}

/// The footer of a whole object.
///
/// # Errors
/// When it is not a data file.
pub fn parse(file: &Bytes) -> Result<Footer, FooterError> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file);
    let metadata = metadata.map_err(|error| FooterError::Corrupt(error.to_string()))?;
    Footer::from_key_values(metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice))
}

async fn range(store: &dyn ObjectStore, path: &Path, range: std::ops::Range<u64>) -> Result<Bytes, FooterError> {
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    Ok(store.get_opts(path, options).await?.bytes().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies in lakes stays readable: these words and forms do not change.
    const GOLDEN: [(&str, &str); 18] = [
        ("footfall.topic", "events"),
        ("footfall.partition", "3"),
        ("footfall.log_id", "log-1"),
        ("footfall.start_offset", "5"),
        ("footfall.next_offset", "9"),
        ("footfall.rows", "2"),
        ("footfall.dead_letters", "1"),
        ("footfall.duplicates", "1"),
        ("footfall.duplicates_across_files", "1"),
        ("footfall.duplicates_since", "2"),
        ("footfall.min_timestamp", "-1"),
        ("footfall.max_timestamp", "7"),
        ("footfall.running_max_timestamp", "8"),
        ("footfall.cut_reason", "time"),
        ("footfall.policy_hash", "00000000000000ff"),
        ("footfall.schema_id", "1"),
        ("footfall.row_hash", "0123456789abcdef"),
        ("footfall.writer", "footfall-sink 0.1.0"),
    ];

    fn golden() -> Vec<KeyValue> {
        GOLDEN.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn key_values_are_the_golden_ones() {
        let footer = Footer::from_key_values(&golden()).expect("golden");
        assert_eq!((footer.start_offset, footer.next_offset, footer.row_hash), (5, 9, 0x0123_4567_89ab_cdef));
        assert_eq!(footer.to_key_values(), golden());

        let with_columns = Footer { columns: "plan=properties.plan:string".to_owned(), ..footer };
        let key_values = with_columns.to_key_values();
        let columns = KeyValue::new("footfall.columns".to_owned(), "plan=properties.plan:string".to_owned());
        assert_eq!((key_values.len(), key_values.last()), (19, Some(&columns)));
        assert_eq!(Footer::from_key_values(&key_values).expect("golden"), with_columns);
    }

    #[test]
    fn a_file_from_before_duplicates_were_removed_across_files_looked_at_no_other() {
        let key_values: Vec<_> = golden().into_iter().filter(|pair| !pair.key.contains("duplicates_")).collect();
        let footer = Footer::from_key_values(&key_values).expect("golden");
        assert_eq!((footer.duplicates, footer.duplicates_across_files, footer.duplicates_since), (1, 0, 5));
    }

    #[test]
    fn a_footer_that_lacks_something_or_covers_nothing_is_corrupt() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Vec<KeyValue>), expected: &str) {
            let mut key_values = golden();
            change(&mut key_values);
            assert_eq!(Footer::from_key_values(&key_values).expect_err("corrupt").to_string(), expected);
        }
        check(|pairs| drop(pairs.remove(5)), "its footer has no footfall.rows");
        check(|pairs| pairs[5].value = Some("many".to_owned()), "its footer has footfall.rows = \"many\"");
        check(|pairs| pairs[4].value = Some("5".to_owned()), "its range from 5 to 5 is empty");
        check(|pairs| pairs.clear(), "its footer has no footfall.topic");
    }
}
