//! A store that fails as stores do.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;

/// What becomes of one PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// An error, and nothing happened.
    Refused,
    /// It happened, and an error came back.
    LostReply,
    /// HTTP 409: "already exists", and nothing happened.
    Conflict,
    /// No answer, and nothing happens.
    Hang,
    /// No answer, and it happens after a while.
    Late(Duration),
    /// The condition is ignored.
    Overwrite,
    /// The condition is ignored, and "already exists" comes back.
    OverwriteAndDeny,
}

type Plan = Box<dyn FnMut(&Path) -> Fault + Send>;

/// Wraps a store; a plan says what becomes of each PUT, another how often reads fail.
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    puts: Mutex<Plan>,
    gets: Mutex<Plan>,
}

impl Faulty {
    pub(crate) fn puts(inner: &Arc<dyn ObjectStore>, plan: impl FnMut(&Path) -> Fault + Send + 'static) -> Faulty {
        Faulty {
            inner: Arc::clone(inner),
            puts: Mutex::new(Box::new(plan)),
            gets: Mutex::new(Box::new(|_| Fault::None)),
        }
    }

    pub(crate) fn and_gets(self, plan: impl FnMut(&Path) -> Fault + Send + 'static) -> Faulty {
        Faulty { gets: Mutex::new(Box::new(plan)), ..self }
    }

    async fn overwrite(&self, path: &Path, payload: PutPayload) -> Result<PutResult> {
        self.inner.put_opts(path, payload, PutMode::Overwrite.into()).await
    }
}

fn conflict(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409 conflict".into() }
}

fn failure() -> Error {
    Error::Generic { store: "faulty", source: "503 slow down".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = (self.puts.lock())(path);
        match fault {
            Fault::None => self.inner.put_opts(path, payload, options).await,
            Fault::Refused => Err(failure()),
            Fault::LostReply => {
                let _ = self.inner.put_opts(path, payload, options).await;
                Err(failure())
            }
            Fault::Conflict => Err(conflict(path)),
            Fault::Hang => std::future::pending().await,
            Fault::Late(delay) => {
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = inner.put_opts(&path, payload, options).await;
                });
                std::future::pending().await
            }
            Fault::Overwrite => self.overwrite(path, payload).await,
            Fault::OverwriteAndDeny => {
                self.overwrite(path, payload).await?;
                Err(conflict(path))
            }
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("a multipart upload cannot be conditional")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = (self.gets.lock())(path);
        match fault {
            Fault::None => self.inner.get_opts(path, options).await,
            Fault::Hang => std::future::pending().await,
            _ => Err(failure()),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("the sink copies nothing")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty store")
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}
