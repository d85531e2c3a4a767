//! `footfall.js` in Chromium.

mod clicks;
mod leaving;
mod navigation;
mod outage;
mod privacy;
mod script;
mod tabs;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{browser::Visitor, footfall::Footfall, lake::Row, left_out, proxy::Proxy};

/// A site with the tag, its gateway behind a proxy, and a visitor.
struct Shop {
    footfall: Footfall,
    proxy: Proxy,
    visitor: Visitor,
}

/// What the documentation tells people to put into their pages, with the tag loaded from `origin`.
fn snippet(origin: &str, attributes: &str) -> String {
    let page = include_str!("../../../../docs/tag.md");
    let snippet = page.split("```html").nth(1).and_then(|rest| rest.split("```").next()).expect("an HTML block");
    assert!(snippet.trim().lines().count() <= 11, "a short one");
    let (key, origin) = (r#"data-key="WRITE_KEY""#, format!("{origin}/footfall.js"));
    assert!(snippet.contains(key));
    snippet.replace("https://collect.example/footfall.js", &origin).replace(key, &format!("data-key=web {attributes}"))
}

impl Shop {
    /// `None` where tests that run clients are left out.
    fn open() -> Option<Shop> {
        if left_out() {
            return None;
        }
        let footfall = Footfall::start();
        let proxy = Proxy::start(&footfall.gateway);
        Some(Shop { footfall, proxy, visitor: Visitor::new() })
    }

    /// Puts up a page that has the tag.
    fn page(&self, path: &str, attributes: &str, body: &str) {
        let snippet = snippet("", attributes);
        let icon = r#"<link rel="icon" href="data:,">"#;
        let html = format!("<!doctype html><html><head><title>page {path}</title>{icon}{snippet}</head>{body}</html>");
        self.proxy.page(path, "", &html);
    }

    fn visit(&self, path: &str) {
        self.run(&format!("await page.goto('{}')", self.proxy.url(path)));
    }

    fn run(&self, code: &str) -> Value {
        self.visitor.run(code)
    }

    /// Runs an expression in the page.
    fn eval(&self, expression: &str) -> Value {
        self.run(&format!("return page.evaluate(() => {{ {expression} }})"))
    }

    /// Tracks events named `n`, numbered.
    fn track(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.eval(&format!("footfall.track('n', {{ n: {number} }})"));
        }
    }

    /// What the tag has in the page's storage, without the prefix.
    fn stored(&self) -> Vec<String> {
        let keys = self.eval("return Object.keys(localStorage).sort()");
        let keys: Vec<String> = serde_json::from_value(keys).expect("a list of names");
        keys.iter().map(|key| key.strip_prefix("footfall.").expect("its prefix").to_owned()).collect()
    }

    /// The rows of the lake, which are the acknowledged events, each of them once and in that order.
    #[track_caller]
    fn rows(self) -> Vec<Row> {
        let acknowledged = self.proxy.acknowledged();
        drop(self.visitor);
        let rows = self.footfall.rows();
        let ids: HashSet<&str> = rows.iter().map(|row| row.text("event_id")).collect();
        assert_eq!(ids.len(), rows.len(), "each once: {rows:?}");
        assert_eq!(ids, acknowledged.iter().map(String::as_str).collect(), "what was acknowledged, and nothing else");
        rows
    }
}

/// The rows of `kind`, as what `look` sees in each.
fn seen<'a, T>(rows: &'a [Row], kind: &str, look: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().filter(|row| row.text("type") == kind).map(look).collect()
}

/// The numbers of tracked events.
fn numbers(rows: &[Row]) -> Vec<Value> {
    seen(rows, "track", |row| row.property("n"))
}

/// `from..to` as JSON numbers.
fn count(range: std::ops::Range<u32>) -> Vec<Value> {
    range.map(|number| json!(number)).collect()
}
