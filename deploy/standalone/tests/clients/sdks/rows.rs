//! What an SDK has sent, and what of it lies in the lake.

use std::collections::HashSet;
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{lake::Row, proxy::Exchange};

/// The rows of one user, in their order: exactly the events that were acknowledged, each of them once, by the SDK's ids.
#[track_caller]
pub(super) fn of(lake: &[Row], user: &str, exchanges: &[Exchange]) -> Vec<Row> {
    let rows: Vec<Row> = lake.iter().filter(|row| row.text("user_key") == user).cloned().collect();
    let found: Vec<&str> = rows.iter().map(|row| row.text("event_id")).collect();
    let acknowledged: HashSet<String> = acknowledged(exchanges).flat_map(ids).collect();
    let unique: HashSet<String> = found.iter().map(|&id| id.to_owned()).collect();
    assert_eq!(found.len(), unique.len(), "{user}: each event once: {found:?}");
    assert_eq!(unique, acknowledged, "{user}: the lake, and what was acknowledged");
    rows
}

pub(super) fn acknowledged(exchanges: &[Exchange]) -> impl Iterator<Item = &Exchange> {
    exchanges.iter().filter(|exchange| exchange.status == Some(200))
}

pub(super) fn is_gzip(exchange: &Exchange) -> bool {
    exchange.body.starts_with(&[0x1f, 0x8b])
}

/// The events of a request.
pub(super) fn told(exchange: &Exchange) -> Vec<Value> {
    let mut text = String::new();
    if is_gzip(exchange) {
        GzDecoder::new(exchange.body.as_slice()).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(exchange.body.clone()).expect("UTF-8");
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match body.get("batch") {
        Some(batch) => batch.as_array().expect("an array").clone(),
        None => vec![body],
    }
}

fn ids(exchange: &Exchange) -> Vec<String> {
    told(exchange).iter().map(|event| event["messageId"].as_str().expect("a messageId").to_owned()).collect()
}

/// The `n` of a row, a property or a trait.
pub(super) fn number(row: &Row) -> i64 {
    let places =
        [row.property("n"), row.property("traits")["n"].clone(), row.property("context")["traits"]["n"].clone()];
    places.iter().find_map(Value::as_i64).unwrap_or_else(|| panic!("no n: {row:?}"))
}

/// The events of each request stand in its order.
#[track_caller]
pub(super) fn check_order_within_requests(rows: &[Row], exchanges: &[Exchange]) {
    for exchange in acknowledged(exchanges) {
        let sent = ids(exchange);
        let found: Vec<&str> =
            rows.iter().map(|row| row.text("event_id")).filter(|id| sent.iter().any(|it| it == id)).collect();
        assert_eq!(found, sent, "one request");
    }
}
