//! The closed list of refusals: what the gateway says when it does not take a request or an event.
//!
//! Responsible for the one table of codes with their HTTP status and whether sending again can help. Promises that a
//! code's name never changes once published, since clients, metrics and dead letters refer to it. Where a refusal is
//! found and how it is written is left to the other rooms: a refusal is data, not an error.

use std::borrow::Cow;

use event::{Rule, Violation};
use hyper::StatusCode;

/// Why a request or an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    RouteNotFound,
    MethodNotAllowed,
    MalformedRequest,
    HeadTooLarge,
    HeadTimeout,
    ExpectationFailed,
    KeyMissing,
    UnknownKey,
    OriginNotAllowed,
    RouteNotAllowed,
    QuotaExceeded,
    AddressQuotaExceeded,
    BodyTooLarge,
    TooManyEvents,
    UnsupportedEncoding,
    BodyTimeout,
    BodyIncomplete,
    MalformedCompression,
    InvalidUtf8,
    MalformedJson,
    NestedTooDeep,
    EmptyBatch,
    Overloaded,
    Draining,
    LogUnavailable,
    DeliveryUnknown,
    ClientGone,
    NotAnObject,
    InvalidType,
    InvalidTime,
    EventTooLarge,
    FieldMissing,
    NoUserKey,
    FieldTooLong,
    PropertiesTooDeep,
    EventTimeTooEarly,
    EventTimeTooLate,
}

/// What stands beside a code in the table.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Stable name: the reply's `code` and the metric's label.
    pub name: &'static str,
    /// HTTP status when it is the answer to a whole request.
    pub status: StatusCode,
    /// Whether the same bytes sent again may be taken.
    pub retriable: bool,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Code; 37] = [
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::MalformedRequest,
        Code::HeadTooLarge,
        Code::HeadTimeout,
        Code::ExpectationFailed,
        Code::KeyMissing,
        Code::UnknownKey,
        Code::OriginNotAllowed,
        Code::RouteNotAllowed,
        Code::QuotaExceeded,
        Code::AddressQuotaExceeded,
        Code::BodyTooLarge,
        Code::TooManyEvents,
        Code::UnsupportedEncoding,
        Code::BodyTimeout,
        Code::BodyIncomplete,
        Code::MalformedCompression,
        Code::InvalidUtf8,
        Code::MalformedJson,
        Code::NestedTooDeep,
        Code::EmptyBatch,
        Code::Overloaded,
        Code::Draining,
        Code::LogUnavailable,
        Code::DeliveryUnknown,
        Code::ClientGone,
        Code::NotAnObject,
        Code::InvalidType,
        Code::InvalidTime,
        Code::EventTooLarge,
        Code::FieldMissing,
        Code::NoUserKey,
        Code::FieldTooLong,
        Code::PropertiesTooDeep,
        Code::EventTimeTooEarly,
        Code::EventTimeTooLate,
    ];

    /// The code's row of the table.
    pub fn facts(self) -> Facts {
        const fn row(name: &'static str, status: StatusCode, retriable: bool) -> Facts {
            Facts { name, status, retriable }
        }
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const LARGE: StatusCode = StatusCode::PAYLOAD_TOO_LARGE;
        const LATER: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Code::RouteNotFound => row("route_not_found", StatusCode::NOT_FOUND, false),
            Code::MethodNotAllowed => row("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, false),
            Code::MalformedRequest => row("malformed_request", BAD, false),
            Code::HeadTooLarge => row("head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, false),
            Code::HeadTimeout => row("head_timeout", StatusCode::REQUEST_TIMEOUT, true),
            Code::ExpectationFailed => row("expectation_failed", StatusCode::EXPECTATION_FAILED, false),
            Code::KeyMissing => row("key_missing", StatusCode::UNAUTHORIZED, false),
            Code::UnknownKey => row("unknown_key", StatusCode::UNAUTHORIZED, false),
            Code::OriginNotAllowed => row("origin_not_allowed", StatusCode::FORBIDDEN, false),
            Code::RouteNotAllowed => row("route_not_allowed", StatusCode::FORBIDDEN, false),
            Code::QuotaExceeded => row("quota_exceeded", StatusCode::TOO_MANY_REQUESTS, true),
            Code::AddressQuotaExceeded => row("address_quota_exceeded", StatusCode::TOO_MANY_REQUESTS, true),
            Code::BodyTooLarge => row("body_too_large", LARGE, false),
            Code::TooManyEvents => row("too_many_events", LARGE, false),
            Code::UnsupportedEncoding => row("unsupported_encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE, false),
            Code::BodyTimeout => row("body_timeout", StatusCode::REQUEST_TIMEOUT, true),
            Code::BodyIncomplete => row("body_incomplete", BAD, true),
            Code::MalformedCompression => row("malformed_compression", BAD, false),
            Code::InvalidUtf8 => row("invalid_utf8", BAD, false),
            Code::MalformedJson => row("malformed_json", BAD, false),
            Code::NestedTooDeep => row("nested_too_deep", BAD, false),
            Code::EmptyBatch => row("empty_batch", BAD, false),
            Code::Overloaded => row("overloaded", LATER, true),
            Code::Draining => row("draining", LATER, true),
            Code::LogUnavailable => row("log_unavailable", LATER, true),
            Code::DeliveryUnknown => row("delivery_unknown", LATER, true),
            // Never sent: the name under which the ledger books what nobody waited for.
            Code::ClientGone => row("client_gone", BAD, true),
            Code::NotAnObject => row("not_an_object", BAD, false),
            Code::InvalidType => row("invalid_type", BAD, false),
            Code::InvalidTime => row("invalid_time", BAD, false),
            Code::EventTooLarge => row("event_too_large", LARGE, false),
            Code::FieldMissing => row("field_missing", BAD, false),
            Code::NoUserKey => row("no_user_key", BAD, false),
            Code::FieldTooLong => row("field_too_long", BAD, false),
            Code::PropertiesTooDeep => row("properties_too_deep", BAD, false),
            Code::EventTimeTooEarly => row("event_time_too_early", BAD, false),
            Code::EventTimeTooLate => row("event_time_too_late", BAD, false),
        }
    }
}

/// A code and the sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// When to send again, where that is known better than for refusals in general.
    pub retry_after_seconds: Option<u32>,
}

impl Rejection {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Rejection {
        Rejection { code, message: message.into(), retry_after_seconds: None }
    }

    /// The same, with a time of its own after which it makes sense to send again.
    pub(crate) fn retry_after(self, seconds: u32) -> Rejection {
        Rejection { retry_after_seconds: Some(seconds), ..self }
    }
}

/// One event of a request that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRejection {
    /// Position of the event in the request, from 0.
    pub index: u32,
    pub rejection: Rejection,
}

impl From<Vec<Violation>> for Rejection {
    /// The first violation names the code; the message tells all of them, so that a client is corrected once.
    fn from(violations: Vec<Violation>) -> Rejection {
        let code = match violations.first().map(|violation| violation.rule) {
            Some(Rule::NoUserKey) => Code::NoUserKey,
            Some(Rule::TooLong { .. }) => Code::FieldTooLong,
            Some(Rule::TooDeep { .. }) => Code::PropertiesTooDeep,
            Some(Rule::TooEarly) => Code::EventTimeTooEarly,
            Some(Rule::TooLate) => Code::EventTimeTooLate,
            Some(Rule::Missing) | None => Code::FieldMissing,
        };
        let sentences: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Rejection::new(code, sentences.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.facts().name).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for (number, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, number, "{code:?}");
        }
    }

    #[test]
    fn codes_of_the_contract_keep_their_names() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.facts().name).collect();
        for name in Violation::CODES {
            assert!(names.contains(name), "{name} is missing in the table");
        }
    }

    #[test]
    fn the_api_page_lists_every_code_with_its_status() {
        let page = include_str!("../../docs/api.md");
        for code in Code::ALL {
            let Facts { name, status, .. } = code.facts();
            let status = if code == Code::ClientGone { "" } else { status.as_str() };
            let row = format!("| `{name}` |{}{status} |", if status.is_empty() { "" } else { " " });
            assert!(page.contains(&row), "docs/api.md has no row {row}");
        }
    }

    #[test]
    fn server_errors_are_retriable_and_client_errors_are_not() {
        for code in Code::ALL {
            let facts = code.facts();
            let transport =
                matches!(code, Code::HeadTimeout | Code::BodyTimeout | Code::BodyIncomplete | Code::ClientGone);
            let quota = facts.status == StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(facts.retriable, facts.status.is_server_error() || quota || transport, "{}", facts.name);
        }
    }
}
