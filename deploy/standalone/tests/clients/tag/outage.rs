//! Goal: whatever the network and the gateway do, each event is in the lake once and in order. Method: a proxy that
//! answers badly on command, events meanwhile, then the requests and the rows.

use std::time::Duration;

use serde_json::json;

use super::{Shop, count, numbers};
use crate::{eventually, proxy::Fault};

const UNAVAILABLE: Fault = Fault::Answer { status: 503, retry_after: None, body: "{}" };

#[test]
fn what_happens_offline_is_told_when_the_browser_is_back() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=50", "<button id=b>b</button>");
    shop.visit("/");
    shop.proxy.wait_for_acknowledged(1);
    shop.run("await offline(true)");
    shop.track(0..5);
    shop.run("await page.click('#b')");
    // Long enough for several attempts to fail.
    shop.run("await page.waitForTimeout(1500)");
    assert_eq!(shop.proxy.exchanges().len(), 1, "nothing came through");
    shop.track(5..8);
    shop.run("await offline(false)");
    shop.proxy.wait_for_acknowledged(10);
    let rows = shop.rows();
    assert_eq!(numbers(&rows), count(0..8));
    assert_eq!((rows[0].text("type"), rows[6].text("type")), ("page_view", "click"));
}

#[test]
fn after_503_the_same_events_come_again_in_order_and_one_request_at_a_time() {
    let Some(shop) = Shop::open() else { return };
    for _ in 0..3 {
        shop.proxy.next(UNAVAILABLE);
    }
    shop.page("/", "data-flush-ms=20 data-batch=4", "");
    shop.visit("/");
    shop.track(0..20);
    shop.proxy.wait_for_acknowledged(21);
    let exchanges = shop.proxy.exchanges();
    assert_eq!(shop.proxy.in_flight_max(), 1);
    assert_eq!(exchanges.iter().filter(|exchange| exchange.status == Some(503)).count(), 3);
    for (failed, next) in exchanges.iter().zip(&exchanges[1..]).take(3) {
        assert_eq!(next.ids()[..failed.ids().len()], failed.ids(), "what failed stands in front");
        let pause = next.at - failed.at;
        assert!(pause >= Duration::from_millis(500), "sent again after {pause:?}");
    }
    assert!(exchanges.iter().all(|exchange| exchange.ids().len() <= 4));
    assert_eq!(numbers(&shop.rows()), count(0..20));
}

#[test]
fn while_a_request_is_on_its_way_no_other_leaves() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.next(Fault::Hold);
    shop.page("/", "data-flush-ms=20 data-batch=4", "<a id=a href='#a'>a</a>");
    shop.visit("/");
    eventually("the first request", || (shop.proxy.exchanges().len() == 1).then_some(()));
    shop.track(0..9);
    shop.run("await page.click('#a'); await page.waitForTimeout(500)");
    assert_eq!(shop.proxy.exchanges().len(), 1);
    shop.proxy.release();
    shop.proxy.wait_for_acknowledged(11);
    assert_eq!(shop.proxy.in_flight_max(), 1);
    assert_eq!(numbers(&shop.rows()), count(0..9));
}

#[test]
fn retry_after_is_honoured() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.next(Fault::Answer { status: 429, retry_after: Some(2), body: "{}" });
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    shop.proxy.wait_for_exchanges(1);
    shop.track(0..30);
    // Not even leaving is a reason to come earlier; the next page finds what is left.
    shop.page("/next", "data-flush-ms=20 data-page=off", "");
    shop.proxy.wait_for_acknowledged(31);
    let exchanges = shop.proxy.exchanges();
    let pause = exchanges[1].at - exchanges[0].at;
    assert!(pause >= Duration::from_secs(2), "sent again after {pause:?}");
    assert_eq!(numbers(&shop.rows()), count(0..30));
}

#[test]
fn what_may_have_arrived_is_sent_again_under_the_same_ids() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=20", "");
    for fault in [Fault::AnswerLost, Fault::Cut, Fault::AnswerLost] {
        shop.proxy.next(fault);
    }
    shop.visit("/");
    shop.track(0..5);
    shop.proxy.wait_for_acknowledged(6);
    let exchanges = shop.proxy.exchanges();
    assert!(exchanges.len() >= 4);
    assert_eq!(exchanges[3].ids()[..exchanges[0].ids().len()], exchanges[0].ids());
    assert_eq!(numbers(&shop.rows()), count(0..5));
}

#[test]
fn of_a_judged_batch_only_what_may_still_be_taken_is_sent_again() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=200 data-page=off", "");
    shop.proxy.next(Fault::Answer {
        status: 503,
        retry_after: Some(1),
        body: r#"{"code":"delivery_unknown","message":"","accepted":1,"rejected":[{"index":1,"code":"field_too_long"},
            {"index":2,"code":"delivery_unknown"},{"index":3,"code":"log_unavailable"}]}"#,
    });
    shop.visit("/");
    shop.eval("for (let n = 0; n < 4; n++) footfall.track('n', { n })");
    shop.proxy.wait_for_acknowledged(2);
    let exchanges = shop.proxy.exchanges();
    assert_eq!(exchanges[1].ids(), exchanges[0].ids()[2..]);
    assert_eq!(numbers(&shop.rows()), count(2..4));
}

#[test]
fn one_event_that_cannot_be_read_costs_no_other() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-flush-ms=200 data-page=off", "");
    shop.visit("/");
    let deep = "let deep = {}; for (let n = 0; n < 3000; n++) deep = { deep };";
    shop.eval(&format!("{deep} for (let n = 0; n < 4; n++) footfall.track('n', {{ n, deep: n == 1 ? deep : 0 }})"));
    shop.proxy.wait_for_acknowledged(3);
    assert_eq!(numbers(&shop.rows()), [json!(0), json!(2), json!(3)]);
}

#[test]
fn a_batch_that_is_refused_whole_is_sent_again_one_by_one() {
    let Some(shop) = Shop::open() else { return };
    for _ in 0..2 {
        shop.proxy.next(Fault::Answer { status: 400, retry_after: None, body: r#"{"code":"malformed_json"}"# });
    }
    shop.page("/", "data-flush-ms=200 data-page=off", "");
    shop.visit("/");
    shop.eval("for (let n = 0; n < 4; n++) footfall.track('n', { n })");
    shop.proxy.wait_for_acknowledged(3);
    let sizes: Vec<usize> = shop.proxy.exchanges().iter().map(|exchange| exchange.ids().len()).collect();
    assert_eq!(sizes[..2], [4, 1], "the batch, then its first event alone, which is to blame");
    assert_eq!(numbers(&shop.rows()), count(1..4));
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.next(Fault::Answer { status: 401, retry_after: None, body: r#"{"code":"unknown_key","message":""}"# });
    shop.page("/", "data-flush-ms=20", "");
    shop.visit("/");
    shop.proxy.wait_for_exchanges(1);
    shop.track(0..1);
    shop.proxy.wait_for_acknowledged(1);
    let exchanges = shop.proxy.exchanges();
    assert_eq!((exchanges.len(), exchanges[1].ids().len()), (2, 1));
    eventually("the queue is empty", || (shop.stored() == ["anonymous", "session"]).then_some(()));
    assert_eq!(numbers(&shop.rows()), count(0..1));
}

#[test]
fn the_queue_is_bounded_and_says_what_it_dropped() {
    let Some(shop) = Shop::open() else { return };
    shop.proxy.always(Some(UNAVAILABLE));
    shop.page("/", "data-flush-ms=20 data-queue=5 data-page=off", "");
    shop.visit("/");
    shop.track(0..8);
    shop.proxy.always(None);
    shop.proxy.wait_for_acknowledged(5);
    eventually("the queue is empty", || (shop.stored() == ["anonymous", "session"]).then_some(()));
    shop.track(8..9);
    shop.proxy.wait_for_acknowledged(6);
    let rows = shop.rows();
    assert_eq!(numbers(&rows), [count(0..5), count(8..9)].concat());
    assert_eq!(rows[5].property("dropped"), json!(3));
}
