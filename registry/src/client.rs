//! The calls of Confluent's API that are needed.
//!
//! Responsible for requests and for telling apart what an operator has to tell apart: no registry there, a registry that
//! says no, and something that is none. Promises an answer or an error within the timeout.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::Settings;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered, or not in time, or with a failure of its own.
    #[error("the schema registry {url} does not answer: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It answered no.
    #[error("the schema registry {url} refuses: {status} {message}")]
    Refused {
        /// Its address.
        url: String,
        /// Its status.
        status: u16,
        /// Its own words.
        message: String,
    },
}

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

pub(crate) struct Client {
    http: reqwest::Client,
    settings: Settings,
    url: String,
}

impl Client {
    /// Errors: the platform has no working TLS.
    pub(crate) fn new(settings: &Settings) -> Result<Client, Error> {
        let url = settings.url.trim_end_matches('/').to_owned();
        let built = reqwest::Client::builder().timeout(settings.timeout).build();
        let http = built.map_err(|error| Error::Unreachable { url: url.clone(), reason: error.to_string() })?;
        Ok(Client { http, settings: settings.clone(), url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn timeout(&self) -> std::time::Duration {
        self.settings.timeout
    }

    /// The id of the schema under a subject, if it is registered there.
    pub(crate) async fn lookup(&self, subject: &str, schema: &str) -> Result<Option<u32>, Error> {
        let request = self.request(Method::POST, &["subjects", subject]).body(schema_body(schema));
        self.answer(request).await?.map(|answer| self.id(&answer)).transpose()
    }

    /// Registers the schema and says its id.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        let request = self.request(Method::POST, &["subjects", subject, "versions"]).body(schema_body(schema));
        let answer = self.answer(request).await?.ok_or_else(|| self.garbage("404 to a registration"))?;
        self.id(&answer)
    }

    /// The newest schema under a subject, if there is one.
    pub(crate) async fn latest(&self, subject: &str) -> Result<Option<String>, Error> {
        let answer = self.answer(self.request(Method::GET, &["subjects", subject, "versions", "latest"])).await?;
        answer.map(|answer| self.text(&answer, "schema")).transpose()
    }

    /// Whether the registry's own rule for the subject allows the schema.
    pub(crate) async fn allows(&self, subject: &str, schema: &str) -> Result<bool, Error> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let answer = self.answer(self.request(Method::POST, &path).body(schema_body(schema))).await?;
        Ok(answer.is_none_or(|answer| answer["is_compatible"] != false))
    }

    /// Asks the registry to refuse what is not BACKWARD compatible under the subject.
    pub(crate) async fn protect(&self, subject: &str) -> Result<(), Error> {
        let body = json!({"compatibility": "BACKWARD"}).to_string();
        self.answer(self.request(Method::PUT, &["config", subject]).body(body)).await.map(drop)
    }

    /// The schema of an id, if there is such an id.
    pub(crate) async fn schema(&self, id: u32) -> Result<Option<String>, Error> {
        let answer = self.answer(self.request(Method::GET, &["schemas", "ids", &id.to_string()])).await?;
        answer.map(|answer| self.text(&answer, "schema")).transpose()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = url::Url::parse(&self.url).expect("the settings are checked");
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(path);
        let request =
            self.http.request(method, url).header("content-type", CONTENT_TYPE).header("accept", CONTENT_TYPE);
        match &self.settings.user {
            Some(user) => request.basic_auth(user, self.settings.password.as_ref()),
            None => request,
        }
    }

    /// The body of a success; `None` for 404.
    async fn answer(&self, request: RequestBuilder) -> Result<Option<Value>, Error> {
        let unreachable = |error: reqwest::Error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Error::Unreachable { url: self.url.clone(), reason: format!("{}{source}", error.without_url()) }
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        match (status, json) {
            // A 404 of a proxy, or of another program at this address, is not that of a registry.
            (StatusCode::NOT_FOUND, Some(json)) if json.get("error_code").is_some() => Ok(None),
            (status, Some(json)) if status.is_success() => Ok(Some(json)),
            (status, json) if status.is_client_error() && status != StatusCode::NOT_FOUND => {
                let message = json.as_ref().and_then(|json| json["message"].as_str()).unwrap_or_default().to_owned();
                Err(Error::Refused { url: self.url.clone(), status: status.as_u16(), message })
            }
            (status, _) => {
                Err(self.garbage(&format!("{status} is not an answer of a schema registry: check the path")))
            }
        }
    }

    fn id(&self, answer: &Value) -> Result<u32, Error> {
        let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.garbage("an answer without an id"))
    }

    fn text(&self, answer: &Value, key: &str) -> Result<String, Error> {
        answer[key].as_str().map(str::to_owned).ok_or_else(|| self.garbage(&format!("an answer without {key}")))
    }

    fn garbage(&self, reason: &str) -> Error {
        Error::Unreachable { url: self.url.clone(), reason: reason.to_owned() }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

fn schema_body(schema: &str) -> String {
    json!({"schema": schema}).to_string()
}
