//! One event of the native dialect: a JSON object.
//!
//! Responsible for its keys. Promises strict types (a text field is a string or null, `properties` an object or null),
//! and that a key it does not know is kept with its raw value. Where a key stands twice, the last one counts.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use sonic_rs::{JsonType, JsonValueTrait};

use crate::{
    dialect::{Draft, Field, Place, Raw, Text},
    rejection::{Code, Rejection},
};

enum Key<'a> {
    Text(Field),
    Properties,
    Timezone,
    /// Read before the body is parsed, and no part of the event.
    Ignored,
    Other(Text<'a>),
}

/// The text field that a key names.
pub(super) fn field(key: &str) -> Option<Field> {
    Some(match key {
        "event_id" => Field::EventId,
        "type" => Field::Type,
        "event" => Field::Event,
        "user_id" => Field::UserId,
        "anonymous_id" => Field::AnonymousId,
        "name" => Field::Name,
        "session_id" => Field::SessionId,
        "event_time" => Field::EventTime,
        "sent_at" => Field::SentAt,
        "url" => Field::Url,
        "path" => Field::Path,
        "title" => Field::Title,
        "referrer" => Field::Referrer,
        "element" => Field::Element,
        "element_text" => Field::ElementText,
        "element_href" => Field::ElementHref,
        "user_agent" => Field::UserAgent,
        "ip" => Field::Ip,
        "locale" => Field::Locale,
        "screen" => Field::Screen,
        "campaign_source" => Field::CampaignSource,
        "campaign_medium" => Field::CampaignMedium,
        "campaign_name" => Field::CampaignName,
        "campaign_term" => Field::CampaignTerm,
        "campaign_content" => Field::CampaignContent,
        "library" => Field::Library,
        _ => return None,
    })
}

/// Why JSON text is no event of this dialect.
pub(super) fn why_not(json: &str) -> Rejection {
    if !json.trim_ascii_start().starts_with('{') {
        return Rejection::new(Code::NotAnObject, "the event is not a JSON object: send an object");
    }
    for (key, value) in sonic_rs::to_object_iter(json).flatten() {
        let (wanted, fits) = match (field(&key), value.get_type()) {
            (Some(_), found) => ("a string", matches!(found, JsonType::String | JsonType::Null)),
            (None, found) => ("an object", key != "properties" || matches!(found, JsonType::Object | JsonType::Null)),
        };
        if !fits {
            return Rejection::new(Code::InvalidType, format!("{key} is of the wrong type: send {wanted} or null"));
        }
    }
    // Valid JSON with the right types can still hold a string that is no text, such as half of a surrogate pair.
    Rejection::new(Code::InvalidType, "a string of the event is not Unicode text: send whole characters")
}

impl<'de: 'a, 'a> Deserialize<'de> for Draft<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> de::Visitor<'de> for Keys {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match key {
                Key::Text(field) => draft.set(field, map.next_value()?),
                Key::Properties => draft.properties = object_or_null(map.next_value()?)?,
                Key::Timezone => draft.keep_timezone(Place::Top, Text::borrowed("timezone"), map.next_value()?),
                Key::Ignored => drop(map.next_value::<Raw<'de>>()?),
                Key::Other(key) => draft.keep(Place::Top, key, map.next_value()?),
            }
        }
        Ok(draft)
    }
}

fn object_or_null<E: de::Error>(value: Raw<'_>) -> Result<Option<Raw<'_>>, E> {
    match value.kind() {
        JsonType::Object => Ok(Some(value)),
        JsonType::Null => Ok(None),
        _ => Err(de::Error::custom("properties must be an object")),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl KeyVisitor {
    fn known(key: &str) -> Option<Key<'static>> {
        match key {
            "properties" => Some(Key::Properties),
            "timezone" => Some(Key::Timezone),
            "writeKey" => Some(Key::Ignored),
            _ => field(key).map(Key::Text),
        }
    }
}

impl<'de> de::Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Self::known(key).unwrap_or_else(|| Key::Other(Text::borrowed(key))))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Self::known(key).unwrap_or_else(|| Key::Other(Text::owned(key))))
    }
}
