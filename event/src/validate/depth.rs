//! How deep a JSON text is nested.
//!
//! Responsible for the nesting cap of `properties`, which protects every reader that parses the text by recursion.
//! Promises a right answer for valid JSON in one pass and no answer of worth for anything else.

/// Whether objects and arrays are nested deeper than `depth_max` levels.
pub(super) fn exceeds(json: &str, depth_max: usize) -> bool {
    // A level needs an opening and a closing byte.
    if json.len() < 2 * depth_max {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
