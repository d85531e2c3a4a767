//! SDKs for Node.

use std::process::Command;

use super::{Order, Sdk, calls::Offered, check_server, installed};
use crate::npm;

/// What `package.json` pins.
pub(super) fn version(name: &str) -> String {
    installed::version("package.json", &format!("\"{name}\": \""))
}

fn check(sdk: &Sdk) {
    check_server(sdk, &|endpoint, scenario, user| {
        let mut command: Command = npm::node("node/server.cjs");
        command.args([sdk.name, endpoint, scenario, user]);
        command
    });
}

fn sdk(name: &'static str) -> Sdk {
    Sdk {
        name,
        version: version(name),
        runs_in: "Node",
        gzip: false,
        order: Order::WithinRequest,
        refusals: 2,
        sends_again: true,
        calls: Offered::ALL,
        names_pages: true,
    }
}

#[test]
fn segment_analytics_node() {
    check(&sdk("@segment/analytics-node"));
}

#[test]
fn analytics_node() {
    check(&sdk("analytics-node"));
}

#[test]
fn rudder_sdk_node() {
    check(&Sdk { gzip: true, ..sdk("@rudderstack/rudder-sdk-node") });
}

#[test]
fn jitsu_js() {
    let calls = Offered { alias: false, screen: false, ..Offered::ALL };
    check(&Sdk { order: Order::AsTold, sends_again: false, calls, names_pages: false, ..sdk("@jitsu/js") });
}
