//! SDKs for Java.

use std::path::PathBuf;
use std::process::Command;

use super::{Order, Sdk, calls::Offered, check_server, installed};
use crate::npm;

const SOURCES: [&str; 2] = ["java/pom.xml", "java/Server.java"];

fn classes() -> PathBuf {
    installed::folder("clients-java", &SOURCES, |folder| {
        let [pom, server] = SOURCES.map(|source| npm::folder().join(source));
        let mut fetch = Command::new("mvn");
        fetch.args(["--quiet", "--batch-mode", "--file"]).arg(pom).arg("dependency:copy-dependencies");
        installed::run(fetch.arg(format!("-DoutputDirectory={}", folder.join("lib").display())));
        let mut compile = Command::new("javac");
        compile.arg("-cp").arg(folder.join("lib/*")).arg("-d").arg(folder).arg(server);
        installed::run(&mut compile);
    })
}

#[test]
fn segment_analytics_java() {
    let name = "com.segment.analytics.java:analytics";
    let sdk = Sdk {
        name,
        version: installed::version(SOURCES[0], "<artifactId>analytics</artifactId><version>"),
        runs_in: "Java",
        gzip: false,
        order: Order::AsTold,
        // It waits up to half a minute before it sends again, and up to a minute the second time.
        refusals: 1,
        sends_again: true,
        calls: Offered::ALL,
        names_pages: true,
    };
    check_server(&sdk, &|endpoint, scenario, user| {
        let folder = classes();
        let mut command = Command::new("java");
        let path = format!("{}:{}", folder.display(), folder.join("lib/*").display());
        command.args(["-XX:TieredStopAtLevel=1", "-cp", &path, "Server", name, endpoint, scenario, user]);
        command
    });
}
