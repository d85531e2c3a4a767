//! Goal: whatever way a visitor takes through a site, each page is one row, in order.

use crate::{browser::Visitor, footfall::Footfall, left_out, proxy::Proxy};

#[test]
fn a_page_that_posts_an_event_is_a_row() {
    if left_out() {
        return;
    }
    let footfall = Footfall::start();
    let proxy = Proxy::start(&footfall.gateway);
    let post = r#"fetch('/v1/events', {method: 'POST', body: JSON.stringify([{event_id: 'e1', type: 'page_view',
        anonymous_id: 'a1', url: location.href}])})"#;
    proxy.page("/", "", &format!("<!doctype html><title>t</title><script>{post}</script>"));
    let visitor = Visitor::new();
    visitor.run(&format!("await page.goto('{}')", proxy.url("/")));
    assert_eq!(proxy.wait_for_acknowledged(1), ["e1"]);
    let rows = footfall.rows();
    assert_eq!((rows.len(), rows[0].text("url")), (1, proxy.url("/").as_str()));
}
