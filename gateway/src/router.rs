//! The route table.
//!
//! Responsible for finding who answers. Promises JSON for every path and method that is refused, a trailing slash that
//! makes no difference, `HEAD` where there is `GET`, `OPTIONS` everywhere, and an entry in the ledger for every request.

use hyper::{
    Method, Request,
    body::Incoming,
    header::{ALLOW, HeaderValue},
};

use crate::{
    Gateway, body,
    cors::{self, Cors},
    dialect::{Call, Dialect},
    ingest::ingest,
    rejection::{Code, Rejection},
    reply::{Answer, Reply, pixel},
    server::Client,
    tag,
};

/// Who answers on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Events in the body.
    Post(Dialect),
    /// One event in the query, and an image for an answer.
    Pixel,
    /// The tag that pages load.
    Tag,
}

/// Every path, without its trailing slash. The busiest stand first.
const ROUTES: &[(&str, Target)] = &[
    ("/v1/events", Target::Post(Dialect::Native)),
    ("/v1/batch", Target::Post(Dialect::Segment(Call::Batch))),
    ("/v1/b", Target::Post(Dialect::Segment(Call::Batch))),
    ("/v1/import", Target::Post(Dialect::Segment(Call::Batch))),
    ("/v1/t", Target::Post(Dialect::Segment(Call::Track))),
    ("/v1/track", Target::Post(Dialect::Segment(Call::Track))),
    ("/v1/p", Target::Post(Dialect::Segment(Call::Page))),
    ("/v1/page", Target::Post(Dialect::Segment(Call::Page))),
    ("/v1/i", Target::Post(Dialect::Segment(Call::Identify))),
    ("/v1/identify", Target::Post(Dialect::Segment(Call::Identify))),
    ("/v1/g", Target::Post(Dialect::Segment(Call::Group))),
    ("/v1/group", Target::Post(Dialect::Segment(Call::Group))),
    ("/v1/a", Target::Post(Dialect::Segment(Call::Alias))),
    ("/v1/alias", Target::Post(Dialect::Segment(Call::Alias))),
    ("/v1/s", Target::Post(Dialect::Segment(Call::Screen))),
    ("/v1/screen", Target::Post(Dialect::Segment(Call::Screen))),
    ("/v1/pixel.gif", Target::Pixel),
    // RudderStack's browser SDK with `useBeacon`.
    ("/beacon/v1/batch", Target::Post(Dialect::Segment(Call::Batch))),
    // Jitsu's SDK, in a browser and on a server.
    ("/api/s/page", Target::Post(Dialect::Segment(Call::Page))),
    ("/api/s/track", Target::Post(Dialect::Segment(Call::Track))),
    ("/api/s/identify", Target::Post(Dialect::Segment(Call::Identify))),
    ("/api/s/group", Target::Post(Dialect::Segment(Call::Group))),
    ("/api/s/s2s/page", Target::Post(Dialect::Segment(Call::Page))),
    ("/api/s/s2s/track", Target::Post(Dialect::Segment(Call::Track))),
    ("/api/s/s2s/identify", Target::Post(Dialect::Segment(Call::Identify))),
    ("/api/s/s2s/group", Target::Post(Dialect::Segment(Call::Group))),
    ("/footfall.js", Target::Tag),
];

const ANY_METHOD: &str = "GET, HEAD, POST, OPTIONS";

impl Target {
    /// The methods that it knows.
    fn allow(self) -> &'static str {
        match self {
            Target::Post(_) => "POST, OPTIONS",
            Target::Pixel | Target::Tag => "GET, HEAD, OPTIONS",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    To(Target),
    /// Which methods the path knows.
    Options(&'static str),
    /// The path exists, with these methods.
    NotAllowed(&'static str),
    NotFound,
}

fn route(method: &Method, path: &str) -> Route {
    let path = path.strip_suffix('/').unwrap_or(path);
    let Some(&(_, target)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        // A browser that asks in vain would hide from its page that there is no such path.
        return if method == Method::OPTIONS { Route::Options(ANY_METHOD) } else { Route::NotFound };
    };
    match (target, method) {
        (_, &Method::OPTIONS) => Route::Options(target.allow()),
        (Target::Post(_), &Method::POST) => Route::To(target),
        (Target::Pixel | Target::Tag, &Method::GET | &Method::HEAD) => Route::To(target),
        _ => Route::NotAllowed(target.allow()),
    }
}

/// Answers one request.
pub(crate) async fn serve(gateway: &Gateway, client: &Client, request: Request<Incoming>) -> Reply {
    let mut entry = gateway.ledger.open();
    let policy = gateway.policy.load_full();
    let cors = Cors::of(request.method(), request.headers());
    let route = route(request.method(), request.uri().path());
    let answer = match route {
        Route::To(Target::Post(dialect)) => ingest(gateway, &policy, client, dialect, request, &mut entry).await,
        // Looking whether the image is there is not opening the mail.
        Route::To(Target::Pixel) if request.method() == Method::HEAD => Answer::Served(pixel()),
        Route::To(Target::Pixel) => ingest(gateway, &policy, client, Dialect::Pixel, request, &mut entry).await,
        Route::To(Target::Tag) => Answer::Served(tag::serve(request.headers())),
        Route::Options(_) => Answer::Served(Reply::default()),
        Route::NotAllowed(allow) => {
            let message = format!("this route does not know the method {}: use {allow}", request.method());
            refuse(gateway, request, Rejection::new(Code::MethodNotAllowed, message)).await
        }
        Route::NotFound => {
            let message = "there is no such route: send events with POST /v1/events";
            refuse(gateway, request, Rejection::new(Code::RouteNotFound, message)).await
        }
    };
    entry.close(&answer);
    let code = answer.code();
    let mut reply = match route {
        Route::To(Target::Pixel) => answer.into_image(|| gateway.retry_after_seconds()),
        _ => answer.into_reply(|| gateway.retry_after_seconds()),
    };
    if let Route::Options(allow) | Route::NotAllowed(allow) = route {
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    match route {
        Route::To(Target::Tag) => cors::complete_public(&mut reply),
        _ => cors.complete(&mut reply, &policy.origins, code),
    }
    reply
}

async fn refuse(gateway: &Gateway, request: Request<Incoming>, rejection: Rejection) -> Answer {
    let (head, mut body) = request.into_parts();
    body::discard(&head.headers, &mut body, 2 * gateway.body_bound.raw_bytes_max).await;
    Answer::Refused(rejection)
}

#[cfg(test)]
mod openapi;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, expected: Route) {
        assert_eq!(route(&method, path), expected, "{method} {path}");
    }

    #[test]
    fn a_trailing_slash_makes_no_difference() {
        let native = Route::To(Target::Post(Dialect::Native));
        check(Method::POST, "/v1/events", native);
        check(Method::POST, "/v1/events/", native);
        check(Method::POST, "/v1/b/", Route::To(Target::Post(Dialect::Segment(Call::Batch))));
        check(Method::GET, "/v1/pixel.gif/", Route::To(Target::Pixel));
        for path in ["/v1/events//", "/v1/eventsx", "/V1/events", "/v1", "/", "", "*"] {
            check(Method::POST, path, Route::NotFound);
        }
    }

    #[test]
    fn every_path_knows_its_methods() {
        for (path, target) in ROUTES {
            check(Method::OPTIONS, path, Route::Options(target.allow()));
            check(Method::DELETE, path, Route::NotAllowed(target.allow()));
            for method in [Method::GET, Method::HEAD, Method::POST] {
                let allowed = target.allow().split(", ").any(|allowed| allowed == method);
                check(method, path, if allowed { Route::To(*target) } else { Route::NotAllowed(target.allow()) });
            }
        }
        check(Method::OPTIONS, "*", Route::Options(ANY_METHOD));
        check(Method::OPTIONS, "/nowhere", Route::Options(ANY_METHOD));
    }

    #[test]
    fn no_path_stands_twice() {
        let paths: std::collections::HashSet<_> = ROUTES.iter().map(|(path, _)| path).collect();
        assert_eq!(paths.len(), ROUTES.len());
    }
}
