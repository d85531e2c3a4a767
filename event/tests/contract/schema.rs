//! The schema file says what the struct says.

use std::collections::BTreeSet;

use event::{Event, SCHEMA_ID, SCHEMA_V1};
use serde_json::{Value, json};

use crate::fields::{Field, fields};

fn schema() -> Value {
    serde_json::from_str(SCHEMA_V1).expect("the schema file is JSON")
}

fn schema_fields() -> Vec<Value> {
    schema()["fields"].as_array().expect("a record has fields").clone()
}

fn names() -> Vec<String> {
    schema_fields().iter().map(|field| field["name"].as_str().expect("a field has a name").to_owned()).collect()
}

/// The struct's own order, as `derive(Debug)` shows it, with `kind` under its wire name.
fn struct_names() -> Vec<String> {
    let shown = format!("{:#?}", Event::default());
    shown
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
        .map(|(name, _)| if name == "kind" { "type".to_owned() } else { name.to_owned() })
        .collect()
}

#[test]
fn the_schema_is_the_record_event_of_footfall() {
    let schema = schema();
    assert_eq!(
        (&schema["type"], &schema["name"], &schema["namespace"]),
        (&json!("record"), &json!("Event"), &json!("footfall"))
    );
    assert!(schema["doc"].is_string());
    assert_eq!(SCHEMA_ID, 1);
}

#[test]
fn the_schema_has_the_fields_of_the_struct_in_its_order() {
    assert_eq!(names(), struct_names());
    assert_eq!(names(), fields(&Event::default()).map(|(name, _)| name));
}

#[test]
fn every_field_has_its_type_its_default_and_a_doc() {
    for (schema, (name, field)) in schema_fields().iter().zip(fields(&Event::default())) {
        let (expected, default) = match field {
            Field::Text(_) => (json!("string"), None),
            Field::Optional(_) => (json!(["null", "string"]), Some(&Value::Null)),
            Field::Time(_) => (json!({"type": "long", "logicalType": "timestamp-micros"}), None),
        };
        assert_eq!((&schema["type"], schema.get("default")), (&expected, default), "{name}");
        assert!(schema["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{name} has no doc");
    }
}

#[test]
fn no_field_is_twice() {
    assert_eq!(names().iter().collect::<BTreeSet<_>>().len(), 27);
}
