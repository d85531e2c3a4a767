//! The answer as the client reads it.
//!
//! Responsible for the JSON of every answer of the ingest routes: `{"accepted":n}` with what was rejected, or
//! `{"code","message"}`. Promises `Content-Type: application/json` and an integer `Retry-After` on every answer that
//! is worth a second try. Which answer it is has been decided before.

use std::{borrow::Cow, fmt::Write};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};

use crate::{
    body::ACCEPTED,
    rejection::{Code, EventRejection, Rejection},
};

/// A whole HTTP answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What a request came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The events were looked at, one by one.
    Judged(Judgement),
    /// The request as a whole was refused: nothing of it was taken.
    Refused(Rejection),
    /// The request was no telling of events, and this is its answer.
    Served(Reply),
}

/// What became of each event.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) accepted: u32,
    /// In the order of the request.
    pub(crate) rejected: Vec<EventRejection>,
    /// Where the accepted ones are durable, if that is not the broker.
    pub(crate) durability: Option<&'static str>,
}

impl Answer {
    /// The code of the whole answer; `None` if the request was taken.
    pub(crate) fn code(&self) -> Option<Code> {
        self.headline().map(|rejection| rejection.code)
    }

    /// The answer's HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Answer::Served(reply) => reply.status(),
            _ => self.code().map_or(StatusCode::OK, |code| code.facts().status),
        }
    }

    /// How many events were accepted, and those that were not.
    pub(crate) fn outcome(&self) -> (u32, &[EventRejection]) {
        match self {
            Answer::Judged(judgement) => (judgement.accepted, &judgement.rejected),
            Answer::Refused(_) | Answer::Served(_) => (0, &[]),
        }
    }

    /// Why the request was not taken. One bad event does not fail its batch; but where a second try may save an event,
    /// the client has to be told to make one, and where nothing was accepted, the reason stands on top. A code that
    /// promises that nothing was sent is used only where that is so.
    fn headline(&self) -> Option<Cow<'_, Rejection>> {
        let Judgement { accepted, rejected, .. } = match self {
            Answer::Refused(rejection) => return Some(Cow::Borrowed(rejection)),
            Answer::Judged(judgement) => judgement,
            Answer::Served(_) => return None,
        };
        let find = |wanted: fn(Code) -> bool| rejected.iter().map(|it| &it.rejection).find(|it| wanted(it.code));
        let unknown = find(|code| code == Code::DeliveryUnknown);
        let retriable = find(|code| code.facts().retriable);
        match (unknown, retriable) {
            (Some(unknown), _) => Some(Cow::Borrowed(unknown)),
            (None, Some(certain)) if *accepted == 0 => Some(Cow::Borrowed(certain)),
            (None, Some(_)) => Some(Cow::Owned(Rejection::new(
                Code::DeliveryUnknown,
                "only a part of the events was taken: send all of them again with the same event_id",
            ))),
            (None, None) if *accepted == 0 => rejected.first().map(|event| Cow::Borrowed(&event.rejection)),
            (None, None) => None,
        }
    }

    /// Writes the answer to an `<img>`: a pixel if the event was taken, else the JSON of every other answer. Neither may
    /// be kept by anyone on the way, or the next view would not be seen.
    pub(crate) fn into_image(self, retry_after_seconds: impl FnOnce() -> u32) -> Reply {
        if self.code().is_none() {
            return pixel();
        }
        let mut reply = self.into_reply(retry_after_seconds);
        reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        reply
    }

    /// Writes the answer. `retry_after_seconds` is asked only if there is reason to send again.
    pub(crate) fn into_reply(self, retry_after_seconds: impl FnOnce() -> u32) -> Reply {
        if let Answer::Served(reply) = self {
            return reply;
        }
        let mut body = String::with_capacity(32);
        body.push('{');
        let headline = self.headline();
        if let Some(rejection) = &headline {
            write_rejection(&mut body, rejection);
        }
        if let Answer::Judged(judgement) = &self {
            if headline.is_some() {
                body.push(',');
            }
            write_judgement(&mut body, judgement);
        }
        body.push('}');
        let known_seconds = headline.as_ref().and_then(|rejection| rejection.retry_after_seconds);
        let code = headline.map(|rejection| rejection.code.facts());
        let mut reply = Response::new(Full::new(Bytes::from(body)));
        *reply.status_mut() = code.map_or(StatusCode::OK, |code| code.status);
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if code.is_some_and(|code| code.retriable) {
            reply
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(known_seconds.unwrap_or_else(retry_after_seconds)));
        }
        if code.is_some_and(|code| code.status == StatusCode::UNSUPPORTED_MEDIA_TYPE) {
            reply.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        reply
    }
}

/// A transparent pixel, 1 x 1: the smallest GIF that every reader of mail shows.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// The answer of the pixel route to an event that was taken.
pub(crate) fn pixel() -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(GIF)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn write_judgement(body: &mut String, judgement: &Judgement) {
    let _ = write!(body, "\"accepted\":{}", judgement.accepted);
    if let Some(durability) = judgement.durability {
        let _ = write!(body, ",\"durability\":\"{durability}\"");
    }
    if judgement.rejected.is_empty() {
        return;
    }
    body.push_str(",\"rejected\":[");
    for (n, event) in judgement.rejected.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{{\"index\":{},", event.index);
        write_rejection(body, &event.rejection);
        body.push('}');
    }
    body.push(']');
}

fn write_rejection(body: &mut String, rejection: &Rejection) {
    let message = sonic_rs::to_string(&*rejection.message).expect("a string is always JSON");
    let _ = write!(body, "\"code\":\"{}\",\"message\":{message}", rejection.code.facts().name);
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(accepted: u32, rejected: &[(u32, Code)], status: u16, retry_after: bool, code: Option<&str>) {
        let reject = |&(index, code)| EventRejection { index, rejection: Rejection::new(code, "say \"why\"") };
        let list = rejected.iter().map(reject).collect();
        let answer = Answer::Judged(Judgement { accepted, rejected: list, durability: None });
        assert_eq!(answer.status().as_u16(), status);
        let reply = answer.into_reply(|| 2);
        assert_eq!(reply.status().as_u16(), status);
        assert_eq!(reply.headers().get(RETRY_AFTER).is_some_and(|seconds| seconds == "2"), retry_after);
        let body = futures::executor::block_on(reply.into_body().collect()).expect("a body in memory").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("valid JSON");
        assert_eq!(body["accepted"], accepted);
        assert_eq!(body.get("code").and_then(Value::as_str), code);
        let expected: Vec<Value> = rejected
            .iter()
            .map(|(index, code)| json!({"index": index, "code": code.facts().name, "message": "say \"why\""}))
            .collect();
        assert_eq!(body.get("rejected").cloned(), (!expected.is_empty()).then_some(Value::Array(expected)));
    }

    #[test]
    fn the_status_tells_the_client_what_to_do() {
        use Code::{DeliveryUnknown as Unknown, EventTooLarge, NoUserKey, Overloaded};
        check(2, &[], 200, false, None);
        check(1, &[(1, NoUserKey)], 200, false, None);
        check(0, &[(0, NoUserKey), (1, EventTooLarge)], 400, false, Some("no_user_key"));
        check(0, &[(0, EventTooLarge)], 413, false, Some("event_too_large"));
        check(1, &[(0, NoUserKey), (2, Unknown)], 503, true, Some("delivery_unknown"));
        check(0, &[(0, NoUserKey), (1, Overloaded)], 503, true, Some("overloaded"));
        check(1, &[(1, Overloaded)], 503, true, Some("delivery_unknown"));
        check(0, &[(0, Unknown), (1, Overloaded)], 503, true, Some("delivery_unknown"));
    }
}
