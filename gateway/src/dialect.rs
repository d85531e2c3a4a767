//! The languages in which clients tell events.
//!
//! Responsible for what every dialect has in common: a [`Draft`], which is one event as its sender told it, with
//! strings that borrow from the body. Promises nothing about its content: defaults and rules are the business of
//! `batch.rs`. One language, one file.

pub(crate) mod native;
mod nesting;
mod raw;
mod text;

pub(crate) use self::{raw::Raw, text::Text};

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
}

/// Number of [`Field`]s.
const FIELDS: usize = Field::Library as usize + 1;

/// One event as its sender told it.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    texts: [Option<Text<'a>>; FIELDS],
    /// Raw text of a JSON object.
    pub(crate) properties: Option<Raw<'a>>,
    /// What the contract has no field for, with raw JSON values; to be kept in `properties`.
    pub(crate) extras: Vec<(Text<'a>, Raw<'a>)>,
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
}
