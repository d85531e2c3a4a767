//! What an error of a store means.
//!
//! Responsible for its kind, which metrics and advice go by, and for saying it in one line: stores answer with pages of
//! XML. Promises nothing about whether the request took effect: no error of a store says that.

use std::{error::Error as StdError, io, iter::successors};

use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

/// What a store answered instead of yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreErrorKind {
    /// There is an object of that key.
    Exists,
    /// Another create of that key was under way (HTTP 409): neither may have won.
    Conflict,
    /// Wrong or expired credentials, or too few rights.
    Denied,
    /// No such bucket or container.
    Missing,
    /// Too many requests (HTTP 429, 503).
    Throttled,
    /// The store failed (any other HTTP 5xx).
    Server,
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// No space, or over a quota.
    Full,
    /// A file system that is mounted read-only.
    ReadOnly,
    Other,
}

use StoreErrorKind as Kind;

impl StoreErrorKind {
    pub(crate) const ALL: [(StoreErrorKind, &str); 11] = [
        (Kind::Exists, "exists"),
        (Kind::Conflict, "conflict"),
        (Kind::Denied, "denied"),
        (Kind::Missing, "missing"),
        (Kind::Throttled, "throttled"),
        (Kind::Server, "server"),
        (Kind::Unreachable, "unreachable"),
        (Kind::Timeout, "timeout"),
        (Kind::Full, "full"),
        (Kind::ReadOnly, "read_only"),
        (Kind::Other, "other"),
    ];

    pub(crate) fn of(error: &Error) -> StoreErrorKind {
        let message = error.to_string();
        if let Some(status) = status(&message) {
            // Azure's word for an object that is there; S3 says 412.
            return if message.contains("BlobAlreadyExists") { Kind::Exists } else { of_status(status) };
        }
        if let Some(kind) = causes(error).find_map(|cause| cause.downcast_ref::<HttpError>().map(HttpError::kind)) {
            return if kind == HttpErrorKind::Timeout { Kind::Timeout } else { Kind::Unreachable };
        }
        let io =
            causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(|error| of_io(error.kind()));
        match (error, io) {
            (Error::AlreadyExists { .. } | Error::Precondition { .. }, _) => Kind::Exists,
            (_, Some(kind)) => kind,
            (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => Kind::Denied,
            (Error::NotFound { .. }, _) => Kind::Missing,
            _ => Kind::Other,
        }
    }

    /// What an operator can do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Kind::Denied => "check the credentials, what they allow, and this machine's clock",
            Kind::Missing => "create the bucket or container, or correct the lake's URL",
            Kind::Unreachable | Kind::Timeout => {
                "check that the store runs, and its address (AWS_ENDPOINT_URL, AZURE_STORAGE_ENDPOINT)"
            }
            Kind::Throttled | Kind::Server => "check the store, and start again when it is well",
            Kind::Full => "make room, or raise the quota",
            Kind::ReadOnly => "mount it for writing",
            Kind::Exists | Kind::Conflict | Kind::Other => "check that it exists and that this process may write there",
        }
    }
}

fn of_status(status: u16) -> StoreErrorKind {
    match status {
        412 | 304 => Kind::Exists,
        409 => Kind::Conflict,
        401 | 403 => Kind::Denied,
        404 => Kind::Missing,
        429 | 503 => Kind::Throttled,
        408 => Kind::Timeout,
        507 => Kind::Full,
        500.. => Kind::Server,
        _ => Kind::Other,
    }
}

fn of_io(kind: io::ErrorKind) -> Option<StoreErrorKind> {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Kind::Full),
        io::ErrorKind::ReadOnlyFilesystem => Some(Kind::ReadOnly),
        io::ErrorKind::PermissionDenied => Some(Kind::Denied),
        _ => None,
    }
}

const STATUS: &str = "status code: ";

/// The status of an HTTP answer. The crate has it in a type that it keeps to itself, so it is read from the message; a
/// test against a real server holds it to that.
fn status(message: &str) -> Option<u16> {
    message.split_once(STATUS)?.1.get(..3)?.parse().ok()
}

/// An error and what caused it, down to the root.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    successors(Some(error as &(dyn StdError + 'static)), |cause| (*cause).source())
}

/// Longest reason; what comes behind is a page that somebody's proxy made.
const REASON_CHARS_MAX: usize = 400;

/// An error in one line.
pub(crate) fn reason(error: &Error) -> String {
    let message = error.to_string();
    let said = match message.split_once(STATUS) {
        Some((before, answer)) => of_answer(before, answer),
        None => with_root(error, message),
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// `PUT http://host/bucket/key: 403 Forbidden, AccessDenied, Access Denied.`
fn of_answer(before: &str, answer: &str) -> String {
    let asked = before.split_once("performing ").and_then(|(_, asked)| asked.split_once(" in "));
    let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let words = match (element("Code"), element("Message")) {
        (None, None) => vec![status, body],
        (code, message) => vec![status, code.unwrap_or_default(), message.unwrap_or_default()],
    };
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}: {}", asked.map_or("the store answered", |(asked, _)| asked), words.join(", "))
}

/// Messages of transport errors leave out what happened: it is at the end of their causes.
fn with_root(error: &Error, message: String) -> String {
    match causes(error).last().map(ToString::to_string) {
        Some(root) if !message.contains(&root) => format!("{message}: {root}"),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(message: &str) -> Error {
        Error::Generic { store: "S3", source: message.into() }
    }

    #[test]
    fn answers_are_said_in_one_line() {
        #[track_caller]
        fn check(message: &str, kind: StoreErrorKind, expected: &str) {
            let error = generic(message);
            assert_eq!((StoreErrorKind::of(&error), reason(&error).as_str()), (kind, expected));
        }
        let asked =
            "Error performing PUT http://s3/lake/a in 1ms, after 3 retries - Server returned non-2xx status code: ";
        let page =
            "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code>\n<Message>Please reduce\nit.</Message></Error>";
        let said = "PUT http://s3/lake/a: 503 Service Unavailable, SlowDown, Please reduce it.";
        check(&format!("{asked}503 Service Unavailable: {page}"), Kind::Throttled, said);
        check(&format!("{asked}500 Internal: oops"), Kind::Server, "PUT http://s3/lake/a: 500 Internal, oops");
        check(&format!("{asked}409 Conflict: "), Kind::Conflict, "PUT http://s3/lake/a: 409 Conflict");
        check("no\nspace", Kind::Other, "Generic S3 error: no space");
        let long = "x".repeat(2_000);
        assert!(reason(&generic(&long)).len() < 500);
    }

    #[test]
    fn what_a_disk_says_has_a_kind() {
        #[track_caller]
        fn check(kind: io::ErrorKind, expected: StoreErrorKind) {
            let error = Error::Generic { store: "LocalFileSystem", source: Box::new(io::Error::from(kind)) };
            assert_eq!(StoreErrorKind::of(&error), expected);
        }
        check(io::ErrorKind::StorageFull, Kind::Full);
        check(io::ErrorKind::QuotaExceeded, Kind::Full);
        check(io::ErrorKind::ReadOnlyFilesystem, Kind::ReadOnly);
        check(io::ErrorKind::PermissionDenied, Kind::Denied);
        check(io::ErrorKind::BrokenPipe, Kind::Other);
    }
}
