//! SDKs for Python.

use std::path::Path;
use std::process::Command;

use super::{Order, Sdk, calls::Offered, check_server, installed};
use crate::npm;

const REQUIREMENTS: &str = "python/requirements.txt";

fn python() -> Command {
    let folder = installed::folder("clients-python", &[REQUIREMENTS], |folder| {
        installed::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")));
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        installed::run(pip.arg(npm::folder().join(REQUIREMENTS)));
    });
    Command::new(Path::new(&folder).join("venv/bin/python"))
}

fn check(name: &'static str) {
    let version = installed::version(REQUIREMENTS, &format!("{name}=="));
    let (runs_in, order, calls) = ("Python", Order::AsTold, Offered::ALL);
    let sdk =
        Sdk { name, version, runs_in, gzip: true, order, refusals: 2, sends_again: true, calls, names_pages: true };
    check_server(&sdk, &|endpoint, scenario, user| {
        let mut command = python();
        command.arg(npm::folder().join("python/server.py")).args([name, endpoint, scenario, user]);
        command
    });
}

#[test]
fn segment_analytics_python() {
    check("segment-analytics-python");
}

#[test]
fn rudder_sdk_python() {
    check("rudder-sdk-python");
}
