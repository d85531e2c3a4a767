//! SDKs in Chromium, on a page of one origin that tells events to another one.

use std::fs;

use super::{BATCH, Order, Sdk, batch, calls, calls::Offered, node, refused, rows, table};
use crate::{browser::Visitor, eventually, footfall::Footfall, left_out, npm, proxy::Exchange, proxy::Proxy};

/// Where its visitors come from.
const REFERRER: &str = "http://search.example/";
const PATH: &str = "/home?q=1&utm_source=mail&utm_campaign=spring";

const CALLS: &str = "
    analytics.identify('calls', { plan: 'pro', n: 1 });
    analytics.page('Home', { n: 2 });
    analytics.track('click', { element: 'a#buy', element_text: 'Buy now', element_href: '/cart', n: 3 });
    analytics.track('Order Completed', { total: 12.5, n: 4 });
    analytics.group('g1', { n: 6 });
    analytics.alias('calls', 'a1');
    if (analytics.screen) analytics.screen('Cart', { n: 5 });";

/// How a page sets an SDK up.
struct Page {
    html: &'static str,
    /// The published bundle, below `node_modules`.
    bundle: &'static str,
    /// The way in which it sends many events, as its page calls it.
    batches: &'static str,
    /// The way in which it sends what is left when the visitor leaves.
    leaves: &'static str,
    /// Whether its last request needs a preflight. Chromium may drop such a request of a page that goes away, unless an
    /// earlier request has had the same preflight.
    last_has_preflight: bool,
    /// Whether it knows sessions; their ids are numbers.
    has_sessions: bool,
}

/// A shop with an SDK, and a visitor.
struct Shop {
    pages: Proxy,
    gateway: Proxy,
    visitor: Visitor,
}

impl Shop {
    fn open(footfall: &Footfall, page: &Page, way: &str) -> Shop {
        let (pages, gateway) = (Proxy::start(&footfall.gateway), Proxy::start(&footfall.gateway));
        let bundle = npm::modules().join(page.bundle);
        pages.page("/sdk.js", "", &fs::read_to_string(bundle).expect("the package holds its bundle"));
        let shop = Shop { pages, gateway, visitor: Visitor::with("{ locale: 'de-DE' }") };
        shop.visit(page, way);
        shop
    }

    fn visit(&self, page: &Page, way: &str) {
        let html = page.html.replace("{{endpoint}}", &self.gateway.address).replace("{{way}}", way);
        self.pages.page("/home", "", &html);
        self.visitor.run(&format!("await page.goto('{}', {{ referer: '{REFERRER}' }})", self.pages.url(PATH)));
    }

    fn say(&self, script: &str) {
        self.visitor.run(&format!("await page.evaluate(async () => {{ {script} }})"));
    }

    fn say_batch(&self, user: &str) {
        self.say_who(user);
        self.say_clicks();
    }

    fn say_who(&self, user: &str) {
        self.say(&format!("analytics.identify('{user}', {{ n: 0 }})"));
    }

    /// What is left of a batch; said when the SDK has it in its queue.
    fn say_clicks(&self) {
        let click = "(_, n) => analytics.track('click', { n: n + 1 })";
        self.say(&format!("await Promise.all(Array.from({{ length: {BATCH} - 1 }}, {click}))"));
    }

    /// Waits until so many events were acknowledged; every request that came by.
    #[track_caller]
    fn told(&self, count: usize) -> Vec<Exchange> {
        eventually(&format!("{count} events acknowledged"), || {
            let exchanges = self.gateway.exchanges();
            let acknowledged: usize = rows::acknowledged(&exchanges).map(|exchange| rows::told(exchange).len()).sum();
            (acknowledged >= count).then_some(exchanges)
        })
    }
}

#[track_caller]
fn check(sdk: &Sdk, page: &Page, beacon: &str) {
    if left_out() {
        return;
    }
    let footfall = Footfall::start();
    let shop = Shop::open(&footfall, page, "");
    shop.say(CALLS);
    let calls = shop.told(6 + usize::from(sdk.calls.screen));
    let shop_url = shop.pages.url(PATH);
    let columns = [
        ("url", shop_url.clone()),
        ("path", "/home".to_owned()),
        ("title", "Shop".to_owned()),
        ("referrer", REFERRER.to_owned()),
        ("locale", "de-DE".to_owned()),
        ("campaign_name", "spring".to_owned()),
        ("campaign_source", "mail".to_owned()),
    ];
    let after = |user, status, refusals| {
        let shop = Shop::open(&footfall, page, page.batches);
        for _ in 0..refusals {
            shop.gateway.next(refused(status));
        }
        shop.say_batch(user);
        shop.told(BATCH)
    };
    let (unavailable, limited) = (after("unavailable", 503, sdk.refusals), after("limited", 429, 1));
    let shop = Shop::open(&footfall, page, if page.last_has_preflight { page.batches } else { page.leaves });
    shop.say_who("exit");
    if page.last_has_preflight {
        shop.told(1);
        shop.visit(page, page.leaves);
    }
    shop.say_clicks();
    shop.visitor.run("await page.close({ runBeforeUnload: true })");
    let exit = shop.told(BATCH);

    let lake = footfall.rows();
    let columns = calls::Page { name: "Home", columns: columns.to_vec() };
    let rows = rows::of(&lake, "calls", &calls);
    let counts = calls::check(&rows, sdk.calls, &columns);
    for row in &rows {
        assert_eq!(row.text("url"), shop_url, "the context of every event tells its page: {row:?}");
        assert_eq!(row.text("session_id").is_empty(), !page.has_sessions, "{row:?}");
    }
    let batch = |user, exchanges: &[Exchange]| batch(sdk, &rows::of(&lake, user, exchanges), exchanges);
    let after = [batch("unavailable", &unavailable), batch("limited", &limited)];
    table::check(sdk, &counts, batch("exit", &exit), after, beacon);
}

fn sdk(name: &'static str) -> Sdk {
    Sdk {
        name,
        version: node::version(name),
        runs_in: "browser",
        gzip: false,
        order: Order::WithinRequest,
        refusals: 2,
        sends_again: true,
        calls: Offered::ALL,
        names_pages: true,
    }
}

#[test]
fn segment_analytics_next() {
    let page = Page {
        html: include_str!("../browser_sdks/segment.html"),
        bundle: "@segment/analytics-next/dist/umd/index.js",
        batches: "batching",
        leaves: "leaving",
        last_has_preflight: true,
        has_sessions: false,
    };
    check(&sdk("@segment/analytics-next"), &page, "keepalive");
}

#[test]
fn rudder_analytics_js() {
    let page = Page {
        html: include_str!("../browser_sdks/rudderstack.html"),
        bundle: "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js",
        batches: "batch",
        leaves: "beacon",
        last_has_preflight: false,
        has_sessions: true,
    };
    let calls = Offered { screen: false, ..Offered::ALL };
    check(&Sdk { calls, ..sdk("@rudderstack/analytics-js") }, &page, "sendBeacon");
}

#[test]
fn a_page_without_an_sdk() {
    if left_out() {
        return;
    }
    let footfall = Footfall::start();
    let (pages, gateway) = (Proxy::start(&footfall.gateway), Proxy::start(&footfall.gateway));
    let html = include_str!("../browser_sdks/none.html").replace("{{endpoint}}", &gateway.address);
    pages.page("/home", "", &html);
    let visitor = Visitor::new();
    visitor.run(&format!("await page.goto('{}', {{ waitUntil: 'load' }})", pages.url("/home")));
    visitor.run("await page.close({ runBeforeUnload: true })");
    // An image is a GET, which the proxy lets pass without a note; the page has waited for it.
    gateway.wait_for_exchanges(1);
    let lake = footfall.rows();
    let of = |kind: &str| lake.iter().filter(|row| row.text("type") == kind).count();
    assert_eq!(lake.len(), 3, "{lake:?}");
    table::check_line(&format!("| `<img>` | – | {} |", of("page_view")));
    table::check_line(&format!(
        "| `navigator.sendBeacon` on leaving the page | – | {} |",
        of("page_leave") + of("click")
    ));
}
