//! Goal: tabs of one visitor neither lose nor double each other's events. Method: several pages in one browser context,
//! with the gateway down while they come and go.

use std::collections::HashMap;

use serde_json::Value;

use super::{Shop, seen};
use crate::proxy::Fault;

/// How often each event was acknowledged, at most.
fn most_acknowledged(shop: &Shop) -> usize {
    let mut times: HashMap<String, usize> = HashMap::new();
    for exchange in shop.proxy.exchanges().iter().filter(|exchange| exchange.status == Some(200)) {
        for id in exchange.ids() {
            *times.entry(id).or_default() += 1;
        }
    }
    times.into_values().max().unwrap_or(0)
}

#[test]
fn an_open_tab_keeps_its_queue_when_others_come() {
    let Some(shop) = Shop::open() else { return };
    // Long enough for the tabs to be silent while another one asks.
    shop.proxy.always(Some(Fault::Answer { status: 503, retry_after: Some(8), body: "{}" }));
    shop.page("/", "data-flush-ms=20 data-page=off", "");
    shop.visit("/");
    shop.run("its.tabs = [page, await tab(), await tab()]");
    let url = shop.proxy.url("/");
    shop.run(&format!("await its.tabs[1].goto('{url}'); await its.tabs[2].goto('{url}')"));
    let track = |tab: usize, from: u32| {
        let call = "(n) => footfall.track('tab ' + n[0], { n: n[1] })";
        for number in from..from + 5 {
            shop.run(&format!("await its.tabs[{tab}].evaluate({call}, [{tab}, {number}])"));
        }
    };
    for round in 0..2 {
        for tab in 0..3 {
            track(tab, 5 * round);
        }
    }
    // One more comes, sees three queues, and asks. Their owners are there.
    let queues = || shop.stored().into_iter().filter(|name| name.starts_with("queue.")).collect::<Vec<_>>();
    let before = queues();
    shop.run(&format!("await (await tab()).goto('{url}')"));
    shop.run("await page.waitForTimeout(3000)");
    assert_eq!((before.len(), queues()), (3, before), "each tab still has its own");
    shop.proxy.always(None);
    shop.proxy.wait_for_acknowledged(30);
    assert_eq!(most_acknowledged(&shop), 1, "nobody else told it too");
    let rows = shop.rows();
    for tab in 0..3 {
        let name = format!("tab {tab}");
        let numbers: Vec<Value> =
            rows.iter().filter(|row| row.text("name") == name).map(|row| row.property("n")).collect();
        assert_eq!(numbers, super::count(0..10), "{name} in order");
    }
    let visitors = seen(&rows, "track", |row| (row.text("anonymous_id"), row.text("session_id")));
    assert!(visitors.iter().all(|visitor| *visitor == visitors[0]), "one visitor, one session");
}

#[test]
fn of_two_tabs_that_come_at_once_one_takes_over_what_was_left() {
    let Some(shop) = Shop::open() else { return };
    // Not even a last request may be sent, whose answer nobody would hear.
    shop.proxy.always(Some(Fault::Answer { status: 503, retry_after: Some(60), body: "{}" }));
    shop.page("/", "data-flush-ms=20 data-page=off", "");
    shop.visit("/");
    shop.track(0..5);
    shop.proxy.wait_for_exchanges(1);
    shop.run("const closed = page.waitForEvent('close'); await page.close({ runBeforeUnload: true }); await closed");
    shop.proxy.always(None);
    let url = shop.proxy.url("/");
    shop.run(&format!(
        "const pages = await Promise.all([1, 2, 3, 4].map(() => context.newPage()));
        await Promise.all(pages.map((page) => page.goto('{url}')));
        await pages[0].waitForTimeout(3000)"
    ));
    shop.proxy.wait_for_acknowledged(5);
    assert_eq!(most_acknowledged(&shop), 1);
    assert_eq!(super::numbers(&shop.rows()), super::count(0..5));
}
