use std::path::PathBuf;

use super::*;
use crate::ledger::{Ledger, Users};

const ROOM: Load = Load { free: 10, waiting: 0 };

fn log(lines: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let text: String = lines
        .iter()
        .map(|(client, time)| match *client {
            "junk" => "junk\n".to_owned(),
            _ => format!("{client} - - [10/Oct/2000:{time} +0000] \"GET /{time} HTTP/1.1\" 200 1 \"-\" \"a\"\n"),
        })
        .collect();
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn played(path: &std::path::Path, pace: Pace, batch: usize) -> Played {
    Played::new(Input::open(path).unwrap(), "r", "https://s.example".parse().unwrap(), pace, batch)
}

#[test]
fn lines_come_in_the_order_of_the_file_and_junk_is_reported() {
    let lines = [("a", "00:00:02"), ("junk", ""), ("b", "00:00:01"), ("a", "00:00:03"), ("junk", "")];
    let (_folder, path) = log(&lines);
    let mut played = played(&path, Pace::Answers, 2);
    let reading = played.reading();
    let mut ledger = Ledger::new("r", Users::Listed(Vec::new()));
    let mut seen = Vec::new();
    while let Next::Batch(batch) = played.next(7, ROOM) {
        assert_eq!(batch.due_us, 7);
        played.new_users().into_iter().for_each(|name| ledger.name_user(name));
        for (user, event) in batch.events {
            let item = Item { id: ledger.add(user, 0), due_us: 0, event };
            let mut bytes = Vec::new();
            played.write(&item, &mut bytes);
            let event: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(ledger.names().is(user, event["anonymous_id"].as_str().unwrap()));
            seen.push((user, event["event_id"].as_str().unwrap().to_owned(), event["properties"]["line"].clone()));
        }
    }
    let expected = [(0, "r-0-0-0", 1), (1, "r-1-0-1", 3), (0, "r-0-1-2", 4)];
    assert_eq!(seen, expected.map(|(user, id, line)| (user, id.to_owned(), line.into())));
    let reading = reading.lock();
    assert_eq!((reading.lines, reading.users), (5, 2));
    assert_eq!(reading.unparsed.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(reading.unparsed_reasons, BTreeMap::from([(LineError::Time, 2)]));
}

#[test]
fn at_a_speed_lines_are_due_as_in_the_log_and_old_lines_with_the_one_before() {
    let (_folder, path) = log(&[("a", "00:00:10"), ("b", "00:00:20"), ("c", "00:00:15"), ("d", "00:00:30")]);
    let mut played = played(&path, Pace::Speed(10.0), 100);
    let events = |next| match next {
        Next::Batch(Batch { due_us, events }) => (due_us, events.len()),
        Next::At(at_us) => (at_us, 0),
        Next::Later | Next::End => (u64::MAX, 0),
    };
    assert_eq!(events(played.next(0, ROOM)), (0, 1));
    assert_eq!(events(played.next(1, ROOM)), (1_000_000, 0));
    assert_eq!(events(played.next(1_000_000, ROOM)), (1_000_000, 2));
    assert_eq!(events(played.next(1_000_000, ROOM)), (2_000_000, 0));
    assert_eq!(events(played.next(5_000_000, ROOM)), (2_000_000, 1));
    assert!(matches!(played.next(5_000_000, ROOM), Next::End));
}

#[test]
fn as_fast_as_it_goes_means_when_there_is_room() {
    let (_folder, path) = log(&[("a", "00:00:10")]);
    let mut played = played(&path, Pace::Answers, 100);
    assert!(matches!(played.next(0, Load { free: 0, waiting: 0 }), Next::Later));
    assert!(matches!(played.next(0, Load { free: 1, waiting: WAITING_MAX + 1 }), Next::Later));
    assert!(matches!(played.next(0, ROOM), Next::Batch(_)));
}
