//! Segment's HTTP tracking API (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>), and
//! the dialects that follow it.
//!
//! Responsible for finding the events of a body: one of them, or a batch with what is said of all of them. Promises, as
//! the native dialect does, that a body which is no JSON is refused whole, and that in one which is JSON a bad event
//! costs one event. It hopes first and looks closely only if that fails. What an event says is `message`'s business.

mod context;
mod envelope;
mod message;
mod page;

use serde::de::{self, DeserializeSeed};
use sonic_rs::{JsonType, JsonValueTrait, LazyValue};

use self::{
    context::Looked,
    envelope::{Around, Envelope, Events},
    message::Message,
};
use super::{
    Call, Draft, Raw,
    document::{self, is_json, malformed},
};
use crate::{
    batch::Intake,
    rejection::{Code, Rejection},
};

/// Takes the events of `body` into `intake`, in their order.
pub(super) fn parse(call: Call, body: &[u8], intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let text = document::text(body)?;
    match call {
        _ if text.is_empty() => return Err(empty(call)),
        Call::Batch => batch(text, intake)?,
        _ => single(call, text, intake)?,
    }
    if intake.events() == 0 { Err(empty(call)) } else { Ok(()) }
}

fn empty(call: Call) -> Rejection {
    let message = match call {
        Call::Batch => "the body holds no event: send an object with an array named batch",
        _ => "the body holds no event: send one object",
    };
    Rejection::new(Code::EmptyBatch, message)
}

fn single(call: Call, text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    match one(call, text, None, intake) {
        Err(error) if !is_json(text) => Err(malformed(&error)),
        Err(_) => intake.refuse(message::why_not(text)),
        Ok(taken) => taken,
    }
}

/// One event. The outer error: it is none.
fn one<'a>(
    call: Call,
    json: &'a str,
    common: Option<&Draft<'a>>,
    intake: &mut Intake<'_>,
) -> Result<Result<(), Rejection>, sonic_rs::Error> {
    let mut draft = Draft::default();
    let mut attempt = |looked| {
        draft.clear();
        let mut from = sonic_rs::Deserializer::from_str(json);
        Message { draft: &mut draft, call, common, looked }.deserialize(&mut from).and_then(|()| from.end())
    };
    // A context of an odd shape is no reason to lose an event.
    attempt(Looked::Closely).or_else(|_| attempt(Looked::Flatly)).or_else(|_| attempt(Looked::NotAtAll))?;
    Ok(intake.take(&draft))
}

fn batch(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let guess = Envelope::guessed(text);
    match pass(text, &guess, intake) {
        Ok(found) if found == guess => Ok(()),
        Ok(found) => pass(text, &found, intake).map(drop).or_else(|_| closely(text, intake)),
        Err(_) => closely(text, intake),
    }
}

/// Takes the whole batch as if `ahead` were said of it; gives what was.
fn pass<'a>(text: &'a str, ahead: &'a Envelope, intake: &mut Intake<'_>) -> Result<Envelope, sonic_rs::Error> {
    intake.restart();
    intake.sent_at(ahead.sent_at_us);
    let common = ahead.common();
    let mut from = sonic_rs::Deserializer::from_str(text);
    let events = Events { intake, common: common.as_ref() };
    let found = de::Deserializer::deserialize_map(&mut from, Around { events: Some(events) })?;
    from.end().map(|()| found)
}

/// Each event for itself, after the document as a whole has proved to be JSON.
fn closely(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    if intake.is_full() {
        return Err(intake.too_many());
    }
    intake.restart();
    let body = sonic_rs::from_str::<Raw<'_>>(text).map_err(|error| malformed(&error))?;
    if body.kind() != JsonType::Object {
        return Err(Rejection::new(
            Code::NotAnObject,
            "the body is not a JSON object: send one with an array named batch",
        ));
    }
    let (mut events, mut envelope) = (None, Envelope::default());
    for (key, value) in sonic_rs::to_object_iter(text).flatten() {
        if key == "batch" {
            events = Some(value);
        } else if let Ok(value) = sonic_rs::from_str(value.as_raw_str()) {
            envelope.note(&key, &value);
        }
    }
    let events = events.ok_or_else(|| empty(Call::Batch))?;
    if !events.is_array() {
        return Err(Rejection::new(Code::InvalidType, "batch is of the wrong type: send an array"));
    }
    each(&events, &envelope, intake)
}

fn each(events: &LazyValue<'_>, envelope: &Envelope, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let common = envelope.common();
    intake.sent_at(envelope.sent_at_us);
    for event in sonic_rs::to_array_iter(events.as_raw_str()) {
        let event = event.map_err(|error| malformed(&error))?;
        let json = event.as_raw_str();
        match one(Call::Batch, json, common.as_ref(), intake) {
            Ok(taken) => taken?,
            Err(_) => intake.refuse(message::why_not(json))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
