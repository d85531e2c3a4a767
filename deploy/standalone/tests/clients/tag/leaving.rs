//! Goal: an event survives the page it happened on. Method: pages that are closed, left and crashed at bad moments.

use super::{Shop, count, numbers, seen};
use crate::proxy::Fault;

const UNAVAILABLE: Fault = Fault::Answer { status: 503, retry_after: None, body: "{}" };
/// As a visitor does it, with all that the page hears of it.
const CLOSE: &str = "const closed = page.waitForEvent('close');
    await page.close({ runBeforeUnload: true }); await closed";
/// Chromium's way to end a page's process; the page hears nothing of it.
const CRASH: &str = "const gone = new Promise((done) => page.once('crash', done));
    cdp.send('Page.crash').catch(() => {}); await gone; await page.close()";

#[test]
fn closing_the_tab_sends_what_waits() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=600000", "");
    let look =
        "const original = fetch; window.fetch = (url, init) => original(url + '&keepalive=' + init.keepalive, init)";
    shop.run(&format!("await page.addInitScript(\"{look}\")"));
    shop.visit("/");
    shop.track(0..3);
    assert_eq!(shop.proxy.exchanges().len(), 0, "nothing is due");
    shop.run(CLOSE);
    shop.proxy.wait_for_acknowledged(4);
    // On loopback any request is out before the page is gone; elsewhere only this one is sure to be.
    assert_eq!(shop.proxy.exchanges()[0].target, "/v1/events?writeKey=web&keepalive=true");
    assert_eq!(numbers(&shop.rows()), count(0..3));
}

#[test]
fn hiding_the_page_sends_what_waits() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=600000", "");
    shop.visit("/");
    shop.track(0..1);
    shop.eval(
        "Object.defineProperty(document, 'hidden', { get: () => true });
        document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))",
    );
    shop.proxy.wait_for_acknowledged(2);
    assert_eq!(numbers(&shop.rows()), count(0..1));
}

#[test]
fn leaving_while_a_request_is_on_its_way_overtakes_nothing() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20 data-page=off", "");
    shop.proxy.next(Fault::Hold);
    shop.visit("/");
    shop.track(0..2);
    crate::eventually("the first request", || (shop.proxy.exchanges().len() == 1).then_some(()));
    shop.track(2..4);
    shop.run(CLOSE);
    // The last request tells everything, also what the first one may still fail to bring.
    shop.proxy.wait_for_acknowledged(4);
    shop.proxy.release();
    shop.proxy.wait_for_exchanges(2);
    assert_eq!(numbers(&shop.rows()), count(0..4));
}

#[test]
fn what_a_page_could_not_send_comes_with_the_next_one_and_before_it() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.always(Some(UNAVAILABLE));
    shop.page("/", "data-flush-ms=20", "");
    shop.page("/next", "data-flush-ms=20", "");
    shop.visit("/");
    shop.track(0..3);
    shop.proxy.wait_for_exchanges(1);
    let first = shop.proxy.exchanges()[0].ids();
    shop.visit("/next");
    shop.track(3..4);
    shop.run(CLOSE);
    shop.run("await tab()");
    shop.proxy.always(None);
    shop.visit("/next");
    let acknowledged = shop.proxy.wait_for_acknowledged(7);
    assert_eq!(acknowledged[..first.len()], first, "under the same ids");
    let rows = shop.rows();
    assert_eq!(numbers(&rows), count(0..4));
    assert_eq!(seen(&rows, "page_view", |row| row.text("path")), ["/", "/next", "/next"]);
    assert_eq!(rows[4].text("type"), "page_view", "{rows:?}");
}

#[test]
fn a_crashed_page_is_told_by_the_next_one() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.always(Some(UNAVAILABLE));
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    shop.track(0..3);
    shop.proxy.wait_for_exchanges(1);
    shop.run(CRASH);
    shop.run("await tab()");
    shop.proxy.always(None);
    shop.visit("/");
    shop.track(3..5);
    shop.proxy.wait_for_acknowledged(7);
    let rows = shop.rows();
    assert_eq!(numbers(&rows), count(0..5));
    assert_eq!(seen(&rows, "page_view", |row| row.text("path")), ["/", "/"]);
    assert_eq!((rows[0].text("type"), rows[4].text("type")), ("page_view", "page_view"), "the crashed one first");
}

#[test]
fn what_a_beacon_took_is_told_again_since_nobody_heard_the_answer() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=600000 data-page=off", "");
    // A browser that knows no keepalive.
    shop.run("await page.addInitScript(() => { delete Request.prototype.keepalive })");
    shop.visit("/");
    shop.track(0..3);
    shop.run(CLOSE);
    shop.proxy.wait_for_acknowledged(3);
    shop.run("await tab()");
    shop.visit("/");
    shop.track(3..4);
    shop.run(CLOSE);
    shop.proxy.wait_for_acknowledged(4);
    let exchanges = shop.proxy.exchanges();
    assert_eq!(exchanges[1].ids()[..3], exchanges[0].ids());
    assert_eq!(numbers(&shop.rows()), count(0..4));
}

#[test]
fn a_page_that_comes_back_from_the_cache_counts_and_tells_nothing_twice() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    shop.proxy.always(Some(UNAVAILABLE));
    shop.visit("/");
    shop.track(0..2);
    shop.proxy.wait_for_exchanges(1);
    shop.eval("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    // Its last request meets the outage too. Meanwhile another page takes over what is left.
    shop.run("await page.waitForTimeout(500)");
    shop.run("its.first = page; await tab()");
    shop.visit("/");
    shop.proxy.always(None);
    shop.proxy.wait_for_acknowledged(4);
    let back = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })); footfall.track('n', { n: 2 })";
    shop.run(&format!("await its.first.evaluate(() => {{ {back} }})"));
    shop.proxy.wait_for_acknowledged(6);
    let sent =
        shop.proxy.exchanges().iter().filter(|it| it.status == Some(200)).map(|it| it.ids().len()).sum::<usize>();
    assert_eq!(sent, 6, "nothing twice");
    let rows = shop.rows();
    assert_eq!(numbers(&rows), count(0..3));
    assert_eq!(seen(&rows, "page_view", |_| ()).len(), 3);
}

#[test]
fn what_several_pages_left_comes_in_the_order_in_which_it_happened() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.always(Some(UNAVAILABLE));
    shop.page("/", "data-flush-ms=20 data-page=off", "");
    // All of them live at the same time, so that none takes over from another.
    shop.run("its.tabs = await Promise.all([1, 2, 3, 4].map(() => context.newPage()))");
    let url = shop.proxy.url("/");
    shop.run(&format!("await Promise.all(its.tabs.map((page) => page.goto('{url}')))"));
    for number in 0..4 {
        shop.run(&format!("await its.tabs[{number}].evaluate(() => footfall.track('n', {{ n: {number} }}))"));
    }
    for number in 0..4 {
        shop.run(&format!("its.page = its.tabs[{number}]; {CLOSE}"));
    }
    shop.run("await tab()");
    shop.proxy.always(None);
    shop.visit("/");
    shop.proxy.wait_for_acknowledged(4);
    assert_eq!(numbers(&shop.rows()), count(0..4));
}
