//! SDKs for Go.

use std::path::PathBuf;
use std::process::Command;

use super::{Order, Sdk, calls::Offered, check_server, installed};
use crate::npm;

fn program() -> PathBuf {
    let sources = ["go/go.mod", "go/go.sum", "go/main.go"];
    let folder = installed::folder("clients-go", &sources, |folder| {
        let mut build = Command::new("go");
        // The toolchain that is here, whichever it is.
        build.args(["build", "-o"]).arg(folder.join("server")).env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        installed::run(build.arg(".").current_dir(npm::folder().join("go")));
    });
    folder.join("server")
}

#[test]
fn segment_analytics_go() {
    let name = "github.com/segmentio/analytics-go/v3";
    let sdk = Sdk {
        name,
        version: installed::version("go/go.mod", &format!("{name} v")),
        runs_in: "Go",
        gzip: false,
        order: Order::AsTold,
        refusals: 2,
        sends_again: true,
        calls: Offered::ALL,
        names_pages: true,
    };
    check_server(&sdk, &|endpoint, scenario, user| {
        let mut command = Command::new(program());
        command.args([name, endpoint, scenario, user]);
        command
    });
}
