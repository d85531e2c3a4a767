//! What is said of all events of a batch.
//!
//! Responsible for `sentAt` and `context` beside `batch`. Each event needs them, but most SDKs write them behind the
//! events: so they are guessed from what lies around the array, which is right for every body that has no array of its
//! own there, and the guess is compared with what was found in the end.

use std::fmt;

use serde::de::{self, DeserializeSeed};
use sonic_rs::JsonType;

use super::{
    context::{Looked, Told},
    message::Message,
};
use crate::{
    batch::Intake,
    dialect::{Draft, Raw, Text},
};

/// More than this around a batch is no longer guessed at, but read in its place.
const GUESS_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) sent_at_us: Option<i64>,
    /// Raw text of a JSON object, or nothing.
    context: String,
}

impl Envelope {
    pub(super) fn guessed(text: &str) -> Envelope {
        let around = || {
            let batch = memchr::memmem::find(&text.as_bytes()[..text.len().min(GUESS_BYTES_MAX)], br#""batch""#)?;
            let end = memchr::memrchr(b']', text.as_bytes()).filter(|end| text.len() - end < GUESS_BYTES_MAX)?;
            let (head, tail) = (&text[..batch], text[end + 1..].trim_ascii_start());
            Some([head, tail.strip_prefix(',').unwrap_or(tail)].concat())
        };
        // A batch that is the last member leaves a comma behind.
        let around = around().unwrap_or_default().replace(",}", "}");
        let mut from = sonic_rs::Deserializer::from_str(&around);
        de::Deserializer::deserialize_map(&mut from, Around { events: None }).unwrap_or_default()
    }

    /// Takes note of what is said under `key`.
    pub(super) fn note(&mut self, key: &str, value: &Raw<'_>) {
        match key {
            "sentAt" => self.sent_at_us = value.string().and_then(|text| event::parse_time(&text)),
            "context" if value.kind() == JsonType::Object => value.text().clone_into(&mut self.context),
            "context" => self.context.clear(),
            _ => {}
        }
    }

    /// What every event of the batch says unless it says otherwise.
    pub(super) fn common(&self) -> Option<Draft<'_>> {
        if self.context.is_empty() {
            return None;
        }
        let mut draft = Draft::default();
        let mut read = |looked| {
            draft.clear();
            let mut told = Told::default();
            told.walk(&mut draft, looked).deserialize(&mut sonic_rs::Deserializer::from_str(&self.context))?;
            told.settle(&mut draft);
            Ok::<_, sonic_rs::Error>(())
        };
        read(Looked::Closely).or_else(|_| read(Looked::Flatly)).ok()?;
        Some(draft)
    }
}

/// Takes the events of a batch, and gives what is said of all of them.
pub(super) struct Around<'a, 'i, 'de> {
    pub(super) events: Option<Events<'a, 'i, 'de>>,
}

impl<'de> de::Visitor<'de> for Around<'_, '_, 'de> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a batch")
    }

    fn visit_map<A: de::MapAccess<'de>>(mut self, mut map: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &mut self.events {
                Some(events) if &*key == "batch" => {
                    // Where a key stands twice, the last one counts.
                    events.intake.restart();
                    map.next_value_seed(Events { intake: &mut *events.intake, common: events.common })?;
                }
                _ => envelope.note(&key, &map.next_value()?),
            }
        }
        Ok(envelope)
    }
}

/// Takes the elements of a batch one by one, all of them through one draft.
pub(super) struct Events<'a, 'i, 'de> {
    pub(super) intake: &'a mut Intake<'i>,
    pub(super) common: Option<&'a Draft<'de>>,
}

impl<'de> DeserializeSeed<'de> for Events<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> de::Visitor<'de> for Events<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        let mut draft = Draft::default();
        while events.next_element_seed(Message::of_batch(&mut draft, self.common))?.is_some() {
            self.intake.take(&draft).map_err(|full| de::Error::custom(full.message))?;
            draft.clear();
        }
        Ok(())
    }
}
