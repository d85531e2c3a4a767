//! TLS by rustls, and the certificate in use.
//!
//! Responsible for the handshake and for certificates that change while the gateway runs. Promises that a changed
//! certificate is used from the next handshake on and no connection is dropped for it, and that one which does not work
//! is told about while the last good one stays in use.

use std::{io, path::Path, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{config::TlsSettings, metrics::CertificateReloads};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {key} ({path}): {error}: name a file in PEM that this process may read")]
    Unreadable { key: &'static str, path: String, error: io::Error },
    #[error("{key} ({path}) holds no {what} in PEM: name another file")]
    Empty { key: &'static str, path: String, what: &'static str },
    #[error(
        "gateway.tls.cert ({cert}) and gateway.tls.key ({key}) do not work together: {error}: take them from one issue"
    )]
    Mismatch { cert: String, key: String, error: rustls::Error },
}

/// What connections are encrypted with.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    settings: TlsSettings,
}

/// Certificate and key as they stand in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Certificates {
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// As they were when last looked at, good or bad.
    seen: Mutex<Files>,
}

impl Tls {
    /// Reads the files that the settings name. `None`: they name none.
    ///
    /// # Errors
    /// The files cannot be used.
    pub(crate) fn load(settings: &TlsSettings) -> Result<Option<Tls>, TlsError> {
        if !settings.is_on() {
            return Ok(None);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let files = Files::read(settings)?;
        let current = RwLock::new(files.certified_key(settings, &provider)?);
        let certificates = Arc::new(Certificates { provider: provider.clone(), current, seen: Mutex::new(files) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificates, settings: settings.clone() }))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
    }

    /// Looks at the files again. Says whether there is another certificate now.
    ///
    /// # Errors
    /// The files cannot be used; the certificate stays what it was.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.settings)?;
        let mut seen = self.certificates.seen.lock();
        if *seen == files {
            return Ok(false);
        }
        *seen = files.clone();
        drop(seen);
        *self.certificates.current.write() = files.certified_key(&self.settings, &self.certificates.provider)?;
        Ok(true)
    }

    /// Reloads every now and then until `shutdown`.
    pub(super) async fn watch(self, reloads: CertificateReloads, shutdown: CancellationToken) {
        let mut last_error = String::new();
        while tokio::time::timeout(self.settings.reload_interval, shutdown.cancelled()).await.is_err() {
            let tls = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await.expect("reading does not panic");
            match reloaded {
                Ok(false) => {}
                Ok(true) => {
                    last_error.clear();
                    reloads.ok.inc();
                    tracing::info!(cert = self.settings.cert, "the certificate was reloaded");
                }
                // Once for each error, not once for each look.
                Err(error) if error.to_string() != last_error => {
                    last_error = error.to_string();
                    reloads.failed.inc();
                    tracing::warn!(%error, "the certificate was not reloaded, the last good one stays");
                }
                Err(_) => {}
            }
        }
    }
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Files, TlsError> {
        let read = |key, path: &str| {
            std::fs::read(Path::new(path)).map_err(|error| TlsError::Unreadable { key, path: path.to_owned(), error })
        };
        Ok(Files { cert: read("gateway.tls.cert", &settings.cert)?, key: read("gateway.tls.key", &settings.key)? })
    }

    fn certified_key(&self, settings: &TlsSettings, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.cert).map_while(Result::ok).collect();
        let empty = |key, path: &str, what| TlsError::Empty { key, path: path.to_owned(), what };
        if chain.is_empty() {
            return Err(empty("gateway.tls.cert", &settings.cert, "certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| empty("gateway.tls.key", &settings.key, "private key"))?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        certified.map(Arc::new).map_err(|error| TlsError::Mismatch {
            cert: settings.cert.clone(),
            key: settings.key.clone(),
            error,
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}
