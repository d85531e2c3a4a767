//! The text fields of an event by wire name, written down apart from the product.

use event::Event;

/// Every text field that a sender of the native dialect may fill. `type` and `event_id` are filled by the gateway where
/// the sender did not.
pub(crate) const TEXTS: [&str; 25] = [
    "event_id",
    "type",
    "user_id",
    "anonymous_id",
    "name",
    "session_id",
    "url",
    "path",
    "title",
    "referrer",
    "element",
    "element_text",
    "element_href",
    "user_agent",
    "ip",
    "locale",
    "screen",
    "campaign_source",
    "campaign_medium",
    "campaign_name",
    "campaign_term",
    "campaign_content",
    "library",
    "properties",
    "timezone",
];

/// The text of a field.
pub(crate) fn text<'a>(event: &Event<'a>, name: &str) -> Option<&'a str> {
    match name {
        "event_id" => Some(event.event_id),
        "type" => Some(event.kind),
        "source" => Some(event.source),
        "user_id" => event.user_id,
        "anonymous_id" => event.anonymous_id,
        "name" => event.name,
        "session_id" => event.session_id,
        "url" => event.url,
        "path" => event.path,
        "title" => event.title,
        "referrer" => event.referrer,
        "element" => event.element,
        "element_text" => event.element_text,
        "element_href" => event.element_href,
        "user_agent" => event.user_agent,
        "ip" => event.ip,
        "locale" => event.locale,
        "screen" => event.screen,
        "campaign_source" => event.campaign_source,
        "campaign_medium" => event.campaign_medium,
        "campaign_name" => event.campaign_name,
        "campaign_term" => event.campaign_term,
        "campaign_content" => event.campaign_content,
        "library" => event.library,
        "properties" => event.properties,
        "timezone" => event.timezone,
        other => panic!("there is no text field {other}"),
    }
}
