//! What an event's own properties say of the page.
//!
//! Responsible for a second look into `properties`, which are kept whole. Promises that a property of the wrong type costs
//! nothing but its column.

use std::fmt;

use serde::de;

use crate::dialect::{Draft, Field, Raw, Text};

/// A page or a screen was seen: it says which one.
pub(super) fn view(draft: &mut Draft<'_>) {
    look(draft, |key| match key {
        "url" => Some(Field::Url),
        "path" => Some(Field::Path),
        "title" => Some(Field::Title),
        "referrer" => Some(Field::Referrer),
        _ => None,
    });
}

/// Something was done to an element: it says to which one. Its other properties are its own, and no page's.
pub(super) fn click(draft: &mut Draft<'_>) {
    look(draft, |key| match key {
        "element" => Some(Field::Element),
        "elementText" | "element_text" => Some(Field::ElementText),
        "elementHref" | "element_href" | "href" => Some(Field::ElementHref),
        _ => None,
    });
}

fn look<'a>(draft: &mut Draft<'a>, field: fn(&str) -> Option<Field>) {
    let Some(properties) = &draft.properties else { return };
    let found = match properties.source() {
        Some(json) => read(json, field),
        None => read(properties.text(), field).map(|found| found.map(|(field, text)| (field, text.into_owned()))),
    };
    for (field, text) in found.into_iter().flatten() {
        draft.set(field, Some(text));
    }
}

/// At most this many fields are looked for at once.
const FIELDS_MAX: usize = 4;

type Found<'a> = [Option<(Field, Text<'a>)>; FIELDS_MAX];

fn read(json: &str, field: fn(&str) -> Option<Field>) -> Found<'_> {
    let mut from = sonic_rs::Deserializer::from_str(json);
    de::Deserializer::deserialize_map(&mut from, Look(field)).unwrap_or_default()
}

struct Look(fn(&str) -> Option<Field>);

impl<'de> de::Visitor<'de> for Look {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let Some(field) = (self.0)(&key) else {
                map.next_value::<de::IgnoredAny>()?;
                continue;
            };
            let text = map.next_value::<Raw<'de>>()?.string();
            let mut slots = found.iter_mut();
            let slot = slots.find(|slot| slot.as_ref().is_none_or(|(taken, _)| *taken == field));
            *slot.expect("no more fields are asked for than there are slots") = text.map(|text| (field, text));
        }
        Ok(found)
    }
}
