//! Goal: the admin port answers what scripts and scrapers rely on. Method: raw HTTP/1.1 over TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use operator::Health;
use operator::admin::{self, Admin, Routes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Served {
    addr: SocketAddr,
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn serve(routes: Option<Routes>) -> Served {
    let listener = operator::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let (health, shutdown) = (Health::default(), CancellationToken::new());
    let registry = Arc::new(operator::process::registry("test-binary"));
    let admin = Admin { health: health.clone(), registry, routes };
    let task = tokio::spawn(admin::serve(listener, admin, shutdown.clone()));
    Served { addr, health, shutdown, task }
}

/// The whole answer to one request on a connection of its own.
async fn ask(addr: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[track_caller]
fn check(answer: &str, status: &str, parts: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for part in parts {
        assert!(answer.contains(part), "{part:?} is not in {answer}");
    }
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served() {
    let served = serve(None);
    let condition = served.health.register("lake");
    check(&ask(served.addr, "GET", "/healthz").await, "200", &["ok", "x-content-type-options: nosniff"]);
    let not_ready = r#"{"ready":false,"reasons":["lake: starting"]}"#;
    check(&ask(served.addr, "GET", "/readyz").await, "503", &["content-type: application/json", not_ready]);
    condition.set(true, "");
    check(&ask(served.addr, "GET", "/readyz?verbose").await, "200", &[r#"{"ready":true,"reasons":[]}"#]);
    let metrics = [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "footfall_build_info{binary=\"test-binary\",version=\"",
        "\nfootfall_process_cpu_seconds_total ",
        "\nfootfall_process_resident_bytes ",
        "\nfootfall_process_open_files ",
        "\nfootfall_process_start_time_seconds ",
        "# EOF\n",
    ];
    check(&ask(served.addr, "GET", "/metrics").await, "200", &metrics);
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_refused() {
    let served = serve(None);
    let head = ask(served.addr, "HEAD", "/healthz").await;
    check(&head, "200", &["content-length: 3"]);
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        check(&ask(served.addr, method, "/healthz").await, "405", &["allow: GET, HEAD"]);
    }
    check(&ask(served.addr, "GET", "/").await, "404", &["not found"]);
}

#[tokio::test]
async fn a_binary_adds_its_own_routes_behind_the_common_ones() {
    let routes = Routes::new(|path| async move {
        let page = |body: String| admin::reply(hyper::StatusCode::OK, "text/html", body);
        (path != "/nothing").then(|| page(format!("page {path}")))
    });
    let served = serve(Some(routes));
    check(&ask(served.addr, "GET", "/").await, "200", &["content-type: text/html", "page /"]);
    check(&ask(served.addr, "GET", "/healthz").await, "200", &["ok\n"]);
    check(&ask(served.addr, "GET", "/nothing").await, "404", &[]);
}

#[tokio::test]
async fn silent_and_garbage_clients_do_not_take_the_port_away() {
    let served = serve(None);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(served.addr).await.expect("connected"));
    }
    let mut garbage = TcpStream::connect(served.addr).await.expect("connected");
    garbage.write_all(b"\x16\x03\x01\x00\xff not http\r\n\r\n").await.expect("sent");
    check(&ask(served.addr, "GET", "/healthz").await, "200", &["ok"]);
}

#[tokio::test]
async fn shutdown_ends_it_although_a_client_holds_its_connection() {
    let served = serve(None);
    let _idle = TcpStream::connect(served.addr).await.expect("connected");
    check(&ask(served.addr, "GET", "/healthz").await, "200", &[]);
    served.shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(20), served.task).await.expect("ends").expect("no panic");
    assert!(TcpStream::connect(served.addr).await.is_err(), "the port must be free again");
}
