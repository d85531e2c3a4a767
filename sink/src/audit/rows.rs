//! The rows of a data file as events again.
//!
//! Responsible for turning record batches back into what was decoded from the log, so that rows can be hashed and
//! compared. Promises: every field of the event is read, so that a new one cannot be forgotten.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, Int32Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::DataType,
};
use event::{Event, Version};

/// The columns of a batch.
#[derive(Debug)]
pub(super) struct Rows<'b> {
    batch: &'b RecordBatch,
    texts: Texts,
    event_time: TimestampMicrosecondArray,
    received_at: TimestampMicrosecondArray,
    partition: Int32Array,
    offset: Int64Array,
}

/// Declares the text columns: the event's field and, where it has another, the column's name.
macro_rules! texts {
    ($($field:ident = $column:literal),+) => {
        #[derive(Debug)]
        struct Texts { $($field: Option<StringArray>),+ }

        impl Texts {
            fn of(batch: &RecordBatch) -> Result<Texts, String> {
                Ok(Texts { $($field: text(batch, $column)?),+ })
            }
        }
    };
}

texts!(
    event_id = "event_id",
    kind = "type",
    source = "source",
    user_id = "user_id",
    anonymous_id = "anonymous_id",
    name = "name",
    session_id = "session_id",
    url = "url",
    path = "path",
    title = "title",
    referrer = "referrer",
    element = "element",
    element_text = "element_text",
    element_href = "element_href",
    user_agent = "user_agent",
    ip = "ip",
    locale = "locale",
    screen = "screen",
    campaign_source = "campaign_source",
    campaign_medium = "campaign_medium",
    campaign_name = "campaign_name",
    campaign_term = "campaign_term",
    campaign_content = "campaign_content",
    library = "library",
    properties = "properties",
    timezone = "timezone",
    user_key = "user_key"
);

impl<'b> Rows<'b> {
    /// The columns of a batch of a file of a version; the error names the one that is missing or of another type.
    pub(super) fn of(batch: &'b RecordBatch, version: Version) -> Result<Rows<'b>, String> {
        let mut texts = Texts::of(batch)?;
        // Before, a promoted column could have the name.
        texts.timezone = texts.timezone.filter(|_| version >= Version::V2);
        Ok(Rows {
            batch,
            texts,
            event_time: number(batch, "event_time")?,
            received_at: number(batch, "received_at")?,
            partition: number(batch, "_partition")?,
            offset: number(batch, "_offset")?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(super) fn partition(&self, row: usize) -> i32 {
        self.partition.value(row)
    }

    pub(super) fn offset(&self, row: usize) -> u64 {
        self.offset.value(row).cast_unsigned()
    }

    pub(super) fn user_key(&self, row: usize) -> &str {
        value(&self.texts.user_key, row).unwrap_or_default()
    }

    /// The event of a row.
    pub(super) fn event(&self, row: usize) -> Event<'_> {
        let texts = &self.texts;
        Event {
            event_id: value(&texts.event_id, row).unwrap_or_default(),
            kind: value(&texts.kind, row).unwrap_or_default(),
            source: value(&texts.source, row).unwrap_or_default(),
            user_id: value(&texts.user_id, row),
            anonymous_id: value(&texts.anonymous_id, row),
            name: value(&texts.name, row),
            session_id: value(&texts.session_id, row),
            event_time: self.event_time.value(row),
            received_at: self.received_at.value(row),
            url: value(&texts.url, row),
            path: value(&texts.path, row),
            title: value(&texts.title, row),
            referrer: value(&texts.referrer, row),
            element: value(&texts.element, row),
            element_text: value(&texts.element_text, row),
            element_href: value(&texts.element_href, row),
            user_agent: value(&texts.user_agent, row),
            ip: value(&texts.ip, row),
            locale: value(&texts.locale, row),
            screen: value(&texts.screen, row),
            campaign_source: value(&texts.campaign_source, row),
            campaign_medium: value(&texts.campaign_medium, row),
            campaign_name: value(&texts.campaign_name, row),
            campaign_term: value(&texts.campaign_term, row),
            campaign_content: value(&texts.campaign_content, row),
            library: value(&texts.library, row),
            properties: value(&texts.properties, row),
            timezone: value(&texts.timezone, row),
        }
    }

    /// A column as it is in the file.
    pub(super) fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name)
    }
}

fn value(column: &Option<StringArray>, row: usize) -> Option<&str> {
    column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// `None` where a file is older than the column.
fn text(batch: &RecordBatch, name: &str) -> Result<Option<StringArray>, String> {
    let Some(array) = batch.column_by_name(name) else { return Ok(None) };
    let plain = match array.data_type() {
        DataType::Utf8 => Arc::clone(array),
        other => cast(array, &DataType::Utf8).map_err(|_| format!("its column {name} is {other}"))?,
    };
    Ok(Some(plain.as_string::<i32>().clone()))
}

fn number<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Result<PrimitiveArray<T>, String> {
    let array = batch.column_by_name(name).ok_or_else(|| format!("it has no column {name}"))?;
    let array = array.as_primitive_opt::<T>().ok_or_else(|| format!("its column {name} is {}", array.data_type()))?;
    match array.null_count() {
        0 => Ok(array.clone()),
        nulls => Err(format!("its column {name} has {nulls} nulls")),
    }
}
