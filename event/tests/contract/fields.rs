//! The fields of an event by wire name, written down apart from the codec, and a maker of random events.

use event::Event;
use proptest::{collection::vec, option, prelude::*};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Optional(Option<&'a str>),
    Time(i64),
}

/// All fields by wire name, in wire order.
pub(crate) fn fields<'a>(event: &Event<'a>) -> [(&'static str, Field<'a>); 28] {
    use Field::{Optional, Text, Time};
    [
        ("event_id", Text(event.event_id)),
        ("type", Text(event.kind)),
        ("source", Text(event.source)),
        ("user_id", Optional(event.user_id)),
        ("anonymous_id", Optional(event.anonymous_id)),
        ("name", Optional(event.name)),
        ("session_id", Optional(event.session_id)),
        ("event_time", Time(event.event_time)),
        ("received_at", Time(event.received_at)),
        ("url", Optional(event.url)),
        ("path", Optional(event.path)),
        ("title", Optional(event.title)),
        ("referrer", Optional(event.referrer)),
        ("element", Optional(event.element)),
        ("element_text", Optional(event.element_text)),
        ("element_href", Optional(event.element_href)),
        ("user_agent", Optional(event.user_agent)),
        ("ip", Optional(event.ip)),
        ("locale", Optional(event.locale)),
        ("screen", Optional(event.screen)),
        ("campaign_source", Optional(event.campaign_source)),
        ("campaign_medium", Optional(event.campaign_medium)),
        ("campaign_name", Optional(event.campaign_name)),
        ("campaign_term", Optional(event.campaign_term)),
        ("campaign_content", Optional(event.campaign_content)),
        ("library", Optional(event.library)),
        ("properties", Optional(event.properties)),
        ("timezone", Optional(event.timezone)),
    ]
}

/// The texts and times of an event, owned.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    required: [String; 3],
    optional: Vec<Option<String>>,
    times: [i64; 2],
}

impl Values {
    pub(crate) fn event(&self) -> Event<'_> {
        let mut optional = self.optional.iter().map(Option::as_deref);
        let mut next = || optional.next().expect("there are 23 optional fields");
        Event {
            event_id: &self.required[0],
            kind: &self.required[1],
            source: &self.required[2],
            user_id: next(),
            anonymous_id: next(),
            name: next(),
            session_id: next(),
            event_time: self.times[0],
            received_at: self.times[1],
            url: next(),
            path: next(),
            title: next(),
            referrer: next(),
            element: next(),
            element_text: next(),
            element_href: next(),
            user_agent: next(),
            ip: next(),
            locale: next(),
            screen: next(),
            campaign_source: next(),
            campaign_medium: next(),
            campaign_name: next(),
            campaign_term: next(),
            campaign_content: next(),
            library: next(),
            properties: next(),
            timezone: next(),
        }
    }
}

/// Random events with a user key: any text, with lengths on both sides of one and two bytes of length.
pub(crate) fn any_values() -> impl Strategy<Value = Values> {
    let text = || prop_oneof![8 => "\\PC{0,12}", 4 => "[a-z]{0,70}", 2 => any::<String>(), 1 => "[a-zé]{8185,8200}"];
    let time = || prop_oneof![1_700_000_000_000_000..1_900_000_000_000_000_i64, any::<i64>()];
    let user_id = "[a-zé]{1,70}";
    ([text(), text(), text()], user_id, vec(option::of(text()), 22), [time(), time()]).prop_map(
        |(required, user_id, mut optional, times)| {
            optional.insert(0, Some(user_id));
            Values { required, optional, times }
        },
    )
}
