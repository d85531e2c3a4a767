//! Schema ids from a registry with Confluent's API
//! (<https://docs.confluent.io/platform/current/schema-registry/develop/api.html>), which Apicurio and others have too.
//!
//! Responsible for two questions: under which id may the gateway write, and what does the id of a record stand for.
//! Promises that a registry which is down stops nothing that was learned before: ids never change their meaning, so
//! what was learned is kept in a file. Knows no event: the schema is the caller's text.

/// What two schemas have to do with each other.
mod avro;
/// What was learned, in a file.
mod cache;
/// The calls.
mod client;
/// What ids stand for.
mod reader;
/// Where the registry is and how it is used.
mod settings;
/// The id to write.
mod writer;

pub use self::{
    client::Error,
    reader::{Answer, Reader},
    settings::{Settings, SettingsError},
    writer::{Learned, WriterError, writer_id},
};
