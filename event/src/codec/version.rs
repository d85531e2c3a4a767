//! Versions of the schema.
//!
//! Responsible for what is fixed about each: its schema file and its built-in id. Promises that neither ever changes,
//! and that a version begins with all fields of the one before it, so that the form of a value tells its version.

/// A version of the event's schema; later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The first.
    V1,
    /// Adds `timezone`.
    V2,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Version; 2] = [Version::V1, Version::V2];
    /// What is written where nobody asks for an older one.
    pub const NEWEST: Version = Version::V2;

    /// The number that people know it by, from 1 on.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }

    /// The version of a number.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.number() == number)
    }

    /// Id in the frame where no registry gives the schema another one. That of the first version is an id that
    /// registries give, too; those of later ones lie where no registry's counter gets.
    #[must_use]
    pub const fn schema_id(self) -> u32 {
        match self {
            Version::V1 => 1,
            Version::V2 => 0x7f00_0002,
        }
    }

    /// The version of a built-in id.
    #[must_use]
    pub fn of_schema_id(id: u32) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.schema_id() == id)
    }

    /// The Avro schema, as JSON.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Version::V1 => include_str!("../../schema/event.v1.avsc"),
            Version::V2 => include_str!("../../schema/event.v2.avsc"),
        }
    }
}
