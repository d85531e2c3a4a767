//! Goal: the console shows what is true and never runs what users sent. Method: hostile events, then the page's parts.

use serde_json::Value;

use crate::footfall::{Footfall, eventually};

const HOSTILE: &str = r#"<img src=x onerror="alert(1)"></script><script>alert(2)</script>"#;

fn view(footfall: &Footfall) -> Value {
    let answer = footfall.get("/console.json");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn it_shows_what_came_in_and_the_newest_rows() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let footfall = Footfall::start(data.path(), &["--roll-interval", "100ms"]);
    assert_eq!(view(&footfall)["rows"], serde_json::json!([]));
    for count in 0..30 {
        let event = format!(r#"{{"event_id":"e{count}","type":"page_view","user_id":"u1","title":"page {count}"}}"#);
        assert_eq!(footfall.post(&event).status, 200);
    }
    assert_eq!(footfall.post(r#"{"type":"click"}"#).status, 400, "no user");
    let view = eventually("all rows", || Some(view(&footfall)).filter(|view| view["ledger"]["rows"] == 30));
    let ledger = &view["ledger"];
    assert_eq!((&ledger["received"], &ledger["accepted"], &ledger["in_flight"]), (&31.into(), &30.into(), &0.into()));
    assert_eq!(ledger["rejected"][0]["count"], 1, "{ledger}");
    assert_eq!(ledger["refused"][0], ledger["rejected"][0], "the request held nothing else: {ledger}");
    assert!(ledger["rejected"][0]["reason"].is_string() && ledger["rejected"].as_array().expect("a list").len() == 1);
    let titles: Vec<&str> =
        view["rows"].as_array().expect("a list").iter().filter_map(|row| row["text"].as_str()).collect();
    let newest: Vec<String> = (10..30).rev().map(|count| format!("page {count}")).collect();
    assert_eq!(titles, newest, "the newest twenty, newest first");
    assert_eq!(view["partitions"].as_array().expect("a list").len(), 4);
    assert!(view["partitions"][0]["lag_seconds"].as_f64().expect("a number") >= 0.0);
}

#[test]
fn nothing_that_users_send_becomes_markup() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let footfall = Footfall::start(data.path(), &["--roll-interval", "100ms"]);
    let text = serde_json::to_string(HOSTILE).expect("text");
    let event = format!(
        r#"{{"type":{text},"name":{text},"user_id":{text},"url":{text},"title":{text},"element_text":{text}}}"#
    );
    // The gateway may refuse parts of it; then a milder one must still get through.
    if footfall.post(&event).status != 200 {
        let event = format!(r#"{{"type":"click","user_id":{text},"title":{text},"element_text":{text}}}"#);
        assert_eq!(footfall.post(&event).status, 200);
    }
    let body =
        eventually("the row", || Some(footfall.get("/console.json").body).filter(|body| body.contains("onerror")));
    assert!(!body.contains('<'), "{body}");
    let view: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(view["rows"][0]["user"], HOSTILE, "shown whole, as text");

    let page = footfall.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    for header in ["content-security-policy: default-src 'none'; script-src 'self';", "x-content-type-options: nosniff"]
    {
        assert!(page.head.contains(header), "{}", page.head);
    }
    assert!(!page.head.contains("unsafe-inline"), "{}", page.head);
    // The page is the same for everyone: nothing is put into it on the server.
    assert_eq!(page.body, include_str!("../../src/console/page.html"));
    let script = footfall.get("/console.js");
    assert!(script.head.contains("content-type: text/javascript"), "{}", script.head);
    for way_in in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", ".href", ".src"]
    {
        assert!(!script.body.contains(way_in), "{way_in} would let markup in");
    }
    for outside in ["http://", "https://", "//cdn"] {
        assert!(!page.body.contains(outside) && !script.body.contains(outside), "{outside} is outside this process");
    }
    assert_eq!(footfall.get("/console.json/").status, 404);
}
