//! The columns of a data file and their tie to the event.
//!
//! Responsible for names, order and types, which readers rely on, and for turning events into record batches. Promises:
//! one row per event, all values as they are in the log; `user_key`, `_partition` and `_offset` are added. Strings are
//! plain (not views), times are `timestamp[us, UTC]`: what every Parquet reader reads.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use event::{Event, Version};

use crate::promote::{Promoted, Promotion};

/// Columns of every data file of the newest version, in order; promoted ones follow.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str| match name {
        "event_id" | "type" | "source" | "user_key" => Field::new(name, DataType::Utf8, false),
        "event_time" | "received_at" => Field::new(name, time.clone(), false),
        "_partition" => Field::new(name, DataType::Int32, false),
        "_offset" => Field::new(name, DataType::Int64, false),
        _ => Field::new(name, DataType::Utf8, true),
    };
    Arc::new(Schema::new(NAMES.iter().map(|name| field(name)).collect::<Vec<_>>()))
});

/// The columns of a version's files: later versions add theirs at the end.
pub(crate) fn columns(version: Version) -> &'static [Arc<Field>] {
    match version {
        Version::V1 => &SCHEMA.fields()[..NAMES.len() - 1],
        Version::V2 => SCHEMA.fields(),
    }
}

/// Names of the columns, in order.
pub const NAMES: [&str; 31] = [
    "event_id",
    "type",
    "name",
    "source",
    "user_id",
    "anonymous_id",
    "user_key",
    "session_id",
    "event_time",
    "received_at",
    "url",
    "path",
    "title",
    "referrer",
    "element",
    "element_text",
    "element_href",
    "user_agent",
    "ip",
    "locale",
    "screen",
    "campaign_source",
    "campaign_medium",
    "campaign_name",
    "campaign_term",
    "campaign_content",
    "library",
    "properties",
    "_partition",
    "_offset",
    "timezone",
];

/// Declares the builders of the text columns that are a field of the event, and appends and finishes them in order.
macro_rules! text_columns {
    ($group:ident: $($field:ident),+) => {
        #[derive(Debug, Default)]
        struct $group { $($field: Text),+ }

        impl $group {
            fn append(&mut self, event: &Event<'_>) {
                $(self.$field.append(event.$field.into());)+
            }

            fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
                $(arrays.push(self.$field.finish());)+
            }
        }
    };
}

text_columns!(Identity: event_id, kind, name, source, user_id, anonymous_id);
text_columns!(Session: session_id);
text_columns!(Content: url, path, title, referrer, element, element_text, element_href, user_agent, ip, locale, screen,
    campaign_source, campaign_medium, campaign_name, campaign_term, campaign_content, library, properties);

/// Builders of one batch.
#[derive(Debug)]
pub struct Columns<'p> {
    partition: i32,
    identity: Identity,
    user_key: Text,
    session: Session,
    event_time: TimestampMicrosecondBuilder,
    received_at: TimestampMicrosecondBuilder,
    content: Content,
    offset: Int64Builder,
    timezone: Text,
    promoted: Promoted<'p>,
    rows: usize,
}

impl<'p> Columns<'p> {
    /// Empty columns for rows of one partition.
    pub fn new(partition: u32, promotion: &'p Promotion) -> Columns<'p> {
        Columns {
            partition: i32::try_from(partition).expect("Kafka and the journal count partitions in 31 bits"),
            identity: Identity::default(),
            user_key: Text::default(),
            session: Session::default(),
            event_time: TimestampMicrosecondBuilder::new(),
            received_at: TimestampMicrosecondBuilder::new(),
            content: Content::default(),
            offset: Int64Builder::new(),
            timezone: Text::default(),
            promoted: Promoted::new(promotion),
            rows: 0,
        }
    }

    /// Adds a row.
    pub fn append(&mut self, event: &Event<'_>, offset: u64) {
        self.identity.append(event);
        self.user_key.append(event.user_key());
        self.session.append(event);
        self.event_time.append_value(event.event_time);
        self.received_at.append_value(event.received_at);
        self.content.append(event);
        self.offset.append_value(i64::try_from(offset).expect("Kafka and the journal count offsets in 63 bits"));
        self.timezone.append(event.timezone);
        self.promoted.append(event.properties);
        self.rows += 1;
    }

    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows as a batch of the promotion's schema; the columns are then empty again.
    pub fn finish(&mut self) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(NAMES.len());
        self.identity.finish(&mut arrays);
        arrays.push(self.user_key.finish());
        self.session.finish(&mut arrays);
        arrays.push(Arc::new(self.event_time.finish().with_timezone("UTC")));
        arrays.push(Arc::new(self.received_at.finish().with_timezone("UTC")));
        self.content.finish(&mut arrays);
        arrays.push(Arc::new(Int32Array::from_value(self.partition, self.rows)));
        arrays.push(Arc::new(self.offset.finish()));
        let timezone = self.timezone.finish();
        arrays.extend((self.promoted.version() >= Version::V2).then_some(timezone));
        self.promoted.finish(&mut arrays);
        self.rows = 0;
        RecordBatch::try_new(Arc::clone(self.promoted.schema()), arrays)
            .expect("the arrays are built as the schema says")
    }

    /// For each promoted column, values of another type so far.
    pub fn mismatches(self) -> Vec<u64> {
        self.promoted.mismatches()
    }
}

/// A builder that begins each batch with the room that the last one needed.
#[derive(Debug, Default)]
struct Text(StringBuilder);

impl Text {
    fn append(&mut self, text: Option<&str>) {
        self.0.append_option(text);
    }

    fn finish(&mut self) -> ArrayRef {
        let array = self.0.finish();
        self.0 = StringBuilder::with_capacity(array.len(), array.value_data().len());
        Arc::new(array)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn a_row_holds_the_event_and_where_it_lay() {
        let event = Event {
            event_id: "e1",
            kind: "click",
            source: "web",
            user_id: Some(""),
            anonymous_id: Some("a1"),
            event_time: 5,
            received_at: 6,
            properties: Some("{}"),
            timezone: Some("Europe/Berlin"),
            ..Event::default()
        };
        let promotion = Promotion::none();
        let mut columns = Columns::new(3, &promotion);
        columns.append(&event, 42);
        let batch = columns.finish();
        assert_eq!((columns.rows(), batch.num_rows()), (0, 1));
        let text = |name: &str| {
            let column = batch.column_by_name(name).expect("a column").as_string::<i32>();
            column.is_valid(0).then(|| column.value(0).to_owned())
        };
        let expected = [
            ("event_id", Some("e1")),
            ("type", Some("click")),
            ("source", Some("web")),
            ("user_id", Some("")),
            ("anonymous_id", Some("a1")),
            ("user_key", Some("a1")),
            ("url", None),
            ("properties", Some("{}")),
            ("timezone", Some("Europe/Berlin")),
        ];
        for (name, value) in expected {
            assert_eq!(text(name).as_deref(), value, "{name}");
        }
        let older = Promotion::new(Version::V1, &[]);
        let mut columns = Columns::new(3, &older);
        columns.append(&event, 42);
        assert_eq!(columns.finish(), batch.project(&(0..30).collect::<Vec<_>>()).expect("it has more columns"));
        assert_eq!(batch.column(28).as_primitive::<arrow::datatypes::Int32Type>().value(0), 3);
        assert_eq!(batch.column(29).as_primitive::<arrow::datatypes::Int64Type>().value(0), 42);
    }
}
