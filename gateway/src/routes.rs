//! Which topic an event goes to, and with which schema.
//!
//! Responsible for the schema of the log's records and its id, and for `[[routes]]`: the first route whose `source` and
//! `type` both fit names the topic, and an event that no route fits goes to the main one. Promises that where no route
//! is configured an event costs one comparison. Read once at boot, since a topic has to be there before the first
//! event. What is given up: a user's events in two topics have no order between them.

use event::Version;

use crate::config::RouteSettings;

/// The topics of the log, the rules that choose among them, and the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routes {
    /// Of the event's schema.
    pub(crate) version: Version,
    /// In the frame of every record.
    pub(crate) schema_id: u32,
    /// The main topic first, then those of the routes, each once.
    topics: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    source: Option<String>,
    kind: Option<String>,
    topic: u16,
}

impl Routes {
    /// Everything goes to one topic.
    pub(crate) const NONE: Routes = Routes {
        version: Version::NEWEST,
        schema_id: Version::NEWEST.schema_id(),
        topics: Vec::new(),
        rules: Vec::new(),
    };

    pub(crate) fn new(main_topic: &str, routes: &[RouteSettings]) -> Routes {
        let mut topics = vec![main_topic.to_owned()];
        let mut rules = Vec::with_capacity(routes.len());
        for route in routes {
            let known = topics.iter().position(|topic| *topic == route.topic);
            let topic = known.unwrap_or_else(|| {
                topics.push(route.topic.clone());
                topics.len() - 1
            });
            let topic = u16::try_from(topic).expect("the settings allow fewer routes");
            rules.push(Rule { source: route.source.clone(), kind: route.kind.clone(), topic });
        }
        Routes { topics, rules, ..Routes::NONE }
    }

    /// The topics by number; 0 is the main one.
    pub(crate) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// The number of the topic for an event.
    pub(crate) fn topic(&self, source: &str, kind: &str) -> u16 {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let rule = self.rules.iter().find(|rule| fits(&rule.source, source) && fits(&rule.kind, kind));
        rule.map_or(0, |rule| rule.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(source: &str, kind: &str, topic: &str) -> RouteSettings {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        RouteSettings { source: some(source), kind: some(kind), topic: topic.to_owned() }
    }

    #[test]
    fn the_first_route_that_fits_names_the_topic() {
        let routes = Routes::new(
            "events",
            &[
                route("web", "click", "web-clicks"),
                route("", "click", "clicks"),
                route("mail", "", "mail"),
                route("shop", "identify", "events"),
                route("shop", "", "clicks"),
            ],
        );
        assert_eq!(routes.topics(), ["events", "web-clicks", "clicks", "mail"]);
        #[track_caller]
        fn check(routes: &Routes, source: &str, kind: &str, expected: &str) {
            assert_eq!(routes.topics()[usize::from(routes.topic(source, kind))], expected, "{source} {kind}");
        }
        check(&routes, "web", "click", "web-clicks");
        check(&routes, "mail", "click", "clicks");
        check(&routes, "mail", "page_view", "mail");
        check(&routes, "web", "page_view", "events");
        check(&routes, "shop", "identify", "events");
        check(&routes, "shop", "page_view", "clicks");
        assert_eq!(Routes::NONE.topic("web", "click"), 0);
    }
}
