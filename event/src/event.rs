//! The event: one page view, click or other act of one user.
//!
//! Responsible for the fields, their order and their meaning. The order here is the order in the schema and on the
//! wire. Everything is borrowed: the gateway fills it from the request's body, the sink from the log's record, and
//! neither copies a string.

/// One event, borrowed from wherever its text lies. Optional texts are `None` when absent; an empty text is kept as
/// it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Opaque identity of the event within its source; sending it again does not make a second row.
    pub event_id: &'a str,
    /// What happened: `page_view`, `click`, `identify` or a name of the sender's own. On the wire it is called `type`.
    pub kind: &'a str,
    /// Name of the write key the event came in with.
    pub source: &'a str,
    /// The known user.
    pub user_id: Option<&'a str>,
    /// The browser or device, while the user is not known.
    pub anonymous_id: Option<&'a str>,
    /// Name of a custom event.
    pub name: Option<&'a str>,
    /// The visit the event belongs to.
    pub session_id: Option<&'a str>,
    /// When it happened by the client's clock, in microseconds since 1970-01-01 UTC.
    pub event_time: i64,
    /// When the gateway took it, in microseconds since 1970-01-01 UTC.
    pub received_at: i64,
    /// Address of the page.
    pub url: Option<&'a str>,
    /// Path of the page.
    pub path: Option<&'a str>,
    /// Title of the page.
    pub title: Option<&'a str>,
    /// Address of the page before.
    pub referrer: Option<&'a str>,
    /// What was clicked, as a CSS selector or a name.
    pub element: Option<&'a str>,
    /// Visible text of what was clicked.
    pub element_text: Option<&'a str>,
    /// Where the clicked link leads.
    pub element_href: Option<&'a str>,
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// Address of the client, as far as the gateway's policy keeps it.
    pub ip: Option<&'a str>,
    /// Language and region of the client, for example `en-GB`.
    pub locale: Option<&'a str>,
    /// Size of the screen in pixels, for example `1920x1080`.
    pub screen: Option<&'a str>,
    /// `utm_source`.
    pub campaign_source: Option<&'a str>,
    /// `utm_medium`.
    pub campaign_medium: Option<&'a str>,
    /// `utm_campaign`.
    pub campaign_name: Option<&'a str>,
    /// `utm_term`.
    pub campaign_term: Option<&'a str>,
    /// `utm_content`.
    pub campaign_content: Option<&'a str>,
    /// Name and version of the client library.
    pub library: Option<&'a str>,
    /// Everything else, as the text of a JSON object.
    pub properties: Option<&'a str>,
    /// Time zone of the client, an IANA name such as `Europe/Berlin`. Since version 2.
    pub timezone: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// The user whose order is kept: `user_id` if not empty, else `anonymous_id` if not empty. It is the record's key.
    #[must_use]
    pub fn user_key(&self) -> Option<&'a str> {
        let present = |id: Option<&'a str>| id.filter(|id| !id.is_empty());
        present(self.user_id).or(present(self.anonymous_id))
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn user_key_is_the_first_id_that_is_not_empty() {
        #[track_caller]
        fn check(user_id: Option<&str>, anonymous_id: Option<&str>, expected: Option<&str>) {
            assert_eq!(Event { user_id, anonymous_id, ..Event::default() }.user_key(), expected);
        }
        check(Some("u"), Some("a"), Some("u"));
        check(Some("u"), None, Some("u"));
        check(Some(""), Some("a"), Some("a"));
        check(None, Some("a"), Some("a"));
        check(Some(""), Some(""), None);
        check(None, Some(""), None);
        check(None, None, None);
    }
}
