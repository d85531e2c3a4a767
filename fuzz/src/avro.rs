//! Avro values: our decoder beside the one of apache-avro, and beside what our own encoder writes.

use std::sync::LazyLock;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value};
use event::{DecodeError, Event, Version, decode, decode_again, encode_framed};

use crate::fields;

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse_str(Version::NEWEST.schema()).expect("our schema is valid"));

/// A zero byte and the schema id.
const FRAME_BYTES: usize = 5;

/// An input is a record's value.
pub(crate) fn run(value: &[u8]) {
    match decode(value) {
        Ok(event) => {
            agrees_with_apache(&event, &value[FRAME_BYTES..]);
            is_written_back(&event, value);
            is_nothing_less_or_more(value);
        }
        // What else is refused says nothing: apache-avro takes a missing field at the end for null.
        Err(DecodeError::InvalidUtf8) => assert!(apache(&value[FRAME_BYTES..]).is_none(), "apache-avro reads the text"),
        Err(error) => assert!(DecodeError::LABELS.contains(&error.label())),
    }
}

fn is_nothing_less_or_more(value: &[u8]) {
    for end in [value.len() - 1, value.len() / 2, FRAME_BYTES] {
        assert!(decode(&value[..end]).is_err(), "{end} of {} bytes are taken for the whole", value.len());
    }
    let more = [value, &[0]].concat();
    assert_eq!(decode(&more), Err(DecodeError::TrailingBytes { bytes: 1 }));
}

/// A number may be written longer than it must be; apart from that there is one value for an event.
fn is_written_back(event: &Event<'_>, value: &[u8]) {
    let (version, mut again) = (decode_again(value).expect("it was decoded").0, Vec::new());
    encode_framed(version, version.schema_id(), event, &mut again);
    assert!(again.len() <= value.len(), "an event of {} bytes was read from {}", again.len(), value.len());
    if again.len() == value.len() {
        assert_eq!(again, value, "the event is written otherwise than it was read");
    }
    assert_eq!(decode(&again), Ok(*event), "the event is not read back");
}

fn agrees_with_apache(event: &Event<'_>, body: &[u8]) {
    for (name, value) in &apache(body).expect("apache-avro reads what we read") {
        let value = match value {
            Value::Union(_, value) => value,
            value => value,
        };
        match value {
            Value::Null => assert_eq!(fields::text(event, name), None, "{name}"),
            Value::String(text) => assert_eq!(fields::text(event, name), Some(text.as_str()), "{name}"),
            Value::TimestampMicros(micros) if name == "event_time" => assert_eq!(event.event_time, *micros),
            Value::TimestampMicros(micros) => assert_eq!((name.as_str(), event.received_at), ("received_at", *micros)),
            other => panic!("{name}: apache-avro found {other:?}"),
        }
    }
}

/// `None` if apache-avro refuses the body.
fn apache(mut body: &[u8]) -> Option<Vec<(String, Value)>> {
    let reader = GenericDatumReader::builder(&SCHEMA).build().expect("our schema is complete");
    match reader.read_value(&mut body).ok()? {
        Value::Record(fields) => Some(fields),
        other => panic!("a record's schema gave {other:?}"),
    }
}
