//! Goal: each source wins where it should, and no unknown key passes. Method: real TOML files and a given environment.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    gateway: Gateway,
    sink: Sink,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Gateway {
    listen: String,
    source: String,
    tags: Vec<String>,
    kafka: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sink {
    rows_max: u64,
    fsync: bool,
    budget: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        let gateway =
            Gateway { listen: "default".into(), source: "default".into(), tags: vec![], kafka: BTreeMap::new() };
        Settings { gateway, sink: Sink::default() }
    }
}
impl Default for Gateway {
    fn default() -> Gateway {
        Settings::default().gateway
    }
}
impl Default for Sink {
    fn default() -> Sink {
        Sink { rows_max: 10, fsync: true, budget: None }
    }
}

#[derive(Default, Serialize)]
struct Flags {
    gateway: GatewayFlags,
}
#[derive(Default, Serialize)]
struct GatewayFlags {
    listen: Option<String>,
    source: Option<String>,
}

fn load(file: &str, environment: &[(&str, &str)], flags: impl Serialize) -> Result<Settings, SettingsError> {
    let mut on_disk = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
    on_disk.write_all(file.as_bytes()).expect("written");
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    load_with((), environment, Some(on_disk.path()), flags)
}

fn listen(text: &str) -> Flags {
    Flags { gateway: GatewayFlags { listen: Some(text.into()), source: None } }
}

#[test]
fn flag_over_environment_over_file_over_default() {
    #[track_caller]
    fn check(file: &str, environment: &[(&str, &str)], flags: Flags, listen: &str) {
        let settings = load(file, environment, flags).expect("valid settings");
        assert_eq!((settings.gateway.listen.as_str(), settings.gateway.source.as_str()), (listen, "default"));
    }
    let file = "[gateway]\nlisten = 'file'";
    let environment = [("FOOTFALL__GATEWAY__LISTEN", "environment"), ("FOOTFALL_TEST_X", "not ours"), ("PATH", "x")];
    check("", &[], Flags::default(), "default");
    check(file, &[], Flags::default(), "file");
    check(file, &environment, Flags::default(), "environment");
    check(file, &environment, listen("flag"), "flag");
    check(file, &[], listen("flag"), "flag");
}

#[test]
fn variables_take_the_type_of_the_setting() {
    let settings = load(
        "[gateway.kafka]\n'linger.ms' = '5'",
        &[
            ("FOOTFALL__SINK__ROWS_MAX", "7"),
            ("FOOTFALL__SINK__FSYNC", "false"),
            ("FOOTFALL__SINK__BUDGET", "3"),
            ("FOOTFALL__GATEWAY__SOURCE", "123"),
            ("FOOTFALL__GATEWAY__TAGS", "[\"a\", \"b\"]"),
        ],
        (),
    )
    .expect("valid settings");
    assert_eq!(settings.sink, Sink { rows_max: 7, fsync: false, budget: Some(3) });
    assert_eq!(settings.gateway.source, "123");
    assert_eq!(settings.gateway.tags, ["a", "b"]);
    assert_eq!(settings.gateway.kafka["linger.ms"], "5");
}

#[test]
fn what_is_wrong_is_named_with_its_origin_and_what_is_allowed() {
    #[track_caller]
    fn check(file: &str, environment: &[(&str, &str)], parts: &[&str]) {
        let line = Failure::from(load(file, environment, ()).expect_err("must be refused")).to_string();
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
    let allowed = "allowed here: listen, source, tags, kafka";
    check("[gateway]\nlistn = 'x'", &[], &["unknown key `gateway.listn` in /", ".toml", allowed]);
    check("[gatway]\nlisten = 'x'", &[], &["unknown key `gatway` in /", "allowed here: gateway, sink"]);
    check("top = 1", &[], &["unknown key `top` in /"]);
    let variable = "unknown key `FOOTFALL__GATEWAY__LISTN` in the environment";
    check("", &[("FOOTFALL__GATEWAY__LISTN", "x")], &[variable, allowed]);
    check("[gateway]\nsource = 'x'", &[("FOOTFALL__GATEWAY__LISTN", "x")], &[variable]);
    check("", &[("FOOTFALL__GATEWAY", "x")], &["bad value for `FOOTFALL__GATEWAY` in the environment"]);
    check("", &[("FOOTFALL__", "x")], &["FOOTFALL__ is not a setting", "FOOTFALL__SECTION__KEY"]);
    check("[sink]\nrows_max = 'many'", &[], &["bad value for `sink.rows_max` in /", "\"many\""]);
    check("", &[("FOOTFALL__SINK__ROWS_MAX", "-1")], &["bad value for `FOOTFALL__SINK__ROWS_MAX` in the environment"]);
    check("[sink]\nrows_max = ", &[], &["is not valid TOML: at line 2, column 12"]);
    check("a = 1\na = 2", &[], &["is not valid TOML: at line 2, column 1: duplicate key `a`"]);
}

#[test]
fn a_flag_that_is_no_setting_is_refused_too() {
    #[derive(Serialize)]
    struct Stray {
        roll_every: u32,
    }
    let error = load("", &[], Stray { roll_every: 1 }).expect_err("must be refused");
    assert!(error.to_string().starts_with("unknown key `--roll-every` on the command line"), "{error}");
}

#[test]
fn a_binary_may_have_defaults_of_its_own() {
    #[track_caller]
    fn check(environment: &[(&str, &str)], rows_max: u64, fsync: bool) {
        let defaults = BTreeMap::from([("sink", BTreeMap::from([("rows_max", 3)]))]);
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Settings = load_with(defaults, environment, None, ()).expect("valid settings");
        assert_eq!((settings.sink.rows_max, settings.sink.fsync), (rows_max, fsync));
    }
    check(&[], 3, true);
    // Another key of the same section does not bring back the type's own default.
    check(&[("FOOTFALL__SINK__FSYNC", "false")], 3, false);
    check(&[("FOOTFALL__SINK__ROWS_MAX", "4")], 4, true);
}

#[test]
fn a_missing_file_is_an_error() {
    let error =
        load_with::<Settings>((), [], Some(Path::new("/nonexistent/footfall.toml")), ()).expect_err("must be refused");
    let line = error.to_string();
    assert!(line.starts_with("cannot read the settings file /nonexistent/footfall.toml: No such file"), "{line}");
    assert_eq!(Failure::from(error).code(), 64);
}
