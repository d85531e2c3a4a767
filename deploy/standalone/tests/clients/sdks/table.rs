//! The table of `docs/sdks.md`, line by line: a test that has run an SDK looks for its line, so the table says what was
//! found and nothing else.

use super::{Order, Sdk, calls::Counts};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sdks.md");

/// Looks for the line of an SDK: rows of the calls, of a batch ended by the process's end, of one answered with 503 and
/// of one answered with 429; `beacon` is what was found of it.
#[track_caller]
pub(super) fn check(sdk: &Sdk, counts: &Counts, exit: usize, after: [usize; 2], beacon: &str) {
    let Sdk { name, version, runs_in, gzip, .. } = sdk;
    let Counts { page, track, identify, group, alias, screen } = counts;
    let cell = |count: usize| if count == 0 { "–".to_owned() } else { count.to_string() };
    let others = [group, alias, screen].map(|count| cell(*count)).join(", ");
    let gzip = if *gzip { "yes" } else { "no" };
    let [unavailable, limited] = after;
    let beacon = if beacon.is_empty() { "–" } else { beacon };
    let order = match sdk.order {
        Order::AsTold => "as told",
        Order::WithinRequest => "within a request",
    };
    check_line(&format!(
        "| `{name}` | {version} | {runs_in} | {page} | {track} | {identify} | {others} | {exit} | {gzip} | {unavailable} | \
         {limited} | {beacon} | {order} |"
    ));
}

#[track_caller]
pub(super) fn check_line(line: &str) {
    let docs = std::fs::read_to_string(DOCS).expect("docs/sdks.md");
    assert!(docs.lines().any(|found| found == line), "docs/sdks.md says otherwise than what was found:\n{line}");
}

/// The SDKs that have a test.
const TESTED: [&str; 10] = [
    "@segment/analytics-next",
    "@rudderstack/analytics-js",
    "@segment/analytics-node",
    "analytics-node",
    "@rudderstack/rudder-sdk-node",
    "@jitsu/js",
    "segment-analytics-python",
    "rudder-sdk-python",
    "com.segment.analytics.java:analytics",
    "github.com/segmentio/analytics-go/v3",
];

#[test]
fn the_table_has_a_line_for_each_sdk_and_no_other() {
    let docs = std::fs::read_to_string(DOCS).expect("docs/sdks.md");
    let table = docs.split("\n\n").find(|part| part.starts_with("| SDK | version")).expect("the table");
    let named: Vec<&str> = table.lines().skip(2).filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(named, TESTED);
}
