//! Rows as numbers.
//!
//! Responsible for the hash of a row, of a file's rows in their order, and of any set of rows. Promises: the hash of a
//! row is made of its offset and its event, neither of the record's bytes nor of Parquet's, so that it can be computed
//! again from a file's columns and from the log; a field that newer schemas append changes nothing where it is null.
//! The hash of a set does not depend on how the rows are spread over files, nor on their order.

use event::{Event, Version};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Up to 240 bytes XXH3 has a form without set-up cost; events are hardly longer.
const PIECE_BYTES: usize = 240;
/// What stands before the event in a record's value: a zero byte and the schema id, which is no part of the row.
const FRAME_BYTES: usize = 5;

/// Hashes rows; keeps the room for those that have to be encoded.
#[derive(Debug, Default)]
pub struct RowHasher {
    scratch: Vec<u8>,
}

impl RowHasher {
    /// The row of a record: its value, and the event of a version that was decoded from it.
    pub fn record(&mut self, offset: u64, version: Version, event: &Event<'_>, value: &[u8]) -> u64 {
        // Avro lets a number be longer than it must be; apart from that an event has one form, which is then at hand.
        if event::encoded_len(version, event) == value.len() { hash(offset, value) } else { self.event(offset, event) }
    }

    /// The row of an event.
    pub fn event(&mut self, offset: u64, event: &Event<'_>) -> u64 {
        self.scratch.clear();
        event::encode(event, &mut self.scratch);
        hash(offset, &self.scratch)
    }
}

/// XXH3 over the offset, little endian, and from there over the event's Avro body without the zero bytes at its end, in
/// pieces, each seeded with the hash before it. The zeros are fields that are null or not known yet: as every text has
/// its length before it, what is cut off cannot be anything else.
fn hash(offset: u64, value: &[u8]) -> u64 {
    let body = value.get(FRAME_BYTES..).unwrap_or_default();
    let bytes = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    body[..bytes].chunks(PIECE_BYTES).fold(xxh3_64(&offset.to_le_bytes()), |hash, piece| xxh3_64_with_seed(piece, hash))
}

/// The hash of a file's rows up to this one: XXH3 over the row's hash, little endian, seeded with the hash before it.
pub fn chained(before: u64, row: u64) -> u64 {
    xxh3_64_with_seed(&row.to_le_bytes(), before)
}

/// The hash of a set of rows and one more: the sum, in 64 bits.
pub fn with(set: u64, row: u64) -> u64 {
    set.wrapping_add(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event_id: &str) -> Event<'_> {
        Event { event_id, kind: "click", source: "web", user_id: Some("u1"), event_time: 5, ..Event::default() }
    }

    fn value(event: &Event<'_>) -> Vec<u8> {
        let mut value = Vec::new();
        event::encode_framed(Version::V1, 77, event, &mut value);
        value
    }

    #[test]
    fn hashes_are_the_golden_ones_and_tell_order_offset_and_content_apart() {
        let row = |offset, event_id| RowHasher::default().event(offset, &event(event_id));
        let file = |rows: &[u64]| rows.iter().fold(0, |before, row| chained(before, *row));
        let (one, two) = (row(5, "one"), row(6, "two"));
        assert_eq!(
            (one, file(&[one, two])),
            GOLDEN,
            "files in lakes hold these hashes: {one:#x} {:#x}",
            file(&[one, two])
        );
        assert_ne!(file(&[one, two]), file(&[two, one]));
        assert_eq!(with(with(0, one), two), with(with(0, two), one));
        assert_ne!(one, row(6, "one"));
        assert_ne!(one, row(5, "on3"));
        let long = |last: &str| {
            RowHasher::default()
                .event(5, &Event { title: Some(&["x".repeat(999).as_str(), last].concat()), ..event("e") })
        };
        assert_ne!(long("a"), long("b"));
        assert_ne!(long("a"), long("a\0"));
    }

    const GOLDEN: (u64, u64) = (0xd5af_3183_0394_b43d, 0x40be_1b8b_f576_5580);

    #[test]
    fn a_row_has_one_hash_however_its_record_was_written() {
        let event = event("e1");
        let mut hasher = RowHasher::default();
        let expected = hasher.event(9, &event);
        let written = value(&event);
        assert_eq!(hasher.record(9, Version::V1, &event, &written), expected, "the schema id is no part of the row");
        // The length of the event id, 2, in two bytes instead of one.
        let longer = [&written[..5], &[written[5] | 0x80, 0], &written[6..]].concat();
        assert_eq!(event::decode_again(&longer), Ok((Version::V1, event)));
        assert_eq!(hasher.record(9, Version::V1, &event, &longer), expected);
    }

    #[test]
    fn a_field_that_a_newer_schema_appends_changes_nothing_where_it_is_null() {
        let (event, written) = (event("e1"), value(&event("e1")));
        let mut newer = Vec::new();
        event::encode(&event, &mut newer);
        let mut hasher = RowHasher::default();
        let expected = hasher.record(9, Version::V1, &event, &written);
        assert_eq!(hasher.record(9, Version::V2, &event, &newer), expected);
        assert_eq!(hasher.event(9, &event), expected);
        // As long as the newer form, but not because of it.
        let longer = [&written[..5], &[written[5] | 0x80, 0], &written[6..]].concat();
        assert_eq!(longer.len(), newer.len());
        assert_eq!(hasher.record(9, Version::V1, &event, &longer), expected);
        assert_eq!(hash(9, &written), hash(9, &[&written[..], &[0]].concat()));
        assert_ne!(hash(9, &written), hash(9, &[&written[..], &[2, 2, b'x']].concat()));
    }
}
