use super::*;
use crate::{
    config::GatewaySettings,
    rate_limit::{self, Wanted},
};

fn key(key: &str, name: &str, events_per_second: Option<u32>) -> KeySettings {
    KeySettings {
        key: key.to_owned(),
        name: name.to_owned(),
        events_per_second,
        burst: events_per_second,
        ..Default::default()
    }
}

fn policy(keys: Vec<KeySettings>, old: Option<&Policy>) -> Policy {
    Policy::new(&Serving { gateway: GatewaySettings::default(), keys }, old).expect("good settings")
}

fn take(policy: &Policy, source: &str, events: u32) -> bool {
    let quota = policy.sources[source].quota.as_deref();
    let wanted = Wanted { events, announced_bytes: 0 };
    rate_limit::take(quota, None, std::net::Ipv4Addr::LOCALHOST.into(), wanted).is_ok()
}

#[test]
fn what_a_source_has_used_outlives_a_reload() {
    let first = policy(vec![key("a", "web", Some(10)), key("b", "app", Some(10))], None);
    assert!(take(&first, "web", 10) && take(&first, "app", 10));
    // Another key of the same name, another name, another limit.
    let second =
        policy(vec![key("c", "web", Some(10)), key("d", "new", Some(10)), key("b", "app", Some(20))], Some(&first));
    assert!(!take(&second, "web", 10), "the same source");
    assert!(take(&second, "new", 10), "a new source");
    assert!(take(&second, "app", 20), "a new limit begins anew");
    assert!(Arc::ptr_eq(&first.sources["app"].share, &second.sources["app"].share), "what it holds is still held");
    let third = policy(vec![key("c", "web", None)], Some(&second));
    assert!(take(&third, "web", 1_000_000), "no limit any more");
}

#[test]
fn keys_of_one_name_share_one_limit() {
    let policy = policy(vec![key("old", "web", Some(10)), key("new", "web", Some(10))], None);
    let of = |key| policy.keys.by_body(format!(r#"{{"writeKey":"{key}"}}"#).as_bytes()).expect("a known key");
    assert!(Arc::ptr_eq(&of("old").source, &of("new").source));
}

#[test]
fn an_address_limit_outlives_a_reload_unless_it_changes() {
    let with = |events, old| {
        let mut gateway = GatewaySettings::default();
        gateway.limits.events_per_second_per_address = Some(events);
        Policy::new(&Serving { gateway, keys: Vec::new() }, old).expect("good settings")
    };
    let first = with(5, None);
    let second = with(5, Some(&first));
    let same = |a: &Policy, b: &Policy| match (&a.addresses, &b.addresses) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    assert!(same(&first, &second));
    assert!(!same(&second, &with(6, Some(&second))));
}

#[test]
fn a_lone_source_need_not_share() {
    let share = |keys| policy(keys, None).division.share_bytes_max;
    assert_eq!(share(Vec::new()), usize::MAX);
    assert_eq!(share(vec![key("a", "web", None), key("b", "web", None)]), usize::MAX);
    let half = GatewaySettings::default().in_flight_bytes_max / 2;
    assert!(share(vec![key("a", "web", None), key("b", "app", None)]).abs_diff(half) < 100);
}

#[test]
fn a_request_holds_no_more_than_the_smallest_burst() {
    let limited = KeySettings { burst: Some(7), ..key("a", "web", Some(5)) };
    let policy = policy(vec![limited, key("b", "app", None)], None);
    assert_eq!(policy.events_max(&policy.sources["web"]), 7);
    assert_eq!(policy.events_max(&policy.sources["app"]), u32::MAX);
}
