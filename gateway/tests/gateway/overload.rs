//! Goal: at several times of what may pass, the books are exact to the event: what was answered as accepted is in the log
//! once, what was refused is not in it at all. Method: clients that send without a pause against limits of every kind,
//! and the journal read back.

use std::collections::{BTreeMap, HashSet};

use gateway::{
    Log,
    config::{KeySettings, Serving},
};

use crate::{
    harness::{Gateway, array, event, journal, request, stored},
    keys::key,
};

const CLIENTS: usize = 16;
const REQUESTS: usize = 60;
const EVENTS: usize = 20;

/// Sends everything as one client; answers by status, and the ids of accepted events.
fn send(gateway: &Gateway, client: usize) -> (BTreeMap<u16, usize>, Vec<String>) {
    let mut connection = gateway.connect();
    let (mut statuses, mut accepted) = (BTreeMap::new(), Vec::new());
    let key = ["hot", "hot", "free", "other"][client % 4];
    for n in 0..REQUESTS {
        let numbers = n * EVENTS..(n + 1) * EVENTS;
        let events: Vec<String> = numbers.clone().map(|n| event(client, n)).collect();
        connection.send(&request(&format!("x-write-key: {key}\r\n"), array(&events).as_bytes()));
        let reply = connection.reply();
        *statuses.entry(reply.status).or_default() += 1;
        match reply.status {
            200 => accepted.extend(numbers.map(|n| format!("{client}-{n}"))),
            429 | 503 => assert!(reply.header("retry-after").is_some(), "{reply:?}"),
            _ => panic!("{reply:?}"),
        }
    }
    (statuses, accepted)
}

#[test]
fn the_books_are_exact_to_the_event_under_overload() {
    let (_dir, journal) = journal(4);
    let log = Log::journal(journal.clone());
    let limited = KeySettings { events_per_second: Some(1), burst: Some(100), ..key("hot", "hot") };
    let mut settings =
        Serving { keys: vec![limited, key("free", "free"), key("other", "other")], ..Serving::default() };
    // Room for about four requests.
    settings.gateway.in_flight_bytes_max = 8000;
    settings.gateway.limits.source_share_max = 60;
    let gateway = Gateway::serve(|_| log, settings, None);
    let gateway = &gateway;
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || send(gateway, client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let status = |status| answers.iter().filter_map(|(statuses, _)| statuses.get(&status)).sum::<usize>();
    assert_eq!(status(200) + status(429) + status(503), CLIENTS * REQUESTS);
    assert!(status(200) > 0 && status(429) > 0 && status(503) > 0, "every kind of answer: {answers:?}");
    let accepted: HashSet<String> = answers.iter().flat_map(|(_, accepted)| accepted.iter().cloned()).collect();
    let stored = stored(&journal);
    assert_eq!(stored.len(), status(200) * EVENTS, "each once");
    assert_eq!(stored.into_iter().collect::<HashSet<_>>(), accepted);
    gateway.check_ledger();
    assert_eq!(gateway.metric("gateway_events_accepted_total"), (status(200) * EVENTS) as u64);
    assert_eq!(gateway.metric("gateway_body_bytes_in_flight"), 0);
}
