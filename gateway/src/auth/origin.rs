//! Web origins.
//!
//! Responsible for whether an `Origin` header names one that is allowed. Promises the comparison of RFC 6454: scheme,
//! host and port, case folded, a default port left out as browsers do it.

use std::collections::HashSet;

/// A set of origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Any,
    These { exact: HashSet<Box<str>>, below: Vec<OriginPattern> },
}

/// One origin of the settings, or all below a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginPattern {
    /// `*`.
    Any,
    /// `https://shop.example`, or `null`, which sandboxed frames and local files send.
    Exact(Box<str>),
    /// `https://*.shop.example`.
    Below { scheme: Box<str>, suffix: Box<str> },
}

impl OriginPattern {
    /// `None`: this is no origin.
    pub(crate) fn parse(text: &str) -> Option<OriginPattern> {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Some(OriginPattern::Any);
        }
        if text == "null" {
            return Some(OriginPattern::Exact("null".into()));
        }
        let (scheme, host) = text.split_once("://")?;
        let host = match scheme {
            "https" => host.strip_suffix(":443").unwrap_or(host),
            "http" => host.strip_suffix(":80").unwrap_or(host),
            _ => host,
        };
        let name = host.strip_prefix("*.").unwrap_or(host);
        let bad = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii() || "/?#@*\\".contains(c);
        if scheme.is_empty() || scheme.contains(bad) || name.is_empty() || name.contains(bad) {
            return None;
        }
        if name.len() == host.len() {
            return Some(OriginPattern::Exact(format!("{scheme}://{host}").into()));
        }
        Some(OriginPattern::Below { scheme: scheme.into(), suffix: host[1..].into() })
    }

    /// Whether `origin`, in lower case, lies below.
    fn holds(&self, origin: &str) -> bool {
        let OriginPattern::Below { scheme, suffix } = self else { return false };
        let host = origin.strip_prefix(&**scheme).and_then(|rest| rest.strip_prefix("://"));
        host.and_then(|host| host.strip_suffix(&**suffix)).is_some_and(|label| !label.is_empty())
    }
}

impl Origins {
    /// Those of the settings, which have been checked. None at all means any.
    pub(crate) fn new(settings: &[String]) -> Origins {
        let patterns: Vec<OriginPattern> = settings.iter().filter_map(|origin| OriginPattern::parse(origin)).collect();
        if patterns.is_empty() || patterns.contains(&OriginPattern::Any) {
            return Origins::Any;
        }
        let (mut exact, mut below) = (HashSet::new(), Vec::new());
        for pattern in patterns {
            match pattern {
                OriginPattern::Exact(origin) => drop(exact.insert(origin)),
                pattern => below.push(pattern),
            }
        }
        Origins::These { exact, below }
    }

    pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Origins>) -> Origins {
        let (mut all_exact, mut all_below) = (HashSet::new(), Vec::new());
        for origins in all {
            let Origins::These { exact, below } = origins else { return Origins::Any };
            all_exact.extend(exact.iter().cloned());
            all_below.extend(below.iter().cloned());
        }
        Origins::These { exact: all_exact, below: all_below }
    }

    /// Whether the value of an `Origin` header is one of them.
    pub(crate) fn allow(&self, origin: &[u8]) -> bool {
        let Origins::These { exact, below } = self else { return true };
        let Ok(origin) = str::from_utf8(origin) else { return false };
        // Browsers send lower case; looking first saves them the copy.
        if exact.contains(origin) {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        exact.contains(&*origin) || below.iter().any(|pattern| pattern.holds(&origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        #[track_caller]
        fn check(settings: &[&str], origin: &str, expected: bool) {
            let settings: Vec<String> = settings.iter().map(|origin| (*origin).to_owned()).collect();
            assert!(settings.iter().all(|origin| OriginPattern::parse(origin).is_some()), "{settings:?}");
            assert_eq!(Origins::new(&settings).allow(origin.as_bytes()), expected, "{origin} of {settings:?}");
        }
        check(&[], "https://anything.example", true);
        check(&["*"], "null", true);
        check(&["https://shop.example"], "https://shop.example", true);
        check(&["https://Shop.example:443"], "https://shop.example", true);
        check(&["http://shop.example:80"], "http://shop.example", true);
        check(&["https://shop.example"], "HTTPS://SHOP.example", true);
        check(&["https://shop.example"], "http://shop.example", false);
        check(&["https://shop.example"], "https://shop.example:8443", false);
        check(&["https://shop.example"], "https://shop.example.evil.example", false);
        check(&["https://shop.example"], "null", false);
        check(&["null"], "null", true);
        check(&["https://*.shop.example"], "https://a.shop.example", true);
        check(&["https://*.shop.example"], "https://a.b.shop.example", true);
        check(&["https://*.shop.example"], "https://shop.example", false);
        check(&["https://*.shop.example"], "https://evilshop.example", false);
        check(&["https://*.shop.example"], "http://a.shop.example", false);
        check(&["http://localhost:3000"], "http://localhost:3000", true);
        check(&["app://-"], "app://-", true);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in ["shop.example", "https://", "https://shop.example/", "https://*", "https://a.*.b", "://x", ""] {
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
    }
}
