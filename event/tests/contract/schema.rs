//! The schema file says what the struct says.

use std::collections::BTreeSet;

use event::{Event, Version};
use serde_json::{Value, json};

use crate::fields::{Field, fields};

fn schema(version: Version) -> Value {
    serde_json::from_str(version.schema()).expect("the schema file is JSON")
}

fn schema_fields(version: Version) -> Vec<Value> {
    schema(version)["fields"].as_array().expect("a record has fields").clone()
}

fn names(version: Version) -> Vec<String> {
    schema_fields(version).iter().map(|field| field["name"].as_str().expect("a field has a name").to_owned()).collect()
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
fn every_schema_is_the_record_event_of_footfall() {
    for (version, number) in Version::ALL.into_iter().zip(1..) {
        let schema = schema(version);
        assert_eq!(
            (&schema["type"], &schema["name"], &schema["namespace"]),
            (&json!("record"), &json!("Event"), &json!("footfall"))
        );
        assert!(schema["doc"].is_string());
        assert_eq!((version.number(), Version::of_number(number)), (number, Some(version)));
        assert_eq!(Version::of_schema_id(version.schema_id()), Some(version));
    }
    assert_eq!(Version::ALL.map(Version::schema_id), [1, 0x7f00_0002], "published ids never change");
    assert_eq!(Version::of_schema_id(2), None, "a registry gives it to anything");
    assert_eq!((Version::of_number(0), Version::of_number(3)), (None, None));
    assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
}

#[test]
fn the_newest_schema_has_the_fields_of_the_struct_in_its_order() {
    assert_eq!(names(Version::NEWEST), struct_names());
    assert_eq!(names(Version::NEWEST), fields(&Event::default()).map(|(name, _)| name));
}

/// Then the form of a value tells its version, and a row's hash does not depend on it.
#[test]
fn a_version_begins_with_all_of_the_one_before_and_adds_optional_fields() {
    for pair in Version::ALL.windows(2) {
        let (old, new) = (schema_fields(pair[0]), schema_fields(pair[1]));
        let (same, added) = new.split_at(old.len());
        for (old, new) in old.iter().zip(same) {
            assert_eq!(
                (&old["name"], &old["type"], old.get("default")),
                (&new["name"], &new["type"], new.get("default"))
            );
        }
        assert!(!added.is_empty());
        for field in added {
            assert_eq!((&field["type"], field.get("default")), (&json!(["null", "string"]), Some(&Value::Null)));
        }
    }
}

#[test]
fn every_field_has_its_type_its_default_and_a_doc() {
    for version in Version::ALL {
        for (schema, (name, field)) in schema_fields(version).iter().zip(fields(&Event::default())) {
            let (expected, default) = match field {
                Field::Text(_) => (json!("string"), None),
                Field::Optional(_) => (json!(["null", "string"]), Some(&Value::Null)),
                Field::Time(_) => (json!({"type": "long", "logicalType": "timestamp-micros"}), None),
            };
            assert_eq!((&schema["type"], schema.get("default")), (&expected, default), "{name}");
            assert!(schema["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{name} has no doc");
        }
    }
}

/// A name that two fields go by would be read as the one or the other.
#[test]
fn no_field_and_no_alias_is_twice() {
    for (version, count) in Version::ALL.into_iter().zip([27, 28 + 5]) {
        let fields = schema_fields(version);
        let aliases = fields.iter().flat_map(|field| field["aliases"].as_array().cloned().unwrap_or_default());
        let called: BTreeSet<_> =
            fields.iter().map(|field| field["name"].clone()).chain(aliases).map(|name| name.to_string()).collect();
        assert_eq!(called.len(), count);
    }
}
