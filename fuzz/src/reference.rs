//! What an event of the native dialect should become, by the API page and in the plainest way there is.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use event::Event;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::{
    fields::{self, TEXTS},
    taken::{Fate, RECEIVED_AT_US},
};

/// The fate that an event should have.
#[derive(Debug)]
pub(crate) enum Expected<'a> {
    Record(Box<Members<'a>>),
    Rejected(&'static str),
}

/// The members of an event's JSON object.
#[derive(Debug, Default)]
pub(crate) struct Members<'a> {
    texts: BTreeMap<String, Option<String>>,
    properties: Option<&'a str>,
    /// Keys that the contract has no field for.
    extras: Vec<(String, &'a str)>,
}

impl<'a> Expected<'a> {
    pub(crate) fn of(json: &'a str) -> Expected<'a> {
        if !json.trim_start().starts_with('{') {
            return Expected::Rejected("not_an_object");
        }
        match Members::of(json) {
            Some(members) => members.judged(),
            None => Expected::Rejected("invalid_type"),
        }
    }

    #[track_caller]
    pub(crate) fn check(&self, fate: Fate<'_>) {
        match (self, fate) {
            (Expected::Record(members), Fate::Record(event)) => members.check(&event),
            (Expected::Rejected(expected), Fate::Rejected(code)) => assert_eq!(code.facts().name, *expected),
            (expected, fate) => panic!("expected {expected:?}\n   found {fate:?}"),
        }
    }
}

impl<'a> Members<'a> {
    /// `None` if a member is of the wrong type, or a string that is needed is no text.
    fn of(json: &'a str) -> Option<Members<'a>> {
        let Object(members) = serde_json::from_str(json).ok()?;
        let mut found = Members::default();
        for (key, value) in members {
            match key.as_str() {
                "properties" if value == "null" => found.properties = None,
                "properties" => found.properties = Some(value.starts_with('{').then_some(value)?),
                "event" | "event_time" => found.add_text(key, value)?,
                // It is kept like what has no field, and is one only if it may be a name.
                "timezone" => {
                    let name: Option<String> = serde_json::from_str(value).ok();
                    let name = name.filter(|name| (1..=event::limits::SHORT_BYTES_MAX).contains(&name.len()));
                    found.texts.insert(key.clone(), name);
                    found.extras.push((key, value));
                }
                name if TEXTS.contains(&name) => found.add_text(key, value)?,
                _ => found.extras.push((key, value)),
            }
        }
        Some(found)
    }

    fn add_text(&mut self, key: String, value: &str) -> Option<()> {
        self.texts.insert(key, serde_json::from_str(value).ok()?);
        Some(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name)?.as_deref()
    }

    fn present(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    fn event_time(&self) -> Option<i64> {
        self.present("event_time").map_or(Some(RECEIVED_AT_US), event::parse_time)
    }

    fn judged(self) -> Expected<'a> {
        if self.event_time().is_none() {
            return Expected::Rejected("invalid_time");
        }
        if self.present("ip").is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
            return Expected::Rejected("invalid_type");
        }
        let properties = self.joined_properties();
        let violations = event::validate(&self.event(properties.as_deref())).err();
        match violations.and_then(|violations| violations.first().map(event::Violation::code)) {
            Some(code) => Expected::Rejected(code),
            None => Expected::Record(Box::new(self)),
        }
    }

    /// The event as far as the rules look at it.
    fn event<'e>(&'e self, properties: Option<&'e str>) -> Event<'e> {
        Event {
            event_id: self.present("event_id").unwrap_or("made by the gateway"),
            kind: self.present("type").or(self.present("event")).unwrap_or_default(),
            source: "default",
            user_id: self.text("user_id"),
            anonymous_id: self.text("anonymous_id"),
            name: self.name(),
            session_id: self.text("session_id"),
            event_time: self.event_time().unwrap_or_default(),
            received_at: RECEIVED_AT_US,
            url: self.text("url"),
            path: self.text("path"),
            title: self.text("title"),
            referrer: self.text("referrer"),
            element: self.text("element"),
            element_text: self.text("element_text"),
            element_href: self.text("element_href"),
            user_agent: self.text("user_agent"),
            ip: None,
            locale: self.text("locale"),
            screen: self.text("screen"),
            campaign_source: self.text("campaign_source"),
            campaign_medium: self.text("campaign_medium"),
            campaign_name: self.text("campaign_name"),
            campaign_term: self.text("campaign_term"),
            campaign_content: self.text("campaign_content"),
            library: self.text("library"),
            properties,
            timezone: self.text("timezone"),
        }
    }

    fn name(&self) -> Option<&str> {
        self.text("name").or(self.present("event").filter(|_| self.present("type").is_some()))
    }

    fn joined_properties(&self) -> Option<String> {
        let own = self.properties.map(|own| own[1..own.len() - 1].trim_matches(|c: char| c.is_ascii_whitespace()));
        if self.extras.is_empty() {
            return self.properties.map(str::to_owned);
        }
        let extras = self.extras.iter().map(|(key, value)| format!("{}:{value}", serde_json::json!(key)));
        let members: Vec<String> = extras.chain(own.filter(|own| !own.is_empty()).map(str::to_owned)).collect();
        Some(format!("{{{}}}", members.join(",")))
    }

    /// What the sender gave is what the record holds. What the gateway adds where the sender gave nothing is not looked
    /// at, apart from what every record must have.
    fn check(&self, event: &Event<'_>) {
        let properties = self.joined_properties();
        let expected = self.event(properties.as_deref());
        for name in TEXTS {
            let (found, expected) = (fields::text(event, name), fields::text(&expected, name));
            match name {
                "event_id" if self.present(name).is_none() => assert_eq!(event.event_id.len(), 36, "a made event_id"),
                "properties" => assert_eq!(members(found), members(expected)),
                _ if expected.is_none() => {}
                _ => assert_eq!(found, expected, "{name}"),
            }
        }
        assert_eq!(event.event_time, expected.event_time);
        assert_eq!(event.source, "default");
    }
}

/// Keys and raw values in their order: two texts may differ in how a key is escaped.
fn members(properties: Option<&str>) -> Option<Vec<(String, &str)>> {
    properties.map(|text| serde_json::from_str::<Object<'_>>(text).map(|Object(members)| members).unwrap_or_default())
}

/// An object's members in their order, with equal keys where they are.
pub(crate) struct Object<'a>(pub(crate) Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Object(members))
            }
        }
        from.deserialize_map(Visitor)
    }
}
