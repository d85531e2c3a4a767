//! Properties that have a column of their own.
//!
//! Responsible for `[[columns]]`: each takes one property, by its path, into a typed column behind the fixed ones. The
//! property stays in `properties` too. Promises: a value of another type, or none, is null and costs nothing else; files
//! from before and after a change of the settings read as one table by column names; and a lake without promoted columns
//! costs one comparison for each row. How a file's columns were made stands in its footer.

mod find;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use event::Version;
use sonic_rs::{JsonValueTrait, LazyValue};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use self::find::Tree;
use crate::{
    config::{ColumnSettings, ColumnType},
    schema::{SCHEMA, columns as fixed_columns},
};

/// The columns that properties are promoted to.
#[derive(Debug)]
pub struct Promotion {
    version: Version,
    kinds: Vec<ColumnType>,
    tree: Tree,
    schema: SchemaRef,
    text: String,
}

impl Promotion {
    /// No column is promoted.
    pub fn none() -> Promotion {
        Promotion::new(Version::NEWEST, &[])
    }

    /// Behind the fixed columns of a version, the columns of checked settings, in their order.
    pub fn new(version: Version, columns: &[ColumnSettings]) -> Promotion {
        let fields = columns.iter().map(|column| Arc::new(Field::new(&column.name, data_type(column.kind), true)));
        let schema = match (version, columns) {
            (Version::NEWEST, []) => Arc::clone(&SCHEMA),
            _ => Arc::new(Schema::new(fixed_columns(version).iter().cloned().chain(fields).collect::<Vec<_>>())),
        };
        let text = |column: &ColumnSettings| format!("{}={}:{}", column.name, column.from, column.kind.label());
        Promotion {
            version,
            kinds: columns.iter().map(|column| column.kind).collect(),
            tree: Tree::new(columns.iter().map(|column| column.path())),
            schema,
            text: columns.iter().map(text).collect::<Vec<_>>().join(";"),
        }
    }

    /// The columns that a footer speaks of, see [`Promotion::text`], behind those of a version; `None` if it is no such
    /// text.
    pub(crate) fn from_text(version: Version, text: &str) -> Option<Promotion> {
        let column = |text: &str| {
            let (name, text) = text.split_once('=')?;
            let (from, kind) = text.rsplit_once(':')?;
            let kind = ColumnType::ALL.into_iter().find(|other| other.label() == kind)?;
            Some(ColumnSettings { name: name.to_owned(), from: from.to_owned(), kind })
        };
        let columns: Option<Vec<_>> = text.split(';').filter(|text| !text.is_empty()).map(column).collect();
        Some(Promotion::new(version, &columns?))
    }

    /// Newest version of the event that has columns.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// All columns of a data file: the fixed ones, then these.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What makes the columns, for the footer; empty where there are none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Identifies the limits that cut a file together with what makes its columns.
    pub(crate) fn policy_hash(&self, limits: u64) -> u64 {
        if self.text.is_empty() { limits } else { xxh3_64_with_seed(self.text.as_bytes(), limits) }
    }

    /// What the chain of a file's row hash begins with.
    pub(crate) fn row_hash_start(&self) -> u64 {
        if self.text.is_empty() { 0 } else { xxh3_64(self.text.as_bytes()) }
    }
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::Utf8,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// Builders of the promoted columns of one file.
#[derive(Debug)]
pub(crate) struct Promoted<'p> {
    promotion: &'p Promotion,
    builders: Vec<Builder>,
    mismatches: Vec<u64>,
}

#[derive(Debug)]
enum Builder {
    String(StringBuilder),
    Long(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl<'p> Promoted<'p> {
    pub(crate) fn new(promotion: &'p Promotion) -> Promoted<'p> {
        let builders = promotion.kinds.iter().map(|kind| Builder::new(*kind)).collect();
        Promoted { promotion, builders, mismatches: vec![0; promotion.kinds.len()] }
    }

    /// Adds a row.
    pub(crate) fn append(&mut self, properties: Option<&str>) {
        if self.builders.is_empty() {
            return;
        }
        let found = self.promotion.tree.find(properties.unwrap_or_default());
        for ((builder, mismatches), value) in self.builders.iter_mut().zip(&mut self.mismatches).zip(&found) {
            *mismatches += u64::from(!builder.append(value.as_ref()));
        }
    }

    /// Puts the columns behind the others; they are then empty again.
    pub(crate) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend(self.builders.iter_mut().map(Builder::finish));
    }

    /// For each column, values that were there and of another type.
    pub(crate) fn mismatches(self) -> Vec<u64> {
        self.mismatches
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.promotion.schema()
    }

    pub(crate) fn version(&self) -> Version {
        self.promotion.version()
    }
}

impl Builder {
    fn new(kind: ColumnType) -> Builder {
        match kind {
            ColumnType::String => Builder::String(StringBuilder::new()),
            ColumnType::Long => Builder::Long(Int64Builder::new()),
            ColumnType::Double => Builder::Double(Float64Builder::new()),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            ColumnType::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Adds the value or null; says whether the value has the column's type, as an absent one has.
    fn append(&mut self, value: Option<&LazyValue<'_>>) -> bool {
        let value = value.filter(|value| !value.is_null());
        let is_null = match self {
            Builder::String(builder) => {
                let text = value.and_then(|value| value.as_str());
                builder.append_option(text);
                text.is_none()
            }
            Builder::Long(builder) => {
                let number = value.and_then(long);
                builder.append_option(number);
                number.is_none()
            }
            Builder::Double(builder) => {
                let number = value.and_then(|value| value.as_f64());
                builder.append_option(number);
                number.is_none()
            }
            Builder::Boolean(builder) => {
                let truth = value.and_then(|value| value.as_bool());
                builder.append_option(truth);
                truth.is_none()
            }
            Builder::Timestamp(builder) => {
                let time = value.and_then(|value| event::parse_time(value.as_str()?));
                builder.append_option(time);
                time.is_none()
            }
        };
        !is_null || value.is_none()
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::String(builder) => Arc::new(builder.finish()),
            Builder::Long(builder) => Arc::new(builder.finish()),
            Builder::Double(builder) => Arc::new(builder.finish()),
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder) => Arc::new(builder.finish().with_timezone("UTC")),
        }
    }
}

/// A whole number, also where a language writes it as `5.0`.
fn long(value: &LazyValue<'_>) -> Option<i64> {
    /// Up to here every whole number has a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)?;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range")]
        Some(number as i64)
    })
}

#[cfg(test)]
mod tests;
