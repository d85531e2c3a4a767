//! Write keys: who may send, and as which source.
//!
//! Responsible for finding the key of a request and for what it allows. Promises that a request with an unknown key, or
//! with none where one is needed, is refused before its body is read wherever the head tells, and that a key is shown
//! nowhere. What a source has left of its limits is `rate_limit`'s business.

mod key;
mod origin;

use std::{collections::HashMap, sync::Arc};

use hyper::{HeaderMap, header::ORIGIN};

pub(crate) use self::{
    key::{Found, is_masked, of_body, of_head},
    origin::{OriginPattern, Origins},
};
use crate::{
    config::{ANY_KEY, KeyRoute, KeySettings},
    dialect::Dialect,
    policy::Source,
    rejection::{Code, Rejection},
};

/// All write keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    named: HashMap<Secret, WriteKey>,
    any: Option<WriteKey>,
}

/// What a write key allows.
#[derive(Debug)]
pub(crate) struct WriteKey {
    pub(crate) source: Arc<Source>,
    origins: Origins,
    /// A bit for each [`KeyRoute`].
    routes: u8,
}

/// A key's text.
#[derive(PartialEq, Eq, Hash)]
struct Secret(Box<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl std::borrow::Borrow<str> for Secret {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Keys {
    /// `sources` in the order of `settings`.
    pub(crate) fn new(settings: &[KeySettings], sources: &[Arc<Source>]) -> Keys {
        let mut keys = Keys::default();
        for (setting, source) in settings.iter().zip(sources) {
            let key = WriteKey {
                source: source.clone(),
                origins: Origins::new(&setting.origins),
                routes: match setting.routes.as_slice() {
                    [] => u8::MAX,
                    routes => routes.iter().fold(0, |bits, route| bits | 1 << *route as u8),
                },
            };
            if setting.key == ANY_KEY {
                keys.any = Some(key);
            } else {
                keys.named.insert(Secret(setting.key.as_str().into()), key);
            }
        }
        keys
    }

    /// One key for all, and for none.
    pub(crate) fn any(source: Arc<Source>) -> Keys {
        let any = WriteKey { source, origins: Origins::Any, routes: u8::MAX };
        Keys { named: HashMap::new(), any: Some(any) }
    }

    /// The key that the head of a request names. `None`: it names none, and the body may.
    pub(crate) fn by_head(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        body_may_tell: bool,
    ) -> Result<Option<&WriteKey>, Rejection> {
        if self.named.is_empty() {
            return self.any.as_ref().map(Some).ok_or_else(unknown);
        }
        match of_head(headers, query, |key| self.named.get(key)) {
            key::Found::Known(key) => Ok(Some(key)),
            key::Found::Unknown => self.any.as_ref().map(Some).ok_or_else(unknown),
            key::Found::Missing if body_may_tell => Ok(None),
            key::Found::Missing => self.any.as_ref().map(Some).ok_or_else(missing),
        }
    }

    /// The key that the body of a request names, where its head named none.
    pub(crate) fn by_body(&self, body: &[u8]) -> Result<&WriteKey, Rejection> {
        match of_body(body) {
            Some(key) => self.named.get(&*key).or(self.any.as_ref()).ok_or_else(unknown),
            None => self.any.as_ref().ok_or_else(missing),
        }
    }

    /// Origins that some key allows.
    pub(crate) fn origins(&self) -> Origins {
        Origins::union(self.named.values().chain(&self.any).map(|key| &key.origins))
    }
}

impl WriteKey {
    /// Whether it may be used in this `dialect`, from where the request comes.
    pub(crate) fn allows(&self, dialect: Dialect, headers: &HeaderMap) -> Result<(), Rejection> {
        let route = match dialect {
            Dialect::Native => KeyRoute::Native,
            Dialect::Segment(_) => KeyRoute::Segment,
            Dialect::Pixel => KeyRoute::Pixel,
        };
        if self.routes & 1 << route as u8 == 0 {
            return Err(Rejection::new(
                Code::RouteNotAllowed,
                "this write key may not be used for this route: use another one, or add the route to the key's routes",
            ));
        }
        match headers.get(ORIGIN) {
            Some(origin) if !self.origins.allow(origin.as_bytes()) => Err(Rejection::new(
                Code::OriginNotAllowed,
                "this write key may not be used from this origin: add the origin to the key's origins",
            )),
            _ => Ok(()),
        }
    }
}

fn unknown() -> Rejection {
    Rejection::new(Code::UnknownKey, "this write key is not known: correct it")
}

fn missing() -> Rejection {
    Rejection::new(
        Code::KeyMissing,
        "there is no write key: send it as the user name of Basic authentication, in X-Write-Key or as ?writeKey=",
    )
}

#[cfg(test)]
mod tests;
