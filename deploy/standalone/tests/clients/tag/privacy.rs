//! Goal: without leave nothing is stored and nothing is sent. Method: what the browser or the visitor says, then storage
//! and requests.

use serde_json::json;

use super::{Shop, count, numbers, seen};
use crate::{eventually, proxy::Fault};

/// Time in which whatever is wrongly sent would be.
const WAIT: &str = "await page.waitForTimeout(700)";

#[test]
fn do_not_track_and_global_privacy_control_are_honoured() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "<a id=a href='#x'>a</a><script>footfall.consent(true)</script>");
    for (property, value) in [("doNotTrack", "'1'"), ("globalPrivacyControl", "true")] {
        let define = format!("Object.defineProperty(Navigator.prototype, '{property}', {{ get: () => {value} }})");
        shop.run(&format!("await tab(); await page.addInitScript(\"{define}\")"));
        shop.visit("/");
        // As an earlier visit left it.
        shop.eval("localStorage['footfall.anonymous'] = 'a1'; localStorage['footfall.queue.q'] = '[]'");
        shop.visit("/");
        shop.track(0..2);
        shop.eval("footfall.identify('u1'); footfall.consent(true)");
        shop.run("await page.click('#a')");
        shop.run(WAIT);
        assert_eq!(shop.stored(), ["consent"; 0], "{property}");
    }
    assert_eq!(shop.proxy.exchanges().len(), 0);
}

#[test]
fn before_consent_nothing_is_stored_or_sent_and_after_it_no_page_has_to_ask_again() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20 data-consent=required", "<a id=a href='#x'>a</a>");
    shop.visit("/");
    shop.track(0..2);
    shop.eval("footfall.identify('u1')");
    shop.run("await page.click('#a')");
    shop.run(WAIT);
    assert_eq!((shop.stored().len(), shop.proxy.exchanges().len()), (0, 0));
    shop.eval("footfall.consent(true)");
    shop.eval("footfall.consent(true)");
    shop.proxy.wait_for_acknowledged(1);
    shop.visit("/");
    shop.proxy.wait_for_acknowledged(2);
    let rows = shop.rows();
    assert_eq!(seen(&rows, "page_view", |row| row.text("user_id")), ["", ""]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn consent_withdrawn_wipes_queue_and_ids_in_every_tab() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    shop.proxy.wait_for_acknowledged(1);
    shop.proxy.always(Some(Fault::Answer { status: 503, retry_after: Some(1), body: "{}" }));
    shop.run("its.tabs = [page, await tab()]");
    shop.visit("/");
    shop.track(0..3);
    shop.eval("footfall.identify('u1')");
    assert!(shop.stored().iter().any(|name| name.starts_with("queue.")));
    shop.eval("footfall.consent(false)");
    eventually("only the answer is kept", || (shop.stored() == ["consent"]).then_some(()));
    shop.proxy.always(None);
    shop.track(3..4);
    shop.run("await its.tabs[0].evaluate(() => footfall.track('n', { n: 4 }))");
    shop.visit("/");
    shop.run("await page.waitForTimeout(2500)");
    assert_eq!(shop.stored(), ["consent"]);
    assert_eq!(shop.proxy.acknowledged().len(), 1, "nothing after the withdrawal");
    shop.eval("footfall.consent(true); footfall.track('n', { n: 5 })");
    shop.proxy.wait_for_acknowledged(3);
    let rows = shop.rows();
    assert_eq!(numbers(&rows), [json!(5)]);
    assert_eq!(rows.iter().filter(|row| row.text("user_id") == "u1").count(), 0);
}

#[test]
fn consent_given_in_another_tab_counts_here() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20 data-consent=required", "");
    shop.visit("/");
    shop.run("its.first = page; await tab()");
    shop.visit("/");
    shop.eval("footfall.consent(true)");
    shop.proxy.wait_for_acknowledged(1);
    shop.run("await its.first.evaluate(() => footfall.track('n', { n: 0 }))");
    shop.proxy.wait_for_acknowledged(2);
    assert_eq!(numbers(&shop.rows()), count(0..1));
}

#[test]
fn what_is_typed_into_a_form_is_never_sent() {
    let Some(shop) = Shop::open() else { return };
    shop.page(
        "/",
        "data-flush-ms=20",
        "<form id=f method=post action='/sent' data-footfall=form>
        <input id=name name=name> <input id=pass type=password> <textarea id=area></textarea>
        <input type=hidden value=SECRET> <select id=pick><option>SECRET</option><option>SECRET2</option></select>
        <label for=name>Name</label> <button id=go>Go</button></form>
        <script>document.querySelector('form').onsubmit = () => false</script>",
    );
    shop.visit("/");
    for field in ["#name", "#pass", "#area"] {
        shop.run(&format!("await page.click('{field}'); await page.keyboard.type('SECRET')"));
    }
    shop.run("await page.selectOption('#pick', 'SECRET2'); await page.click('label'); await page.click('#go')");
    shop.run("await page.focus('#name'); await page.keyboard.press('Enter')");
    shop.proxy.wait_for_acknowledged(3);
    shop.run(WAIT);
    for exchange in shop.proxy.exchanges() {
        let body = String::from_utf8(exchange.body).expect("text");
        assert!(!body.contains("SECRET"), "{body}");
    }
    let rows = shop.rows();
    let clicks = seen(&rows, "click", |row| row.text("element"));
    assert_eq!(
        clicks,
        ["form#f", "form#f > button#go", "form#f > button#go"].map(|it| it.rsplit(" > ").next().unwrap())
    );
}
