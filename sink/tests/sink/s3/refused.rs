//! A bucket that cannot be used: one line that says what to do, and exit code 69, before a record is read.

use s3::{ADMIN, READER, SeaweedFs};

use super::bucket::sink;

/// Port 9 (discard) of loopback: nothing listens there.
const NOTHING: &str = "127.0.0.1:9";

#[test]
fn lakes_that_cannot_be_written_stop_the_boot_with_one_line() {
    let server = SeaweedFs::shared();
    let bucket = server.fresh_bucket("refused");
    let lake = format!("s3://{bucket}/lake");
    #[track_caller]
    fn check(lake: &str, environment: &[(&'static str, String)], code: i32, expected: &[&str]) {
        let (ended, stderr) = sink(NOTHING, "events", "group", lake, environment).end();
        assert_eq!(ended, Some(code), "{stderr}");
        let line = stderr.lines().last().unwrap_or_default();
        assert_eq!(stderr.lines().filter(|line| line.starts_with("footfall-sink: ")).count(), 1, "{stderr}");
        for part in expected {
            assert!(line.starts_with("footfall-sink: ") && line.contains(part), "{part}: {stderr}");
        }
    }
    let with = |key: &'static str, value: &str| {
        let mut environment = server.environment(ADMIN);
        environment.push((key, value.to_owned()));
        environment
    };
    let credentials = "check the credentials";
    check(&lake, &with("AWS_SECRET_ACCESS_KEY", "wrong"), 69, &["403", "SignatureDoesNotMatch", credentials]);
    check(&lake, &with("AWS_ACCESS_KEY_ID", "nobody"), 69, &["403", "InvalidAccessKeyId", credentials]);
    check(&lake, &server.environment(READER), 69, &["403", "AccessDenied", credentials]);
    check(&lake, &with("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), 69, &["127.0.0.1:9", "refused", "AWS_ENDPOINT_URL"]);
    // Neither key nor role: the machine itself is asked, and does not answer.
    let nobody = [
        ("AWS_ENDPOINT_URL", server.environment(ADMIN)[0].1.clone()),
        ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9".into()),
    ];
    check(&lake, &nobody, 69, &["127.0.0.1:9", "cannot be written"]);
    check("s3://", &server.environment(ADMIN), 64, &["s3://"]);
    let half = [("AWS_ACCESS_KEY_ID", "half".to_owned())];
    check(&lake, &half, 64, &["Missing SecretAccessKey", "variables AWS_*"]);
}
