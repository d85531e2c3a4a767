//! Goal: whatever way a visitor takes through a site, each page is one row, in order. Method: pages with the documented
//! snippet, then the rows.

use serde_json::json;

use super::{Shop, numbers, seen};

#[test]
fn a_page_view_tells_who_where_and_what() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/a/b", "", "");
    shop.visit("/a/b?utm_source=mail#top");
    shop.proxy.wait_for_acknowledged(1);
    let exchange = shop.proxy.exchanges().remove(0);
    assert_eq!(exchange.target, "/v1/events?writeKey=web");
    assert!(exchange.head.to_ascii_lowercase().contains("content-type: text/plain"), "no preflight: {}", exchange.head);
    assert!(!exchange.head.to_ascii_lowercase().contains("cookie"), "{}", exchange.head);
    let url = shop.proxy.url("/a/b?utm_source=mail#top");
    let rows = shop.rows();
    let row = &rows[0];
    let look = ["type", "url", "path", "title", "referrer", "locale", "screen", "library", "user_id"];
    let expected = ["page_view", &url, "/a/b", "page /a/b", "", "en-US", "1280x720", "footfall.js", ""];
    assert_eq!(look.map(|column| row.text(column)), expected);
    assert_eq!(row.text("anonymous_id").len(), 36);
    assert_eq!(row.text("session_id").len(), 36);
    assert!((row.number("received_at") - row.number("event_time")).abs() < 60_000_000);
}

#[test]
fn each_page_of_a_visit_and_the_click_that_led_there_are_rows_in_order() {
    let Some(shop) = Shop::open() else { return };
    const PAGES: usize = 6;
    for number in 0..PAGES {
        shop.page(&format!("/{number}"), "", &format!("<a id=next href='/{}'>on</a>", number + 1));
    }
    shop.visit("/0");
    for number in 1..PAGES {
        let there = shop.proxy.url(&format!("/{number}"));
        shop.run(&format!("await Promise.all([page.waitForURL('{there}'), page.click('#next')])"));
    }
    shop.proxy.wait_for_acknowledged(2 * PAGES - 1);
    let urls: Vec<String> = (0..PAGES).map(|number| shop.proxy.url(&format!("/{number}"))).collect();
    let rows = shop.rows();
    let kinds: Vec<&str> = rows.iter().map(|row| row.text("type")).collect();
    assert_eq!(kinds, [["page_view", "click"]; PAGES].as_flattened()[..2 * PAGES - 1]);
    assert_eq!(seen(&rows, "page_view", |row| row.text("url").to_owned()), urls);
    assert_eq!(seen(&rows, "page_view", |row| row.text("referrer"))[1..], urls[..PAGES - 1]);
    for column in ["anonymous_id", "session_id"] {
        assert!(rows.iter().all(|row| row.text(column) == rows[0].text(column)), "one {column}");
    }
}

#[test]
fn an_address_changed_by_script_is_a_page_view_once() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "", "");
    shop.visit("/");
    // As a framework does it: the address first, the title a little later.
    let go = |url: &str| format!("history.pushState(null, '', '{url}'); document.title = 'page {url}'");
    shop.eval(&go("/list"));
    shop.eval(&go("/list"));
    shop.eval("history.replaceState(null, '', '/list?sort=price')");
    shop.eval("history.replaceState({ scroll: 7 }, '')");
    shop.eval("location.hash = 'reviews'");
    // What comes right after belongs to the new page, and comes after its view.
    shop.eval("history.pushState(null, '', '/item'); footfall.track('n', { n: 1 })");
    shop.run("await page.goBack()");
    // Told by the site while the tag still waits for the title, the two would rightly be one.
    shop.proxy.wait_for_acknowledged(6);
    shop.eval("footfall.page()");
    shop.proxy.wait_for_acknowledged(7);
    let rows = shop.rows();
    let paths = seen(&rows, "page_view", |row| row.text("url").splitn(4, '/').nth(3).expect("a path"));
    assert_eq!(paths, ["", "list", "list?sort=price", "item", "list?sort=price#reviews", "list?sort=price#reviews"]);
    assert_eq!(seen(&rows, "page_view", |row| row.text("title"))[1], "page /list", "the new title");
    let kinds: Vec<&str> = rows.iter().map(|row| row.text("type")).collect();
    assert_eq!(kinds[3..5], ["page_view", "track"]);
    assert!(rows[4].text("url").ends_with("/item") && numbers(&rows) == [json!(1)]);
    let views: Vec<&str> = seen(&rows, "page_view", |row| row.text("url"));
    let referrers: Vec<&str> = seen(&rows, "page_view", |row| row.text("referrer"));
    assert_eq!(referrers[1..], views[..views.len() - 1], "each came from the one before");
}

#[test]
fn a_page_that_is_left_at_once_was_seen() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "", "");
    shop.visit("/");
    // In one task, as a router does that sends on who is not logged in.
    shop.eval(
        "history.pushState(null, '', '/account'); history.replaceState(null, '', '/login'); document.title = 'Log in'",
    );
    shop.proxy.wait_for_acknowledged(3);
    let rows = shop.rows();
    let paths = seen(&rows, "page_view", |row| row.text("url").splitn(4, '/').nth(3).expect("a path"));
    assert_eq!(paths, ["", "account", "login"]);
    assert_eq!(seen(&rows, "page_view", |row| row.text("title"))[2], "Log in");
}

#[test]
fn what_follows_the_hash_is_a_page_if_the_site_says_so() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-hash=on", "");
    shop.visit("/#/a");
    shop.eval("location.hash = '#/b'");
    shop.eval("location.hash = '#/b'");
    shop.eval("footfall.track('n', { n: 1 })");
    shop.proxy.wait_for_acknowledged(3);
    let rows = shop.rows();
    let hashes = seen(&rows, "page_view", |row| row.text("url").rsplit('#').next().expect("a part"));
    assert_eq!(hashes, ["/a", "/b"]);
}

#[test]
fn a_site_may_tell_its_page_views_itself() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-page=off", "");
    shop.visit("/");
    shop.eval("history.pushState(null, '', '/list')");
    shop.eval("footfall.page({ plan: 'pro' })");
    shop.proxy.wait_for_acknowledged(1);
    let rows = shop.rows();
    assert_eq!(seen(&rows, "page_view", |row| row.property("plan")), [json!("pro")]);
}

#[test]
fn a_session_ends_after_half_an_hour_and_the_visitor_stays() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "", "");
    shop.visit("/");
    let ago = |minutes: u32| {
        format!(
            "const [id] = localStorage['footfall.session'].split('/');
            localStorage['footfall.session'] = id + '/' + (Date.now() - {minutes} * 60000);"
        )
    };
    shop.eval(&ago(29));
    shop.track(0..1);
    shop.eval(&ago(31));
    shop.track(1..2);
    shop.proxy.wait_for_acknowledged(3);
    let rows = shop.rows();
    let session = |at: usize| rows[at].text("session_id");
    assert_eq!(session(0), session(1));
    assert_ne!(session(1), session(2));
    assert_eq!(rows[0].text("anonymous_id"), rows[2].text("anonymous_id"));
}

#[test]
fn identify_names_this_and_all_later_events() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "", "<script>footfall.identify(42, { plan: 'pro' })</script>");
    shop.page("/later", "", "");
    shop.visit("/");
    shop.visit("/later");
    shop.eval("footfall.reset(); footfall.track('n', { n: 1 })");
    shop.proxy.wait_for_acknowledged(4);
    let rows = shop.rows();
    let row = |kind: &str, path: &str| {
        let found = rows.iter().find(|row| row.text("type") == kind && row.text("path") == path);
        found.unwrap_or_else(|| panic!("no {kind} of {path} in {rows:?}"))
    };
    assert_eq!(row("page_view", "/").text("user_id"), "");
    assert_eq!(row("identify", "/").text("user_id"), "42");
    assert_eq!(row("identify", "/").property("plan"), json!("pro"));
    assert_eq!(row("page_view", "/later").text("user_id"), "42");
    assert_eq!(row("page_view", "/later").text("anonymous_id"), row("page_view", "/").text("anonymous_id"));
    assert_eq!(row("track", "/later").text("user_id"), "");
    assert_ne!(row("track", "/later").text("anonymous_id"), row("page_view", "/").text("anonymous_id"));
}
