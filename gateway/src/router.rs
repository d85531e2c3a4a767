//! The route table.
//!
//! Responsible for finding who answers. Promises JSON for every path and method, a trailing slash that makes no
//! difference, and an entry in the ledger for every request.

use hyper::{
    Method, Request,
    body::Incoming,
    header::{ALLOW, HeaderValue},
};

use crate::{
    Gateway, body,
    ingest::ingest,
    rejection::{Code, Rejection},
    reply::{Answer, Reply},
    server::Client,
};

enum Route {
    Ingest,
    /// The path exists, with these methods.
    NotAllowed(&'static str),
    NotFound,
}

fn route(method: &Method, path: &str) -> Route {
    match (path.strip_suffix('/').unwrap_or(path), method) {
        ("/v1/events", &Method::POST) => Route::Ingest,
        ("/v1/events", _) => Route::NotAllowed("POST"),
        _ => Route::NotFound,
    }
}

/// Answers one request.
pub(crate) async fn serve(gateway: &Gateway, client: &Client, mut request: Request<Incoming>) -> Reply {
    let mut entry = gateway.ledger.open();
    let (answer, allow) = match route(request.method(), request.uri().path()) {
        Route::Ingest => (ingest(gateway, client, request, &mut entry).await, None),
        Route::NotAllowed(allow) => {
            let message = format!("this route does not know the method {}: use {allow}", request.method());
            (refuse(gateway, &mut request, Rejection::new(Code::MethodNotAllowed, message)).await, Some(allow))
        }
        Route::NotFound => {
            let message = "there is no such route: send events with POST /v1/events";
            (refuse(gateway, &mut request, Rejection::new(Code::RouteNotFound, message)).await, None)
        }
    };
    entry.close(&answer);
    let mut reply = answer.into_reply(|| gateway.retry_after_seconds());
    if let Some(allow) = allow {
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    reply
}

async fn refuse(gateway: &Gateway, request: &mut Request<Incoming>, rejection: Rejection) -> Answer {
    let headers = std::mem::take(request.headers_mut());
    body::discard(&headers, request.body_mut(), 2 * gateway.body_bound.raw_bytes_max).await;
    Answer::Refused(rejection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_makes_no_difference() {
        #[track_caller]
        fn check(method: Method, path: &str, expected: &str) {
            let found = match route(&method, path) {
                Route::Ingest => "ingest",
                Route::NotAllowed(allow) => allow,
                Route::NotFound => "not found",
            };
            assert_eq!(found, expected, "{method} {path}");
        }
        check(Method::POST, "/v1/events", "ingest");
        check(Method::POST, "/v1/events/", "ingest");
        check(Method::GET, "/v1/events/", "POST");
        check(Method::DELETE, "/v1/events", "POST");
        check(Method::POST, "/v1/events//", "not found");
        check(Method::POST, "/v1/eventsx", "not found");
        check(Method::GET, "/", "not found");
        check(Method::GET, "", "not found");
    }
}
