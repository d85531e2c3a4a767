//! Every limit and rule for an event.
//!
//! Responsible for saying whether an event may enter the log, and if not, everything that is wrong with it at once.
//! Pure, and without an allocation for a valid event. Leaves to the gateway that `properties` is the text of a JSON
//! object at all, and everything about the request around the event.

use std::fmt;

use crate::Event;

mod depth;
#[cfg(test)]
mod tests;

pub use self::depth::nested_deeper;

/// The limits: bytes of UTF-8 unless the name says otherwise.
pub mod limits {
    /// Longest `event_id`.
    pub const EVENT_ID_BYTES_MAX: usize = 128;
    /// Longest `type`.
    pub const TYPE_BYTES_MAX: usize = 64;
    /// Longest `source`.
    pub const SOURCE_BYTES_MAX: usize = 128;
    /// Longest `user_id`, `anonymous_id` and `session_id`.
    pub const ID_BYTES_MAX: usize = 256;
    /// Longest `name`.
    pub const NAME_BYTES_MAX: usize = 256;
    /// Longest `url`, `path`, `referrer` and `element_href`.
    pub const URL_BYTES_MAX: usize = 8 * 1024;
    /// Longest `title`, `element`, `element_text` and `user_agent`.
    pub const TEXT_BYTES_MAX: usize = 4 * 1024;
    /// Longest `ip`, `locale`, `screen` and `timezone`.
    pub const SHORT_BYTES_MAX: usize = 64;
    /// Longest `campaign_*` and `library`.
    pub const LABEL_BYTES_MAX: usize = 512;
    /// Longest `properties`.
    pub const PROPERTIES_BYTES_MAX: usize = 1024 * 1024;
    /// Deepest nesting of objects and arrays in `properties`; the outer object is the first level.
    pub const PROPERTIES_DEPTH_MAX: usize = 64;
    /// Earliest `event_time`, 2000-01-01T00:00:00Z in microseconds: earlier ones come from clocks that were never set.
    pub const EVENT_TIME_MIN_US: i64 = 946_684_800_000_000;
    /// Furthest `event_time` after `received_at`, 24 hours in microseconds: a wrong time zone passes, a wrong year
    /// does not.
    pub const EVENT_TIME_AHEAD_MAX_US: i64 = 24 * 60 * 60 * 1_000_000;
    /// Upper bound of what [`encode`](crate::encode) writes for a valid event: all texts at their longest, and for each
    /// of the 28 fields and the frame at most 11 bytes of head or number. A log must take records of this size.
    pub const ENCODED_BYTES_MAX: usize = EVENT_ID_BYTES_MAX
        + TYPE_BYTES_MAX
        + SOURCE_BYTES_MAX
        + 3 * ID_BYTES_MAX
        + NAME_BYTES_MAX
        + 4 * URL_BYTES_MAX
        + 4 * TEXT_BYTES_MAX
        + 4 * SHORT_BYTES_MAX
        + 6 * LABEL_BYTES_MAX
        + PROPERTIES_BYTES_MAX
        + 29 * 11;
}

/// One thing that is wrong with an event. Displays as one sentence that says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Wire name of the field.
    pub field: &'static str,
    /// The rule it breaks.
    pub rule: Rule,
}

/// A rule that a field broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The field is required and is empty.
    Missing,
    /// Neither `user_id` nor `anonymous_id` is there.
    NoUserKey,
    /// The text is too long.
    TooLong {
        /// Bytes it has.
        bytes: usize,
        /// Bytes it may have.
        bytes_max: usize,
    },
    /// Objects and arrays are nested too deep.
    TooDeep {
        /// Levels that are allowed.
        depth_max: usize,
    },
    /// The time is before [`limits::EVENT_TIME_MIN_US`].
    TooEarly,
    /// The time is more than [`limits::EVENT_TIME_AHEAD_MAX_US`] after `received_at`.
    TooLate,
}

impl Violation {
    /// Every code that [`Violation::code`] can give, for metrics.
    pub const CODES: [&'static str; 6] = [
        "field_missing",
        "no_user_key",
        "field_too_long",
        "properties_too_deep",
        "event_time_too_early",
        "event_time_too_late",
    ];

    /// The rule in one word that stays: for replies, metrics and dead letters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.rule {
            Rule::Missing => "field_missing",
            Rule::NoUserKey => "no_user_key",
            Rule::TooLong { .. } => "field_too_long",
            Rule::TooDeep { .. } => "properties_too_deep",
            Rule::TooEarly => "event_time_too_early",
            Rule::TooLate => "event_time_too_late",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        match self.rule {
            Rule::Missing => write!(f, "{field} is missing: send a text that is not empty"),
            Rule::NoUserKey => f.write_str("the event has no user: send user_id or anonymous_id"),
            Rule::TooLong { bytes, bytes_max } => {
                write!(f, "{field} has {bytes} bytes: send at most {bytes_max}")
            }
            Rule::TooDeep { depth_max } => {
                write!(f, "{field} is nested too deep: send at most {depth_max} levels of objects and arrays")
            }
            Rule::TooEarly => write!(f, "{field} is before the year 2000: set the client's clock or leave it out"),
            Rule::TooLate => {
                write!(f, "{field} is more than 24 hours in the future: set the client's clock or leave it out")
            }
        }
    }
}

/// Checks an event against every rule.
///
/// # Errors
/// Everything that is wrong with it, in wire order.
pub fn validate(event: &Event<'_>) -> Result<(), Vec<Violation>> {
    use limits::*;
    let mut found = Findings(Vec::new());
    found.required("event_id", event.event_id, EVENT_ID_BYTES_MAX);
    found.required("type", event.kind, TYPE_BYTES_MAX);
    found.required("source", event.source, SOURCE_BYTES_MAX);
    if event.user_key().is_none() {
        found.add("user_id", Rule::NoUserKey);
    }
    found.optional("user_id", event.user_id, ID_BYTES_MAX);
    found.optional("anonymous_id", event.anonymous_id, ID_BYTES_MAX);
    found.optional("name", event.name, NAME_BYTES_MAX);
    found.optional("session_id", event.session_id, ID_BYTES_MAX);
    found.time("event_time", event.event_time, event.received_at);
    found.optional("url", event.url, URL_BYTES_MAX);
    found.optional("path", event.path, URL_BYTES_MAX);
    found.optional("title", event.title, TEXT_BYTES_MAX);
    found.optional("referrer", event.referrer, URL_BYTES_MAX);
    found.optional("element", event.element, TEXT_BYTES_MAX);
    found.optional("element_text", event.element_text, TEXT_BYTES_MAX);
    found.optional("element_href", event.element_href, URL_BYTES_MAX);
    found.optional("user_agent", event.user_agent, TEXT_BYTES_MAX);
    found.optional("ip", event.ip, SHORT_BYTES_MAX);
    found.optional("locale", event.locale, SHORT_BYTES_MAX);
    found.optional("screen", event.screen, SHORT_BYTES_MAX);
    found.optional("campaign_source", event.campaign_source, LABEL_BYTES_MAX);
    found.optional("campaign_medium", event.campaign_medium, LABEL_BYTES_MAX);
    found.optional("campaign_name", event.campaign_name, LABEL_BYTES_MAX);
    found.optional("campaign_term", event.campaign_term, LABEL_BYTES_MAX);
    found.optional("campaign_content", event.campaign_content, LABEL_BYTES_MAX);
    found.optional("library", event.library, LABEL_BYTES_MAX);
    found.properties("properties", event.properties);
    found.optional("timezone", event.timezone, SHORT_BYTES_MAX);
    if found.0.is_empty() { Ok(()) } else { Err(found.0) }
}

struct Findings(Vec<Violation>);

impl Findings {
    #[cold]
    fn add(&mut self, field: &'static str, rule: Rule) {
        self.0.push(Violation { field, rule });
    }

    fn required(&mut self, field: &'static str, text: &str, bytes_max: usize) {
        if text.is_empty() {
            self.add(field, Rule::Missing);
        }
        self.optional(field, Some(text), bytes_max);
    }

    fn optional(&mut self, field: &'static str, text: Option<&str>, bytes_max: usize) {
        let bytes = text.map_or(0, str::len);
        if bytes > bytes_max {
            self.add(field, Rule::TooLong { bytes, bytes_max });
        }
    }

    fn time(&mut self, field: &'static str, time: i64, received_at: i64) {
        if time < limits::EVENT_TIME_MIN_US {
            self.add(field, Rule::TooEarly);
        } else if time > received_at.saturating_add(limits::EVENT_TIME_AHEAD_MAX_US) {
            self.add(field, Rule::TooLate);
        }
    }

    fn properties(&mut self, field: &'static str, text: Option<&str>) {
        self.optional(field, text, limits::PROPERTIES_BYTES_MAX);
        let depth_max = limits::PROPERTIES_DEPTH_MAX;
        if text.is_some_and(|text| nested_deeper(text, depth_max)) {
            self.add(field, Rule::TooDeep { depth_max });
        }
    }
}
