//! Golden bytes: records as published versions wrote them. A file here is never changed; a new schema version adds
//! files of its own, and all of them go on decoding to the same rows.

use std::{collections::BTreeSet, fs, path::PathBuf};

use event::{Event, Resolver, Version, decode, decode_again, encode, encode_framed};

use crate::fields::fields;

/// The newest version: what `encode` writes today.
const NEWEST: &str = "v2-";

fn golden() -> Vec<(&'static str, Event<'static>)> {
    let timezone = "x".repeat(64).leak();
    vec![
        ("v1-minimal.bin", minimal()),
        ("v1-full.bin", full()),
        ("v1-unicode.bin", unicode()),
        ("v1-long.bin", long()),
        ("v2-minimal.bin", minimal()),
        ("v2-full.bin", Event { timezone: Some("Europe/Berlin"), ..full() }),
        ("v2-unicode.bin", Event { timezone: Some("Amérique/Montréal"), ..unicode() }),
        ("v2-long.bin", Event { timezone: Some(timezone), ..long() }),
    ]
}

/// The version that wrote a golden file.
fn version(name: &str) -> Version {
    Version::of_number(name[1..2].parse().expect("names begin with v and the version")).expect("a version")
}

/// Only what is required, with the shortest texts and times.
fn minimal() -> Event<'static> {
    Event { event_id: "e", kind: "k", source: "s", anonymous_id: Some("a"), ..Event::default() }
}

/// Every field, each with a value of its own.
fn full() -> Event<'static> {
    Event {
        event_id: "019b7c8d-1e2f-7a3b-8c4d-5e6f708192a3",
        kind: "click",
        source: "shop",
        user_id: Some("user-1"),
        anonymous_id: Some("anonymous-2"),
        name: Some("add to cart"),
        session_id: Some("session-3"),
        event_time: 1_767_323_045_678_901,
        received_at: 1_767_323_045_999_000,
        url: Some("https://shop.example/products/42?utm_source=newsletter"),
        path: Some("/products/42"),
        title: Some("Product 42"),
        referrer: Some("https://shop.example/"),
        element: Some("button#buy"),
        element_text: Some("Buy now"),
        element_href: Some("https://shop.example/cart"),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ip: Some("203.0.113.0"),
        locale: Some("en-GB"),
        screen: Some("1920x1080"),
        campaign_source: Some("newsletter"),
        campaign_medium: Some("email"),
        campaign_name: Some("spring"),
        campaign_term: Some("shoes"),
        campaign_content: Some("header"),
        library: Some("footfall.js/1.0"),
        properties: Some(r#"{"price":12.5,"currency":"EUR","tags":["a","b"]}"#),
        timezone: None,
    }
}

/// Texts of two, three and four bytes a character, a zero character, empty texts, and times at both ends.
fn unicode() -> Event<'static> {
    Event {
        event_id: "é",
        kind: "página_vista",
        source: "магазин",
        user_id: Some("用户"),
        anonymous_id: Some(""),
        name: Some("👩‍👩‍👧‍👦 \u{10ffff}"),
        session_id: Some("a\0b"),
        event_time: i64::MIN,
        received_at: i64::MAX,
        title: Some("e\u{301} \u{202e}שלום"),
        properties: Some(r#"{"ключ":"значение \ud83d\ude00"}"#),
        ..Event::default()
    }
}

/// Lengths on both sides of the step from one byte of length to two, and from two to three.
fn long() -> Event<'static> {
    let text = |length: usize| -> &'static str { "x".repeat(length).leak() };
    Event {
        event_id: text(63),
        kind: text(64),
        source: text(65),
        user_id: Some(text(256)),
        event_time: -1,
        received_at: 1,
        url: Some(text(8191)),
        referrer: Some(text(8192)),
        properties: Some(text(20_000)),
        ..Event::default()
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/contract/fixtures")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap_or_else(|error| panic!("fixtures/{name}: {error}"))
}

#[test]
fn every_golden_file_of_every_version_decodes_to_the_same_row() {
    for (name, expected) in golden() {
        let value = bytes(name);
        let event = decode(&value).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fields(&event), fields(&expected), "{name}");
        assert_eq!(decode_again(&value), Ok((version(name), event)), "{name}");
    }
}

#[test]
fn every_version_still_writes_its_golden_bytes() {
    for (name, event) in golden() {
        let (version, mut value) = (version(name), Vec::new());
        encode_framed(version, version.schema_id(), &event, &mut value);
        assert!(value == bytes(name), "{name}: other bytes are written now");
    }
}

/// By the rules of Avro alone, as a reader does that knows a version only from a registry: new ones read old ones, and
/// old ones read new ones without what they do not know.
#[test]
fn every_version_reads_the_golden_files_of_every_version() {
    for (name, event) in golden() {
        for reader in Version::ALL {
            let resolver = Resolver::new(version(name).schema(), reader).expect("BACKWARD and FORWARD compatible");
            let expected = Event { timezone: event.timezone.filter(|_| reader >= Version::V2), ..event };
            assert_eq!(resolver.decode(&bytes(name)), Ok(expected), "{name} as {reader:?}");
        }
    }
}

#[test]
fn the_newest_version_is_what_is_written() {
    for (name, event) in golden().into_iter().filter(|(name, _)| name.starts_with(NEWEST)) {
        let mut value = Vec::new();
        encode(&event, &mut value);
        assert!(value == bytes(name), "{name}: other bytes are written now");
    }
}

#[test]
fn no_golden_file_is_left_out() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of golden files is there")
        .map(|entry| entry.expect("the folder can be listed").file_name().into_string().expect("names are UTF-8"))
        .collect();
    let listed: BTreeSet<String> = golden().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn no_golden_record_is_readable_in_part() {
    for (name, _) in golden() {
        let mut value = bytes(name);
        for end in 0..value.len() {
            let label = decode(&value[..end]).expect_err(name).label();
            assert_eq!(label, if end < 5 { "not_framed" } else { "truncated" }, "{name} cut at {end}");
            let resolver = Resolver::new(version(name).schema(), Version::NEWEST).expect("BACKWARD compatible");
            assert_eq!(resolver.decode(&value[..end]).expect_err(name).label(), label, "{name} cut at {end}");
        }
        value.push(0);
        assert_eq!(decode(&value).expect_err(name).label(), "trailing_bytes", "{name}");
    }
}
