//! `footfall-sink audit` as a judge beside the independent reader: it holds the lake against its own footers and
//! against the log.
use std::path::Path;
use std::process::Command;

use kafka::Broker;
use serde_json::Value;

use crate::service::binary;

/// What a clean audit came to.
#[derive(Debug)]
pub(crate) struct Clean {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) rederived: u64,
    /// Objects that nothing needs, such as dead letters of a sink that was killed before its data file.
    pub(crate) leftovers: usize,
}

/// Audits the chains of a topic and derives every file again from the log. Anything but leftovers fails the test, and
/// so does a file that was not derived again. `environment` is what the lake's sinks were told beside their flags.
pub(crate) fn must_be_clean(broker: &Broker, topic: &str, lake: &Path, environment: &[(&str, &str)]) -> Clean {
    let mut command = Command::new(binary("footfall-sink"));
    command.args(["audit", "--brokers", broker.brokers(), "--topic", topic, "--full", "--format", "json"]);
    command.arg("--lake").arg(lake).envs(environment.iter().copied());
    let output = command.output().expect("the audit starts");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the audit ended with {}:\n{said}{errors}", output.status);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let findings: Vec<_> = lines.iter().filter(|line| line["record"] == "finding").collect();
    assert!(findings.iter().all(|finding| finding["kind"] == "leftover"), "{findings:#?}");
    let summary = lines.last().filter(|line| line["record"] == "summary").expect("the summary comes last");
    let number = |key: &str| summary[key].as_u64().expect("a number");
    let clean = Clean {
        files: number("files"),
        rows: number("rows"),
        rederived: number("rederived"),
        leftovers: findings.len(),
    };
    assert_eq!(clean.rederived, clean.files, "every file is derived again: {summary}");
    clean
}
