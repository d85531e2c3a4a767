//! Goal: each form of request gives the right events, and a defect costs exactly what it should. Method: parse bytes, look
//! at the decoded records and at the rejections.

mod reference;

use event::{Event, decode};

use super::*;
use crate::{
    batch::{Batch, Bound, Origin},
    config::IpPolicy,
    routes::Routes,
};

const RECEIVED_AT_US: i64 = 1_767_323_045_678_000;

fn taken<T>(call: Call, body: &str, look: impl Fn(Result<(), &'static str>, &mut Batch) -> T) -> T {
    let mut batch = Batch::default();
    let origin = Origin {
        received_at_us: RECEIVED_AT_US,
        source: "default",
        user_agent: Some("agent"),
        ip: Some("192.0.2.0"),
        ip_policy: IpPolicy::Truncated,
        routes: &Routes::NONE,
    };
    let mut intake = batch.open(origin, Bound { events_max: 100, event_bytes_max: 1 << 20 });
    let result = parse(call, body.as_bytes(), &mut intake).map_err(|rejection| rejection.code.facts().name);
    look(result, &mut batch)
}

/// `Ok`: for each event its user and type, or `index!code`. `Err`: the code of the whole request.
#[track_caller]
fn check(call: Call, body: &str, expected: Result<&str, &str>) {
    let found = taken(call, body, |result, batch| {
        result?;
        let mut found: Vec<(u32, String)> = batch
            .records()
            .map(|record| {
                let event = decode(record.value).expect("what we encode can be decoded");
                (record.index, format!("{}:{}", event.user_key().unwrap(), event.kind))
            })
            .collect();
        let rejected = batch.take_rejected();
        found.extend(rejected.iter().map(|it| (it.index, format!("{}!{}", it.index, it.rejection.code.facts().name))));
        found.sort();
        Ok(found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" "))
    });
    assert_eq!(found.as_deref().map_err(|code| *code), expected, "{body}");
}

/// Shows one event to `look`.
#[track_caller]
fn see(call: Call, body: &str, look: impl Fn(Event<'_>)) {
    taken(call, body, |result, batch| {
        assert_eq!(result, Ok(()), "{body}");
        assert_eq!(batch.take_rejected(), [], "{body}");
        let value = batch.records().next().expect("one record").value.to_vec();
        look(decode(&value).expect("what we encode can be decoded"));
    });
}

#[test]
fn each_call_has_its_type() {
    let body = r#"{"type":"other","event":"Signed Up","userId":"u"}"#;
    for (call, expected) in [
        (Call::Page, "u:page_view"),
        (Call::Track, "u:track"),
        (Call::Identify, "u:identify"),
        (Call::Group, "u:group"),
        (Call::Alias, "u:alias"),
        (Call::Screen, "u:screen_view"),
    ] {
        check(call, body, Ok(expected));
        check(Call::Batch, &format!(r#"{{"batch":[{{"type":"{}","userId":"u"}}]}}"#, named(call)), Ok(expected));
        check(call, &format!("\u{feff} {body}\r\n"), Ok(expected));
    }
    check(Call::Batch, r#"{"batch":[{"type":"merge","userId":"u"},{"type":"","userId":"u"},{"userId":"u"}]}"#, {
        Ok("u:merge 1!field_missing 2!field_missing")
    });
}

fn named(call: Call) -> String {
    format!("{call:?}").to_lowercase()
}

#[test]
fn ids_are_texts_numbers_or_nothing() {
    #[track_caller]
    fn check(ids: &str, user: Option<&str>, anonymous: Option<&str>, message: Option<&str>) {
        see(Call::Track, &format!("{{{ids}}}"), |event| {
            assert_eq!((event.user_id, event.anonymous_id), (user, anonymous), "{ids}");
            match message {
                Some(id) => assert_eq!(event.event_id, id, "{ids}"),
                None => assert_eq!(event.event_id.len(), 36, "{ids}"),
            }
        });
    }
    check(
        r#""userId":"u","anonymousId":"a","messageId":"node-next-1\/2""#,
        Some("u"),
        Some("a"),
        Some("node-next-1/2"),
    );
    check(r#""userId":"","anonymousId":"a","messageId":"""#, Some(""), Some("a"), None);
    check(r#""userId":null,"anonymousId":"a","messageId":null"#, None, Some("a"), None);
    check(r#""userId":12345678901234567890123,"messageId":7"#, Some("12345678901234567890123"), None, Some("7"));
    check(r#""userId":1.50,"userId":-2"#, Some("-2"), None, None);
    super::tests::check(Call::Track, r#"{"userId":{"a":1}}"#, Ok("0!invalid_type"));
    super::tests::check(Call::Track, r#"{"userId":true,"anonymousId":"a"}"#, Ok("0!invalid_type"));
    super::tests::check(Call::Track, r#"{"userId":"\ud800"}"#, Ok("0!invalid_type"));
    super::tests::check(Call::Track, r#"{"event":"x"}"#, Ok("0!no_user_key"));
    super::tests::check(Call::Track, r#"{"userId":"","anonymousId":null}"#, Ok("0!no_user_key"));
}

#[test]
fn a_defect_costs_what_it_should() {
    let good = r#"{"type":"track","userId":"u"}"#;
    for body in ["{", "x", "{\"batch\":[{]}", "{\"batch\":[]}]", "{\"batch\":[{},]}", "[{}", "{\"a\":\"\\u12g4\"}"] {
        check(Call::Batch, body, Err("malformed_json"));
        check(Call::Track, body, Err("malformed_json"));
    }
    check(Call::Batch, &format!(r#"{{"batch":[{good}],"sentAt":tru}}"#), Err("malformed_json"));
    check(Call::Batch, &format!(r#"{{"batch":[{good}"#), Err("malformed_json"));
    check(Call::Batch, &format!("{good}\n{good}"), Err("malformed_json"));
    for body in ["", " ", "{}", r#"{"batch":[]}"#, good] {
        check(Call::Batch, body, Err("empty_batch"));
    }
    check(Call::Page, "", Err("empty_batch"));
    for body in ["[]", "7", "null", &format!("[{good}]")] {
        check(Call::Batch, body, Err("not_an_object"));
        check(Call::Track, body, Ok("0!not_an_object"));
    }
    for batch in ["null", "7", "{}", "\"x\""] {
        check(Call::Batch, &format!(r#"{{"batch":{batch}}}"#), Err("invalid_type"));
    }
    check(
        Call::Batch,
        &format!(r#"{{"batch":[{good},7,null,[],{{"userId":[]}},{{}},{good}]}}"#),
        Ok("u:track 1!not_an_object 2!not_an_object 3!not_an_object 4!invalid_type 5!field_missing u:track"),
    );
    check(Call::Batch, &format!(r#"{{"batch":[{good}],"batch":[{good},{good}]}}"#), Ok("u:track u:track"));
    check(Call::Batch, &format!(r#"{{"batch":[7,{good}],"batch":[7]}}"#), Ok("0!not_an_object"));
    check(Call::Batch, &format!(r#"{{"batch":[{}]}}"#, vec![good; 101].join(",")), Err("too_many_events"));
    check(Call::Batch, &format!(r#"{{"batch":[{}]}}"#, vec!["7"; 101].join(",")), Err("too_many_events"));
    let deep = |n| {
        format!(
            r#"{{"batch":[{{"type":"track","userId":"u","properties":{{"a":{}{}}}}}]}}"#,
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    check(Call::Batch, &deep(64), Ok("0!properties_too_deep"));
    check(Call::Batch, &deep(2000), Err("nested_too_deep"));
}

#[test]
fn the_deepest_body_that_passes_fits_every_stack() {
    let (open, close) = ("[".repeat(1022), "]".repeat(1022));
    let check_deepest = move || {
        check(Call::Track, &format!(r#"{{"userId":7,"x":{open}{close}}}"#), Ok("0!properties_too_deep"));
        check(Call::Track, &format!(r#"{{"userId":[],"x":{open}{close}}}"#), Ok("0!invalid_type"));
        check(Call::Track, &format!(r#"{{"userId":7,"context":{open}{close}}}"#), Ok("0!properties_too_deep"));
        check(Call::Batch, &format!(r#"{{"batch":{open}{close}}}"#), Ok("0!not_an_object"));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(check_deepest).expect("a thread").join().expect("no panic");
}

#[test]
fn a_page_view_knows_its_page_wherever_it_is_told() {
    #[track_caller]
    fn check(rest: &str, page: [Option<&str>; 4], properties: Option<&str>) {
        for call in [Call::Page, Call::Screen] {
            see(call, &format!(r#"{{"userId":"u",{rest}}}"#), |event| {
                assert_eq!([event.url, event.path, event.title, event.referrer], page, "{rest}");
                assert_eq!(event.properties, properties, "{rest}");
            });
        }
    }
    let page = [Some("https://x.example/a?b"), Some("/a"), Some("A"), Some("")];
    let own = r#"{"url":"https://x.example/a?b","path":"/a","title":"A","referrer":"","search":"?b","n":1}"#;
    check(&format!(r#""properties":{own}"#), page, Some(own));
    let context = r#"{"page":{"url":"https://x.example/a?b","path":"/a","title":"A","referrer":"","search":"?b"}}"#;
    check(&format!(r#""context":{context}"#), page, None);
    check(&format!(r#""properties":{own},"context":{context}"#), page, Some(own));
    check(&format!(r#""context":{context},"properties":{own}"#), page, Some(own));
    check(
        r#""properties":{"url":"https:\/\/x.example\/b","title":7},"context":{"page":{"url":"/c","title":"C","search":"?q"}}"#,
        [Some("https://x.example/b"), Some("/b"), Some("C"), None],
        Some(r#"{"context":{"page":{"url":"/c","search":"?q"}},"url":"https:\/\/x.example\/b","title":7}"#),
    );
    check(
        r#""context":{"page":{"path":7,"title":null,"tab":1}}"#,
        [None; 4],
        Some(r#"{"context":{"page":{"tab":1,"path":7}}}"#),
    );
    check(
        r#""properties":{"url":"/a","url":"/b"}"#,
        [Some("/b"), Some("/b"), None, None],
        Some(r#"{"url":"/a","url":"/b"}"#),
    );
}

#[test]
fn a_track_keeps_its_name_and_its_properties_to_itself() {
    let properties = r##"{"title":"Song","url":"song:1","element":"#buy","elementText":"Buy \"now\"","href":"/cart"}"##;
    let body = format!(
        r##"{{"event":"Button Clicked","name":"n","userId":"u","properties":{properties},"context":{{"page":{{"url":"/p"}}}}}}"##
    );
    see(Call::Track, &body, |event| {
        assert_eq!((event.kind, event.name), ("track", Some("Button Clicked")));
        assert_eq!((event.url, event.path, event.title), (Some("/p"), Some("/p"), None));
        let element = (event.element, event.element_text, event.element_href);
        assert_eq!(element, (Some("#buy"), Some("Buy \"now\""), Some("/cart")));
        assert_eq!(event.properties, Some(&*format!(r#"{{"name":"n",{}"#, &properties[1..])));
    });
    see(Call::Page, r#"{"event":"e","name":"Home","category":"Docs","userId":"u"}"#, |event| {
        assert_eq!((event.name, event.properties), (Some("Home"), Some(r#"{"category":"Docs","event":"e"}"#)));
    });
    see(Call::Track, r#"{"event":7,"userId":"u","properties":"x"}"#, |event| {
        assert_eq!((event.name, event.properties), (None, Some(r#"{"properties":"x","event":7}"#)));
    });
}

#[test]
fn context_fills_columns_and_the_rest_is_kept_in_its_place() {
    let body = r#"{"userId":"u","writeKey":"k","integrations":{},"traits":{"plan":"pro"},"previousId":"p","context":{
        "ip":"203.0.113.9","userAgent":"Mozilla\/5.0","locale":"de-DE","sessionId":1767323045678,"timezone":"Europe/Berlin",
        "page":{"path":"/a","initial":1},"screen":{"width":1920,"height":1080,"density":2},
        "library":{"name":"analytics-node","version":"2.1.0","consumer":"x"},
        "campaign":{"source":"s","medium":"m","name":"n","term":"t","content":"c","id":"9"}}}"#;
    see(Call::Identify, body, |event| {
        assert_eq!(
            (event.ip, event.user_agent, event.locale),
            (Some("203.0.113.0"), Some("Mozilla/5.0"), Some("de-DE"))
        );
        assert_eq!((event.session_id, event.screen), (Some("1767323045678"), Some("1920x1080")));
        assert_eq!(event.library, Some("analytics-node/2.1.0"));
        assert_eq!((event.campaign_source, event.campaign_medium), (Some("s"), Some("m")));
        let campaign = (event.campaign_name, event.campaign_term, event.campaign_content);
        assert_eq!(campaign, (Some("n"), Some("t"), Some("c")));
        let properties = r#"{"integrations":{},"traits":{"plan":"pro"},"previousId":"p","context":{"timezone":"Europe/Berlin","page":{"initial":1},"screen":{"density":2},"library":{"consumer":"x"},"campaign":{"id":"9"}}}"#;
        assert_eq!(event.properties, Some(properties));
    });
}

#[test]
fn an_odd_context_costs_no_event() {
    #[track_caller]
    fn check(context: &str, expected: Option<&str>) {
        for (call, body) in [(Call::Identify, None), (Call::Batch, Some("batch"))] {
            let event = format!(r#"{{"type":"identify","userId":"u","context":{context}}}"#);
            let body = body.map_or(event.clone(), |key| format!(r#"{{"{key}":[{event}]}}"#));
            see(call, &body, |event| assert_eq!(event.properties, expected, "{body}"));
        }
    }
    check("null", None);
    check("{}", None);
    check(r#"{"page":null,"screen":{},"ip":null,"locale":null,"library":{"name":null}}"#, None);
    check("7", Some(r#"{"context":7}"#));
    check(r#"["a"]"#, Some(r#"{"context":["a"]}"#));
    check(r#"{"page":"x","ip":"203.0.113.9"}"#, Some(r#"{"context":{"page":"x"}}"#));
    check(r#"{"ip":"203.0.113.9, 198.51.100.1"}"#, None);
    check(r#"{"locale":7,"userAgent":["a"],"sessionId":{},"screen":{"width":"wide","height":1}}"#, {
        Some(r#"{"context":{"locale":7,"userAgent":["a"],"sessionId":{},"screen":{"width":"wide","height":1}}}"#)
    });
}

#[test]
fn time_is_what_the_sender_says_by_our_clock() {
    #[track_caller]
    fn check(call: Call, body: &str, expected: i64) {
        see(call, body, |event| assert_eq!(event.event_time - RECEIVED_AT_US, expected, "{body}"));
    }
    let single = |rest: &str| format!(r#"{{"userId":"u"{rest}}}"#);
    check(Call::Track, &single(""), 0);
    check(Call::Track, &single(r#","timestamp":"2026-01-02T03:04:04.678Z""#), -1_000_000);
    check(Call::Track, &single(r#","originalTimestamp":"2026-01-02T03:04:04.678+00:00""#), -1_000_000);
    check(Call::Track, &single(r#","timestamp":null,"originalTimestamp":"2026-01-02 03:04:04.678""#), -1_000_000);
    check(
        Call::Track,
        &single(r#","originalTimestamp":"2020-01-01","timestamp":"2026-01-02T03:04:04.678901Z""#),
        -999_099,
    );
    check(Call::Track, &single(r#","timestamp":"2026-01-02T05:04:04Z","sentAt":"2026-01-02T05:04:05Z""#), -1_000_000);
    super::tests::check(Call::Track, &single(r#","timestamp":"yesterday""#), Ok("0!invalid_time"));
    super::tests::check(Call::Track, &single(r#","timestamp":{}"#), Ok("0!invalid_time"));
    super::tests::check(Call::Track, &single(r#","timestamp":1767323045"#), Ok("0!invalid_time"));

    let event = r#"{"type":"track","userId":"u","timestamp":"2026-01-02T05:04:04Z"}"#;
    let sent = r#""sentAt":"2026-01-02T05:04:05Z""#;
    let filler = format!(r#""x":"{}""#, "y".repeat(300));
    for body in [
        format!(r#"{{{sent},"batch":[{event}]}}"#),
        format!(r#"{{"batch":[{event}],"writeKey":"k",{sent}}}"#),
        format!(r#"{{"batch":[{event}], "sentAt" : "2026-01-02T05:04:05Z" , "a":[]}}"#),
        format!(r#"{{{filler},{sent},{filler},"batch":[{event}],{filler}}}"#),
        format!(r#"{{"batch":[{event}],"x":{{"sentAt":"2026-01-02T04:04:05Z"}},{sent},"y":[]}}"#),
        format!(r#"{{"sentAt":"2026-01-02T04:04:05Z","batch":[{event}],{sent}}}"#),
        format!(r#"{{"batch":[{event},7],{sent}}}"#).replace(",7", ""),
    ] {
        check(Call::Batch, &body, -1_000_000);
    }
    let own = event.replace('}', r#","sentAt":"2026-01-02T05:04:06Z"}"#);
    check(Call::Batch, &format!(r#"{{"batch":[{own}],{sent}}}"#), -2_000_000);
    let as_sent = 2 * 3600 * 1_000_000 - 1_678_000;
    check(Call::Batch, &format!(r#"{{"batch":[{event}],"sentAt":"2036-01-02T05:04:05Z"}}"#), as_sent);
    check(Call::Batch, &format!(r#"{{"batch":[{event}],"sentAt":"soon"}}"#), as_sent);
    check(Call::Batch, &format!(r#"{{"batch":[{event}],"sentAt":7}}"#), as_sent);
    taken(Call::Batch, &format!(r#"{{"batch":[7,{event}],{sent}}}"#), |result, batch| {
        result.expect("one event is good");
        let value = batch.records().next().expect("one record").value.to_vec();
        assert_eq!(
            decode(&value).expect("ours").event_time - RECEIVED_AT_US,
            -1_000_000,
            "also when looked at closely"
        );
    });
}

#[test]
fn what_is_said_of_a_batch_is_said_of_its_events() {
    #[track_caller]
    fn check(batch: &str, event: &str, expected: [Option<&str>; 3]) {
        for body in [
            format!(r#"{{"context":{batch},"batch":[{event}]}}"#),
            format!(r#"{{"batch":[{event}],"sentAt":"x","context":{batch},"sequence":1}}"#),
            format!(r#"{{"sequence":[1],"batch" : [{event}] , "context":{batch} , "x":[]}}"#),
            format!(r#"{{"context":{{"locale":"xx"}},"batch":[{event}],"context":{batch}}}"#),
            format!(r#"{{"x":"{}","context":{batch},"batch":[{event}]}}"#, "y".repeat(5000)),
        ] {
            see(Call::Batch, &body, |event| {
                assert_eq!([event.library, event.locale, event.properties], expected, "{body}");
            });
            let with_a_bad_one = body.replace("[{\"type", "[7,{\"type");
            taken(Call::Batch, &with_a_bad_one, |result, batch| {
                result.expect("one event is good");
                let value = batch.records().next().expect("one record").value.to_vec();
                let event = decode(&value).expect("ours");
                assert_eq!([event.library, event.locale, event.properties], expected, "{with_a_bad_one}");
            });
        }
    }
    let common = r#"{"library":{"name":"analytics-go","version":"3.0.0"},"locale":"de","instanceId":"i"}"#;
    let kept = Some(r#"{"context":{"instanceId":"i"}}"#);
    check(common, r#"{"type":"track","userId":"u"}"#, [Some("analytics-go/3.0.0"), Some("de"), kept]);
    check(
        common,
        r#"{"type":"track","userId":"u","context":{"library":{"name":"own"},"locale":"en","instanceId":"j","b":1}}"#,
        [Some("own"), Some("en"), Some(r#"{"context":{"instanceId":"j","b":1}}"#)],
    );
    check(r#"{"locale":"\u0064e"}"#, r#"{"type":"track","userId":"u"}"#, [None, Some("de"), None]);
    check(
        r#"{"library":"x"}"#,
        r#"{"type":"track","userId":"u"}"#,
        [None, None, Some(r#"{"context":{"library":"x"}}"#)],
    );
    for none in ["null", "{}", "7", "[]"] {
        check(none, r#"{"type":"track","userId":"u"}"#, [None; 3]);
    }
}
