//! Event to bytes.
//!
//! Responsible for the order and the form of the fields. Appends to the caller's buffer and allocates only when that
//! has to grow, so a buffer used again costs nothing. Leaves limits to validation: any event can be encoded.

use super::{FRAME_BYTES, Version};
use crate::Event;

/// Appends the event as a record's value of the newest version, framed with its built-in id.
pub fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    encode_framed(Version::NEWEST, Version::NEWEST.schema_id(), event, out);
}

/// Appends the event as a record's value: a frame with the id that a registry gave the version's schema, then the Avro
/// body. A field that the version does not have is left out.
pub fn encode_framed(version: Version, schema_id: u32, event: &Event<'_>, out: &mut Vec<u8>) {
    const _: () = assert!(FRAME_BYTES == 1 + size_of::<u32>());
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
    text(event.event_id, out);
    text(event.kind, out);
    text(event.source, out);
    optional(event.user_id, out);
    optional(event.anonymous_id, out);
    optional(event.name, out);
    optional(event.session_id, out);
    long(event.event_time, out);
    long(event.received_at, out);
    optional(event.url, out);
    optional(event.path, out);
    optional(event.title, out);
    optional(event.referrer, out);
    optional(event.element, out);
    optional(event.element_text, out);
    optional(event.element_href, out);
    optional(event.user_agent, out);
    optional(event.ip, out);
    optional(event.locale, out);
    optional(event.screen, out);
    optional(event.campaign_source, out);
    optional(event.campaign_medium, out);
    optional(event.campaign_name, out);
    optional(event.campaign_term, out);
    optional(event.campaign_content, out);
    optional(event.library, out);
    optional(event.properties, out);
    if version >= Version::V2 {
        optional(event.timezone, out);
    }
}

/// A union of null and string: the branch's index, then the text.
fn optional(value: Option<&str>, out: &mut Vec<u8>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(2);
            text(value, out);
        }
    }
}

/// A string: its length in bytes, then the bytes.
fn text(value: &str, out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value.as_bytes());
}

/// A long: zig-zag, then seven bits a byte, the low ones first.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that [`encode_framed`] appends for an event.
#[must_use]
pub fn encoded_len(version: Version, event: &Event<'_>) -> usize {
    let required = [event.event_id, event.kind, event.source].into_iter().map(text_len);
    let times = [event.event_time, event.received_at].into_iter().map(long_len);
    let optional = [
        event.user_id,
        event.anonymous_id,
        event.name,
        event.session_id,
        event.url,
        event.path,
        event.title,
        event.referrer,
        event.element,
        event.element_text,
        event.element_href,
        event.user_agent,
        event.ip,
        event.locale,
        event.screen,
        event.campaign_source,
        event.campaign_medium,
        event.campaign_name,
        event.campaign_term,
        event.campaign_content,
        event.library,
        event.properties,
    ];
    let added = (version >= Version::V2).then_some(event.timezone);
    let optional = optional.into_iter().chain(added).map(|value| 1 + value.map_or(0, text_len));
    FRAME_BYTES + required.chain(times).chain(optional).sum::<usize>()
}

fn text_len(value: &str) -> usize {
    long_len(value.len() as i64) + value.len()
}

/// Seven bits a byte; zero has one, too.
fn long_len(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)).cast_unsigned() | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
