//! Made events: what a shop's pages send.
//!
//! Responsible for the material of every bench: seeded page views and clicks of Zipf users, 316 bytes of JSON an event
//! on average, a third of them clicks, every fourth user without a login. The same seed gives the same events, and one
//! made event is both JSON and [`Event`], so that two programs can be given the same thing in two forms.

use std::fmt::Write;

use event::Event;

/// Users that the benches share: 50,000, the first of whom acts 11 times as often as the eleventh.
const USERS: usize = 50_000;
const EXPONENT: f64 = 1.0;

/// When the gateway is taken to have received the events, 2026-01-02T03:04:05.678Z in microseconds.
pub const RECEIVED_AT: i64 = 1_767_323_045_678_000;
/// Midnight of that day: the first event's own time.
const MIDNIGHT_US: i64 = 1_767_312_000_000_000;

/// One made event.
#[derive(Clone, Debug)]
pub struct Act {
    event_id: String,
    kind: &'static str,
    user: String,
    anonymous: bool,
    session_id: String,
    event_time: i64,
    url: String,
    title: String,
    referrer: String,
    element: Option<String>,
    properties: String,
}

impl Dialect {
    /// Where requests in it go.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Dialect::Native => "/v1/events",
            Dialect::Segment => "/v1/batch",
        }
    }
}

impl Act {
    /// The event as the gateway would hand it on.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        let user = Some(self.user.as_str());
        Event {
            event_id: &self.event_id,
            kind: self.kind,
            source: "default",
            user_id: user.filter(|_| !self.anonymous),
            anonymous_id: user.filter(|_| self.anonymous),
            session_id: Some(&self.session_id),
            event_time: self.event_time,
            received_at: RECEIVED_AT,
            url: Some(&self.url),
            title: Some(&self.title),
            referrer: Some(&self.referrer),
            element: self.element.as_deref(),
            properties: Some(&self.properties),
            ..Event::default()
        }
    }

    /// Appends the event as a client of Segment's would send it: the same content, with the page in its context.
    pub fn write_segment_json(&self, out: &mut String) {
        let id_name = if self.anonymous { "anonymousId" } else { "userId" };
        let (kind, name) = match self.kind {
            "click" => ("track", r#""event":"click","#),
            _ => ("page", ""),
        };
        let element = self.element.as_ref().map(|name| format!(r#","element":"{name}""#)).unwrap_or_default();
        let (time, properties) = (self.time(), &self.properties[..self.properties.len() - 1]);
        write!(out, r#"{{"messageId":"{}","type":"{kind}",{name}"{id_name}":"{}","#, self.event_id, self.user)
            .and_then(|()| write!(out, r#""timestamp":"{time}","context":{{"sessionId":"{}","#, self.session_id))
            .and_then(|()| write!(out, r#""page":{{"url":"{}","title":"{}","#, self.url, self.title))
            .and_then(|()| write!(out, r#""referrer":"{}"}}}},"properties":{properties}{element}}}}}"#, self.referrer))
            .expect("a String takes whatever is written");
    }

    fn time(&self) -> String {
        let ms = (self.event_time - MIDNIGHT_US) / 1_000;
        let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        format!("2026-01-02T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }

    /// Appends the event as a client would send it.
    pub fn write_json(&self, out: &mut String) {
        let id_name = if self.anonymous { "anonymous_id" } else { "user_id" };
        let element = self.element.as_ref().map(|name| format!(r#""element":"{name}","#)).unwrap_or_default();
        write!(
            out,
            r#"{{"event_id":"{}","type":"{}","{id_name}":"{}","session_id":"{}","#,
            self.event_id, self.kind, self.user, self.session_id
        )
        .and_then(|()| write!(out, r#""event_time":"{}","#, self.time()))
        .and_then(|()| write!(out, r#""url":"{}","title":"{}","referrer":"{}","#, self.url, self.title, self.referrer))
        .and_then(|()| write!(out, r#"{element}"properties":{}}}"#, self.properties))
        .expect("a String takes whatever is written");
    }
}

/// The language in which requests tell events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native,
    /// Segment's, as its libraries send it: `POST /v1/batch`.
    Segment,
}

/// The endless stream of them.
#[derive(Debug)]
pub struct Clickstream {
    random: u64,
    made: i64,
    /// Sums of the weights of the users up to each one.
    weights: Vec<f64>,
}

impl Clickstream {
    /// The same seed gives the same events.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut sum = 0.0;
        let weight = |rank: usize| (rank as f64).powf(-EXPONENT);
        let weights = (1..=USERS).map(|rank| {
            sum += weight(rank);
            sum
        });
        Clickstream { random: seed, made: 0, weights: weights.collect() }
    }

    /// Request bodies of `batch` events each, in the `dialect`.
    pub fn bodies_of(&mut self, dialect: Dialect, bodies: usize, batch: usize) -> Vec<String> {
        match dialect {
            Dialect::Native => self.bodies(bodies, batch),
            Dialect::Segment => (0..bodies).map(|_| self.segment_body(batch)).collect(),
        }
    }

    fn segment_body(&mut self, batch: usize) -> String {
        let mut body = r#"{"batch":"#.to_owned();
        for (index, act) in self.take(batch).enumerate() {
            body.push(if index == 0 { '[' } else { ',' });
            act.write_segment_json(&mut body);
        }
        body + "]}"
    }

    /// Request bodies of `batch` events each: one object for a batch of one, else an array.
    pub fn bodies(&mut self, bodies: usize, batch: usize) -> Vec<String> {
        (0..bodies).map(|_| self.body(batch)).collect()
    }

    /// One request body.
    pub fn body(&mut self, batch: usize) -> String {
        let mut body = String::new();
        for (index, act) in self.take(batch).enumerate() {
            body.push(if index == 0 { '[' } else { ',' });
            act.write_json(&mut body);
        }
        if batch == 1 { body.split_off(1) } else { body + "]" }
    }

    /// `splitmix64`: <https://prng.di.unimi.it/splitmix64.c>.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random() % end
    }

    fn user(&mut self) -> usize {
        let share = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        let at = share * self.weights.last().expect("there is at least one user");
        self.weights.partition_point(|sum| *sum <= at).min(USERS - 1)
    }
}

impl Iterator for Clickstream {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        let user = self.user();
        let (high, low) = (self.random(), self.random());
        let (click, item) = (self.below(3) == 0, self.below(5_000));
        let (category, price) = (self.below(40), self.below(900) + 100);
        let anonymous = user % 4 == 3;
        let act = Act {
            event_id: uuid(high, low),
            kind: if click { "click" } else { "page_view" },
            user: format!("{}-{user:08}", if anonymous { "anon" } else { "user" }),
            anonymous,
            session_id: format!("s-{:07}", user * 7),
            event_time: MIDNIGHT_US + self.made % 86_400_000 * 1_000,
            url: format!("https://shop.example.com/item-{item}"),
            title: format!("Item {item} | Example shop"),
            referrer: format!("https://shop.example.com/c/{category}"),
            element: click.then(|| format!("button#buy-{}", item % 50)),
            properties: format!(r#"{{"price":{price}}}"#),
        };
        self.made += 1;
        Some(act)
    }
}

/// Text in the form of a UUID of version 7. The digits of its time are random too, so it compresses a little worse than
/// real ones.
fn uuid(high: u64, low: u64) -> String {
    format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}
