use super::*;

#[track_caller]
fn check(outcomes: &[Outcome], expected: Outcome) {
    let mut ledger = Ledger::new("r", Users::Numbered("u".to_owned()));
    let id = ledger.add(3, 0);
    for outcome in outcomes {
        ledger.record(id.number, *outcome);
    }
    assert_eq!(ledger.outcome(id.number), expected, "after {outcomes:?}");
}

#[test]
fn outcome_is_the_last_certain_one_and_never_fail_after_unknown() {
    use Outcome::{Fail, Ok, Unknown, Unsent};
    check(&[], Unsent);
    check(&[Ok], Ok);
    check(&[Fail], Fail);
    check(&[Fail, Fail, Ok], Ok);
    check(&[Fail, Unknown], Unknown);
    check(&[Unknown, Fail], Unknown);
    check(&[Unknown, Fail, Fail], Unknown);
    check(&[Unknown, Fail, Ok], Ok);
}

#[test]
fn only_an_unclear_outcome_makes_a_second_sending_a_resend() {
    let mut ledger = Ledger::new("r", Users::Numbered("u".to_owned()));
    let refused = ledger.add(0, 0).number;
    let unclear = ledger.add(0, 0).number;
    ledger.record(refused, Outcome::Fail);
    ledger.record(unclear, Outcome::Unknown);
    ledger.resend(refused);
    ledger.resend(unclear);
    assert!(!ledger.resent(refused));
    assert!(ledger.resent(unclear));
}

#[test]
fn sequences_count_per_user() {
    let mut ledger = Ledger::new("r", Users::Numbered("u".to_owned()));
    let ids: Vec<_> = [5, 0, 5, 5, 0].into_iter().map(|user| ledger.add(user, 0).sequence).collect();
    assert_eq!(ids, [0, 0, 1, 2, 1]);
    assert_eq!(ledger.users(), 2);
}

#[test]
fn a_sighting_is_first_once_and_strangers_are_known() {
    let mut ledger = Ledger::new("r", Users::Numbered("u".to_owned()));
    let id = ledger.add(1, 12_345_600);
    assert_eq!(ledger.see(id), Sighting::First { due_us: 12_345_600 });
    assert_eq!(ledger.see(id), Sighting::Again);
    assert_eq!(ledger.see(EventId { number: 9, ..id }), Sighting::Stranger);
    assert_eq!(ledger.see(EventId { user: 2, ..id }), Sighting::Stranger);
    assert_eq!(ledger.see(EventId { sequence: 1, ..id }), Sighting::Stranger);
}

#[test]
fn event_ids_are_read_back_and_others_are_not() {
    let id = EventId { user: 7, sequence: 0, number: u32::MAX };
    assert_eq!(EventId::parse("ab", &id.text("ab")), Some(id));
    let mut bytes = Vec::new();
    id.write("ab", &mut bytes);
    assert_eq!(bytes, id.text("ab").as_bytes());
    for other in ["", "ab", "ab-1-2", "ab-1-2-3-4", "ac-1-2-3", "ab-1-2-x", "ab1-2-3", "ab-1-2-4294967296"] {
        assert_eq!(EventId::parse("ab", other), None, "{other}");
    }
}

#[test]
fn users_have_their_names() {
    let numbered = Users::Numbered("u".to_owned());
    assert!(numbered.is(12, "u12"));
    assert!(!numbered.is(12, "u1") && !numbered.is(12, "u012") && !numbered.is(12, "12"));
    let listed = Users::Listed(vec!["a".to_owned(), "b".to_owned()]);
    assert!(listed.is(1, "b") && !listed.is(0, "b") && !listed.is(2, "b"));
}
