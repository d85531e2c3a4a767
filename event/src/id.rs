//! Event ids for events that come without one.
//!
//! Responsible for making ids: UUID version 7 (RFC 9562, section 5.7), so that they sort by the millisecond of their
//! making. Promises no heap and no system call per id. Ids that clients bring are opaque text and need no room here.

use std::{fmt, ops::Deref};

use uuid::Builder;

/// The 36 characters of a fresh UUIDv7. Dereferences to `str`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId([u8; Self::LENGTH]);

/// Makes an event id from the time, in milliseconds since 1970-01-01 UTC, and 74 random bits of a generator that each
/// thread has for itself.
#[must_use]
pub fn new_event_id(unix_ms: u64) -> EventId {
    let uuid = Builder::from_unix_timestamp_millis(unix_ms, &rand::random()).into_uuid();
    let mut text = [0; EventId::LENGTH];
    uuid.hyphenated().encode_lower(&mut text);
    EventId(text)
}

impl EventId {
    const LENGTH: usize = 36;
}

impl Deref for EventId {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).expect("a hyphenated UUID is ASCII")
    }
}

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", &**self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::{Uuid, Version};

    use super::new_event_id;

    #[test]
    fn ids_are_version_7_and_carry_their_millisecond() {
        let unix_ms = 1_767_323_045_678;
        let id = new_event_id(unix_ms);
        let uuid = Uuid::parse_str(&id).expect("the text is a UUID");
        assert_eq!(uuid.get_version(), Some(Version::SortRand));
        let (seconds, nanos) = uuid.get_timestamp().expect("version 7 has a timestamp").to_unix();
        assert_eq!(seconds * 1000 + u64::from(nanos) / 1_000_000, unix_ms);
        assert_eq!(uuid.hyphenated().to_string(), *id);
    }

    #[test]
    fn ids_of_one_millisecond_differ() {
        let ids: HashSet<_> = (0..10_000).map(|_| new_event_id(1_767_323_045_678)).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn ids_sort_by_millisecond() {
        let ids: Vec<String> = (0..1000).map(|ms| new_event_id(1_767_323_045_000 + ms).to_string()).collect();
        assert!(ids.is_sorted());
    }
}
