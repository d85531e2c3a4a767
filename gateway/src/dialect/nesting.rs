//! How deep a body is nested, before a parser looks at it.
//!
//! Responsible for keeping the parser's stack bounded: sonic-rs checks raw values by recursion without a limit, so a
//! few megabytes of `[` would end the process. Promises that what passes is nested at most [`DEPTH_MAX`] levels deep,
//! and costs a fraction of a nanosecond for each byte of an ordinary body. The limit for `properties`, which is much
//! lower, is validation's.

/// Levels that the parser can take on any thread's stack, with room to spare: the default stack of a thread is 2 MiB
/// and a level costs less than 512 bytes, in debug builds too.
const DEPTH_MAX: usize = 1024;

/// Whether objects and arrays are nested deeper than [`DEPTH_MAX`] levels. For text that is no valid JSON the answer
/// may be a false yes, never a false no.
pub(crate) fn too_deep(json: &[u8]) -> bool {
    // A body with few brackets, which is nearly every body, cannot be deep.
    openings(json) > DEPTH_MAX && depth_exceeds(json, DEPTH_MAX)
}

fn openings(json: &[u8]) -> usize {
    // Sums of 255 fit a byte, which lets the compiler count 16 or 32 bytes at a time.
    json.chunks(255).map(|chunk| usize::from(chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>())).sum()
}

fn depth_exceeds(json: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => rest = after_string(rest.as_slice()).iter(),
            b'{' | b'[' if depth == depth_max => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// What follows the closing quote of the string whose inside `json` begins with.
fn after_string(mut json: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', json) {
        if json[at] == b'"' {
            return &json[at + 1..];
        }
        json = json.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings() {
        #[track_caller]
        fn check(json: &str, depth: usize) {
            assert!(!depth_exceeds(json.as_bytes(), depth), "{json} is at most {depth} deep");
            assert!(depth == 0 || depth_exceeds(json.as_bytes(), depth - 1), "{json} is {depth} deep");
        }
        check("1", 0);
        check("[]", 1);
        check(r#"[{"a":[1]},{"a":[2]}]"#, 3);
        check(r#"{"a":"[[[[","b":"\"[[","c":"\\"}"#, 1);
        check("}}}}[[", 2);
        check(r#"{"a":"unfinished [[["#, 1);
    }

    #[test]
    fn many_brackets_are_not_yet_deep() {
        assert!(!too_deep("[{}],".repeat(100_000).as_bytes()));
        assert!(!too_deep(&[b"[".repeat(DEPTH_MAX), b"]".repeat(DEPTH_MAX)].concat()));
        assert!(too_deep(&b"[".repeat(DEPTH_MAX + 1)));
        assert!(too_deep(&br#"{"a":"#.repeat(1_000_000)));
        assert_eq!(openings(&b"[{x".repeat(1000)), 2000);
    }
}
