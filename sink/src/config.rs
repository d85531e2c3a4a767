//! The sink's settings.
//!
//! Responsible for every key, its default and the rules between them. Reads no file and no environment.

mod kafka;

use std::{borrow::Cow, time::Duration};

use event::Version;
use serde::{Deserialize, Serialize};

pub use kafka::{GroupProtocol, KafkaSettings};

use crate::{roll::RollPolicy, schema::NAMES};

/// Section `[sink]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Topic in the log; also the name of the chain in the lake.
    pub topic: String,
    /// Where the lake is: a folder, `file:///`, `s3://`, `gs://` or `az://`.
    pub lake: String,
    /// A file spans at most this much log time, and waits at most this long.
    #[serde(with = "humantime_serde")]
    pub roll_interval: Duration,
    /// A file holds at most this many log bytes.
    pub roll_bytes_max: usize,
    /// A file holds at most this many records.
    pub roll_rows_max: usize,
    /// Everything that holds records or files takes at most about so much memory.
    pub memory_bytes_max: usize,
    /// A checkpoint is written every so many files of a chain.
    pub checkpoint_files: u32,
    /// After this time a request to the store counts as unanswered.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The end of a chain must be known after this time.
    #[serde(with = "humantime_serde")]
    pub resume_timeout: Duration,
    /// At a stop, what is buffered must be in the lake after this time.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Where the log has lost records before they were read, mark the gap in the lake and go on behind it. Without it
    /// the sink stops there.
    pub accept_gap: bool,
    /// The sections `[[columns]]`, which stand beside `[sink]`.
    #[serde(skip)]
    pub columns: Vec<ColumnSettings>,
    /// The section `[duplicates]`, which stands beside `[sink]`.
    #[serde(skip)]
    pub duplicates: DuplicatesSettings,
    /// `version` in the section `[schema]`, which stands beside `[sink]`.
    #[serde(skip)]
    pub schema_version: u32,
    /// The section `[schema.registry]`, which stands beside `[sink]`.
    #[serde(skip)]
    pub registry: Option<registry::Settings>,
}

/// Section `[duplicates]`: events that are sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DuplicatesSettings {
    /// An event that the lake holds since no longer than this, in log time, is not written again; 0 looks only within each
    /// file.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Memory for the ids of the window, over all partitions and beside `sink.memory_bytes_max`: about 7 bytes an event.
    pub memory_bytes_max: usize,
}

impl Default for DuplicatesSettings {
    fn default() -> DuplicatesSettings {
        DuplicatesSettings { window: Duration::from_secs(86_400), memory_bytes_max: 256 << 20 }
    }
}

/// Section `[schema]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaSettings {
    /// Newest version of the event's schema that is read and has columns; an older one for files like those of an older
    /// sink.
    pub version: u32,
    /// Who says what a schema id means; without one only the built-in id is known.
    pub registry: Option<registry::Settings>,
}

impl Default for SchemaSettings {
    fn default() -> SchemaSettings {
        SchemaSettings { version: Version::NEWEST.number(), registry: None }
    }
}

/// A section `[[columns]]`: one property in a typed column of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSettings {
    /// Name of the column.
    pub name: String,
    /// Where the value is: `properties.` and the path of keys, with dots.
    pub from: String,
    /// What it has to be.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

/// The type of a promoted column, and the JSON values that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A string.
    String,
    /// A whole number in 64 bits.
    Long,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A string with a time in RFC 3339; `timestamp[us, UTC]`.
    Timestamp,
}

/// With less the client's queue has no room for one fetch.
const MEMORY_BYTES_MIN: usize = 16 << 20;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            topic: "events".to_owned(),
            lake: String::new(),
            roll_interval: Duration::from_secs(10),
            roll_bytes_max: 64 << 20,
            roll_rows_max: 1_000_000,
            memory_bytes_max: 512 << 20,
            checkpoint_files: 256,
            request_timeout: Duration::from_secs(60),
            resume_timeout: Duration::from_secs(20),
            drain_timeout: Duration::from_secs(60),
            accept_gap: false,
            columns: Vec::new(),
            duplicates: DuplicatesSettings::default(),
            schema_version: Version::NEWEST.number(),
            registry: None,
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {rule}")]
pub struct SettingsError {
    key: Cow<'static, str>,
    rule: Cow<'static, str>,
}

impl Settings {
    /// Checks the values and the rules between them.
    ///
    /// # Errors
    /// Names the key and the rule.
    pub fn check(&self) -> Result<(), SettingsError> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let rules = [
            (!self.lake.is_empty(), "sink.lake", "is missing: set it to a folder or URL, or use --lake"),
            (!self.topic.is_empty() && self.topic.chars().all(name), "sink.topic", "must be a Kafka topic name"),
            (!self.roll_interval.is_zero(), "sink.roll_interval", "must be longer than 0"),
            (self.roll_bytes_max > 0, "sink.roll_bytes_max", "must be larger than 0"),
            (self.roll_rows_max > 0, "sink.roll_rows_max", "must be larger than 0"),
            (
                self.memory_bytes_max / 4 >= self.roll_bytes_max && self.memory_bytes_max >= MEMORY_BYTES_MIN,
                "sink.memory_bytes_max",
                "must be at least 16 MiB and four times sink.roll_bytes_max: a file is encoded in memory",
            ),
            (self.checkpoint_files > 0, "sink.checkpoint_files", "must be larger than 0"),
            (!self.request_timeout.is_zero(), "sink.request_timeout", "must be longer than 0"),
            (!self.resume_timeout.is_zero(), "sink.resume_timeout", "must be longer than 0"),
            (
                Version::of_number(self.schema_version).is_some(),
                "schema.version",
                "must be a version of the event's schema that exists: 1 or 2",
            ),
        ];
        first_broken(&rules)?;
        check_columns(&self.columns)
    }

    /// The newest version that is read, once the settings are checked.
    pub(crate) fn version(&self) -> Version {
        Version::of_number(self.schema_version).expect("the settings are checked")
    }

    pub(crate) fn roll_policy(&self) -> RollPolicy {
        RollPolicy { interval: self.roll_interval, bytes_max: self.roll_bytes_max, rows_max: self.roll_rows_max }
    }
}

fn first_broken(rules: &[(bool, &'static str, &'static str)]) -> Result<(), SettingsError> {
    match rules.iter().find(|(holds, _, _)| !holds) {
        Some((_, key, rule)) => Err(SettingsError { key: (*key).into(), rule: (*rule).into() }),
        None => Ok(()),
    }
}

impl ColumnType {
    /// All types.
    pub(crate) const ALL: [ColumnType; 5] =
        [ColumnType::String, ColumnType::Long, ColumnType::Double, ColumnType::Boolean, ColumnType::Timestamp];

    /// The word in settings and footers.
    pub fn label(self) -> &'static str {
        match self {
            ColumnType::String => "string",
            ColumnType::Long => "long",
            ColumnType::Double => "double",
            ColumnType::Boolean => "boolean",
            ColumnType::Timestamp => "timestamp",
        }
    }
}

impl ColumnSettings {
    const ROOT: &str = "properties.";

    /// The keys that lead to the value inside `properties`.
    pub(crate) fn path(&self) -> impl Iterator<Item = &str> {
        self.from.strip_prefix(Self::ROOT).unwrap_or_default().split('.')
    }

    fn problem(&self, before: &[ColumnSettings]) -> Option<String> {
        let ColumnSettings { name, from, .. } = self;
        let mut chars = name.chars();
        let is_name = chars.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && name.len() <= COLUMN_NAME_BYTES_MAX;
        if !is_name {
            return Some(format!("has the name {name:?}: use a-z, 0-9 and _, not a digit first, at most 64 of them"));
        }
        // Readers make columns of the folders `topic=...` and `partition=...`.
        if NAMES.contains(&name.as_str()) || ["topic", "partition"].contains(&name.as_str()) {
            return Some(format!("has the name of a column that every file has, {name}: choose another"));
        }
        if before.iter().any(|other| other.name == *name) {
            return Some(format!("has the name of another promoted column, {name}: choose another"));
        }
        let is_path =
            from.starts_with(Self::ROOT) && self.path().all(|key| !key.is_empty() && !key.contains([';', ':']));
        (!is_path).then(|| format!("is the column {name} from {from:?}: name a property, such as properties.{name}"))
    }
}

/// Longest name of a promoted column.
const COLUMN_NAME_BYTES_MAX: usize = 64;
/// Each costs every row a builder and every file a column chunk.
const COLUMNS_MAX: usize = 256;

fn check_columns(columns: &[ColumnSettings]) -> Result<(), SettingsError> {
    for (index, column) in columns.iter().enumerate() {
        let problem = match index {
            COLUMNS_MAX => Some(format!("is one too many: {COLUMNS_MAX} are allowed")),
            _ => column.problem(&columns[..index]),
        };
        if let Some(problem) = problem {
            return Err(SettingsError { key: format!("columns[{index}]").into(), rule: problem.into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Settings), expected: Option<&'static str>) {
            let mut settings = Settings { lake: "lake".to_owned(), ..Settings::default() };
            change(&mut settings);
            assert_eq!(settings.check().err().map(|error| error.key.into_owned()).as_deref(), expected);
        }
        check(|_| {}, None);
        check(|settings| settings.lake.clear(), Some("sink.lake"));
        check(|settings| settings.topic = "a/b".to_owned(), Some("sink.topic"));
        check(|settings| settings.roll_interval = Duration::ZERO, Some("sink.roll_interval"));
        check(|settings| settings.schema_version = 1, None);
        check(|settings| settings.schema_version = 3, Some("schema.version"));
        check(|settings| settings.memory_bytes_max = 4 * settings.roll_bytes_max, None);
        check(|settings| settings.memory_bytes_max = 4 * settings.roll_bytes_max - 1, Some("sink.memory_bytes_max"));
        check(
            |settings| (settings.memory_bytes_max, settings.roll_bytes_max) = (1 << 20, 1),
            Some("sink.memory_bytes_max"),
        );
    }

    #[test]
    fn a_column_that_cannot_be_is_named() {
        #[track_caller]
        fn check(columns: &[(&str, &str)], expected: Option<&str>) {
            let column = |(name, from): &(&str, &str)| ColumnSettings {
                name: (*name).to_owned(),
                from: (*from).to_owned(),
                kind: ColumnType::String,
            };
            let columns = columns.iter().map(column).collect();
            let settings = Settings { lake: "lake".to_owned(), columns, ..Settings::default() };
            let line = settings.check().err().map(|error| error.to_string());
            assert_eq!(line.is_some(), expected.is_some(), "{line:?}");
            let (line, expected) = (line.unwrap_or_default(), expected.unwrap_or_default());
            assert!(line.contains(expected), "{line} does not say {expected}");
        }
        check(&[("plan", "properties.plan"), ("_a_9", "properties.a.b c.ü")], None);
        check(&[("plan", "properties.plan"), ("Plan", "properties.plan")], Some("columns[1] has the name \"Plan\""));
        check(&[("9a", "properties.plan")], Some("columns[0]"));
        check(&[("", "properties.plan")], Some("columns[0]"));
        check(&[("url", "properties.plan")], Some("every file has, url"));
        check(&[("partition", "properties.plan")], Some("every file has, partition"));
        check(&[("plan", "properties.plan"), ("plan", "properties.b")], Some("another promoted column, plan"));
        check(&[("plan", "plan")], Some("the column plan from \"plan\""));
        check(&[("plan", "properties")], Some("properties.plan"));
        check(&[("plan", "properties.a..b")], Some("columns[0]"));
        check(&[("plan", "properties.")], Some("columns[0]"));
        let many: Vec<String> = (0..257).map(|n| format!("c{n}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "properties.a")).collect();
        check(&many[..256], None);
        check(&many, Some("columns[256] is one too many"));
    }
}
