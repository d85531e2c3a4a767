//! `GET /footfall.js`: the tag that pages load.
//!
//! Responsible for handing out the file with the headers that browsers and caches want. Promises the same bytes under the
//! same strong `ETag`, one for each encoding, and `304` to whoever has them. What the tag does is written in
//! `tag/footfall.js`; that `tag/footfall.min.js` was made from it is tested where Node is.

use std::{io::Write, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
        VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use crate::reply::Reply;

const PLAIN: &[u8] = include_bytes!("../tag/footfall.min.js");

static GZIP: LazyLock<Bytes> = LazyLock::new(|| {
    let mut to = GzEncoder::new(Vec::new(), Compression::best());
    to.write_all(PLAIN).expect("memory takes everything");
    to.finish().expect("memory takes everything").into()
});

static ETAGS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let hash = fnv1a(PLAIN);
    [format!("\"{hash:016x}\""), format!("\"{hash:016x}-gzip\"")]
});

/// An hour of cache, and a day in which the old tag still serves while the new one is fetched.
const CACHED: &str = "public, max-age=3600, stale-while-revalidate=86400";

/// Answers `GET` and `HEAD`; of the latter hyper sends the head only.
pub(crate) fn serve(headers: &HeaderMap) -> Reply {
    let gzip = takes_gzip(headers);
    let etag = ETAGS[usize::from(gzip)].as_str();
    let mut reply = Response::new(Full::default());
    if knows(headers, etag) {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *reply.body_mut() = Full::new(if gzip { GZIP.clone() } else { Bytes::from_static(PLAIN) });
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    let headers = reply.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static(etag));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHED));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    reply
}

/// The elements of a list header, over all of its lines.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    elements(headers, ACCEPT_ENCODING).any(|element| {
        let (coding, weight) = element.split_once(';').unwrap_or((element, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        coding.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// Whether the client has these bytes already. Caches on the way may have made the tag weak (RFC 9110, section 13.1.2).
fn knows(headers: &HeaderMap, etag: &str) -> bool {
    elements(headers, IF_NONE_MATCH).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// Fowler-Noll-Vo: the same on every machine and with every compiler, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use http_body_util::BodyExt;

    use super::*;

    fn get(headers: &[(HeaderName, &str)]) -> Reply {
        let value = |value: &str| HeaderValue::from_str(value).expect("a header");
        serve(&headers.iter().map(|(name, text)| (name.clone(), value(text))).collect())
    }

    fn body(reply: Reply) -> Bytes {
        block_on(reply.into_body().collect()).expect("a body in memory").to_bytes()
    }

    #[test]
    fn the_tag_is_smaller_than_3_kib_on_the_wire() {
        let bytes = body(get(&[(ACCEPT_ENCODING, "gzip, deflate, br")])).len();
        assert!(bytes < 3 * 1024, "{bytes} bytes");
    }

    #[test]
    fn gzip_goes_to_those_who_take_it_and_holds_the_same() {
        #[track_caller]
        fn check(accept: Option<&str>, gzip: bool) {
            let headers: Vec<_> = accept.map(|accept| (ACCEPT_ENCODING, accept)).into_iter().collect();
            let reply = get(&headers);
            assert_eq!(
                reply.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip"),
                gzip,
                "{accept:?}"
            );
            assert_eq!(reply.headers()[VARY], "accept-encoding");
            let mut bytes = Vec::from(body(reply));
            if gzip {
                let mut inflated = Vec::new();
                std::io::copy(&mut flate2::read::GzDecoder::new(&*bytes), &mut inflated).expect("gzip");
                bytes = inflated;
            }
            assert_eq!(bytes, PLAIN);
        }
        check(None, false);
        check(Some("br"), false);
        check(Some("br, GZIP"), true);
        check(Some("gzip;q=0.5"), true);
        check(Some("gzip;q=0"), false);
        check(Some("gzip; q=0.000, br"), false);
    }

    #[test]
    fn whoever_has_it_gets_304() {
        let (plain, gzip) = (ETAGS[0].as_str(), ETAGS[1].as_str());
        #[track_caller]
        fn check(accept: &str, known: &str, status: u16) {
            let reply = get(&[(ACCEPT_ENCODING, accept), (IF_NONE_MATCH, known)]);
            assert_eq!(reply.status(), status, "{accept} {known}");
            assert!(reply.headers().contains_key(ETAG));
            assert_eq!(body(reply).is_empty(), status == 304);
        }
        check("gzip", gzip, 304);
        check("gzip", &format!("W/{gzip}"), 304);
        check("gzip", &format!("\"other\", {gzip}"), 304);
        check("gzip", "*", 304);
        check("gzip", plain, 200);
        check("br", plain, 304);
        check("br", gzip, 200);
    }
}
