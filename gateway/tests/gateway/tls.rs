//! Goal: HTTPS with a certificate that changes while connections are open; clear words where two sides do not speak the
//! same. Method: certificates made for the test, rustls as the client.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use gateway::{Log, config::GatewaySettings};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use tempfile::TempDir;

use crate::{
    harness::{Gateway, PATIENCE, event, journal, request, stored, until},
    http2,
};

type Certificate = CertifiedKey<KeyPair>;

pub(crate) fn certificate() -> Certificate {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

pub(crate) fn write(dir: &Path, certificate: &Certificate) {
    std::fs::write(dir.join("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
}

fn set(settings: &mut GatewaySettings, dir: &TempDir) {
    settings.tls.cert = dir.path().join("cert.pem").to_str().unwrap().to_owned();
    settings.tls.key = dir.path().join("key.pem").to_str().unwrap().to_owned();
    settings.tls.reload_interval = Duration::from_millis(20);
}

fn config(trusted: &Certificate) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    fn connect(address: SocketAddr, trusted: &Certificate) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config(trusted)), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(StreamOwned::new(connection, stream))
    }

    /// The status, or why there is none.
    fn post(&mut self, body: &str) -> std::io::Result<u16> {
        self.0.write_all(&request("", body.as_bytes()))?;
        let mut text = Vec::new();
        while !text.ends_with(b"}") {
            let mut chunk = [0; 1024];
            let bytes = self.0.read(&mut chunk)?;
            if bytes == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            text.extend_from_slice(&chunk[..bytes]);
        }
        Ok(str::from_utf8(&text[9..12]).unwrap().parse().unwrap())
    }
}

#[test]
fn a_certificate_changes_without_dropping_a_connection() {
    let (_dir, journal) = journal(1);
    let files = tempfile::tempdir().unwrap();
    let (first, second) = (certificate(), certificate());
    write(files.path(), &first);
    let gateway = Gateway::start(Log::journal(journal.clone()), |settings| set(settings, &files));
    let mut old = Client::connect(gateway.address, &first);
    assert_eq!(old.post(&event("u", 1)).unwrap(), 200);
    Client::connect(gateway.address, &second).post("{}").expect_err("it is not in use yet");

    write(files.path(), &second);
    let reloads = |outcome| gateway.metric(&format!("gateway_certificate_reloads_total{{outcome=\"{outcome}\"}}"));
    until("the second is in use", || reloads("ok") == 1);
    assert_eq!(Client::connect(gateway.address, &second).post(&event("u", 2)).unwrap(), 200);
    assert_eq!(old.post(&event("u", 3)).unwrap(), 200);
    Client::connect(gateway.address, &first).post("{}").expect_err("the first is not in use any more");

    let failed = reloads("failed");
    std::fs::write(files.path().join("key.pem"), "no key").unwrap();
    until("the bad one was looked at", || reloads("failed") > failed);
    assert_eq!(Client::connect(gateway.address, &second).post(&event("u", 4)).unwrap(), 200);
    write(files.path(), &first);
    until("the first is in use again", || reloads("ok") == 2);
    assert_eq!(Client::connect(gateway.address, &first).post(&event("u", 5)).unwrap(), 200);
    assert_eq!(stored(&journal).len(), 5);
    gateway.stop();
}

#[test]
fn http2_is_agreed_on_in_the_handshake() {
    let (_dir, journal) = journal(1);
    let files = tempfile::tempdir().unwrap();
    let certificate = certificate();
    write(files.path(), &certificate);
    let gateway = Gateway::start(Log::journal(journal), |settings| set(settings, &files));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config(&certificate);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let client = http2::Client::over(stream).await;
        for n in 0..3 {
            assert_eq!(client.post(event("u", n)).await.status().as_u16(), 200);
        }
    });
    gateway.stop();
}

#[test]
fn who_does_not_speak_tls_is_told_so() {
    let (_dir, journal) = journal(1);
    let files = tempfile::tempdir().unwrap();
    write(files.path(), &certificate());
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        set(settings, &files);
        settings.tls.handshake_timeout = Duration::from_millis(300);
    });
    let failed = |reason| gateway.metric(&format!("gateway_connections_failed_total{{reason=\"{reason}\"}}"));
    let reply = gateway.post(event("u", 1));
    assert_eq!((reply.status, reply.code().as_deref()), (400, Some("malformed_request")));
    assert!(reply.body.contains("https"), "{}", reply.body);
    assert_eq!(failed("not_tls"), 1);

    let mut broken = gateway.connect();
    broken.send(b"\x16\x03\x01\x00\x05hello");
    let mut rest = Vec::new();
    let _ = broken.stream.read_to_end(&mut rest);
    until("it failed", || failed("handshake") == 1);

    let mut silent = gateway.connect();
    let mut slow = gateway.connect();
    slow.send(b"\x16\x03\x01\x02\x00");
    assert!(silent.is_closed() && slow.is_closed());
    until("both are counted", || gateway.metric(r#"gateway_timeouts_total{phase="handshake"}"#) == 2);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_certificate_that_does_not_work_is_one_line_at_boot() {
    #[track_caller]
    fn check(files: &TempDir, parts: &[&str]) {
        let mut settings = GatewaySettings::default();
        set(&mut settings, files);
        let failure = gateway::check(&settings).expect_err("it does not work");
        assert_eq!(failure.code(), 69);
        let line = failure.to_string();
        for part in parts {
            assert!(line.contains(part), "{line} lacks {part}");
        }
        assert!(!line.contains('\n'), "{line}");
    }
    let files = tempfile::tempdir().unwrap();
    check(&files, &["cannot read gateway.tls.cert", "cert.pem"]);
    write(files.path(), &certificate());
    std::fs::write(files.path().join("key.pem"), certificate().signing_key.serialize_pem()).unwrap();
    check(&files, &["gateway.tls.cert", "gateway.tls.key", "do not work together"]);
    std::fs::write(files.path().join("key.pem"), "x").unwrap();
    check(&files, &["gateway.tls.key", "no private key"]);
    std::fs::write(files.path().join("cert.pem"), "x").unwrap();
    check(&files, &["gateway.tls.cert", "no certificate"]);
}
