//! Goal: SDKs that people have, as published and with nothing set but their endpoint, get every event into the lake once.
//! Method: each tells the same calls and batches through a proxy that answers badly on command; what the proxy saw, with
//! the SDK's own ids, is compared with the rows. What was found becomes the SDK's line in `docs/sdks.md`.

mod browser;
mod calls;
mod go;
mod installed;
mod java;
mod node;
mod python;
mod rows;
mod table;

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use crate::{
    DEADLINE,
    footfall::Footfall,
    lake::Row,
    left_out,
    proxy::{Exchange, Fault, Proxy},
};

/// Events of a batch.
const BATCH: usize = 50;

/// An SDK, and what is known of its ways.
struct Sdk {
    /// As its registry names it.
    name: &'static str,
    version: String,
    runs_in: &'static str,
    /// Whether it compresses without being told to, or has a setting for it, which is set then.
    gzip: bool,
    order: Order,
    /// How often `503` is answered before a request passes.
    refusals: usize,
    /// Whether it sends again what was refused.
    sends_again: bool,
    /// Whether group, alias and screen are calls of it.
    calls: calls::Offered,
    /// Whether the name of a page is a field of its own, or one of the page's properties.
    names_pages: bool,
}

/// What a user's rows are ordered by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// It sends one request after the other.
    AsTold,
    /// It has several requests under way, so only what is in one request is in order.
    WithinRequest,
}

/// A process that tells `scenario` of `user` to `endpoint` (an URL without a path) and ends.
type Tell<'a> = &'a (dyn Fn(&str, &str, &str) -> Command + Sync);

fn check_server(sdk: &Sdk, tell: Tell<'_>) {
    if left_out() {
        return;
    }
    let footfall = Footfall::start();
    let gateway = &footfall.gateway;
    let told = |scenario, user: &'static str, status, refusals| {
        move || {
            let proxy = Proxy::start(gateway);
            for _ in 0..refusals {
                proxy.next(refused(status));
            }
            run(tell(&proxy.url(""), scenario, user), user);
            proxy.exchanges()
        }
    };
    let (calls, exit, unavailable, limited) = std::thread::scope(|threads| {
        let calls = threads.spawn(told("calls", "calls", 200, 0));
        let exit = threads.spawn(told("batch", "exit", 200, 0));
        let unavailable = threads.spawn(told("retry", "unavailable", 503, sdk.refusals));
        let limited = threads.spawn(told("retry", "limited", 429, 1));
        (joined(calls), joined(exit), joined(unavailable), joined(limited))
    });
    let lake = footfall.rows();
    let page = calls::Page { name: if sdk.names_pages { "Home" } else { "" }, ..calls::Page::told() };
    let counts = calls::check(&rows::of(&lake, "calls", &calls), sdk.calls, &page);
    let batch = |user, exchanges: &[Exchange]| batch(sdk, &rows::of(&lake, user, exchanges), exchanges);
    assert_eq!(batch("exit", &exit), BATCH, "flush on exit");
    assert!(exit.iter().all(|exchange| rows::is_gzip(exchange) == sdk.gzip), "gzip: {}", sdk.gzip);
    let after = [batch("unavailable", &unavailable), batch("limited", &limited)];
    table::check(sdk, &counts, BATCH, after, "");
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// As the gateway refuses.
fn refused(status: u16) -> Fault {
    let body = r#"{"code":"refused","message":"send again after Retry-After"}"#;
    Fault::Answer { status, retry_after: Some(1), body }
}

/// How many events of a batch are rows. They are in order, and nothing is missing that the SDK has sent again.
#[track_caller]
fn batch(sdk: &Sdk, rows: &[Row], exchanges: &[Exchange]) -> usize {
    let refused = exchanges.iter().filter(|exchange| exchange.status != Some(200));
    let lost: usize = if sdk.sends_again { 0 } else { refused.map(|exchange| rows::told(exchange).len()).sum() };
    let numbers: Vec<i64> = rows.iter().map(rows::number).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((numbers.len(), sorted.len()), (BATCH - lost, BATCH - lost), "each once: {numbers:?}");
    match sdk.order {
        Order::AsTold => assert!(numbers.is_sorted(), "as told: {numbers:?}"),
        Order::WithinRequest => rows::check_order_within_requests(rows, exchanges),
    }
    numbers.len()
}

/// Runs it to its end, which must be a good one.
#[track_caller]
fn run(mut command: Command, what: &str) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("output");
    let output = File::create(&path).expect("created");
    command.stdout(output.try_clone().expect("a second handle")).stderr(output);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("asked") {
            Some(status) => break Some(status),
            None if start.elapsed() > DEADLINE => break None,
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let output = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(status.is_some_and(|status| status.success()), "{what}: {status:?}\n{output}");
}
