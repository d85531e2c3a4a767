//! Where the registry is and how it is used.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

/// `[schema.registry]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The root of Confluent's API, such as `http://registry:8081`, or for Apicurio `http://registry:8080/apis/ccompat/v7`.
    pub url: String,
    /// Under which the schema is registered; without it the topic's name followed by `-value`.
    pub subject: Option<String>,
    /// Register the schema at boot if it is not; otherwise it has to be there. The sink never registers.
    pub register: bool,
    /// File that keeps what was learned, for when the registry does not answer.
    pub cache: PathBuf,
    /// For Basic authentication.
    pub user: Option<String>,
    /// For Basic authentication.
    pub password: Option<String>,
    /// For each answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// A setting that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema.registry.{key} {rule}")]
pub struct SettingsError {
    key: &'static str,
    rule: &'static str,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            url: String::new(),
            subject: None,
            register: true,
            cache: PathBuf::from("footfall-schema-ids.json"),
            user: None,
            password: None,
            timeout: Duration::from_secs(3),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("subject", &self.subject)
            .field("register", &self.register)
            .field("cache", &self.cache)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl Settings {
    /// Checks what can be checked without looking outside.
    ///
    /// # Errors
    /// Names the key and the rule.
    pub fn check(&self) -> Result<(), SettingsError> {
        let is_http =
            Url::parse(&self.url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        let rules = [
            (is_http, "url", "must be http://HOST:PORT or https://HOST:PORT, with the path of the API if it has one"),
            (self.subject.as_ref().is_none_or(|subject| !subject.is_empty()), "subject", "must not be empty"),
            (!self.timeout.is_zero(), "timeout", "must be longer than 0"),
            (self.password.is_none() || self.user.is_some(), "password", "needs schema.registry.user"),
        ];
        match rules.into_iter().find(|(holds, _, _)| !holds) {
            Some((_, key, rule)) => Err(SettingsError { key, rule }),
            None => Ok(()),
        }
    }

    /// The subject for a topic.
    pub fn subject(&self, topic: &str) -> String {
        self.subject.clone().unwrap_or_else(|| format!("{topic}-value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Settings), expected: Option<&str>) {
            let mut settings = Settings { url: "http://registry:8081".to_owned(), ..Settings::default() };
            change(&mut settings);
            assert_eq!(settings.check().err().map(|error| error.key), expected);
        }
        check(|_| {}, None);
        check(|it| it.url = "https://registry/apis/ccompat/v7/".to_owned(), None);
        check(|it| it.url.clear(), Some("url"));
        check(|it| it.url = "registry:8081".to_owned(), Some("url"));
        check(|it| it.subject = Some(String::new()), Some("subject"));
        check(|it| it.password = Some("secret".to_owned()), Some("password"));
        check(|it| it.timeout = Duration::ZERO, Some("timeout"));
    }

    #[test]
    fn the_password_is_never_shown() {
        let settings = Settings { password: Some("secret".to_owned()), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
