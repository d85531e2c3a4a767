//! The records of one request: drafts completed, validated and encoded.
//!
//! Responsible for turning each draft into the bytes that go to the log, and for the list of those that do not. Promises
//! one encode per event into a buffer that is used again, the order of the request, and that every event is either a
//! record or a rejection. Whether the log takes the records is the log's business.

use std::net::IpAddr;

use event::Event;

use crate::{
    config::IpPolicy,
    dialect::{Draft, Field, Raw, Text},
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

/// Where a dialect puts what it finds.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    batch: &'a mut Batch,
    origin: Origin<'a>,
    bound: Bound,
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
        Intake { batch: self, origin, bound, events: 0, full: false }
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
    pub(crate) fn take(&mut self, draft: Draft<'_>) -> Result<(), Rejection> {
        let index = self.next()?;
        if let Err(rejection) = self.batch.add(index, &draft, &self.origin, self.bound.event_bytes_max) {
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
    fn add(&mut self, index: u32, draft: &Draft<'_>, origin: &Origin<'_>, bytes_max: usize) -> Result<(), Rejection> {
        let event_id;
        let sent_ip;
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
            event_time: event_time(draft, origin.received_at_us)?,
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
            screen: draft.text(Field::Screen),
            campaign_source: draft.text(Field::CampaignSource),
            campaign_medium: draft.text(Field::CampaignMedium),
            campaign_name: draft.text(Field::CampaignName),
            campaign_term: draft.text(Field::CampaignTerm),
            campaign_content: draft.text(Field::CampaignContent),
            library: draft.text(Field::Library),
            properties: properties(draft, &mut self.properties),
        };
        event::validate(&event)?;
        let key = event.user_key().expect("a valid event has a user key");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        let key_end = self.bytes.len();
        event::encode(&event, &mut self.bytes);
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

fn event_time(draft: &Draft<'_>, received_at_us: i64) -> Result<i64, Rejection> {
    let Some(text) = draft.present(Field::EventTime) else { return Ok(received_at_us) };
    let message = "event_time is no time: send RFC 3339 with an offset, such as 2026-01-02T03:04:05.678Z";
    event::parse_time(text).ok_or(Rejection::new(Code::InvalidTime, message))
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

/// The draft's properties with everything that has no field of its own. Raw values are joined, never written anew. A
/// property that the sender put there itself comes last, so that it wins where readers take the last of two equal keys.
fn properties<'a>(draft: &'a Draft<'_>, joined: &'a mut String) -> Option<&'a str> {
    let own = draft.properties.as_ref().map(Raw::text);
    if draft.extras.is_empty() {
        return own;
    }
    joined.clear();
    for (key, value) in &draft.extras {
        joined.push(if joined.is_empty() { '{' } else { ',' });
        push_key(key, joined);
        joined.push_str(value.text());
    }
    let inside = own.map_or("", |own| own[1..own.len() - 1].trim_ascii());
    if !inside.is_empty() {
        joined.push(',');
        joined.push_str(inside);
    }
    joined.push('}');
    Some(joined)
}

fn push_key(key: &Text<'_>, to: &mut String) {
    if key.is_verbatim() {
        to.push('"');
        to.push_str(key);
        to.push_str("\":");
    } else {
        to.push_str(&sonic_rs::to_string(&**key).expect("a string is always JSON"));
        to.push(':');
    }
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
