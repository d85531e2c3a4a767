//! A lake in a bucket: sinks that write it, and a reader that shares no code with them.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path};
use s3::{ADMIN, SeaweedFs};

use crate::{
    lake::{self, Row},
    process::Sink,
};

/// A bucket of one test.
pub(crate) struct Bucket {
    name: String,
    objects: Arc<dyn ObjectStore>,
    runtime: tokio::runtime::Runtime,
    /// Files that were read already: none ever changes.
    read: RefCell<HashMap<Path, Vec<Row>>>,
}

impl Bucket {
    pub(crate) fn fresh(server: &SeaweedFs, prefix: &str) -> Bucket {
        let name = server.fresh_bucket(prefix);
        let builder = server.environment(ADMIN).into_iter().fold(AmazonS3Builder::new(), |builder, (key, value)| {
            builder.with_config(key.to_ascii_lowercase().parse().expect("a key"), value)
        });
        let objects = builder.with_bucket_name(&name).with_allow_http(true).build().expect("a client");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Bucket { name, objects: Arc::new(objects), runtime, read: RefCell::default() }
    }

    /// The lake does not begin at the root of the bucket.
    pub(crate) fn lake(&self) -> String {
        format!("s3://{}/a/lake", self.name)
    }

    /// Keys below a folder of the lake.
    pub(crate) fn keys(&self, folder: &str) -> Vec<Path> {
        let folder = Path::from(format!("a/lake/{folder}"));
        let listed = self.objects.list(Some(&folder)).map_ok(|meta| meta.location).try_collect();
        let mut keys: Vec<_> = self.runtime.block_on(listed).unwrap_or_default();
        keys.sort();
        keys
    }

    /// All rows, in the order of files and rows.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut read = self.read.borrow_mut();
        let mut rows = Vec::new();
        for key in self.keys("events") {
            let bytes = || self.runtime.block_on(self.get(&key));
            rows.extend_from_slice(read.entry(key.clone()).or_insert_with(|| lake::read(bytes())));
        }
        rows
    }

    async fn get(&self, key: &Path) -> bytes::Bytes {
        self.objects.get(key).await.expect("it was listed").bytes().await.expect("readable")
    }
}

/// Starts a sink that writes a lake in a bucket.
pub(crate) fn sink(brokers: &str, topic: &str, group: &str, lake: &str, environment: &[(&str, String)]) -> Sink {
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", group, "--lake", lake];
    let more = ["--roll-interval", "300ms", "--admin", "127.0.0.1:0"];
    let mut all = vec![("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s")];
    all.extend(environment.iter().map(|(key, value)| (*key, value.as_str())));
    Sink::start(&[&flags[..], &more].concat(), &all)
}
