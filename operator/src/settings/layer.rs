//! Responsible for one source of settings each: flags, environment variables, the file; and for laying one over another.
//! Leaves unknown keys to the caller, which sees all sources.

use std::path::Path;

use figment::Provider;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use serde::Serialize;

use super::{ENV_PREFIX, SettingsError};

/// What a struct of flags or defaults says: everything that is not `None`.
pub(super) fn given(source: impl Serialize) -> Dict {
    let value = Value::serialize(source).expect("flags and defaults are plain structs, which serialise");
    value.into_dict().map(without_empty).unwrap_or_default()
}

fn without_empty(dict: Dict) -> Dict {
    dict.into_iter()
        .filter_map(|(key, value)| match value {
            Value::Empty(..) => None,
            Value::Dict(tag, inner) => Some((key, Value::Dict(tag, without_empty(inner)))),
            value => Some((key, value)),
        })
        .collect()
}

/// Variables that begin with the prefix. Text stays text, except that `[..]` and `{..}` are read as TOML.
pub(super) fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Dict, SettingsError> {
    let mut dict = Dict::new();
    for (name, text) in variables {
        let Some(key) = name.strip_prefix(ENV_PREFIX) else { continue };
        let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        if path.iter().any(String::is_empty) {
            return Err(SettingsError::NotAVariable { key: name });
        }
        let value = if text.starts_with(['[', '{']) {
            text.parse().unwrap_or_else(|_| Value::from(text.as_str()))
        } else {
            Value::from(text)
        };
        let nested = path.into_iter().rev().fold(value, |inner, key| Value::from(Dict::from([(key, inner)])));
        merge(&mut dict, nested.into_dict().expect("at least one level was wrapped"));
    }
    Ok(dict)
}

/// A TOML file. Unlike figment's own provider, a file that is missing is an error: it was named on purpose.
pub(super) fn file(path: &Path) -> Result<Dict, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
    let profiles = Toml::string(&text)
        .data()
        .map_err(|error| SettingsError::NotToml { path: path.to_owned(), reason: parse_reason(&error.to_string()) })?;
    Ok(profiles.into_values().next().unwrap_or_default())
}

/// Lays `upper` over `lower`: tables are merged, everything else is replaced.
pub(super) fn merge(lower: &mut Dict, upper: Dict) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Dict(_, below)), Value::Dict(_, above)) => merge(below, above),
            (_, value) => drop(lower.insert(key, value)),
        }
    }
}

pub(super) fn has(dict: &Dict, path: &[String]) -> bool {
    match path {
        [] => false,
        [key] => dict.contains_key(key),
        // A value of the wrong type in the middle (`gateway = 3`) is where the path ends.
        [key, rest @ ..] => match dict.get(key) {
            Some(Value::Dict(_, inner)) => has(inner, rest),
            other => other.is_some(),
        },
    }
}

/// The TOML parser draws the line with a caret under it; keep where and, where it says so, why.
fn parse_reason(text: &str) -> String {
    let (place, why): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("TOML parse error"));
    let place = place.concat();
    let why: Vec<&str> = why.into_iter().filter(|line| !line.contains(" |") && !line.trim().is_empty()).collect();
    [place.trim_start_matches("TOML parse error "), &why.join(" ")].join(": ").trim_end_matches(": ").to_owned()
}
