//! One event of Segment's API.
//!
//! Responsible for its keys, which are those of Segment's spec
//! (<https://segment.com/docs/connections/spec/common/>). Promises that a value which no field can take is kept with its
//! raw text under its own name, whatever its type; only an id that is neither text, number nor null costs the event.
//! Where a key stands twice, the last one counts.

use std::fmt;

use serde::de::{self, DeserializeSeed};
use sonic_rs::{JsonType, JsonValueTrait};

use super::{
    context::{Looked, Told},
    page,
};
use crate::{
    dialect::{Call, Draft, Field, Place, Raw, Text},
    rejection::{Code, Rejection},
};

/// Reads an event into a draft that is empty.
pub(super) struct Message<'d, 'de> {
    pub(super) draft: &'d mut Draft<'de>,
    pub(super) call: Call,
    /// What is said of all events of its batch.
    pub(super) common: Option<&'d Draft<'de>>,
    pub(super) looked: Looked,
}

impl<'d, 'de> Message<'d, 'de> {
    pub(super) fn of_batch(draft: &'d mut Draft<'de>, common: Option<&'d Draft<'de>>) -> Message<'d, 'de> {
        Message { draft, call: Call::Batch, common, looked: Looked::Closely }
    }
}

/// Why JSON text is no event of this dialect.
pub(super) fn why_not(json: &str) -> Rejection {
    if !json.trim_ascii_start().starts_with('{') {
        return Rejection::new(Code::NotAnObject, "the event is not a JSON object: send an object");
    }
    for (key, value) in sonic_rs::to_object_iter(json).flatten() {
        let is_id = matches!(&*key, "messageId" | "userId" | "anonymousId");
        let fits = matches!(value.get_type(), JsonType::String | JsonType::Number | JsonType::Null);
        if is_id && !fits {
            return Rejection::new(Code::InvalidType, format!("{key} is of the wrong type: send a string or null"));
        }
    }
    Rejection::new(Code::InvalidType, "a string of the event is not Unicode text: send whole characters")
}

impl<'de> DeserializeSeed<'de> for Message<'_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> de::Visitor<'de> for Message<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let draft = self.draft;
        let mut said = Said::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "messageId" => draft.set(Field::EventId, id(&map.next_value()?)?),
                "userId" => draft.set(Field::UserId, id(&map.next_value()?)?),
                "anonymousId" => draft.set(Field::AnonymousId, id(&map.next_value()?)?),
                "type" => said.kind = map.next_value::<Raw<'de>>()?.string(),
                "event" => said.event = Some(map.next_value()?),
                "name" => said.name = Some(map.next_value()?),
                "timestamp" => said.timestamp = time(&map.next_value()?),
                "originalTimestamp" => said.original_timestamp = time(&map.next_value()?),
                "sentAt" => draft.set(Field::SentAt, time(&map.next_value()?)),
                "properties" => properties(draft, key, map.next_value()?),
                "context" if self.looked != Looked::NotAtAll => {
                    map.next_value_seed(said.context.walk(draft, self.looked))?;
                }
                // Read before the body is parsed, and no part of the event.
                "writeKey" => drop(map.next_value::<Raw<'de>>()?),
                _ => draft.keep(Place::Top, key, map.next_value()?),
            }
        }
        said.settle(self.call, draft);
        if let Some(common) = self.common {
            draft.fill(common);
        }
        Ok(())
    }
}

/// What can be judged only when the whole event is known.
#[derive(Default)]
struct Said<'a> {
    kind: Option<Text<'a>>,
    event: Option<Raw<'a>>,
    name: Option<Raw<'a>>,
    timestamp: Option<Text<'a>>,
    original_timestamp: Option<Text<'a>>,
    context: Told<'a>,
}

impl<'a> Said<'a> {
    fn settle(self, call: Call, draft: &mut Draft<'a>) {
        let call = if call == Call::Batch { self.kind.as_deref().and_then(Call::of) } else { Some(call) };
        draft.set(Field::Type, call.map(|call| Text::borrowed(call.kind())).or(self.kind));
        let is_view = matches!(call, Some(Call::Page | Call::Screen));
        let (event, name) = (("event", self.event), ("name", self.name));
        for (key, value) in if is_view { [name, event] } else { [event, name] } {
            if let Some(value) = value {
                draft.set_first(Field::Name, Place::Top, Text::borrowed(key), value);
            }
        }
        draft.set(Field::EventTime, self.timestamp.filter(|text| !text.is_empty()).or(self.original_timestamp));
        match call {
            Some(Call::Page | Call::Screen) => page::view(draft),
            Some(Call::Track) => page::click(draft),
            _ => {}
        }
        self.context.settle(draft);
    }
}

impl Call {
    fn of(kind: &str) -> Option<Call> {
        Some(match kind {
            "page" => Call::Page,
            "track" => Call::Track,
            "identify" => Call::Identify,
            "group" => Call::Group,
            "alias" => Call::Alias,
            "screen" => Call::Screen,
            _ => return None,
        })
    }

    /// The event's `type`.
    fn kind(self) -> &'static str {
        match self {
            Call::Page => "page_view",
            Call::Screen => "screen_view",
            Call::Track => "track",
            Call::Identify => "identify",
            Call::Group => "group",
            Call::Alias => "alias",
            Call::Batch => "batch",
        }
    }
}

fn id<'a, E: de::Error>(value: &Raw<'a>) -> Result<Option<Text<'a>>, E> {
    match value.kind() {
        JsonType::Null => Ok(None),
        _ => value.string_or_number().map(Some).ok_or_else(|| E::custom("an id must be a string, a number or null")),
    }
}

/// A value of any other type is passed on as its text, and refused as no time.
fn time<'a>(value: &Raw<'a>) -> Option<Text<'a>> {
    match value.kind() {
        JsonType::Null => None,
        _ => Some(value.string_or_number().unwrap_or_else(|| Text::owned(value.text()))),
    }
}

fn properties<'a>(draft: &mut Draft<'a>, key: Text<'a>, value: Raw<'a>) {
    match value.kind() {
        JsonType::Object => draft.properties = Some(value),
        JsonType::Null => {}
        _ => draft.keep(Place::Top, key, value),
    }
}
