//! From a lake's URL to its object store.
//!
//! Responsible for the schemes, and for which variables of the environment count: those that the vendors' own tools know,
//! by their prefix, so that a stray `TOKEN` or `REGION` changes nothing. Plain HTTP is spoken only where somebody wrote
//! an endpoint with `http://`. Leaves the way of waiting for a store that is ill to the commit: the client gives up soon.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    memory::InMemory,
    path::Path,
};
use url::Url;

use super::{StoreError, reason};

/// A client's own limit for one request; the sink's own are shorter, and one above it has no effect.
const TIMEOUT: &str = "2 minutes";

/// Quick, few: what lasts longer is for the commit to wait out, and for the operator to see.
fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(1), base: 2. };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(10) }
}

/// Opens the store of a URL; also says where in it the lake is.
pub(super) fn open(
    url: &Url,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let malformed = |reason: String| StoreError::Url { url: url.to_string(), reason };
    let (scheme, root) = ObjectStoreScheme::parse(url).map_err(|error| malformed(error.to_string()))?;
    let (built, variables) = match scheme {
        ObjectStoreScheme::AmazonS3 => (s3(url, environment).build().map(shared), "AWS_*"),
        ObjectStoreScheme::MicrosoftAzure => (azure(url, environment).build().map(shared), "AZURE_*"),
        ObjectStoreScheme::GoogleCloudStorage => (google(url, environment).build().map(shared), "GOOGLE_*"),
        ObjectStoreScheme::Memory => (Ok(shared(InMemory::new())), ""),
        _ => return Err(malformed("it is of no kind of store".to_owned())),
    };
    let refused = |error| StoreError::Variables { url: url.to_string(), reason: reason(&error), variables };
    Ok((built.map_err(refused)?, root))
}

fn shared(objects: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(objects)
}

fn s3(url: &Url, environment: impl Iterator<Item = (String, String)>) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new().with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
    let (mut is_plain, mut is_plain_s3) = (false, None);
    for (key, value) in environment.filter(|(key, _)| key.starts_with("aws_")) {
        let Ok(key) = key.parse() else { continue };
        match key {
            AmazonS3ConfigKey::Endpoint => is_plain = value.starts_with("http://"),
            AmazonS3ConfigKey::S3Endpoint => is_plain_s3 = Some(value.starts_with("http://")),
            _ => {}
        }
        builder = builder.with_config(key, value);
    }
    builder.with_allow_http(is_plain_s3.unwrap_or(is_plain)).with_url(url.as_str()).with_retry(retries())
}

fn azure(url: &Url, environment: impl Iterator<Item = (String, String)>) -> MicrosoftAzureBuilder {
    let mut builder =
        MicrosoftAzureBuilder::new().with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
    let mut is_plain = false;
    for (key, value) in environment.filter(|(key, _)| key.starts_with("azure_")) {
        let Ok(key) = key.parse() else { continue };
        is_plain |= key == AzureConfigKey::Endpoint && value.starts_with("http://");
        builder = builder.with_config(key, value);
    }
    builder.with_allow_http(is_plain).with_url(url.as_str()).with_retry(retries())
}

fn google(url: &Url, environment: impl Iterator<Item = (String, String)>) -> GoogleCloudStorageBuilder {
    let mut builder =
        GoogleCloudStorageBuilder::new().with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
    for (key, value) in environment.filter(|(key, _)| key.starts_with("google_")) {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_url(url.as_str()).with_retry(retries())
}
