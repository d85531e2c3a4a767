//! Where a request carries its write key.
//!
//! Responsible for the places and their order: the user name of Basic authentication (or a Bearer token), the header
//! `X-Write-Key`, the query's `writeKey`, the body's `writeKey`. Promises that the first place which holds one decides:
//! a key that is wrong there is not made good by another one elsewhere. What is masked counts as absent, since some
//! clients put `***` where another place has the key.

use std::borrow::Cow;

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hyper::{HeaderMap, header::AUTHORIZATION};
use percent_encoding::percent_decode_str;
use sonic_rs::JsonValueTrait;

use crate::dialect::too_deep;

/// A key in the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Known(T),
    Unknown,
    Missing,
}

/// Clients differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key in the head of a request, looked up with `get`.
pub(crate) fn of_head<T>(headers: &HeaderMap, query: Option<&str>, get: impl Fn(&str) -> Option<T>) -> Found<T> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        match of_authorization(value.as_bytes(), &get) {
            Found::Missing => {}
            found => return found,
        }
    }
    let header = headers.get("x-write-key").and_then(|key| str::from_utf8(key.as_bytes()).ok());
    let key = header.map(str::trim).map(Cow::Borrowed).filter(|key| is_key(key)).or_else(|| of_query(query?));
    match key {
        Some(key) => get(&key).map_or(Found::Unknown, Found::Known),
        None => Found::Missing,
    }
}

/// `Basic` or `Bearer`. A user name may hold a colon, which RFC 7617 forbids and clients send all the same: so what
/// stands before the last colon is tried first, then the whole, then what stands before the first.
fn of_authorization<T>(value: &[u8], get: impl Fn(&str) -> Option<T>) -> Found<T> {
    let Some((scheme, credentials)) = str::from_utf8(value).ok().and_then(|value| value.trim().split_once(' ')) else {
        return Found::Missing;
    };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") && is_key(credentials) {
        return get(credentials).map_or(Found::Unknown, Found::Known);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Found::Missing;
    }
    let Some(pair) = BASE64.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Found::Unknown;
    };
    let user = pair.rsplit_once(':').map_or(&*pair, |(user, _)| user);
    if !is_key(user) {
        return Found::Missing;
    }
    let first = pair.split(':').next().unwrap_or_default();
    [user, &pair, first].into_iter().find_map(get).map_or(Found::Unknown, Found::Known)
}

fn of_query(query: &str) -> Option<Cow<'_, str>> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("writeKey="))?;
    let key = match value.contains('+') {
        false => percent_decode_str(value).decode_utf8().ok()?,
        true => percent_decode_str(&value.replace('+', " ")).decode_utf8().ok()?.into_owned().into(),
    };
    is_key(&key).then_some(key)
}

/// The `writeKey` on top of a JSON object. A body that no dialect takes for its depth is not looked into: looking goes
/// as deep as the body does.
pub(crate) fn of_body(body: &[u8]) -> Option<Cow<'_, str>> {
    if too_deep(body) {
        return None;
    }
    let value = sonic_rs::get(body, &["writeKey"]).ok()?;
    let key: Cow<'_, str> = value.as_str()?.to_owned().into();
    is_key(&key).then_some(key)
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && !is_masked(key)
}

/// Whether a client hid its key: `***`, or `id:***`.
pub(crate) fn is_masked(key: &str) -> bool {
    key.ends_with("***")
}
