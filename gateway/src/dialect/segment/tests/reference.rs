//! Goal: any batch says what the rules say, however its events look. Method: batches made at random, read once here, in one
//! pass over borrowed text, and once by a slow reading of `serde_json` values that was written from the rules alone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Columns that are set, and `properties`.
type Row = (BTreeMap<&'static str, String>, Value);

fn row(event: &Event<'_>) -> Row {
    let columns = [
        ("type", Some(event.kind)),
        ("user_id", event.user_id),
        ("anonymous_id", event.anonymous_id),
        ("name", event.name),
        ("session_id", event.session_id),
        ("url", event.url),
        ("path", event.path),
        ("title", event.title),
        ("referrer", event.referrer),
        ("element", event.element),
        ("element_text", event.element_text),
        ("element_href", event.element_href),
        ("user_agent", event.user_agent),
        ("ip", event.ip),
        ("locale", event.locale),
        ("screen", event.screen),
        ("campaign_source", event.campaign_source),
        ("campaign_name", event.campaign_name),
        ("library", event.library),
        ("timezone", event.timezone),
    ];
    let set = columns.into_iter().filter_map(|(name, text)| Some((name, text?.to_owned()))).collect();
    let properties = event.properties.map_or(json!({}), |text| serde_json::from_str(text).expect("valid JSON"));
    (set, properties)
}

/// The rules of docs/api.md, one after the other.
fn reference(event: &Value, common: &Map<String, Value>) -> Result<Row, &'static str> {
    let mut rest = event.as_object().ok_or("not_an_object")?.clone();
    let mut set = BTreeMap::from([("user_agent", "agent".to_owned()), ("ip", "192.0.2.0".to_owned())]);
    let mut id = |key: &str, column| {
        let text = match rest.remove(key).unwrap_or_default() {
            Value::Null => return Ok(()),
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err("invalid_type"),
        };
        set.insert(column, text);
        Ok(())
    };
    let ids = [id("messageId", "event_id"), id("userId", "user_id"), id("anonymousId", "anonymous_id")];
    ids.into_iter().collect::<Result<(), _>>()?;
    set.remove("event_id");
    let said = text(&rest.remove("type").unwrap_or_default()).unwrap_or_default();
    let kind = match &*said {
        "page" => "page_view",
        "screen" => "screen_view",
        other => other,
    };
    set.insert("type", kind.to_owned());
    let is_view = kind.ends_with("_view");
    for key in if is_view { ["name", "event"] } else { ["event", "name"] } {
        first(&mut set, "name", key, &mut rest);
    }
    rest.remove("writeKey");
    let own = match rest.remove("properties") {
        Some(Value::Object(own)) => own,
        Some(Value::Null) | None => Map::new(),
        Some(odd) => Map::from_iter([("properties".to_owned(), odd)]),
    };
    let columns: &[(&str, &str)] = match kind {
        "page_view" | "screen_view" => {
            &[("url", "url"), ("path", "path"), ("title", "title"), ("referrer", "referrer")]
        }
        "track" => &[("element", "element"), ("elementText", "element_text"), ("href", "element_href")],
        _ => &[],
    };
    for (key, column) in columns {
        if let Some(text) = own.get(*key).and_then(text) {
            set.insert(column, text);
        }
    }
    around(&mut set, &mut rest, common);
    if !set.contains_key("path")
        && let Some(path) = set.get("url").filter(|url| url.starts_with('/'))
    {
        set.insert("path", path.split('?').next().expect("there is always a first part").to_owned());
    }
    if kind.is_empty() {
        return Err("field_missing");
    }
    if ["user_id", "anonymous_id"].iter().all(|id| set.get(id).is_none_or(String::is_empty)) {
        return Err("no_user_key");
    }
    rest.extend(own);
    Ok((set, Value::Object(rest)))
}

/// What `context` says, and what is said for all events where it says nothing.
fn around(set: &mut BTreeMap<&'static str, String>, rest: &mut Map<String, Value>, common: &Map<String, Value>) {
    let own = rest.remove("context").unwrap_or_default();
    let mut kept = match own {
        Value::Object(own) => looked_at(set, own, true),
        Value::Null => Map::new(),
        odd => {
            rest.insert("context".to_owned(), odd);
            Map::new()
        }
    };
    for (key, value) in looked_at(set, common.clone(), false) {
        kept.entry(key).or_insert(value);
    }
    if !kept.is_empty() {
        rest.insert("context".to_owned(), Value::Object(kept));
    }
}

fn looked_at(
    set: &mut BTreeMap<&'static str, String>,
    mut context: Map<String, Value>,
    own: bool,
) -> Map<String, Value> {
    let zone = context.get("timezone").and_then(text).filter(|zone| !zone.is_empty());
    if let Some(zone) = zone.filter(|_| own || !set.contains_key("timezone")) {
        set.insert("timezone", zone);
    }
    let mut put = |column, value: &Value, number: bool| {
        let text = text(value).or_else(|| (number && value.is_number()).then(|| value.to_string()));
        match text {
            Some(text) if own || set.get(column).is_none_or(String::is_empty) => {
                set.insert(column, text);
                true
            }
            _ => value.is_null() || text.is_some(),
        }
    };
    for (key, column) in [("locale", "locale"), ("sessionId", "session_id")] {
        if context.get(key).is_some_and(|value| put(column, value, key == "sessionId")) {
            context.remove(key);
        }
    }
    let mut page = match context.remove("page") {
        Some(Value::Object(page)) => page,
        Some(Value::Null) | None => Map::new(),
        Some(odd) => {
            context.insert("page".to_owned(), odd);
            return context;
        }
    };
    for key in ["url", "path", "title", "referrer"] {
        first(set, key, key, &mut page);
    }
    if !page.is_empty() {
        context.insert("page".to_owned(), Value::Object(page));
    }
    context
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The first source that says something counts; what a later one says otherwise is kept.
fn first(set: &mut BTreeMap<&'static str, String>, column: &'static str, key: &str, rest: &mut Map<String, Value>) {
    let value = rest.remove(key).unwrap_or_default();
    match &value {
        Value::Null => {}
        Value::String(text) if set.get(column).is_none_or(String::is_empty) => drop(set.insert(column, text.clone())),
        Value::String(text) if text.is_empty() || set[column] == *text => {}
        _ => drop(rest.insert(key.to_owned(), value)),
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-z/?\"\\\\é]{0,6}".prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!([1, "a"])),
        1 => Just(json!({"b": null})),
    ]
}

fn object(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let member = (proptest::sample::select(keys).prop_map(str::to_owned), scalar());
    proptest::collection::vec(member, 0..6).prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn context() -> impl Strategy<Value = Value> {
    let page = prop_oneof![6 => object(&["url", "path", "title", "referrer", "tab"]), 1 => scalar()];
    (object(&["locale", "sessionId", "timezone", "os"]), proptest::option::of(page)).prop_map(|(mut context, page)| {
        if let Some(page) = page {
            context["page"] = page;
        }
        context
    })
}

fn event() -> impl Strategy<Value = Value> {
    let kind = proptest::sample::select(&["page", "track", "identify", "group", "alias", "screen", "merge", ""][..]);
    let ids = object(&["userId", "anonymousId", "messageId"]);
    let other = object(&["event", "name", "writeKey", "traits", "category", "channel"]);
    let properties = object(&["url", "path", "title", "referrer", "element", "elementText", "href", "n", "context"]);
    let whole = (kind, ids, other, proptest::option::of(properties), proptest::option::of(context()));
    let whole = whole.prop_map(|(kind, ids, other, properties, context)| {
        let mut event = json!({"type": kind, "userId": "u"});
        for part in [ids, other] {
            event.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
        }
        let parts = [("properties", properties), ("context", context)];
        for (key, part) in parts.into_iter().filter_map(|(key, part)| Some((key, part?))) {
            event[key] = part;
        }
        event
    });
    prop_oneof![20 => whole, 1 => scalar()]
}

proptest! {
    #[test]
    fn any_batch_says_what_the_rules_say(
        events in proptest::collection::vec(event(), 1..6), common in object(&["locale", "sessionId", "timezone", "os"]),
        before: bool,
    ) {
        let events_json = Value::from(events.clone());
        let body = if before {
            format!(r#"{{"context":{common},"batch":{events_json}}}"#)
        } else {
            format!(r#"{{"batch":{events_json},"context":{common}}}"#)
        };
        let common = common.as_object().expect("an object").clone();
        let expected: Vec<_> = events.iter().map(|event| reference(event, &common)).collect();
        let mut found: BTreeMap<u32, Result<Row, &str>> = BTreeMap::new();
        taken(Call::Batch, &body, |result, batch| {
            assert_eq!(result, Ok(()), "{body}");
            let mut rows = BTreeMap::new();
            for record in batch.records() {
                rows.insert(record.index, Ok(row(&decode(record.value).expect("ours"))));
            }
            for rejected in batch.take_rejected() {
                rows.insert(rejected.index, Err(rejected.rejection.code.facts().name));
            }
            rows
        }).into_iter().for_each(|(index, row)| drop(found.insert(index, row)));
        let found: Vec<_> = found.into_values().collect();
        prop_assert_eq!(found, expected, "{}", body);
    }
}
