//! User key to partition: the ordering promise lives here.
//!
//! Responsible for putting a user into the same partition everywhere: in the gateway, in producers of others, and in
//! readers that look for one user's files. Promises the partition that Kafka's Java client computes for a keyed
//! record, `Utils.toPositive(Utils.murmur2(key)) % partitions`
//! (apache/kafka, `clients/src/main/java/org/apache/kafka/common/utils/Utils.java` and
//! `clients/producer/internals/BuiltInPartitioner.java`), which librdkafka computes with `partitioner=murmur2_random`.

/// The partition of `key` among `partitions`.
///
/// # Panics
/// If `partitions` is 0: a topic has at least one.
#[must_use]
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    assert!(partitions > 0, "a topic has at least one partition");
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Austin Appleby's MurmurHash2 in 32 bits with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Kafka's array lengths fit an i32; a longer key would wrap as Java's cast does.
    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition};

    /// Values of `testMurmur2` in apache/kafka, `clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java`.
    #[test]
    fn murmur2_is_that_of_the_java_client() {
        #[track_caller]
        fn check(key: &str, expected: i32) {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key:?}");
        }
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
        check("", 275_646_681);
    }

    /// Values of `unittest_murmur2` in confluentinc/librdkafka, `src/rdmurmur2.c`.
    #[test]
    fn murmur2_is_that_of_librdkafka() {
        #[track_caller]
        fn check(key: &str, expected: u32) {
            assert_eq!(murmur2(key.as_bytes()), expected, "{key:?}");
        }
        check("kafka", 0xd067_cf64);
        check("giberish123456789", 0x8f55_2b0c);
        check("1234", 0x9fc9_7b14);
        check("234", 0xe7c0_09ca);
        check("34", 0x8739_30da);
        check("4", 0x5a4b_5ca1);
        check("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c);
        check("reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62_b377);
        check("eAmbleWillBeRemoved,ThePrePartThatIs", 0xe0e4_e09e);
        check("AmbleWillBeRemoved,ThePrePartThatIs", 0x62b8_b43f);
        check("", 0x106e_08d9);
    }

    /// The sign bit is cleared, not negated: `21` hashes to a negative number.
    #[test]
    fn partition_is_the_positive_hash_modulo_the_partitions() {
        #[track_caller]
        fn check(key: &str, partitions: u32, expected: u32) {
            assert_eq!(partition(key.as_bytes(), partitions), expected, "{key:?} of {partitions}");
        }
        check("21", 1, 0);
        check("21", 12, (2_147_483_648 - 973_932_308) % 12);
        check("foobar", 12, (2_147_483_648 - 790_332_482) % 12);
        check("abc", 12, 479_470_107 % 12);
        check("abc", u32::MAX, 479_470_107);
    }
}
