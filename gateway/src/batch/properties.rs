//! The text of `properties`.
//!
//! Responsible for everything that the contract has no field for. Promises that raw values are joined and never written
//! anew, that what came inside an object is kept inside an object of that name, and that a property which the sender
//! put there itself comes last, so that it wins where readers take the last of two equal keys.

use crate::dialect::{Draft, Extra, Place, Raw, Text};

/// The draft's properties with its extras.
pub(super) fn join<'a>(draft: &'a Draft<'_>, joined: &'a mut String) -> Option<&'a str> {
    let own = draft.properties.as_ref().map(Raw::text);
    if draft.extras.is_empty() {
        return own;
    }
    joined.clear();
    joined.push('{');
    members(&draft.extras, Place::Top, joined);
    if draft.extras.iter().any(|extra| extra.place != Place::Top) {
        open("context", joined);
        members(&draft.extras, Place::Context, joined);
        for (place, name) in PARTS {
            if draft.extras.iter().any(|extra| extra.place == place) {
                open(name, joined);
                members(&draft.extras, place, joined);
                joined.push('}');
            }
        }
        joined.push('}');
    }
    let inside = own.map_or("", |own| own[1..own.len() - 1].trim_ascii());
    if !inside.is_empty() {
        separate(joined);
        joined.push_str(inside);
    }
    joined.push('}');
    Some(joined)
}

/// What lies inside `context`.
const PARTS: [(Place, &str); 4] =
    [(Place::Page, "page"), (Place::Screen, "screen"), (Place::Library, "library"), (Place::Campaign, "campaign")];

fn members(extras: &[Extra<'_>], place: Place, to: &mut String) {
    for extra in extras.iter().filter(|extra| extra.place == place) {
        separate(to);
        push_key(&extra.key, to);
        to.push_str(extra.value.text());
    }
}

fn open(name: &str, to: &mut String) {
    separate(to);
    to.push('"');
    to.push_str(name);
    to.push_str("\":{");
}

fn separate(to: &mut String) {
    if !to.ends_with('{') {
        to.push(',');
    }
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
