//! The native dialect: one JSON object, an array of them, or one to a line (NDJSON).
//!
//! Responsible for finding the events of a body. Promises that a body which is no JSON is refused whole, with nothing
//! taken, and that in a body which is JSON a bad event costs one event; in NDJSON, where each line is a document of its
//! own, a line that is no JSON costs one event too. It hopes first and looks closely only if that fails: one strict pass
//! from bytes to drafts, in which nothing is copied, then, if needed, a second pass that tells good from bad.

mod object;

use std::fmt;

use serde::{Deserializer, de};

use super::{
    Draft, Raw,
    document::{self, is_json, malformed},
};
use crate::{
    batch::Intake,
    rejection::{Code, Rejection},
};

/// Takes the events of `body` into `intake`, in their order.
pub(super) fn parse(body: &[u8], intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let text = document::text(body)?;
    match text.as_bytes().first() {
        None => return Err(empty()),
        Some(b'[') => array(text, intake)?,
        Some(_) => object_or_lines(text, intake)?,
    }
    if intake.events() == 0 { Err(empty()) } else { Ok(()) }
}

fn empty() -> Rejection {
    Rejection::new(Code::EmptyBatch, "the body holds no event: send one object, an array, or one object to a line")
}

fn array(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let mut from = sonic_rs::Deserializer::from_str(text);
    match (&mut from).deserialize_seq(Elements(intake)).and_then(|()| from.end()) {
        Ok(()) => Ok(()),
        Err(_) if intake.is_full() => Err(intake.too_many()),
        Err(_) => array_closely(text, intake),
    }
}

/// Each element for itself, after the document as a whole has proved to be JSON.
fn array_closely(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    intake.restart();
    sonic_rs::from_str::<Raw<'_>>(text).map_err(|error| malformed(&error))?;
    for element in sonic_rs::to_array_iter(text) {
        let element = element.map_err(|error| malformed(&error))?;
        let json = element.as_raw_str();
        match sonic_rs::from_str::<Draft<'_>>(json) {
            Ok(draft) => intake.take(&draft)?,
            Err(_) => intake.refuse(object::why_not(json))?,
        }
    }
    Ok(())
}

fn object_or_lines(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    match sonic_rs::from_str::<Draft<'_>>(text) {
        Ok(draft) => intake.take(&draft),
        Err(_) if is_json(text) => intake.refuse(object::why_not(text)),
        Err(error) if memchr::memchr(b'\n', text.as_bytes()).is_none() => Err(malformed(&error)),
        Err(error) => lines(text, intake, &error),
    }
}

/// NDJSON. A text of several lines none of which is JSON was never meant to be NDJSON: it is refused whole with the
/// `error` it has as one document.
fn lines(text: &str, intake: &mut Intake<'_>, error: &sonic_rs::Error) -> Result<(), Rejection> {
    let mut any_json = false;
    for line in text.lines().map(str::trim_ascii).filter(|line| !line.is_empty()) {
        match sonic_rs::from_str::<Draft<'_>>(line) {
            Ok(draft) => {
                any_json = true;
                intake.take(&draft)?;
            }
            Err(_) if is_json(line) => {
                any_json = true;
                intake.refuse(object::why_not(line))?;
            }
            Err(_) => intake.refuse(Rejection::new(Code::MalformedJson, "the line is not JSON: correct it"))?,
        }
    }
    if any_json { Ok(()) } else { Err(malformed(error)) }
}

/// Takes the elements of an array one by one, so that only one draft exists at a time.
struct Elements<'a, 'i>(&'a mut Intake<'i>);

impl<'de> de::Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(draft) = elements.next_element::<Draft<'de>>()? {
            self.0.take(&draft).map_err(|full| de::Error::custom(full.message))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
