//! Goal: docs/openapi.json says what the gateway does, no more and no less. Method: the document beside the route table and
//! the list of refusals, both ways.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ROUTES, Target};
use crate::rejection::Code;

fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("docs/openapi.json is JSON")
}

/// The value itself, or the one that its `$ref` names.
#[track_caller]
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    let pointer = reference.strip_prefix('#').expect("references stay within the document");
    document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let paths = ROUTES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(keys(&document["paths"]), paths);
    for (path, target) in ROUTES {
        let operations = resolved(&document, &document["paths"][path]);
        let methods = target.allow().split(", ").map(str::to_lowercase).collect();
        assert_eq!(keys(operations), methods, "{path}");
        let tag = match target {
            Target::Post(crate::dialect::Dialect::Segment(_)) => "segment",
            Target::Post(_) | Target::Pixel => "native",
            Target::Tag => "tag",
        };
        for (method, operation) in operations.as_object().expect("an object") {
            assert!(method == "options" || operation["tags"][0] == tag, "{method} {path}");
        }
    }
}

#[test]
fn every_refusal_is_described_under_its_status() {
    let mut described = BTreeMap::new();
    for (name, response) in document()["components"]["responses"].as_object().expect("an object") {
        let schema = &response["content"]["application/json"]["schema"];
        for code in schema["allOf"][1]["properties"]["code"]["enum"].as_array().into_iter().flatten() {
            let first = described.insert(code.as_str().expect("a text").to_owned(), name.clone()).is_none();
            assert!(first, "{code} stands twice");
        }
    }
    let codes = Code::ALL.iter().filter(|code| **code != Code::ClientGone);
    let names: BTreeSet<_> = codes.clone().map(|code| code.facts().name.to_owned()).collect();
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), names);
    // An operation lists a response under its status: all codes of a response must have that one.
    for (method_path, status, response) in answers() {
        for code in codes.clone().filter(|code| described[code.facts().name] == response) {
            assert_eq!(code.facts().status.as_str(), status, "{} at {method_path}", code.facts().name);
        }
    }
}

#[test]
fn every_operation_lists_every_status_that_it_can_answer() {
    let statuses: BTreeSet<_> = Code::ALL
        .iter()
        .filter(|code| !matches!(code, Code::ClientGone | Code::RouteNotFound | Code::MethodNotAllowed))
        .map(|code| code.facts().status.as_str().to_owned())
        .chain(["200".to_owned()])
        .collect();
    let mut listed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method_path, status, _) in answers() {
        listed.entry(method_path).or_default().insert(status);
    }
    for (path, target) in ROUTES {
        match target {
            Target::Post(_) => assert_eq!(listed[&format!("post {path}")], statuses, "{path}"),
            Target::Pixel => assert_eq!(listed[&format!("get {path}")], statuses, "{path}"),
            Target::Tag => assert!(listed[&format!("get {path}")].contains("200"), "{path}"),
        }
    }
}

/// Method and path, status, and name of the response, of every answer of every operation.
fn answers() -> Vec<(String, String, String)> {
    let document = document();
    let mut answers = Vec::new();
    for (path, item) in document["paths"].as_object().expect("an object") {
        for (method, operation) in resolved(&document, item).as_object().expect("an object") {
            for (status, response) in operation["responses"].as_object().expect("an object") {
                resolved(&document, response);
                let name = response["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
                answers.push((format!("{method} {path}"), status.clone(), name.to_owned()));
            }
        }
    }
    answers
}
