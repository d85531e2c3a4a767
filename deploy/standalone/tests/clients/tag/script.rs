//! Goal: the file that is served is the one that can be read, and it loads wherever a page may be.

use std::process::Command;

use super::{Shop, numbers, snippet};
use crate::{browser::Visitor, left_out, npm};

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
