//! The records of one request: drafts completed, validated and encoded.
//!
//! Responsible for turning each draft into the bytes that go to the log, and for the list of those that do not. Promises
//! one encode per event into a buffer that is used again, the order of the request, and that every event is either a
//! record or a rejection. Whether the log takes the records is the log's business.

mod campaign;
mod properties;
mod skew;

use std::{borrow::Cow, net::IpAddr};

use event::Event;

use crate::{
    config::IpPolicy,
    dialect::{Draft, Field},
    rejection::{Code, EventRejection, Rejection},
    routes::Routes,
};

/// A buffer of this size may stay with its thread; a larger one is given back after the request that needed it.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Encoded records and rejections of one request. Lives as long as its thread and is used for one request after the
/// other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Key and value of the first record, key and value of the second, ...
    bytes: Vec<u8>,
    records: Vec<Bounds>,
    rejected: Vec<EventRejection>,
    scratch: Scratch,
}

/// Texts that a draft tells in parts.
#[derive(Debug, Default)]
struct Scratch {
    screen: String,
    library: String,
    properties: String,
}

/// Where a record lies; it begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    index: u32,
    topic: u16,
    key_end: usize,
    end: usize,
}

/// One record, ready for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Position of the event in the request.
    pub(crate) index: u32,
    /// Number of the topic it goes to, see [`Routes::topics`].
    pub(crate) topic: u16,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What the gateway knows about a request and its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) received_at_us: i64,
    pub(crate) source: &'a str,
    pub(crate) user_agent: Option<&'a str>,
    /// As far as the policy keeps it.
    pub(crate) ip: Option<&'a str>,
    pub(crate) ip_policy: IpPolicy,
    /// The log's.
    pub(crate) routes: &'a Routes,
}

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) events_max: u32,
    /// Of one encoded event.
    pub(crate) event_bytes_max: usize,
}

impl Bound {
    /// The same with at most so many events.
    pub(crate) fn at_most(self, events_max: u32) -> Bound {
        Bound { events_max: self.events_max.min(events_max), ..self }
    }
}

/// Where a dialect puts what it finds.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    batch: &'a mut Batch,
    origin: Origin<'a>,
    bound: Bound,
    sent_at_us: Option<i64>,
    events: u32,
    full: bool,
}

impl Batch {
    /// Empties the batch and opens it for a request.
    pub(crate) fn open<'a>(&'a mut self, origin: Origin<'a>, bound: Bound) -> Intake<'a> {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            *self = Batch::default();
        }
        self.clear();
        Intake { batch: self, origin, bound, sent_at_us: None, events: 0, full: false }
    }

    pub(crate) fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let mut start = 0;
        self.records.iter().map(move |bounds| {
            let key = &self.bytes[start..bounds.key_end];
            let value = &self.bytes[bounds.key_end..bounds.end];
            start = bounds.end;
            Record { index: bounds.index, topic: bounds.topic, key, value }
        })
    }

    pub(crate) fn take_rejected(&mut self) -> Vec<EventRejection> {
        std::mem::take(&mut self.rejected)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.rejected.clear();
    }
}

impl Intake<'_> {
    /// Takes the next event. Fails only if the request holds too many.
    pub(crate) fn take(&mut self, draft: &Draft<'_>) -> Result<(), Rejection> {
        let index = self.next()?;
        if let Err(rejection) = self.batch.add(index, draft, &self.origin, self.sent_at_us, self.bound.event_bytes_max)
        {
            self.batch.rejected.push(EventRejection { index, rejection });
        }
        Ok(())
    }

    /// The next event is none. Fails only if the request holds too many.
    pub(crate) fn refuse(&mut self, rejection: Rejection) -> Result<(), Rejection> {
        let index = self.next()?;
        self.batch.rejected.push(EventRejection { index, rejection });
        Ok(())
    }

    /// When the events that follow were sent by the client's clock, unless they say so themselves.
    pub(crate) fn sent_at(&mut self, sent_at_us: Option<i64>) {
        self.sent_at_us = sent_at_us;
    }

    /// Forgets everything taken so far.
    pub(crate) fn restart(&mut self) {
        self.batch.clear();
        self.events = 0;
    }

    /// Events seen so far, good or bad.
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// Whether the request held more events than it may.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn too_many(&self) -> Rejection {
        let events_max = self.bound.events_max;
        Rejection::new(Code::TooManyEvents, format!("the request holds more than {events_max} events: send fewer"))
    }

    fn next(&mut self) -> Result<u32, Rejection> {
        if self.events == self.bound.events_max {
            self.full = true;
            return Err(self.too_many());
        }
        self.events += 1;
        Ok(self.events - 1)
    }
}

impl Batch {
    fn add(
        &mut self,
        index: u32,
        draft: &Draft<'_>,
        origin: &Origin<'_>,
        sent_at_us: Option<i64>,
        bytes_max: usize,
    ) -> Result<(), Rejection> {
        let event_id;
        let sent_ip;
        let campaign = draft.present(Field::Url).map(campaign::of).unwrap_or_default();
        let event = Event {
            event_id: match draft.present(Field::EventId) {
                Some(id) => id,
                None => {
                    event_id = event::new_event_id(u64::try_from(origin.received_at_us / 1000).unwrap_or(0));
                    &event_id
                }
            },
            kind: draft.present(Field::Type).or(draft.present(Field::Event)).unwrap_or_default(),
            source: origin.source,
            user_id: draft.text(Field::UserId),
            anonymous_id: draft.text(Field::AnonymousId),
            name: name(draft),
            session_id: draft.text(Field::SessionId),
            event_time: event_time(draft, sent_at_us, origin.received_at_us)?,
            received_at: origin.received_at_us,
            url: draft.text(Field::Url),
            path: draft.text(Field::Path).or_else(|| draft.text(Field::Url).and_then(path)),
            title: draft.text(Field::Title),
            referrer: draft.text(Field::Referrer),
            element: draft.text(Field::Element),
            element_text: draft.text(Field::ElementText),
            element_href: draft.text(Field::ElementHref),
            user_agent: draft.text(Field::UserAgent).or(origin.user_agent),
            ip: match draft.present(Field::Ip) {
                Some(ip) => {
                    sent_ip = kept(ip, origin.ip_policy)?;
                    sent_ip.as_deref()
                }
                None => origin.ip,
            },
            locale: draft.text(Field::Locale),
            screen: draft.text(Field::Screen).or_else(|| {
                joined(draft.text(Field::ScreenWidth)?, 'x', draft.text(Field::ScreenHeight)?, &mut self.scratch.screen)
            }),
            campaign_source: label(draft, Field::CampaignSource, &campaign.source),
            campaign_medium: label(draft, Field::CampaignMedium, &campaign.medium),
            campaign_name: label(draft, Field::CampaignName, &campaign.name),
            campaign_term: label(draft, Field::CampaignTerm, &campaign.term),
            campaign_content: label(draft, Field::CampaignContent, &campaign.content),
            library: match (draft.text(Field::Library), draft.present(Field::LibraryVersion)) {
                (Some(name), Some(version)) => joined(name, '/', version, &mut self.scratch.library),
                (name, version) => name.or(version),
            },
            properties: properties::join(draft, &mut self.scratch.properties),
            timezone: draft.text(Field::Timezone),
        };
        event::validate(&event)?;
        let key = event.user_key().expect("a valid event has a user key");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        let key_end = self.bytes.len();
        event::encode_framed(origin.routes.version, origin.routes.schema_id, &event, &mut self.bytes);
        let bytes = self.bytes.len() - key_end;
        if bytes > bytes_max {
            self.bytes.truncate(start);
            let message = format!("the event has {bytes} bytes where {bytes_max} are allowed: send less");
            return Err(Rejection::new(Code::EventTooLarge, message));
        }
        let topic = origin.routes.topic(event.source, event.kind);
        self.records.push(Bounds { index, topic, key_end, end: self.bytes.len() });
        Ok(())
    }
}

/// `event` alone says what happened; beside a `type` it is the name of a custom event.
fn name<'a>(draft: &'a Draft<'_>) -> Option<&'a str> {
    let event = || draft.present(Field::Event).filter(|_| draft.present(Field::Type).is_some());
    draft.text(Field::Name).or_else(event)
}

/// By the gateway's clock where the draft, or else the request, says when it was sent.
fn event_time(draft: &Draft<'_>, sent_at_us: Option<i64>, received_at_us: i64) -> Result<i64, Rejection> {
    let Some(text) = draft.present(Field::EventTime) else { return Ok(received_at_us) };
    let message = "event_time is no time: send ISO 8601, such as 2026-01-02T03:04:05.678Z";
    let time_us = event::parse_time(text).ok_or(Rejection::new(Code::InvalidTime, message))?;
    let sent_at_us = draft.text(Field::SentAt).and_then(event::parse_time).or(sent_at_us);
    Ok(sent_at_us.map_or(time_us, |sent_at_us| skew::corrected(time_us, sent_at_us, received_at_us)))
}

/// What the sender says, else what the URL says.
fn label<'a>(draft: &'a Draft<'_>, field: Field, of_url: &'a Option<Cow<'_, str>>) -> Option<&'a str> {
    draft.present(field).or(of_url.as_deref()).or(draft.text(field))
}

fn joined<'a>(left: &str, between: char, right: &str, to: &'a mut String) -> Option<&'a str> {
    to.clear();
    to.push_str(left);
    to.push(between);
    to.push_str(right);
    Some(to)
}

/// The address a client sent of its own, under the same policy as the one it came from.
fn kept(ip: &str, policy: IpPolicy) -> Result<Option<String>, Rejection> {
    let message = "ip is no IP address: send one or leave it out";
    let address: IpAddr = ip.parse().map_err(|_| Rejection::new(Code::InvalidType, message))?;
    Ok(policy.keep(address))
}

/// The path of an absolute or relative URL, without query and fragment.
fn path(url: &str) -> Option<&str> {
    let from = match url.find("://") {
        Some(at) => {
            let host = at + "://".len();
            host + url[host..].find(['/', '?', '#'])?
        }
        None => 0,
    };
    let path = &url[from..];
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_cut_out_of_the_url() {
        #[track_caller]
        fn check(url: &str, expected: Option<&str>) {
            assert_eq!(path(url), expected, "{url}");
        }
        check("https://shop.example.com/a/b?c=/d#e", Some("/a/b"));
        check("https://shop.example.com/", Some("/"));
        check("https://shop.example.com", None);
        check("https://shop.example.com?q=/", None);
        check("/a?b", Some("/a"));
        check("a/b", None);
        check("", None);
        check("http://é/ü#x", Some("/ü"));
    }
}
