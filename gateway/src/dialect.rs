//! The languages in which clients tell events.
//!
//! Responsible for what every dialect has in common: a [`Draft`], which is one event as its sender told it, with
//! strings that borrow from the body. Promises nothing about its content: defaults and rules are the business of
//! `batch.rs`. One language, one file.

mod document;
mod native;
mod nesting;
mod pixel;
mod raw;
mod segment;
mod text;
mod told;

use event::limits;
use sonic_rs::JsonType;

pub(crate) use self::{nesting::too_deep, raw::Raw, text::Text, told::events as told_events};
use crate::{batch::Intake, rejection::Rejection};

/// Which language a request speaks; its route says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own: an object, an array of them, or one to a line.
    Native,
    /// Segment's HTTP tracking API.
    Segment(Call),
    /// One event of the native dialect as query parameters.
    Pixel,
}

/// What a request of Segment's API holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Events of any type.
    Batch,
    Page,
    Track,
    Identify,
    Group,
    Alias,
    Screen,
}

impl Dialect {
    /// Takes the events of `told`, which is the body or the query, into `intake`, in their order.
    pub(crate) fn parse(self, told: &[u8], intake: &mut Intake<'_>) -> Result<(), Rejection> {
        match self {
            Dialect::Native => native::parse(told, intake),
            Dialect::Segment(call) => segment::parse(call, told, intake),
            Dialect::Pixel => pixel::parse(told, intake),
        }
    }

    /// Whether a body in this language may hold the write key.
    pub(crate) fn may_tell_a_key(self) -> bool {
        matches!(self, Dialect::Segment(_))
    }

    /// Whether the event is told in the query instead of the body.
    pub(crate) fn is_told_in_query(self) -> bool {
        self == Dialect::Pixel
    }
}

/// Text fields of an event as its sender may name them, in the order of [`Draft::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    EventId,
    Type,
    Event,
    UserId,
    AnonymousId,
    Name,
    SessionId,
    EventTime,
    Url,
    Path,
    Title,
    Referrer,
    Element,
    ElementText,
    ElementHref,
    UserAgent,
    Ip,
    Locale,
    Screen,
    CampaignSource,
    CampaignMedium,
    CampaignName,
    CampaignTerm,
    CampaignContent,
    Library,
    /// Only what may be one, see [`Draft::keep_timezone`].
    Timezone,
    /// When the sender sent it, by the same clock as its time.
    SentAt,
    /// The screen in two parts.
    ScreenWidth,
    ScreenHeight,
    /// What is not yet said in [`Field::Library`].
    LibraryVersion,
}

/// Number of [`Field`]s.
const FIELDS: usize = Field::LibraryVersion as usize + 1;

/// One event as its sender told it.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    texts: [Option<Text<'a>>; FIELDS],
    /// Raw text of a JSON object.
    pub(crate) properties: Option<Raw<'a>>,
    /// What the contract has no field for, with raw JSON values; to be kept in `properties`.
    pub(crate) extras: Vec<Extra<'a>>,
}

/// A value that the contract has no field for.
#[derive(Clone, Debug)]
pub(crate) struct Extra<'a> {
    pub(crate) place: Place,
    pub(crate) key: Text<'a>,
    pub(crate) value: Raw<'a>,
}

/// Where in `properties` an extra is kept: where it stood in the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Top,
    /// In `context`, or in an object inside of it.
    Context,
    Page,
    Screen,
    Library,
    Campaign,
}

impl<'a> Draft<'a> {
    /// The field's text, as it came.
    pub(crate) fn text(&self, field: Field) -> Option<&str> {
        self.texts[field as usize].as_deref()
    }

    /// The field's text unless it is empty.
    pub(crate) fn present(&self, field: Field) -> Option<&str> {
        self.text(field).filter(|text| !text.is_empty())
    }

    fn set(&mut self, field: Field, text: Option<Text<'a>>) {
        self.texts[field as usize] = text;
    }

    fn keep(&mut self, place: Place, key: Text<'a>, value: Raw<'a>) {
        self.extras.push(Extra { place, key, value });
    }

    /// Keeps a time zone, which the first version of the schema had no field for: it stays where readers and promoted
    /// columns have always found it, and a gateway that writes that version loses nothing. A name is the field's text,
    /// too.
    fn keep_timezone(&mut self, place: Place, key: Text<'a>, value: Raw<'a>) {
        let is_name = |text: &Text<'_>| (1..=limits::SHORT_BYTES_MAX).contains(&text.len());
        self.set(Field::Timezone, value.string().filter(is_name));
        self.keep(place, key, value);
    }

    /// Sets the field to what the value says; a value that says nothing fit for a field is kept.
    fn set_or_keep(&mut self, field: Field, place: Place, key: Text<'a>, value: Raw<'a>) {
        match value.string() {
            Some(text) => self.set(field, Some(text)),
            None if value.kind() == JsonType::Null => self.set(field, None),
            None => self.keep(place, key, value),
        }
    }

    /// Sets the field unless another source has said it already; what is said otherwise is kept.
    fn set_first(&mut self, field: Field, place: Place, key: Text<'a>, value: Raw<'a>) {
        match value.string() {
            Some(text) if self.present(field).is_none() => self.set(field, Some(text)),
            Some(text) if text.is_empty() || self.text(field) == Some(&*text) => {}
            None if value.kind() == JsonType::Null => {}
            _ => self.keep(place, key, value),
        }
    }

    /// Takes over what `common` says and this draft does not.
    fn fill(&mut self, common: &Draft<'a>) {
        let has_library = self.present(Field::Library).is_some();
        for (at, text) in common.texts.iter().enumerate().filter(|(_, text)| text.is_some()) {
            let is_said = self.texts[at].as_ref().is_some_and(|text| !text.is_empty());
            // A name and another library's version would be no library.
            let is_foreign = has_library && at == Field::LibraryVersion as usize;
            if !is_said && !is_foreign {
                self.texts[at].clone_from(text);
            }
        }
        for extra in &common.extras {
            if !self.extras.iter().any(|own| own.place == extra.place && *own.key == *extra.key) {
                self.extras.push(extra.clone());
            }
        }
    }

    /// Makes room for the next event; what was allocated stays.
    fn clear(&mut self) {
        self.texts = [const { None }; FIELDS];
        self.properties = None;
        self.extras.clear();
    }
}
