//! What the reference implementation of Avro for Rust writes and reads is what we read and write.

use std::sync::LazyLock;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use event::{Event, Version, decode, encode, encoded_len};
use proptest::prelude::*;

use crate::fields::{Field, any_values, fields};

const FRAME: [u8; 5] = [0, 0x7f, 0, 0, 2];

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse_str(Version::NEWEST.schema()).expect("the schema file is Avro"));

fn record(event: &Event<'_>) -> Value {
    let value = |field| match field {
        Field::Text(text) => Value::String(text.to_owned()),
        Field::Optional(None) => Value::Union(0, Box::new(Value::Null)),
        Field::Optional(Some(text)) => Value::Union(1, Box::new(Value::String(text.to_owned()))),
        Field::Time(micros) => Value::TimestampMicros(micros),
    };
    Value::Record(fields(event).map(|(name, field)| (name.to_owned(), value(field))).into())
}

proptest! {
    /// For all events: `apache_avro::read(encode(event)) = event`.
    #[test]
    fn apache_avro_reads_what_we_write(values in any_values()) {
        let event = values.event();
        let mut value = Vec::new();
        encode(&event, &mut value);
        let (frame, mut body) = value.split_at(FRAME.len());
        prop_assert_eq!(frame, FRAME);
        let read = GenericDatumReader::builder(&SCHEMA).build()?.read_value(&mut body)?;
        prop_assert_eq!(read, record(&event));
        prop_assert!(body.is_empty(), "{} bytes are left", body.len());
    }

    /// For all events: `decode(apache_avro::write(event)) = event`.
    #[test]
    fn we_read_what_apache_avro_writes(values in any_values()) {
        let event = values.event();
        let body = GenericDatumWriter::builder(&SCHEMA).build()?.write_value_to_vec(record(&event))?;
        let value = [&FRAME[..], &body].concat();
        prop_assert_eq!(decode(&value), Ok(event));
    }

    /// For all events, and whatever the buffer held: `decode(encode(event)) = event`, behind what was there.
    #[test]
    fn we_read_what_we_write_behind_what_was_there(values in any_values(), before in any::<Vec<u8>>()) {
        let event = values.event();
        let mut out = before.clone();
        encode(&event, &mut out);
        let (kept, value) = out.split_at(before.len());
        prop_assert_eq!(kept, before);
        prop_assert_eq!(decode(value), Ok(event));
        prop_assert_eq!(encoded_len(Version::NEWEST, &event), value.len());
    }
}
