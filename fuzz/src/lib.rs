//! Fuzz targets: one for each parser that reads what comes from outside.
//!
//! Responsible for what must hold for every input whatsoever, not only that nothing panics: each target holds its parser
//! against another, slower one, or against what went in. Promises that a target's verdict depends on its input alone, so
//! that a found input stays found. The engine is libFuzzer, by `fuzz/run`; without it the kept corpus is replayed as a
//! plain test.

/// Avro values to events and back.
mod avro;
/// Bodies on their way in: pieces, encodings, caps.
mod body;
/// The text fields of an event by wire name.
mod fields;
/// Where a request says that it comes from.
mod forwarded;
/// Write keys in the places where clients put them.
mod key;
/// The native dialect's bodies.
mod native;
/// The pixel's queries.
mod pixel;
/// What an event of the native dialect should become.
mod reference;
/// The bodies of Segment's API.
mod segment;
/// What must hold of every body that was taken, whatever its dialect.
mod taken;
/// RFC 3339 texts.
mod time;

/// One parser under fuzzing.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the folder of its corpus.
    pub name: &'static str,
    /// Panics if anything that must hold does not.
    pub run: fn(&[u8]),
}

/// All of them, in the order of a request's path.
pub const TARGETS: [Target; 8] = [
    Target { name: "key", run: key::run },
    Target { name: "forwarded", run: forwarded::run },
    Target { name: "body", run: body::run },
    Target { name: "native", run: native::run },
    Target { name: "segment", run: segment::run },
    Target { name: "pixel", run: pixel::run },
    Target { name: "time", run: time::run },
    Target { name: "avro", run: avro::run },
];
