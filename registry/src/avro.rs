//! What two Avro schemas have to do with each other.
//!
//! Responsible for the two relations that matter: the same for a decoder (equal in the Parsing Canonical Form of the Avro
//! specification 1.12), and readable (its schema resolution). Promises for readable a right answer for schemas of
//! records, unions and primitive types; whatever else occurs has to be equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The schema without what a decoder does not look at: docs, defaults, aliases, logical types, order of keys. `None` where
/// the text is no schema.
pub(crate) fn canonical(schema: &str) -> Option<Value> {
    Some(stripped(&serde_json::from_str(schema).ok()?, ""))
}

fn stripped(schema: &Value, namespace: &str) -> Value {
    match schema {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => schema.clone(),
        Value::String(name) => full_name(name, namespace).into(),
        Value::Array(branches) => branches.iter().map(|branch| stripped(branch, namespace)).collect(),
        Value::Object(object) => stripped_object(object, namespace),
        other => other.clone(),
    }
}

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

fn stripped_object(object: &Map<String, Value>, namespace: &str) -> Value {
    let kind = object.get("type").unwrap_or(&Value::Null);
    let Some(kind) = kind.as_str().filter(|kind| !PRIMITIVES.contains(kind)) else { return stripped(kind, namespace) };
    let own = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let name = object.get("name").and_then(Value::as_str).map(|name| full_name(name, own));
    let inner = name.as_ref().and_then(|name| name.rsplit_once('.')).map_or("", |(namespace, _)| namespace);
    let inner = if name.is_some() { inner } else { namespace };
    let mut kept = BTreeMap::from([("type", Value::from(kind))]);
    kept.extend(name.as_deref().map(|name| ("name", Value::from(name))));
    for key in ["symbols", "size"] {
        kept.extend(object.get(key).map(|value| (key, value.clone())));
    }
    for key in ["items", "values"] {
        kept.extend(object.get(key).map(|value| (key, stripped(value, inner))));
    }
    if let Some(Value::Array(fields)) = object.get("fields") {
        let field = |field: &Value| {
            let kind = stripped(field.get("type").unwrap_or(&Value::Null), inner);
            serde_json::json!({"name": field.get("name"), "type": kind})
        };
        kept.insert("fields", fields.iter().map(field).collect());
    }
    serde_json::json!(kept)
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// Whether what was written with `writer` can be read with `reader`, which is what BACKWARD compatibility asks of a new
/// version; if not, why.
pub(crate) fn readable(reader: &str, writer: &str) -> Result<(), String> {
    let parse = |schema| serde_json::from_str::<Value>(schema).map_err(|error| format!("it is no schema: {error}"));
    let (reader_value, writer_value) = (parse(reader)?, parse(writer)?);
    resolves(&reader_value, &writer_value)
}

fn resolves(reader: &Value, writer: &Value) -> Result<(), String> {
    match (reader, writer) {
        (_, Value::Array(branches)) => branches.iter().try_for_each(|branch| resolves(reader, branch)),
        (Value::Array(branches), _) => {
            let any = branches.iter().any(|branch| resolves(branch, writer).is_ok());
            any.then_some(()).ok_or_else(|| format!("{} cannot be read as {}", kind(writer), kind(reader)))
        }
        _ => match (kind(reader), kind(writer)) {
            ("record", "record") => records(reader, writer),
            (to, from) if promotes(from, to) => Ok(()),
            (to, from) if to != from => Err(format!("{from} cannot be read as {to}")),
            (to, _) if PRIMITIVES.contains(&to) => Ok(()),
            _ if stripped(reader, "") == stripped(writer, "") => Ok(()),
            (to, _) => Err(format!("two schemas of the type {to} differ")),
        },
    }
}

/// Primitive types that may be read as wider ones.
fn promotes(from: &str, to: &str) -> bool {
    match from {
        "int" => ["long", "float", "double"].contains(&to),
        "long" => ["float", "double"].contains(&to),
        "float" => to == "double",
        "string" => to == "bytes",
        "bytes" => to == "string",
        _ => false,
    }
}

fn kind(schema: &Value) -> &str {
    match schema {
        Value::String(name) => name,
        Value::Object(object) => object.get("type").map_or("nothing", kind),
        Value::Array(_) => "a union",
        _ => "nothing",
    }
}

fn records(reader: &Value, writer: &Value) -> Result<(), String> {
    let name = |record: &Value| record.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    if last(&name(reader)) != last(&name(writer)) {
        return Err(format!("the record {} is another one than {}", name(writer), name(reader)));
    }
    let array = |of: &Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let written = array(writer, "fields");
    for field in array(reader, "fields") {
        let field_name = name(&field);
        let aliases = array(&field, "aliases");
        let is_called = |other: &&Value| name(other) == field_name || aliases.contains(&other["name"]);
        match written.iter().find(is_called) {
            Some(other) => {
                resolves(&field["type"], &other["type"]).map_err(|why| format!("field {field_name}: {why}"))?
            }
            None if field.get("default").is_some() => {}
            None => return Err(format!("field {field_name}: it was not written and has no default")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"Event","namespace":"footfall","fields":[{fields}]}}"#)
    }

    #[test]
    fn schemas_that_decode_alike_have_one_canonical_form() {
        #[track_caller]
        fn check(left: &str, right: &str, same: bool) {
            assert_eq!(canonical(left) == canonical(right), same, "{left} and {right}");
        }
        let plain = record(r#"{"name":"a","type":"string"},{"name":"t","type":["null","long"]}"#);
        check(
            &plain,
            r#"{"name":"footfall.Event","doc":"d","aliases":["E"],"type":"record","fields":[
                {"default":"","type":{"type":"string"},"name":"a","doc":"x"},
                {"name":"t","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null}]}"#,
            true,
        );
        check(&plain, &plain.replace("footfall", "other"), false);
        check(&plain, &plain.replace(r#""long""#, r#""int""#), false);
        check(&plain, &plain.replace(r#""null","long""#, r#""long","null""#), false);
        check(&plain, &record(r#"{"name":"t","type":["null","long"]},{"name":"a","type":"string"}"#), false);
        let nested =
            |name: &str| record(&format!(r#"{{"name":"s","type":{{"type":"fixed","name":"{name}","size":4}}}}"#));
        check(&nested("F"), &nested("footfall.F"), true);
        check(&nested("F"), &nested("other.F"), false);
        assert_eq!(canonical("no schema"), None);
    }

    #[test]
    fn a_new_version_reads_an_old_one_if_every_field_is_there_or_has_a_default() {
        #[track_caller]
        fn check(reader: &str, writer: &str, expected: Option<&str>) {
            let why = readable(reader, writer).err();
            assert_eq!(why.is_some(), expected.is_some(), "{why:?}");
            assert!(why.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
        let old = record(r#"{"name":"a","type":"string"}"#);
        check(&old, &old, None);
        check(&record(r#"{"name":"a","type":["null","string"],"default":null}"#), &old, None);
        check(&record(r#"{"name":"a","type":"string"},{"name":"b","type":"long","default":0}"#), &old, None);
        check(&record(""), &old, None);
        check(&record(r#"{"name":"b","aliases":["a"],"type":"string"}"#), &old, None);
        check(&record(r#"{"name":"b","aliases":["a"],"type":"long"}"#), &old, Some("field b: string cannot be read"));
        check(&record(r#"{"name":"a","type":"string"},{"name":"b","type":"long"}"#), &old, Some("field b"));
        check(&record(r#"{"name":"a","type":"long"}"#), &old, Some("field a: string cannot be read as long"));
        check(
            &old,
            &record(r#"{"name":"a","type":["null","string"]}"#),
            Some("field a: null cannot be read as string"),
        );
        let number = |kind: &str| record(&format!(r#"{{"name":"a","type":"{kind}"}}"#));
        check(&number("double"), &number("int"), None);
        check(&number("int"), &number("long"), Some("long cannot be read as int"));
        check(&old, &old.replace("Event", "Order"), Some("the record Order"));
        check(&old, r#""string""#, Some("string cannot be read as record"));
        check(&old, "nonsense", Some("it is no schema"));
    }
}
