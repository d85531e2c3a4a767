use super::*;

fn answered(status: u16, body: &str) -> Attempt {
    Attempt::Answered { status, retry_after: None, body: body.as_bytes().to_vec().into() }
}

/// `expected` has one letter an event: `o`k, `f`ail, `u`nknown; capital if it is to be sent again.
#[track_caller]
fn check(attempt: &Attempt, expected: &str) {
    let answer = read(attempt, expected.len());
    let got: String = (0..expected.len())
        .map(|index| match answer.verdict(index) {
            Verdict { outcome: Outcome::Ok, again: false, .. } => 'o',
            Verdict { outcome: Outcome::Fail, again: false, .. } => 'f',
            Verdict { outcome: Outcome::Fail, again: true, .. } => 'F',
            Verdict { outcome: Outcome::Unknown, again: true, .. } => 'U',
            other => panic!("{other:?} cannot be"),
        })
        .collect();
    assert_eq!(got, expected, "{attempt:?}");
}

#[test]
fn only_a_200_that_accounts_for_every_event_is_an_acknowledgement() {
    check(&answered(200, r#"{"accepted":3}"#), "ooo");
    check(&answered(200, r#"{"accepted":3,"durability":"journal"}"#), "ooo");
    check(&answered(200, r#"{"accepted":2}"#), "UUU");
    check(&answered(200, r#"{"accepted":4}"#), "UUU");
    check(&answered(200, r#"{"accepted":18446744073709551615,"rejected":[{"index":0,"code":"a"}]}"#), "UUU");
    check(&answered(200, r#"{}"#), "U");
    check(&answered(200, "OK"), "U");
    check(&answered(204, ""), "U");
    check(&answered(202, r#"{"accepted":1}"#), "U");
}

#[test]
fn rejected_events_have_a_verdict_of_their_own() {
    let with = |code: &str| {
        answered(200, &format!(r#"{{"accepted":2,"rejected":[{{"index":1,"code":"{code}","message":"m"}}]}}"#))
    };
    check(&with("invalid_event"), "ofo");
    check(&with("overloaded"), "oFo");
    check(&with("delivery_failed"), "oFo");
    check(&with("delivery_unknown"), "oUo");
    check(&answered(200, r#"{"accepted":1,"rejected":[{"index":7,"code":"a"}]}"#), "UU");
    check(&answered(200, r#"{"accepted":1,"rejected":[{"index":0,"code":"a"},{"index":0,"code":"a"}]}"#), "UUU");
}

#[test]
fn refused_requests_are_certain_or_not_by_status_and_code() {
    check(&answered(400, r#"{"code":"malformed","message":"m"}"#), "ff");
    check(&answered(400, r#"{"code":"all","rejected":[{"index":0,"code":"a"},{"index":1,"code":"b"}]}"#), "ff");
    check(&answered(404, "no json"), "f");
    check(&answered(408, ""), "F");
    check(&answered(413, r#"{"code":"too_large"}"#), "f");
    check(&answered(429, r#"{"code":"rate_limited"}"#), "F");
    for code in ["overloaded", "draining", "log_unavailable"] {
        check(&answered(503, &format!(r#"{{"code":"{code}"}}"#)), "FF");
    }
    check(&answered(503, r#"{"code":"delivery_unknown","accepted":1,"rejected":[]}"#), "UU");
    check(&answered(503, "<html>"), "U");
    for status in [301, 500, 502, 504] {
        check(&answered(status, ""), "U");
    }
}

#[test]
fn what_was_not_sent_failed_and_what_was_not_answered_is_unknown() {
    check(&Attempt::NotSent { why: "connection refused".into() }, "FF");
    check(&Attempt::Lost { why: "timeout".into() }, "UU");
}

#[test]
fn retry_after_is_handed_on() {
    let attempt = Attempt::Answered { status: 503, retry_after: Some(7), body: "".into() };
    assert_eq!(read(&attempt, 1).retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn refusals_are_counted_with_the_first_examples() {
    let mut refusals = Refusals::default();
    for n in 0..5 {
        refusals.add("bad", Seen { event_id: format!("e{n}"), message: "m".to_owned() });
    }
    let (code, refusal) = refusals.iter().next().unwrap();
    assert_eq!((code, refusal.events, refusal.examples.len(), refusals.events()), ("bad", 5, 3, 5));
}
