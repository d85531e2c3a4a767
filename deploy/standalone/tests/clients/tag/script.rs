//! Goal: the file that is served is the one that can be read, and it loads wherever a page may be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::{Shop, numbers, snippet};
use crate::{browser::Visitor, footfall::Footfall, left_out, npm, proxy::Proxy};

#[test]
fn the_served_file_is_made_from_the_readable_one() {
    if left_out() {
        return;
    }
    let tag = npm::folder().join("../../../../gateway/tag");
    let manifest = std::fs::read_to_string(npm::folder().join("package.json")).expect("it is there");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let line = manifest["scripts"]["tag"].as_str().expect("`npm run tag`");
    // The same command, to stdout.
    let options = line.split(' ').skip(2).take_while(|word| *word != "--output");
    let terser = npm::modules().join("terser/bin/terser");
    let output = Command::new("node").arg(terser).arg(tag.join("footfall.js")).args(options).output().expect("node");
    let made = String::from_utf8(output.stdout).expect("text");
    let served = std::fs::read_to_string(tag.join("footfall.min.js")).expect("it is there");
    assert!(made.trim() == served.trim(), "footfall.min.js is not made from footfall.js: `npm run tag` makes it");
}

#[test]
fn a_page_of_another_origin_with_a_strict_policy_is_served() {
    let Some(shop) = Shop::open() else { return };
    let origin = format!("http://{}", shop.footfall.gateway);
    let site = Proxy::start(&shop.footfall.gateway);
    let tag = format!(r#"<script src="{origin}/footfall.js" data-key=web data-flush-ms=20></script>"#);
    let policy = format!("default-src 'none'; script-src {origin}; connect-src {origin}");
    let headers = format!("Content-Security-Policy: {policy}\r\nCross-Origin-Embedder-Policy: require-corp\r\n");
    site.page("/", &headers, &format!("<!doctype html><title>t</title>{tag}"));
    shop.run("its.said = []; page.on('console', (line) => its.said.push(line.text()))");
    shop.run(&format!("await page.goto('{}')", site.url("/")));
    shop.track(0..3);
    crate::eventually("all is told", || (shop.stored() == ["anonymous", "session"]).then_some(()));
    assert_eq!(shop.run("return its.said.filter((line) => !line.includes('favicon'))"), serde_json::json!([]));
    drop(shop.visitor);
    assert_eq!(numbers(&shop.footfall.rows()).len(), 3);
}

#[test]
fn a_page_of_another_origin_sees_retry_after() {
    let Some(shop) = Shop::open() else { return };
    // What one key may take in a second is less than what the page has.
    let footfall = Footfall::start_with("[[keys]]\nkey = 'web'\nname = 'web'\nevents_per_second = 20\nburst = 20\n");
    let gateway = Proxy::start(&footfall.gateway);
    let tag = snippet(&gateway.url(""), "data-flush-ms=20 data-page=off");
    shop.proxy.page("/", "", &format!("<!doctype html><title>t</title>{tag}"));
    shop.visit("/");
    shop.track(0..20);
    shop.eval("for (let n = 20; n < 80; n++) footfall.track('n', { n })");
    gateway.wait_for_acknowledged(80);
    let exchanges = gateway.exchanges();
    let refused = exchanges.iter().filter(|exchange| exchange.status == Some(429)).count();
    assert!((1..10).contains(&refused), "{refused} refusals: it waits as long as it is told");
    let acknowledged = gateway.acknowledged();
    let rows = footfall.rows();
    assert_eq!(numbers(&rows), super::count(0..80));
    assert_eq!(rows.iter().map(|row| row.text("event_id")).collect::<Vec<_>>(), acknowledged);
}

#[test]
fn caches_are_told_what_the_file_depends_on() {
    let Some(shop) = Shop::open() else { return };
    let ask = |method: &str, more: &str| {
        let mut stream = TcpStream::connect(&shop.footfall.gateway).expect("connected");
        let head = format!("{method} /footfall.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let at = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        (String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase(), answer.len() - at - 4)
    };
    let (head, bytes) = ask("GET", "Accept-Encoding: gzip\r\nOrigin: https://shop.example\r\n");
    for line in [
        "http/1.1 200",
        "vary: accept-encoding",
        "access-control-allow-origin: *",
        "content-encoding: gzip",
        "max-age=3600",
    ] {
        assert!(head.contains(line), "no {line} in {head}");
    }
    assert!(bytes < 3 * 1024, "{bytes} bytes");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    let (head, bytes) = ask("GET", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {etag}\r\n"));
    assert!(head.starts_with("http/1.1 304") && bytes == 0, "{head}");
    let (head, bytes) = ask("HEAD", "Accept-Encoding: gzip\r\n");
    assert!(head.starts_with("http/1.1 200") && head.contains(&etag) && bytes == 0, "{head}");
}

#[test]
fn a_page_without_https_has_ids_and_queues_too() {
    let Some(shop) = Shop::open() else { return };
    let port = shop.proxy.address.rsplit(':').next().expect("a port").to_owned();
    shop.page("/", "data-flush-ms=600000", "");
    // Resolved to loopback by the driver; not a secure origin, unlike loopback itself.
    let url = format!("http://shop.example:{port}/");
    shop.run(&format!("await page.goto('{url}')"));
    assert_eq!(
        shop.eval("return [isSecureContext, !!crypto.randomUUID, !!navigator.locks]").to_string(),
        "[false,false,false]"
    );
    shop.track(0..3);
    shop.run(&format!("await page.close({{ runBeforeUnload: true }}); await tab(); await page.goto('{url}')"));
    shop.track(3..4);
    shop.run("await page.close({ runBeforeUnload: true })");
    shop.proxy.wait_for_acknowledged(6);
    assert_eq!(numbers(&shop.rows()), super::count(0..4));
}

#[test]
fn a_tag_that_is_loaded_twice_or_without_the_stub_works_once() {
    let Some(shop) = Shop::open() else { return };
    let tags = snippet("", "data-flush-ms=20").repeat(2);
    shop.proxy.page("/", "", &format!("<!doctype html><title>t</title>{tags}"));
    shop.proxy.page("/bare", "", "<!doctype html><script src='/footfall.js' data-key=web data-flush-ms=20></script>");
    shop.visit("/");
    shop.proxy.wait_for_acknowledged(1);
    shop.visit("/bare");
    shop.track(0..1);
    shop.proxy.wait_for_acknowledged(3);
    assert_eq!(shop.rows().len(), 3);
}

#[test]
fn a_page_whose_storage_is_blocked_is_served_from_memory() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    let blocked =
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })";
    shop.run(&format!("await page.addInitScript(\"{blocked}\")"));
    shop.visit("/");
    shop.track(0..3);
    shop.proxy.wait_for_acknowledged(4);
    let rows = shop.rows();
    assert_eq!(numbers(&rows), super::count(0..3));
    assert!(rows.iter().all(|row| row.text("anonymous_id") == rows[0].text("anonymous_id")));
}

#[test]
fn a_call_that_cannot_be_told_does_not_break_the_page() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    shop.eval("const ring = {}; ring.ring = ring; footfall.track('n', ring); footfall.track('n', { n: 10n })");
    shop.track(0..1);
    shop.proxy.wait_for_acknowledged(2);
    assert_eq!(numbers(&shop.rows()), super::count(0..1));
}

#[test]
fn two_visitors_are_two() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    let other = Visitor::new();
    other.run(&format!("await page.goto('{}')", shop.proxy.url("/")));
    shop.proxy.wait_for_acknowledged(2);
    let rows = shop.rows();
    assert_ne!(rows[0].text("anonymous_id"), rows[1].text("anonymous_id"));
}
