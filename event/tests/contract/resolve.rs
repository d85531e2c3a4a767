//! Goal: what another schema wrote is read as Avro says, or refused with a reason. Method: `apache-avro` writes.

use apache_avro::{Schema, types::Value, writer::datum::GenericDatumWriter};
use event::{DecodeError, Event, ResolveError, Resolver, Version};
use proptest::{collection::vec, prelude::*};

use crate::fields::any_values;

/// A schema for the record of events with these fields.
fn event_schema(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"Event","namespace":"com.example","fields":[{fields}]}}"#)
}

/// The five fields without a default.
const REQUIRED: &str = r#"{"name":"event_id","type":"string"},{"name":"type","type":"string"},{"name":"source","type":"string"},
    {"name":"event_time","type":"long"},{"name":"received_at","type":"long"}"#;

fn value(schema: &str, fields: Vec<(&str, Value)>) -> Vec<u8> {
    let schema = Schema::parse_str(schema).expect("Avro");
    let record = Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let body = GenericDatumWriter::builder(&schema).build().and_then(|writer| writer.write_value_to_vec(record));
    [&[0, 0, 0, 0, 9], &body.expect("the value fits the schema")[..]].concat()
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn some(branch: u32, value: Value) -> Value {
    Value::Union(branch, Box::new(value))
}

/// A newer version, or somebody else's: other order, fields of all types that we do not know, promotions, an alias, and
/// defaults for the rest.
fn other() -> (String, Vec<u8>) {
    let schema = event_schema(
        r#"{"name":"properties","type":"bytes"},
        {"name":"flags","type":{"type":"map","values":{"type":"array","items":"boolean"}}},
        {"name":"received_at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"event_time","type":"int"},
        {"name":"place","type":["null",{"type":"record","name":"Place","fields":[
            {"name":"lat","type":"double"},{"name":"lon","type":"float"},
            {"name":"hash","type":{"type":"fixed","name":"Hash","size":3}},
            {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["HOME","WORK"]}}]}]},
        {"name":"before","type":["null","Place"]},
        {"name":"user_id","type":"string"},
        {"name":"utm_source","type":["string","null"]},
        {"name":"title","type":["null","bytes"]},
        {"name":"source","type":{"type":"string","avro.java.string":"String"}},
        {"name":"type","type":["null","string"]},
        {"name":"nothing","type":"null"},
        {"name":"event_id","type":"string"},
        {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#,
    );
    let place = Value::Record(vec![
        ("lat".to_owned(), Value::Double(1.5)),
        ("lon".to_owned(), Value::Float(2.5)),
        ("hash".to_owned(), Value::Fixed(3, vec![1, 2, 3])),
        ("kind".to_owned(), Value::Enum(1, "WORK".to_owned())),
    ]);
    let flags = [("a".to_owned(), Value::Array(vec![Value::Boolean(true), Value::Boolean(false)]))];
    let fields = vec![
        ("properties", Value::Bytes(br#"{"price":1}"#.to_vec())),
        ("flags", Value::Map(flags.into_iter().collect())),
        ("received_at", Value::TimestampMillis(1_767_323_045_678)),
        ("event_time", Value::Int(2_000_000_000)),
        ("place", some(1, place.clone())),
        ("before", some(1, place)),
        ("user_id", string("u1")),
        ("utm_source", some(0, string("mail"))),
        ("title", some(1, Value::Bytes("Käse".into()))),
        ("source", string("web")),
        ("type", some(1, string("click"))),
        ("nothing", Value::Null),
        ("event_id", string("e1")),
        ("amount", Value::Decimal(vec![1, 2].into())),
    ];
    let value = value(&schema, fields);
    (schema, value)
}

fn other_event() -> Event<'static> {
    Event {
        event_id: "e1",
        kind: "click",
        source: "web",
        user_id: Some("u1"),
        event_time: 2_000_000_000,
        received_at: 1_767_323_045_678_000,
        title: Some("Käse"),
        campaign_source: Some("mail"),
        properties: Some(r#"{"price":1}"#),
        ..Event::default()
    }
}

#[test]
fn defaults_aliases_promotions_and_unknown_fields_are_resolved() {
    let (schema, value) = other();
    let resolver = Resolver::new(&schema, Version::V2).expect("readable");
    assert_eq!(resolver.decode(&value), Ok(other_event()));
    // The alias came with version 2.
    let resolver = Resolver::new(&schema, Version::V1).expect("readable");
    assert_eq!(resolver.decode(&value), Ok(Event { campaign_source: None, ..other_event() }));
}

#[test]
fn no_record_of_another_schema_is_readable_in_part() {
    let (schema, mut value) = other();
    let resolver = Resolver::new(&schema, Version::NEWEST).expect("readable");
    for end in 0..value.len() {
        let expected = if end < 5 { DecodeError::NotFramed } else { DecodeError::Truncated };
        assert_eq!(resolver.decode(&value[..end]), Err(expected), "cut at {end}");
    }
    value.push(0);
    assert_eq!(resolver.decode(&value), Err(DecodeError::TrailingBytes { bytes: 1 }));
}

#[test]
fn a_record_that_is_not_what_its_field_needs_is_refused() {
    #[track_caller]
    fn check(kind: &str, change: impl FnOnce(&mut Vec<(&'static str, Value)>), expected: DecodeError) {
        let schema = event_schema(&format!(r#"{REQUIRED},{{"name":"user_id","type":{kind}}}"#));
        let mut fields = vec![
            ("event_id", string("e")),
            ("type", string("t")),
            ("source", string("s")),
            ("event_time", Value::Long(1)),
            ("received_at", Value::Long(2)),
            ("user_id", some(0, Value::Null)),
        ];
        change(&mut fields);
        let value = value(&schema, fields);
        assert_eq!(Resolver::new(&schema, Version::NEWEST).expect("readable").decode(&value), Err(expected));
    }
    check(r#"["null","string"]"#, |_| {}, DecodeError::NoUserKey);
    check(r#"["null","long"]"#, |fields| fields[5].1 = some(1, Value::Long(5)), DecodeError::InvalidAvro);
    check(r#""bytes""#, |fields| fields[5].1 = Value::Bytes(vec![0xff]), DecodeError::InvalidUtf8);
}

#[test]
fn a_schema_that_ours_cannot_read_is_refused_with_the_reason() {
    #[track_caller]
    fn check(schema: &str, expected: &str) {
        let error = Resolver::new(schema, Version::NEWEST).expect_err("not readable").to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
    let with = |field: &str| event_schema(&format!("{REQUIRED},{field}"));
    check("nonsense", "no Avro schema");
    check(r#""string""#, "not the record Event, but string");
    check(&event_schema(REQUIRED).replace("Event", "Order"), "but record Order");
    check(&event_schema(r#"{"name":"event_id","type":"string"}"#), "no field type");
    check(&event_schema(REQUIRED).replace(r#""long""#, r#""double""#), "field event_time is a double");
    check(&with(r#"{"name":"url","type":"long"}"#), "field url is a long");
    check(&with(r#"{"name":"url","type":{"type":"bytes","logicalType":"decimal"}}"#), "field url is a decimal");
    check(&with(r#"{"name":"x","type":"Nobody"}"#), "Nobody is no type");
    check(&with(r#"{"name":"x","type":7}"#), "7 is no type");
    check(&with(r#"{"name":"x","type":["null","com.example.Event"]}"#), "contains itself");
    check(&with(r#"{"name":"x","type":["null","Event"]}"#), "contains itself");
    let deep = (0..70).fold(r#""int""#.to_owned(), |items, _| format!(r#"{{"type":"array","items":{items}}}"#));
    assert!(matches!(
        Resolver::new(&with(&format!(r#"{{"name":"x","type":{deep}}}"#)), Version::V1),
        Err(ResolveError::TooDeep(_) | ResolveError::NotAvro(_))
    ));
}

/// A count of 2^60 values that take no bytes, or of values that are not there.
#[test]
fn a_count_that_lies_costs_nothing() {
    for (items, expected) in [(r#""null""#, Err(DecodeError::NoUserKey)), (r#""int""#, Err(DecodeError::Truncated))] {
        let schema = format!(r#"{{"name":"x","type":{{"type":"array","items":{items}}}}},{REQUIRED}"#);
        let resolver = Resolver::new(&event_schema(&schema), Version::NEWEST).expect("readable");
        let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        let value = [&[0, 0, 0, 0, 9], &huge[..], &[0, 2, b'e', 2, b't', 2, b's', 0, 0]].concat();
        assert_eq!(resolver.decode(&value), expected, "{items}");
    }
}

proptest! {
    #[test]
    fn mutated_records_of_another_schema_are_answered(edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (schema, mut value) = other();
        let resolver = Resolver::new(&schema, Version::NEWEST).expect("readable");
        for (at, byte) in edits {
            let at = at.index(value.len());
            value[at] = byte;
        }
        let _ = resolver.decode(&value);
    }

    /// For all events and versions: resolving is decoding.
    #[test]
    fn our_own_versions_are_resolved_to_what_is_decoded(values in any_values()) {
        let event = values.event();
        let mut value = Vec::new();
        event::encode(&event, &mut value);
        prop_assert_eq!(Resolver::new(Version::NEWEST.schema(), Version::NEWEST).expect("ours").decode(&value), Ok(event));
    }
}
