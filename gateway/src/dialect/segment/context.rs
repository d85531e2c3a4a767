//! What an event of Segment's API says around itself.
//!
//! Responsible for `context` and the objects in it, in one pass with the event. Promises that what no column takes is kept
//! in `properties` where it stood in the event, and that an address is kept nowhere but in `ip`, under the policy.

use std::{fmt, net::IpAddr};

use serde::de::{self, DeserializeSeed};
use sonic_rs::JsonType;

use crate::dialect::{Draft, Field, Place, Raw, Text};

/// How `context` is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// With the objects in it, which is how it comes.
    Closely,
    /// Without them, because one of them is none.
    Flatly,
    /// As one value, because it is no object itself.
    NotAtAll,
}

/// What can be judged only when the whole event is known.
#[derive(Default)]
pub(super) struct Told<'a> {
    url: Option<Raw<'a>>,
    path: Option<Raw<'a>>,
    title: Option<Raw<'a>>,
    referrer: Option<Raw<'a>>,
    search: Option<Raw<'a>>,
    width: Option<Raw<'a>>,
    height: Option<Raw<'a>>,
}

impl<'a> Told<'a> {
    /// Reads `context`.
    pub(super) fn walk<'t>(&'t mut self, draft: &'t mut Draft<'a>, looked: Looked) -> Walk<'t, 'a> {
        Walk { place: Place::Context, draft, told: self, looked }
    }

    /// Says of the page what the event has not said itself.
    pub(super) fn settle(self, draft: &mut Draft<'a>) {
        for (field, key, value) in [
            (Field::Url, "url", self.url),
            (Field::Path, "path", self.path),
            (Field::Title, "title", self.title),
            (Field::Referrer, "referrer", self.referrer),
        ] {
            if let Some(value) = value {
                draft.set_first(field, Place::Page, Text::borrowed(key), value);
            }
        }
        if let Some(search) = self.search {
            let stands_in = |url: &str, search: &str| url.ends_with(search) || url.contains(search);
            let url = draft.text(Field::Url).unwrap_or_default();
            if search.string().is_none_or(|search| !stands_in(url, &search)) && search.kind() != JsonType::Null {
                draft.keep(Place::Page, Text::borrowed("search"), search);
            }
        }
        size(draft, self.width, self.height);
    }
}

/// The screen has a size if both sides are numbers.
fn size<'a>(draft: &mut Draft<'a>, width: Option<Raw<'a>>, height: Option<Raw<'a>>) {
    const DIGITS_MAX: usize = 20;
    let side = |value: &Raw<'a>| {
        let digits = value.string_or_number().filter(|_| value.kind() == JsonType::Number)?;
        (digits.len() <= DIGITS_MAX).then_some(digits)
    };
    match (width.as_ref().and_then(side), height.as_ref().and_then(side)) {
        (Some(width), Some(height)) => {
            draft.set(Field::ScreenWidth, Some(width));
            draft.set(Field::ScreenHeight, Some(height));
        }
        _ => {
            for (key, value) in [("width", width), ("height", height)] {
                if let Some(value) = value.filter(|value| value.kind() != JsonType::Null) {
                    draft.keep(Place::Screen, Text::borrowed(key), value);
                }
            }
        }
    }
}

/// Reads `context`, or an object in it.
pub(super) struct Walk<'t, 'a> {
    place: Place,
    draft: &'t mut Draft<'a>,
    told: &'t mut Told<'a>,
    looked: Looked,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> de::Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }

    fn visit_map<A: de::MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match inside(self.place, &key) {
                Some(place) if self.looked == Looked::Closely => {
                    let (draft, told) = (&mut *self.draft, &mut *self.told);
                    map.next_value_seed(Walk { place, draft, told, looked: self.looked })?;
                }
                _ => self.put(key, map.next_value()?),
            }
        }
        Ok(())
    }
}

/// The object of this name in `context`.
fn inside(place: Place, key: &str) -> Option<Place> {
    match (place, key) {
        (Place::Context, "page") => Some(Place::Page),
        (Place::Context, "screen") => Some(Place::Screen),
        (Place::Context, "library") => Some(Place::Library),
        (Place::Context, "campaign") => Some(Place::Campaign),
        _ => None,
    }
}

impl<'a> Walk<'_, 'a> {
    fn put(&mut self, key: Text<'a>, value: Raw<'a>) {
        let field = match (self.place, &*key) {
            (Place::Context, "ip") => return self.draft.set(Field::Ip, address(&value)),
            (Place::Context, "sessionId") if value.kind() == JsonType::Number => {
                return self.draft.set(Field::SessionId, value.string_or_number());
            }
            (Place::Context, "timezone") => return self.draft.keep_timezone(self.place, key, value),
            (Place::Page, "url") => return self.told.url = Some(value),
            (Place::Page, "path") => return self.told.path = Some(value),
            (Place::Page, "title") => return self.told.title = Some(value),
            (Place::Page, "referrer") => return self.told.referrer = Some(value),
            (Place::Page, "search") => return self.told.search = Some(value),
            (Place::Screen, "width") => return self.told.width = Some(value),
            (Place::Screen, "height") => return self.told.height = Some(value),
            (Place::Context, "sessionId") => Field::SessionId,
            (Place::Context, "userAgent") => Field::UserAgent,
            (Place::Context, "locale") => Field::Locale,
            (Place::Library, "name") => Field::Library,
            (Place::Library, "version") => Field::LibraryVersion,
            (Place::Campaign, "source") => Field::CampaignSource,
            (Place::Campaign, "medium") => Field::CampaignMedium,
            (Place::Campaign, "name") => Field::CampaignName,
            (Place::Campaign, "term") => Field::CampaignTerm,
            (Place::Campaign, "content") => Field::CampaignContent,
            (place, _) => return self.draft.keep(place, key, value),
        };
        self.draft.set_or_keep(field, self.place, key, value);
    }
}

/// What is no address is left out: it may still hold one, and the policy could not be applied to it.
fn address<'a>(value: &Raw<'a>) -> Option<Text<'a>> {
    value.string().filter(|text| text.parse::<IpAddr>().is_ok())
}
