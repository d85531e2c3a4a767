//! Whatever bytes a record holds, decoding answers, and only whole events are taken.

use std::collections::BTreeSet;

use event::{DecodeError, Event, decode, encode};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::fields::any_values;

fn valid() -> Event<'static> {
    Event { event_id: "e-1", kind: "click", source: "s", user_id: Some("u-1"), ..Event::default() }
}

/// A record that goes wrong behind the frame.
#[track_caller]
fn check(body: &[u8], expected: DecodeError) {
    assert_eq!(decode(&[&[0, 0, 0, 0, 1], body].concat()), Err(expected));
}

#[test]
fn bytes_without_our_frame_are_refused() {
    let mut value = Vec::new();
    encode(&valid(), &mut value);
    for end in 0..5 {
        assert_eq!(decode(&value[..end]), Err(DecodeError::NotFramed));
    }
    value[0] = 1;
    assert_eq!(decode(&value), Err(DecodeError::NotFramed));
    assert_eq!(decode(br#"{"event_id":"e"}"#), Err(DecodeError::NotFramed));
    value[..5].copy_from_slice(&[0, 1, 2, 3, 4]);
    assert_eq!(decode(&value), Err(DecodeError::UnknownSchema { id: 0x0102_0304 }));
}

#[test]
fn lengths_are_checked_before_they_are_used() {
    check(&[], DecodeError::Truncated);
    check(&[0x01], DecodeError::InvalidAvro);
    check(&[0x7f], DecodeError::InvalidAvro);
    check(&[0x04, b'a'], DecodeError::Truncated);
    check(&[0x80], DecodeError::Truncated);
    check(&[0x80; 9], DecodeError::Truncated);
    check(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], DecodeError::Truncated);
    check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], DecodeError::InvalidAvro);
    check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], DecodeError::InvalidAvro);
    check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], DecodeError::InvalidAvro);
    check(&[0xff; 40], DecodeError::InvalidAvro);
}

/// A tenth byte above 1 would be shifted out and make another number without a word.
#[test]
fn times_that_do_not_fit_64_bits_are_refused() {
    let before = [0x02, b'e', 0x02, b'k', 0x02, b's', 0x02, 0x02, b'u', 0, 0, 0];
    let after = [0; 19];
    for tenth in [0x02, 0x04, 0x7f] {
        let time = [[0x80; 9].as_slice(), &[tenth]].concat();
        check(&[&before, &time[..], &after].concat(), DecodeError::InvalidAvro);
    }
    let last = [[0xff; 9].as_slice(), &[0x01]].concat();
    let value = [&[0, 0, 0, 0, 1], &before[..], &last, &after].concat();
    assert_eq!(decode(&value).map(|event| event.event_time), Ok(i64::MIN));
}

#[test]
fn branches_that_do_not_exist_are_refused() {
    let required = [0x02, b'e', 0x02, b'k', 0x02, b's'];
    for branch in [&[0x01][..], &[0x04], &[0x06], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        check(&[&required, branch, &[0x02, b'u', 0, 0]].concat(), DecodeError::InvalidAvro);
    }
}

#[test]
fn every_text_must_be_utf8() {
    let (marker, mut tried) = ("MARK", 0);
    let all = [Some(marker); 23];
    let [user_id, anonymous_id, name, session_id, url, path, title, referrer, element, element_text, rest @ ..] = all;
    let [element_href, user_agent, ip, locale, screen, campaign_source, campaign_medium, rest @ ..] = rest;
    let [campaign_name, campaign_term, campaign_content, library, properties, timezone] = rest;
    let (event_id, kind, source) = (marker, marker, marker);
    let event = Event {
        event_id,
        kind,
        source,
        user_id,
        anonymous_id,
        name,
        session_id,
        event_time: 0,
        received_at: 0,
        url,
        path,
        title,
        referrer,
        element,
        element_text,
        element_href,
        user_agent,
        ip,
        locale,
        screen,
        campaign_source,
        campaign_medium,
        campaign_name,
        campaign_term,
        campaign_content,
        library,
        properties,
        timezone,
    };
    let mut value = Vec::new();
    encode(&event, &mut value);
    for at in 0..value.len() - 3 {
        if value[at..].starts_with(marker.as_bytes()) {
            tried += 1;
            for bytes in
                [[b'M', 0xff, b'R', b'K'], [0xed, 0xa0, 0x80, b'K'], [0xc0, 0x80, b'R', b'K'], [b'M', b'A', b'R', 0xc3]]
            {
                let mut bad = value.clone();
                bad[at..at + 4].copy_from_slice(&bytes);
                assert_eq!(decode(&bad), Err(DecodeError::InvalidUtf8), "text {tried}");
            }
        }
    }
    assert_eq!(tried, 26);
}

#[test]
fn an_event_without_a_user_is_refused() {
    for (user_id, anonymous_id) in [(None, None), (Some(""), None), (Some(""), Some(""))] {
        let mut value = Vec::new();
        encode(&Event { user_id, anonymous_id, ..valid() }, &mut value);
        assert_eq!(decode(&value), Err(DecodeError::NoUserKey));
    }
}

#[test]
fn every_error_has_a_label_of_its_own_that_is_listed() {
    let errors = [
        DecodeError::NotFramed,
        DecodeError::UnknownSchema { id: 7 },
        DecodeError::Truncated,
        DecodeError::InvalidUtf8,
        DecodeError::InvalidAvro,
        DecodeError::TrailingBytes { bytes: 3 },
        DecodeError::NoUserKey,
    ];
    let labels: BTreeSet<_> = errors.iter().map(DecodeError::label).collect();
    assert_eq!(labels, BTreeSet::from(DecodeError::LABELS));
    assert_eq!(labels.len(), errors.len());
}

/// What decoding takes is an event that can be written and read again.
fn answers(value: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(event) = decode(value) {
        let mut again = Vec::new();
        encode(&event, &mut again);
        prop_assert_eq!(decode(&again), Ok(event));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_answered(body in vec(any::<u8>(), 0..300)) {
        answers(&body)?;
        answers(&[&[0, 0, 0, 0, 1], &body[..]].concat())?;
    }

    /// Bytes that often mean something: lengths, branches, letters.
    #[test]
    fn random_fields_are_answered(body in vec(prop_oneof![0..4_u8, Just(b'a'), 0x7e..0x82_u8, Just(0xff)], 0..120)) {
        answers(&[&[0, 0, 0, 0, 1], &body[..]].concat())?;
    }
}

proptest! {
    #[test]
    fn mutated_records_are_answered(values in any_values(), edits in vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..6)) {
        let mut value = Vec::new();
        encode(&values.event(), &mut value);
        for (at, byte, edit) in edits {
            let at = at.index(value.len());
            match edit {
                0 => value[at] = byte,
                1 => value.insert(at, byte),
                _ if value.len() > 1 => drop(value.remove(at)),
                _ => {}
            }
        }
        answers(&value)?;
    }

    #[test]
    fn truncated_records_are_refused(values in any_values(), cut in any::<Index>()) {
        let mut value = Vec::new();
        encode(&values.event(), &mut value);
        let end = cut.index(value.len());
        let expected = if end < 5 { DecodeError::NotFramed } else { DecodeError::Truncated };
        prop_assert_eq!(decode(&value[..end]), Err(expected));
    }
}
