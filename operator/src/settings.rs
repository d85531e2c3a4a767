//! Responsible for settings: flag over environment (`FOOTFALL__SECTION__KEY`) over TOML file over default. Promises that a
//! key nobody reads is refused, wherever it stands, with a message that names it, its origin and what is allowed. Leaves
//! the meaning of values, and rules between them, to the settings types.
//!
//! Settings types derive `Deserialize` with `#[serde(default, deny_unknown_fields)]` on every struct, and never use
//! `flatten` or `untagged`: both would swallow unknown keys or their names.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::Dict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;

mod layer;
#[cfg(test)]
mod tests;

/// Prefix of every environment variable that is a setting; levels are joined with two underscores.
pub const ENV_PREFIX: &str = "FOOTFALL__";

/// Why settings were refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{} is not valid TOML: {reason}", path.display())]
    NotToml { path: PathBuf, reason: String },
    #[error("{key} is not a setting: use {ENV_PREFIX}SECTION__KEY")]
    NotAVariable { key: String },
    #[error("unknown key {key}: {}", allowed(expected))]
    UnknownKey { key: Origin, expected: Vec<&'static str> },
    #[error("bad value for {key}: {reason}")]
    BadValue { key: Origin, reason: String },
}

/// A key as whoever wrote it spelled it, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Environment(String),
    File(String, PathBuf),
    /// In no source: a required key that is missing.
    Nowhere(String),
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Failure {
        Failure::config(error)
    }
}

/// Reads settings for this process. `flags` is any serialisable value shaped like `T`; what is `None` in it was not given
/// (`()` where there are no flags).
///
/// # Errors
/// The file cannot be read or is no TOML; a key is unknown; a value has the wrong type.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, flags: impl Serialize) -> Result<T, SettingsError> {
    load_over((), file, flags)
}

/// Like [`load`], for a binary whose defaults differ from those of the settings types it shares: `defaults` is shaped like
/// `T` and lies under everything else.
///
/// # Errors
/// As for [`load`].
pub fn load_over<T: DeserializeOwned>(
    defaults: impl Serialize,
    file: Option<&Path>,
    flags: impl Serialize,
) -> Result<T, SettingsError> {
    let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    load_with(defaults, std::env::vars_os().filter_map(text), file, flags)
}

/// Like [`load_over`], with the given environment instead of the process's own.
///
/// # Errors
/// As for [`load`].
pub fn load_with<T: DeserializeOwned>(
    defaults: impl Serialize,
    environment: impl IntoIterator<Item = (String, String)>,
    file: Option<&Path>,
    flags: impl Serialize,
) -> Result<T, SettingsError> {
    let layers = Layers {
        flags: layer::given(flags),
        environment: layer::environment(environment)?,
        file: file.map(layer::file).transpose()?.unwrap_or_default(),
        path: file.map(Path::to_owned).unwrap_or_default(),
    };
    let mut merged = layer::given(defaults);
    for upper in [&layers.file, &layers.environment, &layers.flags] {
        layer::merge(&mut merged, upper.clone());
    }
    // Lossy: variables are text, and `FOOTFALL__SINK__ROWS_MAX=100` must still become a number where one is wanted, and
    // stay text where the setting is text.
    Figment::from(Serialized::defaults(merged)).extract_lossy().map_err(|error| layers.explain(error))
}

struct Layers {
    flags: Dict,
    environment: Dict,
    file: Dict,
    path: PathBuf,
}

impl Layers {
    fn explain(&self, error: figment::Error) -> SettingsError {
        let key = self.origin(&error.path);
        match error.kind {
            Kind::UnknownField(_, expected) => SettingsError::UnknownKey { key, expected: expected.to_vec() },
            kind => SettingsError::BadValue { key, reason: kind.to_string() },
        }
    }

    /// The source that won for this key.
    fn origin(&self, path: &[String]) -> Origin {
        let dotted = path.join(".");
        if layer::has(&self.flags, path) {
            // Flags are named after their key: `--roll-interval` is `sink.roll_interval`.
            let name = path.last().map(String::as_str).unwrap_or_default();
            Origin::Flag(format!("--{}", name.replace('_', "-")))
        } else if layer::has(&self.environment, path) {
            Origin::Environment(format!("{ENV_PREFIX}{}", path.join("__").to_uppercase()))
        } else if layer::has(&self.file, path) {
            Origin::File(dotted, self.path.clone())
        } else {
            Origin::Nowhere(dotted)
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "`{name}` on the command line"),
            Origin::Environment(name) => write!(f, "`{name}` in the environment"),
            Origin::File(key, path) => write!(f, "`{key}` in {}", path.display()),
            Origin::Nowhere(key) => write!(f, "`{key}`"),
        }
    }
}

fn allowed(expected: &[&'static str]) -> String {
    if expected.is_empty() {
        return "no key is allowed here".to_owned();
    }
    format!("allowed here: {}", expected.join(", "))
}
