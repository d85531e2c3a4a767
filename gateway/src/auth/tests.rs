use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::{key::Found, *};

const KNOWN: [&str; 4] = ["web", "us:er", "a b&c", "jitsu:secret"];

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn the_first_place_that_holds_a_key_decides() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], query: Option<&str>, expected: Found<&str>) {
        let found = of_head(&headers(pairs), query, |key| KNOWN.into_iter().find(|known| *known == key));
        assert_eq!(found, expected, "{pairs:?} {query:?}");
    }
    use Found::{Known, Missing, Unknown};
    let basic = |text: &str, expected| {
        use base64::Engine;
        for scheme in ["Basic", "basic", "BASIC"] {
            let text = base64::prelude::BASE64_STANDARD.encode(text);
            check(&[(AUTHORIZATION.as_str(), &format!("{scheme} {text}"))], None, expected);
            let bare = format!("{scheme} {}", text.trim_end_matches('='));
            check(&[(AUTHORIZATION.as_str(), &bare)], None, expected);
        }
    };
    basic("web:", Known("web"));
    basic("web", Known("web"));
    basic("web:ignored", Known("web"));
    basic("web:ig:nored", Known("web"));
    basic("us:er:", Known("us:er"));
    basic("us:er", Known("us:er"));
    basic("us:er:password", Known("us:er"));
    basic("jitsu:secret", Known("jitsu:secret"));
    basic("other:", Unknown);
    basic(":", Missing);
    basic("", Missing);
    basic("***:", Missing);
    check(&[("authorization", "Basic !!!")], None, Unknown);
    check(&[("authorization", "Bearer web")], None, Known("web"));
    check(&[("authorization", "Bearer nobody")], None, Unknown);
    check(&[("authorization", "Digest web")], None, Missing);
    check(&[("authorization", "web")], None, Missing);

    check(&[("x-write-key", "web")], None, Known("web"));
    check(&[("x-write-key", " us:er ")], None, Known("us:er"));
    check(&[("x-write-key", "")], None, Missing);
    check(&[("x-write-key", "id:***")], Some("writeKey=web"), Known("web"));
    check(&[("x-write-key", "nobody")], Some("writeKey=web"), Unknown);

    check(&[], Some("writeKey=web"), Known("web"));
    check(&[], Some("a=1&writeKey=us%3Aer&b=2"), Known("us:er"));
    check(&[], Some("writeKey=a+b%26c"), Known("a b&c"));
    check(&[], Some("writeKey=a%20b%26c"), Known("a b&c"));
    check(&[], Some("writekey=web"), Missing);
    check(&[], Some("xwriteKey=web"), Missing);
    check(&[], Some("writeKey="), Missing);
    check(&[], Some("writeKey=%ff"), Missing);
    check(&[], Some("writeKey=***"), Missing);
    check(&[], None, Missing);
    let basic_web = ("authorization", "Basic d2ViOg==");
    check(&[basic_web, ("x-write-key", "nobody")], Some("writeKey=nobody"), Known("web"));
}

#[test]
fn the_body_tells_its_key_on_top_only() {
    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(of_body(body.as_bytes()).as_deref(), expected, "{body}");
    }
    check(r#"{"batch":[{"writeKey":"inner"}],"writeKey":"web"}"#, Some("web"));
    check(r#"{"writeKey":"w\u0065b","batch":[]}"#, Some("web"));
    check(r#"{"batch":[{"writeKey":"inner"}]}"#, None);
    check(r#"{"writeKey":"***"}"#, None);
    check(r#"{"writeKey":""}"#, None);
    check(r#"{"writeKey":null}"#, None);
    check(r#"{"writeKey":7}"#, None);
    check(r#"[{"writeKey":"web"}]"#, None);
    check("writeKey", None);
    check("", None);
}

#[test]
fn a_key_is_never_shown() {
    let setting = KeySettings { key: "secret".to_owned(), name: "web".to_owned(), ..KeySettings::default() };
    let settings = crate::config::Serving { keys: vec![setting], ..Default::default() };
    let policy = crate::policy::Policy::new(&settings, None).expect("good settings");
    assert!(!format!("{policy:?} {settings:?}").contains("secret"));
}
