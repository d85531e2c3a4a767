//! Goal: each JSON value becomes what the column's type says, or null. Method: properties in, an array out.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
    util::display::array_value_to_string,
};
use event::Event;

use super::*;
use crate::schema::{Columns, NAMES};

fn column(name: &str, from: &str, kind: ColumnType) -> ColumnSettings {
    ColumnSettings { name: name.to_owned(), from: format!("properties.{from}"), kind }
}

/// The rows of events with these properties, and the mismatches of each column.
fn rows(columns: &[ColumnSettings], properties: &[Option<&str>]) -> (RecordBatch, Vec<u64>) {
    let promotion = Promotion::new(event::Version::NEWEST, columns);
    let mut built = Columns::new(0, &promotion);
    for (offset, properties) in (0..).zip(properties) {
        let event = Event { user_id: Some("u"), properties: *properties, ..Event::default() };
        built.append(&event, offset);
    }
    (built.finish(), built.mismatches())
}

/// What becomes of the value of `properties.v`, and whether it counts as one of another type.
#[track_caller]
fn check(kind: ColumnType, json: &str, expected: Option<&str>, is_mismatch: bool) {
    let properties = format!(r#"{{"other":{{"v":1}},"v":{json},"w":0}}"#);
    let (batch, mismatches) = rows(&[column("v", "v", kind)], &[Some(&properties)]);
    let array = batch.column(NAMES.len());
    let found = array.is_valid(0).then(|| match kind {
        ColumnType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().value(0).to_string(),
        _ => array_value_to_string(array, 0).expect("it has a text"),
    });
    assert_eq!((found.as_deref(), mismatches[0]), (expected, u64::from(is_mismatch)), "{kind:?} of {json}");
}

#[test]
fn a_value_of_the_columns_type_is_taken_and_any_other_is_null() {
    use ColumnType::{Boolean, Double, Long, String, Timestamp};
    check(String, r#""pro""#, Some("pro"), false);
    check(String, r#""a\"\u00e4\n""#, Some("a\"ä\n"), false);
    check(String, r#""""#, Some(""), false);
    check(Long, "-9223372036854775808", Some("-9223372036854775808"), false);
    check(Long, "5.0", Some("5"), false);
    check(Long, "1e3", Some("1000"), false);
    check(Double, "5", Some("5.0"), false);
    check(Double, "-1.5e-3", Some("-0.0015"), false);
    check(Double, "18446744073709551616", Some("1.8446744073709552e19"), false);
    check(Boolean, "false", Some("false"), false);
    check(Timestamp, r#""2026-01-02T03:04:05.678+01:00""#, Some("1767319445678000"), false);
    for (kind, values) in [
        (String, &["5", "true", "{}", r#"["a"]"#, r#""\ud800""#][..]),
        (Long, &["5.5", "9223372036854775808", "1e300", r#""5""#, "true", "[]"]),
        (Double, &[r#""5""#, "false", "{}"]),
        (Boolean, &["0", "1", r#""true""#, "{}"]),
        (Timestamp, &[r#""today""#, "1767323045", "{}"]),
    ] {
        values.iter().for_each(|value| check(kind, value, None, true));
        check(kind, "null", None, false);
    }
}

#[test]
fn what_is_not_there_is_null_and_no_mismatch() {
    let broken = format!("{{\"v\":{}", "[".repeat(100_000));
    let deep = format!("{{\"v\":1,\"w\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let properties =
        [None, Some("{}"), Some(r#"{"V":1}"#), Some(""), Some("[1]"), Some("v"), Some(&broken), Some(&deep)];
    let (batch, mismatches) = rows(&[column("v", "v", ColumnType::Long)], &properties);
    assert_eq!((batch.column(NAMES.len()).null_count(), mismatches), (properties.len(), vec![0]));
}

#[test]
fn paths_lead_into_objects_and_the_last_of_equal_keys_counts() {
    let columns = [
        column("a", "a", ColumnType::String),
        column("b", "a.b", ColumnType::Long),
        column("c", "a.b.c", ColumnType::Long),
        column("b2", "a.b", ColumnType::Double),
        column("d", "a.d", ColumnType::Boolean),
    ];
    #[track_caller]
    fn check(columns: &[ColumnSettings], properties: &str, expected: [&str; 5]) {
        let (batch, _) = rows(columns, &[Some(properties)]);
        let found: Vec<_> = batch.columns()[NAMES.len()..]
            .iter()
            .map(|array| array_value_to_string(array, 0).expect("it has a text"))
            .collect();
        assert_eq!(found, expected, "{properties}");
        let names: Vec<_> =
            batch.schema().fields().iter().skip(NAMES.len()).map(|field| field.name().clone()).collect();
        assert_eq!(names, ["a", "b", "c", "b2", "d"]);
    }
    check(&columns, r#"{"a":"x","b":1}"#, ["x", "", "", "", ""]);
    check(&columns, r#"{"a":{"d":true,"b":7}}"#, ["", "7", "", "7.0", "true"]);
    check(&columns, r#"{"a":{"b":{"c":9,"c":8}}}"#, ["", "", "8", "", ""]);
    check(&columns, r#"{"a":{"b":1,"d":true},"a":{"b":2}}"#, ["", "2", "", "2.0", ""]);
    check(&columns, r#"{"a":{"b":1},"\u0061":"y"}"#, ["y", "", "", "", ""]);
}

#[test]
fn the_footer_tells_columns_apart_and_without_any_it_is_as_before() {
    let one = |kind| Promotion::new(event::Version::NEWEST, &[column("plan", "plan", kind)]);
    assert_eq!(one(ColumnType::String).text(), "plan=properties.plan:string");
    let (string, long) = (one(ColumnType::String), one(ColumnType::Long));
    assert_ne!(string.policy_hash(7), long.policy_hash(7));
    assert_ne!(string.row_hash_start(), long.row_hash_start());
    assert_ne!(string.policy_hash(7), string.policy_hash(8));
    let none = Promotion::none();
    assert_eq!((none.policy_hash(7), none.row_hash_start(), none.text()), (7, 0, ""));
}
