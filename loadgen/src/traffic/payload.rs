//! A visit as native event JSON.
//!
//! Responsible for the bytes of one event. Promises the same bytes each time it is written, whatever happened to it in
//! between, and no allocation but the buffer's own. Leaves framing of several events to the sender.

use super::{Action, Visit};
use crate::json::{push_number, push_time};
use crate::offer::Item;

/// What all events of a run share.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The id of the run.
    pub(super) run: String,
    /// The start of the run, microseconds since 1970 UTC.
    pub(super) start_unix_us: i64,
}

const SITE: &[u8] = b"https://shop.example";
const SECTIONS: [&[u8]; 6] = [b"/", b"/products/", b"/categories/", b"/articles/", b"/help/", b"/account/orders/"];
const AGENTS: [&[u8]; 4] = [
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    b"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
];

/// Appends the event.
pub(super) fn write(context: &Context, item: &Item<Visit>, out: &mut Vec<u8>) {
    let Visit { session, action, page, other } = item.event;
    out.extend_from_slice(b"{\"event_id\":\"");
    item.id.write(&context.run, out);
    out.extend_from_slice(match action {
        Action::PageView => b"\",\"type\":\"page_view\",\"user_id\":\"u",
        Action::Click => b"\",\"type\":\"click\",\"user_id\":\"u",
    });
    push_number(u64::from(item.id.user), out);
    out.extend_from_slice(b"\",\"session_id\":\"s");
    push_number(u64::from(session), out);
    out.extend_from_slice(b"\",\"event_time\":\"");
    push_time(context.start_unix_us.saturating_add_unsigned(item.due_us), out);
    out.extend_from_slice(b"\",\"url\":\"");
    push_url(page, out);
    match action {
        Action::PageView => {
            out.extend_from_slice(b"\",\"title\":\"Page ");
            push_number(u64::from(page), out);
            out.extend_from_slice(b" - The Example Shop\",\"referrer\":\"");
            push_url(other, out);
        }
        Action::Click => {
            out.extend_from_slice(b"\",\"element\":\"a.card#p");
            push_number(u64::from(other), out);
            out.extend_from_slice(b"\",\"element_text\":\"See page ");
            push_number(u64::from(other), out);
            out.extend_from_slice(b"\",\"element_href\":\"");
            push_url(other, out);
        }
    }
    out.extend_from_slice(b"\",\"user_agent\":\"");
    out.extend_from_slice(AGENTS[item.id.user as usize % AGENTS.len()]);
    out.extend_from_slice(b"\",\"properties\":{\"run\":\"");
    out.extend_from_slice(context.run.as_bytes());
    out.extend_from_slice(b"\",\"seq\":");
    push_number(u64::from(item.id.sequence), out);
    out.extend_from_slice(b",\"due_us\":");
    push_number(item.due_us, out);
    out.extend_from_slice(b"}}");
}

fn push_url(page: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(SITE);
    if page > 0 {
        out.extend_from_slice(SECTIONS[usize::from(page) % SECTIONS.len()]);
        push_number(u64::from(page), out);
    }
}
