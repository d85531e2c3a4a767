//! Segment's HTTP tracking API (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>), and
//! the dialects that follow it.
//!
//! Responsible for finding the events of a body: one of them, or a batch with what is said of all of them. Promises, as
//! the native dialect does, that a body which is no JSON is refused whole, and that in one which is JSON a bad event
//! costs one event. It hopes first and looks closely only if that fails. What an event says is `message`'s business.

mod context;
mod message;
mod page;

use std::fmt;

use serde::de::{self, DeserializeSeed};
use sonic_rs::{JsonType, JsonValueTrait, LazyValue};

use self::{context::Looked, message::Message};
use super::{
    Call, Draft, Raw, Text,
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
    match one(call, text, intake) {
        Err(error) if !is_json(text) => Err(malformed(&error)),
        Err(_) => intake.refuse(message::why_not(text)),
        Ok(taken) => taken,
    }
}

/// One event. The outer error: it is none.
fn one(call: Call, json: &str, intake: &mut Intake<'_>) -> Result<Result<(), Rejection>, sonic_rs::Error> {
    let mut draft = Draft::default();
    let mut attempt = |looked| {
        draft.clear();
        let mut from = sonic_rs::Deserializer::from_str(json);
        Message { draft: &mut draft, call, looked }.deserialize(&mut from).and_then(|()| from.end())
    };
    // A context of an odd shape is no reason to lose an event.
    attempt(Looked::Closely).or_else(|_| attempt(Looked::Flatly)).or_else(|_| attempt(Looked::NotAtAll))?;
    Ok(intake.take(&draft))
}

/// `sentAt` is needed by each event but most SDKs write it behind them. So it is guessed, and in the rare case that the
/// guess was wrong everything is done again.
fn batch(text: &str, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let guess = guessed_sent_at(text);
    match pass(text, guess, intake) {
        Ok(sent_at) if sent_at == guess => Ok(()),
        Ok(sent_at) => pass(text, sent_at, intake).map(drop).or_else(|_| closely(text, intake)),
        Err(_) => closely(text, intake),
    }
}

fn guessed_sent_at(text: &str) -> Option<i64> {
    const HEAD_BYTES: usize = 256;
    let head = &text.as_bytes()[..text.len().min(HEAD_BYTES)];
    let tail = &text.as_bytes()[memchr::memrchr(b']', text.as_bytes()).unwrap_or(0)..];
    let from = |part: &[u8]| {
        let key = memchr::memmem::find(part, br#""sentAt""#)?;
        let value = part[key + br#""sentAt""#.len()..].split(|byte| *byte == b'"').nth(1)?;
        event::parse_time(str::from_utf8(value).ok()?)
    };
    from(tail).or_else(|| from(head))
}

/// Takes the whole batch; says when it was sent.
fn pass(text: &str, sent_at_us: Option<i64>, intake: &mut Intake<'_>) -> Result<Option<i64>, sonic_rs::Error> {
    intake.restart();
    intake.sent_at(sent_at_us);
    let mut from = sonic_rs::Deserializer::from_str(text);
    let sent_at_us = de::Deserializer::deserialize_map(&mut from, Envelope(intake))?;
    from.end().map(|()| sent_at_us)
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
    let (mut events, mut sent_at_us) = (None, None);
    for (key, value) in sonic_rs::to_object_iter(text).flatten() {
        match &*key {
            "batch" => events = Some(value),
            "sentAt" => sent_at_us = sonic_rs::from_str::<Text<'_>>(value.as_raw_str()).ok().and_then(time),
            _ => {}
        }
    }
    intake.sent_at(sent_at_us);
    let events = events.ok_or_else(|| empty(Call::Batch))?;
    if !events.is_array() {
        return Err(Rejection::new(Code::InvalidType, "batch is of the wrong type: send an array"));
    }
    each(&events, intake)
}

fn each(events: &LazyValue<'_>, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    for event in sonic_rs::to_array_iter(events.as_raw_str()) {
        let event = event.map_err(|error| malformed(&error))?;
        let json = event.as_raw_str();
        match one(Call::Batch, json, intake) {
            Ok(taken) => taken?,
            Err(_) => intake.refuse(message::why_not(json))?,
        }
    }
    Ok(())
}

fn time(text: Text<'_>) -> Option<i64> {
    event::parse_time(&text)
}

/// The object around a batch: gives the time at which it was sent.
struct Envelope<'a, 'i>(&'a mut Intake<'i>);

impl<'de> de::Visitor<'de> for Envelope<'_, '_> {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a batch")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Option<i64>, A::Error> {
        let mut sent_at_us = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "batch" => {
                    // Where a key stands twice, the last one counts.
                    self.0.restart();
                    map.next_value_seed(Events(self.0))?;
                }
                "sentAt" => sent_at_us = map.next_value::<Raw<'de>>()?.string().and_then(time),
                _ => drop(map.next_value::<Raw<'de>>()?),
            }
        }
        Ok(sent_at_us)
    }
}

/// Takes the elements of a batch one by one, all of them through one draft.
struct Events<'a, 'i>(&'a mut Intake<'i>);

impl<'de> DeserializeSeed<'de> for Events<'_, '_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> de::Visitor<'de> for Events<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        let mut draft = Draft::default();
        while events.next_element_seed(Message::of_batch(&mut draft))?.is_some() {
            self.0.take(&draft).map_err(|full| de::Error::custom(full.message))?;
            draft.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
