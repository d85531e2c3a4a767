//! The calls that every SDK makes, and the rows that they must be.

use serde_json::{Value, json};

use crate::lake::Row;

/// Calls that not every SDK has.
#[derive(Clone, Copy)]
pub(super) struct Offered {
    pub(super) group: bool,
    pub(super) alias: bool,
    pub(super) screen: bool,
}

impl Offered {
    pub(super) const ALL: Offered = Offered { group: true, alias: true, screen: true };
}

/// What was found.
pub(super) struct Counts {
    pub(super) page: usize,
    pub(super) track: usize,
    pub(super) identify: usize,
    pub(super) group: usize,
    pub(super) alias: usize,
    pub(super) screen: usize,
}

/// What columns the page view must have.
#[derive(Clone)]
pub(super) struct Page {
    /// Empty where the SDK tells the page's name as one of its properties.
    pub(super) name: &'static str,
    pub(super) columns: Vec<(&'static str, String)>,
}

impl Page {
    /// As the scripts tell it.
    pub(super) fn told() -> Page {
        let columns = [
            ("url", "https://shop.example/home?q=1"),
            ("path", "/home"),
            ("title", "Shop"),
            ("referrer", "https://search.example/"),
            ("locale", "de-DE"),
            ("user_agent", "Shop/1.0"),
            ("ip", "203.0.113.0"),
            ("campaign_name", "spring"),
            ("campaign_source", "mail"),
        ];
        Page { name: "Home", columns: columns.map(|(column, value)| (column, value.to_owned())).to_vec() }
    }
}

/// Compares the rows of `calls` with what was told.
#[track_caller]
pub(super) fn check(rows: &[Row], offered: Offered, page: &Page) -> Counts {
    let count = |kind| rows.iter().filter(|row| row.text("type") == kind).count();
    let counts = Counts {
        page: count("page_view"),
        track: count("track"),
        identify: count("identify"),
        group: count("group"),
        alias: count("alias"),
        screen: count("screen_view"),
    };
    let expected = 4 + [offered.group, offered.alias, offered.screen].map(usize::from).iter().sum::<usize>();
    assert_eq!(rows.len(), expected, "{rows:?}");

    let one = |kind: &str, name: &str| one(rows, kind, name);
    let identify = one("identify", "");
    check_traits(identify, &[("plan", json!("pro")), ("n", json!(1))]);
    let view = one("page_view", page.name);
    assert!(page.name == "Home" || view.property("name") == "Home", "{view:?}");
    check_columns(view, &page.columns);
    check_properties(view, &[("n", json!(2))]);
    let click = one("track", "click");
    for (column, value) in [("element", "a#buy"), ("element_text", "Buy now"), ("element_href", "/cart")] {
        assert_eq!(click.text(column), value, "{column} of {click:?}");
    }
    check_properties(click, &[("n", json!(3))]);
    check_properties(one("track", "Order Completed"), &[("n", json!(4)), ("total", json!(12.5))]);
    if offered.screen {
        check_properties(one("screen_view", "Cart"), &[("n", json!(5))]);
    }
    if offered.group {
        let group = one("group", "");
        check_properties(group, &[("groupId", json!("g1"))]);
        check_traits(group, &[("n", json!(6))]);
    }
    if offered.alias {
        check_properties(one("alias", ""), &[("previousId", json!("a1"))]);
    }
    for row in rows {
        assert_eq!((row.text("user_id"), row.text("source")), ("calls", "default"), "{row:?}");
        let (event_time, received_at) = (row.number("event_time"), row.number("received_at"));
        assert!((received_at - event_time).abs() < 600_000_000, "a time of this run: {row:?}");
    }
    counts
}

#[track_caller]
fn one<'a>(rows: &'a [Row], kind: &str, name: &str) -> &'a Row {
    let found: Vec<&Row> = rows.iter().filter(|row| row.text("type") == kind && row.text("name") == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name:?} in {rows:?}");
    found[0]
}

#[track_caller]
fn check_columns(row: &Row, columns: &[(&'static str, String)]) {
    for (column, value) in columns {
        assert_eq!(row.text(column), value, "{column} of {row:?}");
    }
}

#[track_caller]
fn check_properties(row: &Row, properties: &[(&str, Value)]) {
    for (name, value) in properties {
        assert_eq!(row.property(name), *value, "{name} of {row:?}");
    }
}

/// Some SDKs tell traits in the event, some in its context.
#[track_caller]
fn check_traits(row: &Row, traits: &[(&str, Value)]) {
    for (name, value) in traits {
        let places = [&row.property("traits")[name], &row.property("context")["traits"][name]];
        assert!(places.contains(&value), "{name} of {row:?}");
    }
}
