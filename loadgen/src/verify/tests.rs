//! Faults are planted one by one into a lake that is right; each must be found, and nothing else.

use super::*;
use crate::ledger::{Outcome, Users};

/// Three users over two partitions: users 0 and 2 in partition 0, user 1 in partition 1.
fn partition(user: u32) -> u32 {
    user % 2
}

#[derive(Clone, Debug)]
struct PlantedRow {
    id: String,
    user: String,
    partition: i64,
    offset: i64,
}

#[derive(Clone, Debug)]
struct PlantedFile {
    found: Found,
    rows: Vec<PlantedRow>,
    footer: Result<Footer, FileError>,
}

/// A ledger of 30 acknowledged events, and a lake of four files that holds each of them once.
fn right() -> (Ledger, Vec<PlantedFile>) {
    let mut ledger = Ledger::new("run", Users::Numbered("u".to_owned()));
    let mut logs: [Vec<PlantedRow>; 2] = Default::default();
    for n in 0..30 {
        let user = n % 3;
        let id = ledger.add(user, 0);
        ledger.record(id.number, Outcome::Ok);
        let log = &mut logs[partition(user) as usize];
        let offset = log.len() as i64;
        let partition = i64::from(partition(user));
        log.push(PlantedRow { id: id.text("run"), user: format!("u{user}"), partition, offset });
    }
    let mut files = Vec::new();
    for (partition, log) in logs.iter().enumerate() {
        let (first, second) = log.split_at(log.len() / 2);
        for rows in [first, second] {
            let mut rows = rows.to_vec();
            let start = rows[0].offset as u64;
            rows.sort_by(|a, b| (&a.user, a.offset).cmp(&(&b.user, b.offset)));
            let count = rows.len() as u64;
            let footer = Footer {
                start: Some(start),
                next: Some(start + count),
                rows: Some(count),
                rows_found: count,
                ..Footer::default()
            };
            let found = Found {
                topic: "t".to_owned(),
                partition: partition as u32,
                start,
                path: format!("p{partition}/{start}"),
            };
            files.push(PlantedFile { found, rows, footer: Ok(footer) });
        }
    }
    (ledger, files)
}

fn judge(ledger: &Ledger, files: &[PlantedFile]) -> Findings {
    let mut verifier = Verifier::new(ledger);
    for file in files {
        verifier.begin_file(&file.found);
        for PlantedRow { id, user, partition, offset } in &file.rows {
            verifier.row(&Row { event_id: id, user_key: user, partition: *partition, offset: *offset });
        }
        verifier.end_file(file.footer.clone());
    }
    verifier.finish()
}

/// Plants a fault and expects these findings, by name, and no other.
#[track_caller]
fn check(plant: impl FnOnce(&mut Ledger, &mut Vec<PlantedFile>), expected: &[(&str, u64)]) {
    let (mut ledger, mut files) = right();
    plant(&mut ledger, &mut files);
    let findings = judge(&ledger, &files);
    let found: Vec<(&str, u64)> = findings
        .failures()
        .into_iter()
        .filter(|(_, finding)| finding.count > 0)
        .map(|(name, finding)| (name, finding.count))
        .collect();
    assert_eq!(found, expected, "{findings:#?}");
    assert_eq!(findings.passed(), expected.is_empty());
    for (_, finding) in findings.failures() {
        assert_eq!(finding.examples.len() as u64, finding.count.min(EXAMPLES_MAX as u64));
    }
}

fn footer(file: &mut PlantedFile) -> &mut Footer {
    file.footer.as_mut().unwrap()
}

fn drop_row(file: &mut PlantedFile, at: usize) -> PlantedRow {
    footer(file).rows = footer(file).rows.map(|rows| rows - 1);
    footer(file).rows_found -= 1;
    file.rows.remove(at)
}

#[test]
fn a_lake_that_is_right_passes() {
    check(|_, _| {}, &[]);
    let (ledger, files) = right();
    assert_eq!(judge(&ledger, &files).rows, 30);
}

#[test]
fn planted_loss_is_found() {
    check(|_, files| drop(drop_row(&mut files[1], 3)), &[("missing", 1)]);
    check(
        |ledger, files| {
            files.clear();
            assert_eq!(ledger.len(), 30);
        },
        &[("missing", 30)],
    );
}

#[test]
fn what_is_unknown_may_be_missing() {
    let plant = |ledger: &mut Ledger, files: &mut Vec<PlantedFile>| {
        let row = drop_row(&mut files[0], 0);
        let number = EventId::parse("run", &row.id).unwrap().number;
        let mut other = Ledger::new("run", ledger.names().clone());
        for n in ledger.numbers() {
            let id = other.add(ledger.id(n).user, 0);
            other.record(id.number, if n == number { Outcome::Unknown } else { Outcome::Ok });
        }
        *ledger = other;
    };
    check(plant, &[]);
}

#[test]
fn a_planted_duplicate_is_found_in_the_same_file_and_across_files() {
    for from in [0, 1] {
        check(
            |_, files| {
                let twin = files[from].rows[0].clone();
                append(&mut files[1], twin);
            },
            &[("duplicated", 1)],
        );
    }
    check(|_, files| files[3].rows[0].offset = files[3].rows[1].offset, &[("unsorted", 1), ("overlaps", 1)]);
}

#[test]
fn a_duplicate_of_a_resent_event_is_counted_apart() {
    let (mut ledger, mut files) = right();
    let twin = files[0].rows[0].clone();
    let number = EventId::parse("run", &twin.id).unwrap().number;
    ledger.record(number, Outcome::Unknown);
    ledger.resend(number);
    ledger.record(number, Outcome::Ok);
    append(&mut files[1], twin.clone());
    let findings = judge(&ledger, &files);
    assert!(findings.passed(), "{findings:#?}");
    assert_eq!(findings.duplicated_resent.count, 1);
}

/// Adds a row at the next offset of the file.
fn append(file: &mut PlantedFile, row: PlantedRow) {
    let next = footer(file).next.unwrap();
    footer(file).next = Some(next + 1);
    footer(file).rows = footer(file).rows.map(|rows| rows + 1);
    footer(file).rows_found += 1;
    file.rows.push(PlantedRow { offset: next as i64, partition: i64::from(file.found.partition), ..row });
    file.rows.sort_by(|a, b| (&a.user, a.offset).cmp(&(&b.user, b.offset)));
}

/// Swaps what two rows say, not where they stand.
fn swap(files: &mut [PlantedFile], a: (usize, usize), b: (usize, usize)) {
    let id = files[a.0].rows[a.1].id.clone();
    files[a.0].rows[a.1].id = std::mem::replace(&mut files[b.0].rows[b.1].id, id);
}

#[test]
fn planted_swaps_are_found_within_a_file_and_across_files() {
    check(|_, files| swap(files, (0, 0), (0, 1)), &[("reordered", 1)]);
    // The first file's last event of user 0 and the second file's first.
    check(|_, files| swap(files, (0, 4), (1, 0)), &[("reordered", 1)]);
    check(|_, files| swap(files, (0, 0), (0, 4)), &[("reordered", 4)]);
}

#[test]
fn planted_phantoms_are_found() {
    let stranger = |id: &str| PlantedRow { id: id.to_owned(), user: "u0".to_owned(), partition: 0, offset: 0 };
    for id in ["run-0-99-99", "run-0-1-0", "run-2-0-0", "run-nonsense"] {
        check(|_, files| append(&mut files[1], stranger(id)), &[("phantom", 1)]);
    }
    let with_outcome = |outcome| {
        move |ledger: &mut Ledger, files: &mut Vec<PlantedFile>| {
            let id = ledger.add(0, 0);
            if outcome != Outcome::Unsent {
                ledger.record(id.number, outcome);
            }
            append(&mut files[1], stranger(&id.text("run")));
        }
    };
    check(with_outcome(Outcome::Fail), &[("phantom", 1)]);
    check(with_outcome(Outcome::Unsent), &[("phantom", 1)]);
    check(with_outcome(Outcome::Unknown), &[]);
    check(with_outcome(Outcome::Ok), &[]);
}

#[test]
fn rows_of_other_runs_are_no_phantoms() {
    let (ledger, mut files) = right();
    let other = PlantedRow { id: "other-0-0-0".to_owned(), user: "u0".to_owned(), partition: 0, offset: 0 };
    append(&mut files[1], other);
    let findings = judge(&ledger, &files);
    assert!(findings.passed());
    assert_eq!((findings.rows, findings.rows_of_others), (30, 1));
}

#[test]
fn a_planted_wrong_user_is_found() {
    check(|_, files| files[2].rows.iter_mut().for_each(|row| row.user = "u7".to_owned()), &[("wrong user", 5)]);
}

#[test]
fn a_wrong_partition_is_found() {
    // The column says another partition than the path.
    check(|_, files| files[3].rows[0].partition = 5, &[("wrong partition", 2)]);
    // A user in two partitions.
    check(
        |_, files| {
            let row = drop_row(&mut files[1], 0);
            append(&mut files[3], row);
        },
        &[("reordered", 1), ("wrong partition", 1)],
    );
}

#[test]
fn planted_breaks_of_the_chain_are_found() {
    let shift = |by: i64| {
        move |_: &mut Ledger, files: &mut Vec<PlantedFile>| {
            let file = &mut files[1];
            file.found.start = file.found.start.strict_add_signed(by);
            file.rows.iter_mut().for_each(|row| row.offset += by);
            let footer = footer(file);
            footer.start = footer.start.map(|start| start.strict_add_signed(by));
            footer.next = footer.next.map(|next| next.strict_add_signed(by));
        }
    };
    check(shift(3), &[("gaps", 1)]);
    check(shift(-1), &[("overlaps", 1)]);
    check(|_, files| footer(&mut files[0]).next = Some(11), &[("overlaps", 1)]);
    check(|_, files| footer(&mut files[0]).next = Some(9), &[("gaps", 1), ("wrong footer", 1)]);
    check(|_, files| footer(&mut files[1]).start = Some(5), &[("wrong footer", 1)]);
    check(|_, files| footer(&mut files[0]).rows = Some(1), &[("wrong footer", 1)]);
    check(|_, files| footer(&mut files[0]).rows = None, &[("wrong footer", 1)]);
    check(|_, files| footer(&mut files[0]).dead_letters = 1, &[("wrong footer", 1)]);
    check(|_, files| files[0].rows.swap(0, 9), &[("reordered", 5), ("unsorted", 6)]);
}

#[test]
fn an_unreadable_file_is_found() {
    let torn = FileError::Parquet { what: "torn".to_owned() };
    check(
        |_, files| {
            files[3].rows.clear();
            files[3].footer = Err(torn);
        },
        &[("missing", 5), ("unreadable files", 1)],
    );
}
