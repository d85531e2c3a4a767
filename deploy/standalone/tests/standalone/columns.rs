//! Goal: a promoted property is a typed column for the readers that people use, and files from before and after a change
//! of the settings are one table. Method: POST, change the settings, POST, ask DuckDB and Polars.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::footfall::{Footfall, eventually};

const COLUMNS: &str = "
[[columns]]
name = 'plan'
from = 'properties.plan'
type = 'string'

[[columns]]
name = 'seats'
from = 'properties.account.seats'
type = 'long'

[[columns]]
name = 'price'
from = 'properties.price'
type = 'double'

[[columns]]
name = 'trial'
from = 'properties.trial'
type = 'boolean'

[[columns]]
name = 'since'
from = 'properties.since'
type = 'timestamp'
";

/// Prints what DuckDB and Polars find, each as JSON on a line of its own.
const READERS: &str = r#"
import glob, json, sys
import duckdb, polars
files = f"{sys.argv[1]}/events/topic=events/*/*.parquet"
names = ["event_id", "plan", "seats", "price", "trial", "since"]
def say(types, rows):
    rows = [[v.isoformat() if hasattr(v, "isoformat") else v for v in row] for row in rows]
    print(json.dumps({"types": types, "rows": rows}))
duckdb.sql("SET TimeZone = 'UTC'")
table = duckdb.sql(f"SELECT {', '.join(names)} FROM read_parquet('{files}', union_by_name=true) ORDER BY event_id")
say([str(t) for t in table.types], table.fetchall())
whole = duckdb.sql(f"SELECT properties->>'plan' FROM read_parquet('{files}', union_by_name=true) ORDER BY event_id")
print(json.dumps([row[0] for row in whole.fetchall()]))
frame = polars.concat([polars.read_parquet(f) for f in sorted(glob.glob(files))], how="diagonal").select(names).sort("event_id")
say([str(t) for t in frame.dtypes], frame.rows())
"#;

fn write(data: &Path, config: &str, events: &[&str]) -> Footfall {
    let file = data.join("footfall.toml");
    std::fs::write(&file, config).expect("written");
    let footfall = Footfall::start(data, &["--config", file.to_str().expect("UTF-8"), "--roll-interval", "1s"]);
    for event in events {
        assert_eq!(footfall.post(event).status, 200, "{event}");
    }
    footfall
}

fn end(footfall: Footfall) {
    footfall.signal(Signal::TERM);
    assert_eq!(footfall.ended().code(), Some(0));
}

#[test]
fn promoted_properties_are_typed_columns_beside_files_that_have_none() {
    let Some(python) = readers::python(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let data = tempfile::tempdir().expect("a temporary folder");
    let before = r#"{"event_id":"e1","type":"click","user_id":"u1","properties":{"plan":"free"}}"#;
    end(write(data.path(), "", &[before]));
    let whole = r#"{"event_id":"e2","type":"click","user_id":"u1","properties":{"plan":"pro","account":{"seats":12},
        "price":9.5,"trial":false,"since":"2026-01-02T03:04:05.678+01:00"}}"#;
    // A key that the contract has no field for is a property too.
    let wrong = r#"{"event_id":"e3","type":"click","user_id":"u2","plan":"team","properties":{"account":{"seats":"12"},
        "price":7,"trial":1}}"#;
    let footfall = write(data.path(), COLUMNS, &[&whole.replace('\n', ""), &wrong.replace('\n', "")]);
    let lake = footfall.lake.clone();
    let mismatches = |name: &str| {
        let line = format!("footfall_sink_column_mismatches_total{{column=\"{name}\"}} ");
        let metrics = footfall.get("/metrics").body;
        metrics
            .lines()
            .find_map(|found| found.strip_prefix(&line))
            .expect("a counter")
            .parse::<u64>()
            .expect("a number")
    };
    eventually("the rows are committed", || (mismatches("seats") == 1).then_some(()));
    assert_eq!(["plan", "price", "trial", "since"].map(mismatches), [0, 0, 1, 0]);
    end(footfall);
    // Fewer columns again: the table keeps those of the older files.
    end(write(
        data.path(),
        COLUMNS.split("[[columns]]\nname = 'seats'").next().expect("text"),
        &[r#"{"event_id":"e4","type":"click","user_id":"u1","properties":{"plan":"max","price":1}}"#],
    ));

    let said = readers::said(&python, READERS, &[lake.to_str().expect("UTF-8")]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rows = json!([
        ["e1", null, null, null, null, null],
        ["e2", "pro", 12, 9.5, false, "2026-01-02T02:04:05.678000+00:00"],
        ["e3", "team", null, 7.0, null, null],
        ["e4", "max", null, null, null, null],
    ]);
    let duckdb = ["VARCHAR", "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"];
    assert_eq!(lines[0], json!({"types": duckdb, "rows": rows}), "DuckDB");
    assert_eq!(lines[1], json!(["free", "pro", "team", "max"]), "the property stays where it was");
    let utc = "Datetime(time_unit='us', time_zone='UTC')";
    let polars = ["String", "String", "Int64", "Float64", "Boolean", utc];
    assert_eq!(lines[2], json!({"types": polars, "rows": rows}), "Polars");
}
