//! Stores that are large to fetch, so that their tests are `#[ignore]`d: `cargo test --workspace -- --ignored s3mock` and
//! `-- --ignored azurite` run them.

use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use s3::Kept;

use crate::{
    process::{Sink, wait_for},
    s3::sink,
};

/// Port 9 (discard) of loopback: nothing listens there.
const NO_BROKER: &str = "127.0.0.1:9";

/// Fetches something once into a folder below the target directory.
fn fetched(name: &str, fetch: impl FnOnce(&Path) -> Command) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder below the target directory");
    let lock = File::create(folder.join("lock")).expect("a lock file");
    lock.lock().expect("locked");
    if !folder.join("complete").exists() {
        let output = fetch(&folder).output().expect("deploy/setup --tests names what is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        File::create(folder.join("complete")).expect("written");
    }
    folder
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn serve(program: &str, arguments: &[String], environment: &[(&str, &str)], port: u16) -> Kept {
    let dir = tempfile::tempdir().expect("a folder").keep();
    let server = Kept::start(&dir, Path::new(program), arguments, environment);
    wait_for("its answer", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    server
}

/// How a sink ends that has no broker: after the probe, if the lake passes that.
fn end(lake: &str, environment: &[(&str, String)]) -> (Option<i32>, String) {
    let started: Sink = sink(NO_BROKER, "events", "group", lake, environment);
    started.end()
}

/// Adobe's s3mock 5.2 refuses a create that comes later, and lets two to four win that come together.
#[test]
#[ignore = "fetches 30 MB from Maven Central"]
fn s3mock_which_lets_several_win_is_refused() {
    let lib = fetched("s3mock", |folder| {
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy", "-Dartifact=com.adobe.testing:s3mock:5.2.0:jar:exec"]);
        maven.arg(format!("-DoutputDirectory={}", folder.display()));
        maven
    });
    let port = free_port();
    let jar = lib.join("s3mock-5.2.0-exec.jar").display().to_string();
    let mut arguments =
        ["-Xmx256m", "-jar", &jar, "--server.port=0", "--server.address=127.0.0.1"].map(str::to_owned).to_vec();
    arguments.push(format!("--http.port={port}"));
    let buckets = [("COM_ADOBE_TESTING_S3MOCK_STORE_INITIAL_BUCKETS", "lake")];
    let _server = serve("java", &arguments, &buckets, port);
    let environment = s3::environment(&format!("http://127.0.0.1:{port}"), s3::ADMIN);
    // It wins some: a probe that raced once would let it pass.
    for _ in 0..5 {
        let (code, stderr) = end("s3://lake/a", &environment);
        let line = stderr.lines().last().unwrap_or_default();
        assert!(code == Some(69) && line.contains("ignores create-if-absent (several of those"), "{code:?} {stderr}");
    }
}

/// The account of every Azurite; its documentation has the key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container, which object_store cannot do.
const MAKE_CONTAINER: &str = r#"
import base64, hashlib, hmac, sys, urllib.request
from email.utils import formatdate
port, account, key, name = sys.argv[1:]
date, version = formatdate(usegmt=True), "2021-08-06"
text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/{account}/{account}/{name}\nrestype:container"
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signature}"}
url = f"http://127.0.0.1:{port}/{account}/{name}?restype=container"
urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers))
"#;

#[test]
#[ignore = "fetches 366 MB from npm"]
fn azurite_is_a_lake_and_says_what_is_wrong() {
    let lib = fetched("azurite", |folder| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "azurite@3.37.0"]).current_dir(folder);
        npm
    });
    let (port, data) = (free_port(), tempfile::tempdir().expect("a folder"));
    let mut arguments = vec![lib.join("node_modules/azurite/dist/src/blob/main.js").display().to_string()];
    arguments.extend(["--silent", "--blobHost", "127.0.0.1", "--blobPort"].map(str::to_owned));
    arguments.extend([port.to_string(), "--location".to_owned(), data.path().display().to_string()]);
    let _server = serve("node", &arguments, &[], port);
    let made = Command::new("python3").args(["-c", MAKE_CONTAINER, &port.to_string(), ACCOUNT, KEY, "lake"]).output();
    assert!(made.expect("python3").status.success());
    let with = |key: &str| {
        vec![
            ("AZURE_STORAGE_ENDPOINT", format!("http://127.0.0.1:{port}/{ACCOUNT}")),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", key.to_owned()),
        ]
    };
    #[track_caller]
    fn check(lake: &str, environment: &[(&str, String)], expected: &[&str]) {
        let (code, stderr) = end(lake, environment);
        assert!(code == Some(69) && expected.iter().all(|part| stderr.contains(part)), "{code:?} {stderr}");
    }
    check("az://lake/a", &with(KEY), &["exactly one succeeds", "no Kafka broker answers"]);
    check("az://lake/a", &with("d3Jvbmc="), &["403", "AuthorizationFailure", "check the credentials"]);
    check("az://nothing/a", &with(KEY), &["404", "ContainerNotFound", "create the bucket or container"]);
}
