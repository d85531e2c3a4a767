//! Records of any other schema as events.
//!
//! Responsible for Avro's schema resolution (specification 1.12, "Schema Resolution") where the reader is a version of
//! our schema: fields are found by name or alias, in any order; a field that was not written takes its default; `int`
//! is read as `long`, `bytes` as text; what no field of ours is called is passed over. One thing more than the
//! specification asks: times in milliseconds or nanoseconds become microseconds, because their bare numbers would be
//! wrong.
//!
//! Promises that an event borrows from the record as with [`decode`](super::decode), that the same strictness holds (up
//! to the last byte, or it is an error), and that neither a schema nor a record makes it run for ever or panic: a
//! schema that contains itself is refused, and whatever is read takes bytes.

mod shape;

use std::sync::Arc;

use serde_json::Value as Json;
use thiserror::Error;

use self::shape::{Shape, Shapes};
use super::{DecodeError, Version, decode::whole, rest::Rest};
use crate::Event;

/// Why no record of a schema can be read as an event.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ResolveError {
    /// The text is no Avro schema.
    #[error("it is no Avro schema: {0}")]
    NotAvro(String),
    /// A type contains itself, or its parts lie too deep.
    #[error("its type {0} contains itself or lies too deep")]
    TooDeep(String),
    /// It describes something else.
    #[error("it is not the record Event, but {0}")]
    OtherRecord(String),
    /// A field that every event needs is not there.
    #[error("it has no field {0}, which every event needs")]
    Missing(String),
    /// A field is there as something that ours cannot be.
    #[error("its field {field} is a {kind}, which cannot be read as ours")]
    OtherType {
        /// Wire name of our field.
        field: String,
        /// Its type in the other schema.
        kind: String,
    },
}

/// Reads the records of one other schema.
#[derive(Debug)]
pub struct Resolver {
    /// The fields of the other schema in their order, each with the field of ours that it is.
    fields: Vec<(Arc<Shape>, Option<SlotOf>)>,
}

/// What a field of the event holds.
enum Slot<'e, 'a> {
    Text(&'e mut &'a str),
    Optional(&'e mut Option<&'a str>),
    Time(&'e mut i64),
}

type SlotOf = for<'e, 'a> fn(&'e mut Event<'a>) -> Slot<'e, 'a>;

impl Resolver {
    /// For records that were written with `writer`, an Avro schema as JSON, and are to be read as our `reader`.
    ///
    /// # Errors
    /// No record of it is an event.
    pub fn new(writer: &str, reader: Version) -> Result<Resolver, ResolveError> {
        let writer: Json = serde_json::from_str(writer).map_err(|error| ResolveError::NotAvro(error.to_string()))?;
        let reader: Json = serde_json::from_str(reader.schema()).expect("our own schema is JSON");
        let name = text(&writer, "name").unwrap_or_default();
        if text(&writer, "type") != Some("record") || name.rsplit('.').next() != text(&reader, "name") {
            let kind = shape::kind(&writer);
            return Err(ResolveError::OtherRecord(if name.is_empty() { kind } else { format!("{kind} {name}") }));
        }
        let (ours, mut shapes) = (parts(&reader, "fields"), Shapes::of_record(&writer));
        let mut taken = vec![false; ours.len()];
        let mut fields = Vec::new();
        for field in parts(&writer, "fields") {
            let shape = shapes.field(field)?;
            let at = text(field, "name").and_then(|name| ours.iter().position(|ours| is_called(ours, name)));
            let slot = match at.filter(|at| !taken[*at]) {
                Some(at) => {
                    taken[at] = true;
                    Some(slot(ours[at], &shape, field)?)
                }
                None => None,
            };
            fields.push((shape, slot));
        }
        match ours.iter().zip(taken).find(|(field, taken)| !taken && field.get("default").is_none()) {
            Some((field, _)) => Err(ResolveError::Missing(text(field, "name").unwrap_or_default().to_owned())),
            None => Ok(Resolver { fields }),
        }
    }

    /// The event of a record's value, whose frame has been looked at.
    ///
    /// # Errors
    /// As with [`decode`](super::decode), except for the frame.
    pub fn decode<'a>(&self, value: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        let mut rest = Rest(value.get(super::FRAME_BYTES..).ok_or(DecodeError::NotFramed)?);
        // Each default of ours is null, which is what an event begins with.
        let mut event = Event::default();
        for (shape, slot) in &self.fields {
            match slot.map(|slot| slot(&mut event)) {
                None => shape.skip(&mut rest)?,
                Some(Slot::Optional(field)) => *field = shape.text(&mut rest)?,
                Some(Slot::Text(field)) => *field = shape.text(&mut rest)?.ok_or(DecodeError::InvalidAvro)?,
                Some(Slot::Time(field)) => *field = shape.micros(&mut rest)?,
            }
        }
        whole(event, &rest)
    }
}

/// Does one of our fields go by this name?
fn is_called(ours: &Json, name: &str) -> bool {
    text(ours, "name") == Some(name) || parts(ours, "aliases").iter().any(|alias| alias.as_str() == Some(name))
}

/// Where one of our fields is, if it can hold the other schema's.
fn slot(ours: &Json, shape: &Shape, theirs: &Json) -> Result<SlotOf, ResolveError> {
    let name = text(ours, "name").unwrap_or_default();
    let slot = SLOTS.iter().find(|(field, _)| *field == name).expect("every field of our schema is one of the event").1;
    let fits = match slot(&mut Event::default()) {
        Slot::Text(_) => shape.may_be_text(),
        Slot::Optional(_) => shape.may_be_text() || shape.may_be_null(),
        Slot::Time(_) => shape.may_be_time(),
    };
    let other = || ResolveError::OtherType { field: name.to_owned(), kind: shape::kind(&theirs["type"]) };
    fits.then_some(slot).ok_or_else(other)
}

fn text<'j>(json: &'j Json, key: &str) -> Option<&'j str> {
    json.get(key).and_then(Json::as_str)
}

fn parts<'j>(json: &'j Json, key: &str) -> Vec<&'j Json> {
    json.get(key).and_then(Json::as_array).into_iter().flatten().collect()
}

/// Our fields by wire name.
const SLOTS: [(&str, SlotOf); 28] = [
    ("event_id", |event| Slot::Text(&mut event.event_id)),
    ("type", |event| Slot::Text(&mut event.kind)),
    ("source", |event| Slot::Text(&mut event.source)),
    ("user_id", |event| Slot::Optional(&mut event.user_id)),
    ("anonymous_id", |event| Slot::Optional(&mut event.anonymous_id)),
    ("name", |event| Slot::Optional(&mut event.name)),
    ("session_id", |event| Slot::Optional(&mut event.session_id)),
    ("event_time", |event| Slot::Time(&mut event.event_time)),
    ("received_at", |event| Slot::Time(&mut event.received_at)),
    ("url", |event| Slot::Optional(&mut event.url)),
    ("path", |event| Slot::Optional(&mut event.path)),
    ("title", |event| Slot::Optional(&mut event.title)),
    ("referrer", |event| Slot::Optional(&mut event.referrer)),
    ("element", |event| Slot::Optional(&mut event.element)),
    ("element_text", |event| Slot::Optional(&mut event.element_text)),
    ("element_href", |event| Slot::Optional(&mut event.element_href)),
    ("user_agent", |event| Slot::Optional(&mut event.user_agent)),
    ("ip", |event| Slot::Optional(&mut event.ip)),
    ("locale", |event| Slot::Optional(&mut event.locale)),
    ("screen", |event| Slot::Optional(&mut event.screen)),
    ("campaign_source", |event| Slot::Optional(&mut event.campaign_source)),
    ("campaign_medium", |event| Slot::Optional(&mut event.campaign_medium)),
    ("campaign_name", |event| Slot::Optional(&mut event.campaign_name)),
    ("campaign_term", |event| Slot::Optional(&mut event.campaign_term)),
    ("campaign_content", |event| Slot::Optional(&mut event.campaign_content)),
    ("library", |event| Slot::Optional(&mut event.library)),
    ("properties", |event| Slot::Optional(&mut event.properties)),
    ("timezone", |event| Slot::Optional(&mut event.timezone)),
];
