//! How deep a JSON text is nested.
//!
//! Responsible for the nesting cap of `properties`, which protects every reader that parses the text by recursion.
//! Promises a right answer for valid JSON, in time linear in its length, and no answer of worth for anything else.

use memchr::memchr2;

/// Whether objects and arrays are nested deeper than `depth_max` levels.
pub fn nested_deeper(json: &str, depth_max: usize) -> bool {
    // A level needs an opening and a closing byte.
    if json.len() < 2 * depth_max {
        return false;
    }
    // The count takes openers inside strings for levels too, but compiles to vector code: hardly any text has so many
    // that the scan is needed.
    let openers = json.bytes().filter(|byte| is_opener(*byte)).count();
    openers > depth_max && scan(json.as_bytes(), depth_max)
}

/// `{` is 0x7b and `[` is 0x5b.
fn is_opener(byte: u8) -> bool {
    byte | 0x20 == b'{'
}

/// `}` is 0x7d and `]` is 0x5d.
fn is_closer(byte: u8) -> bool {
    byte | 0x20 == b'}'
}

fn scan(mut rest: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'"' {
            rest = after_string(after);
        } else if is_opener(*byte) {
            depth += 1;
            if depth > depth_max {
                return true;
            }
        } else if is_closer(*byte) {
            depth = depth.saturating_sub(1);
        }
    }
    false
}

/// What follows the string in whose middle `rest` begins.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(index) = memchr2(b'"', b'\\', rest) {
        let escape = rest[index] == b'\\';
        rest = rest.get(index + 1 + usize::from(escape)..).unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::nested_deeper;

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{}{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn levels_are_counted_outside_strings() {
        #[track_caller]
        fn check(json: &str, depth_max: usize, expected: bool) {
            assert_eq!(nested_deeper(json, depth_max), expected, "{json} with {depth_max}");
        }
        for levels in [1, 2, 64, 500] {
            check(&nested("[", "]", levels), levels, false);
            check(&nested("[", "]", levels + 1), levels, true);
            check(&nested(r#"{"a":["#, "]}", levels), 2 * levels, false);
            check(&nested(r#"{"a":["#, "]}", levels), 2 * levels - 1, true);
        }
        check(&"[],".repeat(200), 1, false);
        check(r#"{"a":"[[[[[[[[","b":"}}}}}}"}"#, 1, false);
        check(r#"{"a":"\"[[[[[[[[\\","b":[]}"#, 2, false);
        check(r#"{"a":"\"[[[[[[[[\\","b":[]}"#, 1, true);
        check(r#"{"a":"]]]]","b":[[[]]]}"#, 3, true);
        check(r#"{"a":"\\\\","b":[[[]]]}"#, 3, true);
        check(r#"{"unfinished":"[[[[[[[[\"#, 2, false);
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = r#"[\[\]{}"\\a]{0,6}"#;
        prop_oneof![text.prop_map(Value::from), Just(json!(1))].prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(text, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn depth_is_that_of_the_parsed_text(value in any_json(), depth_max in 0..8_usize) {
            prop_assert_eq!(nested_deeper(&value.to_string(), depth_max), depth(&value) > depth_max);
        }
    }
}
