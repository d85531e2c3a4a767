//! The bytes of a spooled record: as it lies in the journal, and the header it carries in Kafka.
//!
//! Layout of the value in the journal: `length of the topic's name u8`, the name, then the record's value. The key is the
//! record's own, the time that of its request. Layout of the header's value, big endian: `id of the spool 16 bytes`,
//! `partition u32`, `offset u64`: where the record lay in the spool, so that a drain that was cut off finds what it had
//! already brought to Kafka.

use journal::Uuid;

/// Name of the header of every record that went through a spool.
pub(crate) const HEADER: &str = "footfall-spool";

const HEADER_BYTES: usize = 28;

/// Where a record lies in a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

impl Place {
    pub(crate) fn header(self, spool: Uuid) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(spool.as_bytes());
        bytes[16..20].copy_from_slice(&self.partition.to_be_bytes());
        bytes[20..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    /// `None` where the header is another spool's, or none of ours.
    pub(crate) fn from_header(bytes: &[u8], spool: Uuid) -> Option<Place> {
        let bytes: &[u8; HEADER_BYTES] = bytes.try_into().ok()?;
        let (id, place) = bytes.split_first_chunk::<16>()?;
        let (partition, offset) = place.split_first_chunk::<4>()?;
        let place =
            Place { partition: u32::from_be_bytes(*partition), offset: u64::from_be_bytes(offset.try_into().ok()?) };
        (id == spool.as_bytes()).then_some(place)
    }
}

/// Writes the value of a spooled record over what is in `out`. Kafka's longest topic name has 249 bytes.
pub(crate) fn write(topic: &str, value: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(u8::try_from(topic.len()).expect("the settings and Kafka allow shorter names"));
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(value);
}

/// Topic and value of a spooled record; `None` where the bytes are none.
pub(crate) fn read(stored: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = stored.split_first()?;
    let (topic, value) = rest.split_at_checked(usize::from(*length))?;
    Some((str::from_utf8(topic).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_golden() {
        let mut stored = Vec::new();
        write("events", b"value", &mut stored);
        assert_eq!(stored, b"\x06eventsvalue");
        assert_eq!(read(&stored), Some(("events", &b"value"[..])));
        assert_eq!(read(b"\x07events"), None);
        assert_eq!(read(b""), None);

        let spool = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let place = Place { partition: 3, offset: 0x0102_0304_0506_0708 };
        let header = place.header(spool);
        let golden = "00112233445566778899aabbccddeeff000000030102030405060708";
        assert_eq!(header.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), golden);
        assert_eq!(Place::from_header(&header, spool), Some(place));
        assert_eq!(Place::from_header(&header, Uuid::nil()), None, "another spool's");
        assert_eq!(Place::from_header(&header[1..], spool), None);
    }
}
