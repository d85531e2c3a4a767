//! A new version of the event's schema comes while everything runs.
//!
//! Goal: no stop, no loss, each user's order, and files of both versions that analysts read as one table. Method: an
//! old gateway and a new one take every user's events in turn, while an old sink and a new one share a group; then the
//! old ones are replaced. "Old" is the same binary with `schema.version = 1`: it writes, reads and has columns for
//! nothing of version 2. What a registry says the old sink has learned from a real one, or before from one that is down
//! now. The audit derives the files of both from the log.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use apicurio::Apicurio;
use event::Version;
use kafka::Broker;
use serde_json::{Value, json};

use crate::audit;
use crate::lake::footers;
use crate::service::{PARTITIONS, Service, folder, free_port, post, stopped_gateway, stopped_sink};

const USERS: usize = 20;

/// Prints what DuckDB and Polars find, in the order of the log, and how many files have and lack the new column.
const READERS: &str = r#"
import glob, json, sys
import duckdb, polars
files = sorted(glob.glob(f"{sys.argv[1]}/events/topic=*/*/*.parquet"))
names = ["user_id", "event_id", "timezone", "_partition", "_offset"]
table = duckdb.sql(f"SELECT {', '.join(names)}, properties->>'timezone' FROM read_parquet({files}, union_by_name=true)")
rows = table.order("_partition, _offset").fetchall()
frame = polars.concat([polars.read_parquet(f) for f in files], how="diagonal").select(names).sort("_partition", "_offset")
having = sum("timezone" in polars.read_parquet_schema(f) for f in files)
print(json.dumps({"rows": rows, "same": frame.rows() == [row[:-1] for row in rows], "files": [having, len(files) - having]}))
"#;

#[test]
fn a_new_version_comes_without_a_stop_or_a_loss() {
    if kafka::left_out() {
        return;
    }
    let folder = folder("evolution");
    let url = "http://127.0.0.1:9";
    let learned = json!({url: {Version::V2.schema_id().to_string(): Version::V2.schema()}});
    std::fs::write(folder.path().join("old-sink.schemas.json"), learned.to_string()).expect("written");
    evolve(folder.path(), url, |_, _| {});
}

#[test]
#[ignore = "needs a schema registry (142 MB): cargo test --workspace -- --ignored registry"]
fn a_new_version_comes_by_a_registry_without_a_stop_or_a_loss() {
    if kafka::left_out() {
        return;
    }
    let (apicurio, folder) = (Apicurio::start(), folder("evolution-registry"));
    let set = |service: &mut Service, name: &str| {
        registry(service, apicurio.url(), &folder.path().join(format!("{name}.json")));
    };
    evolve(folder.path(), apicurio.url(), set);
}

const REGISTRY_URL: &str = "FOOTFALL__SCHEMA__REGISTRY__URL";
const REGISTRY_CACHE: &str = "FOOTFALL__SCHEMA__REGISTRY__CACHE";

fn registry(service: &mut Service, url: &str, cache: &Path) {
    service.set(REGISTRY_URL, url);
    service.set(REGISTRY_CACHE, cache.to_str().expect("UTF-8"));
}

fn old(service: &mut Service) {
    service.set("FOOTFALL__SCHEMA__VERSION", "1");
}

/// The old sink learns from the registry at `url`, or has learned before; `others` sets up the rest.
fn evolve(folder: &Path, url: &str, others: impl Fn(&mut Service, &str)) {
    let Some(python) = readers::python(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let (broker, lake, ports) = (Broker::shared(), folder.join("lake"), [free_port(), free_port()]);
    let topic = broker.fresh_topic("evolution", PARTITIONS);
    std::fs::create_dir_all(&lake).expect("a folder");
    let gateway = |name: &str, port| stopped_gateway(name, broker, &topic, port, folder);
    let mut gateways = [gateway("old-gateway", ports[0]), gateway("new-gateway", ports[1])];
    let mut sinks = ["old-sink", "new-sink"].map(|name| stopped_sink(name, broker, &topic, &lake, folder));
    old(&mut gateways[0]);
    old(&mut sinks[0]);
    others(&mut gateways[0], "old-gateway");
    others(&mut gateways[1], "new-gateway");
    let learned = folder.join("old-sink.json");
    registry(&mut sinks[0], url, &learned);
    others(&mut sinks[1], "new-sink");
    gateways.iter_mut().chain(&mut sinks).for_each(Service::restart);

    let mut offer = Offer { ports, rounds: 0 };
    let [old_sink, new_sink] = &mut sinks;
    let metric = |sink: &Service, name: &str| sink.value(name).unwrap_or_default();
    offer.until("both sinks have written what both gateways did", || {
        metric(old_sink, "footfall_sink_resolved_total") > 0.0 && metric(new_sink, "footfall_sink_rows_total") > 0.0
    });
    old_sink.terminate();
    let [old_gateway, _] = &mut gateways;
    old_gateway.terminate();
    old_gateway.set("FOOTFALL__SCHEMA__VERSION", "2");
    old_gateway.restart();
    let before = metric(new_sink, "footfall_sink_rows_total");
    offer.until("the new ones are alone", || metric(new_sink, "footfall_sink_rows_total") > before);

    let events = offer.rounds * USERS;
    let total = |key: &str| -> u64 {
        footers(&lake, &topic).into_values().map(|footer| footer[key].parse::<u64>().expect("a number")).sum()
    };
    eventually("all rows are there", || total("rows") >= events as u64);
    new_sink.terminate();
    assert_eq!((total("rows"), total("dead_letters")), (events as u64, 0));
    let learned = [(REGISTRY_URL, url), (REGISTRY_CACHE, learned.to_str().expect("UTF-8"))];
    assert_eq!(audit::must_be_clean(broker, &topic, &lake, &learned).rows, events as u64);
    let said = readers::said(&python, READERS, &[lake.to_str().expect("UTF-8")]);
    judge(&serde_json::from_str(&said).expect("JSON"), events);
}

/// Every event once, each user's in order; the new column where a new gateway wrote and a new sink read, and the
/// property everywhere.
fn judge(said: &Value, events: usize) {
    assert_eq!(said["same"], true, "DuckDB and Polars find the same");
    for files in said["files"].as_array().expect("two numbers") {
        assert!(files.as_u64().expect("a number") > 0, "files of both versions: {}", said["files"]);
    }
    let rows = said["rows"].as_array().expect("rows");
    let (mut last, mut zones) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let number: usize = row[1].as_str().expect("an id")[1..].parse().expect("a number");
        if let Some(before) = last.insert(row[0].to_string(), number) {
            assert_eq!(number, before + USERS, "user {} has e{before} before e{number}", row[0]);
        }
        *zones.entry(row[2].to_string()).or_insert(0) += 1;
        assert_eq!(row[5], "Europe/Berlin", "the property is there, whoever wrote and read it");
    }
    assert_eq!((rows.len(), last.len()), (events, USERS), "each event is one row");
    assert_eq!(zones.into_keys().collect::<Vec<_>>(), ["\"Europe/Berlin\"", "null"]);
}

/// Events of all users, each round by the other gateway.
struct Offer {
    ports: [u16; 2],
    rounds: usize,
}

impl Offer {
    fn until(&mut self, what: &str, mut is_true: impl FnMut() -> bool) {
        let least = self.rounds + 20;
        eventually(what, || {
            let numbers = self.rounds * USERS..(self.rounds + 1) * USERS;
            let event = |n: usize| {
                let (user, id) = (format!("u{}", n % USERS), format!("e{n}"));
                json!({"event_id": id, "type": "click", "user_id": user, "timezone": "Europe/Berlin"})
            };
            post(self.ports[self.rounds % 2], &numbers.map(event).collect::<Value>().to_string());
            self.rounds += 1;
            self.rounds > least && is_true()
        });
    }
}

fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_true() {
        assert!(Instant::now() < deadline, "not after two minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
