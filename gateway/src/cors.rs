//! Cross-origin requests: what a browser needs to let a page send events, and to let it see the answer.
//!
//! Responsible for the headers of the Fetch standard on every answer, errors too: a page that may not read a 429 cannot
//! wait for its `Retry-After`. Promises that an origin which no write key allows is not echoed. That is all it can do:
//! a browser asks (`OPTIONS`) before it tells the key, so a preflight speaks for all keys together, and whether the key
//! of a request allows its origin is `auth`'s business.

use hyper::{
    HeaderMap, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
    },
};

use crate::{auth::Origins, rejection::Code, reply::Reply};

/// Browsers keep it for two hours at most, or for a day.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("86400");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a request says about the page that it comes from.
#[derive(Debug)]
pub(crate) struct Cors {
    origin: Option<HeaderValue>,
    preflight: Option<Preflight>,
}

/// What a browser asks before it sends a request of another origin.
#[derive(Debug)]
struct Preflight {
    method: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    private_network: bool,
}

impl Cors {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Cors {
        let preflight = (method == Method::OPTIONS).then(|| Preflight {
            method: headers.get(ACCESS_CONTROL_REQUEST_METHOD).cloned(),
            headers: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
            private_network: headers.contains_key(REQUEST_PRIVATE_NETWORK),
        });
        Cors { origin: headers.get(ORIGIN).cloned(), preflight }
    }

    /// Completes an answer. `code` is why the request was refused, if it was.
    pub(crate) fn complete(self, reply: &mut Reply, origins: &Origins, code: Option<Code>) {
        let headers = reply.headers_mut();
        // Beside what the answer itself varies by, such as its encoding.
        headers.append(VARY, HeaderValue::from_static("Origin"));
        // The pixel is an image on a page that may ask for this (Cross-Origin-Embedder-Policy).
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        let Some(origin) = self.origin else { return };
        // A page of an origin that is not allowed is told so: there is nothing else in that answer.
        if !origins.allow(origin.as_bytes()) && code != Some(Code::OriginNotAllowed) {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
        if let Some(preflight) = self.preflight {
            preflight.answer(headers);
        }
    }
}

/// Completes an answer that is the same for everyone. Where caches keep it, an echoed origin would have them keep it once for
/// each site.
pub(crate) fn complete_public(reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
}

impl Preflight {
    fn answer(self, headers: &mut HeaderMap) {
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.insert(VARY, HeaderValue::from_static(vary));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.method.unwrap_or(METHODS));
        if let Some(requested) = self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested);
        }
        if self.private_network {
            headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
        }
    }
}
