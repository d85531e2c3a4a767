//! What was offered, and what became of it.
//!
//! Responsible for the outcome of every event of a run: one entry per event, in columns, 13 bytes each, so that ten
//! million events fit into 130 MB. Promises that an outcome which was once unclear never becomes a certain refusal.
//! Leaves to others how an outcome is found (`sender`) and what it means for the rows in the lake (`verify`).

use serde::{Deserialize, Serialize};

mod event_id;
mod file;

pub use event_id::EventId;
pub use file::{LEDGER_FILE, LedgerError, read, write};

/// What is certain about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Never sent: it must not be in the lake.
    Unsent,
    /// Acknowledged: it must be in the lake once.
    Ok,
    /// Refused with certainty: it must not be in the lake.
    Fail,
    /// Sent, and nobody knows: it may be in the lake once.
    Unknown,
}

/// How the users of a run are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Users {
    /// User 7 is the prefix followed by `7`.
    Numbered(String),
    /// User 7 is the eighth name.
    Listed(Vec<String>),
}

impl Users {
    /// Whether `name` is the name of `user`.
    pub fn is(&self, user: u32, name: &str) -> bool {
        match self {
            Users::Numbered(prefix) => name.strip_prefix(prefix.as_str()).is_some_and(|digits| {
                // "007" and "+7" are other names than "7".
                digits.parse() == Ok(user) && (digits == "0" || !digits.starts_with(['0', '+']))
            }),
            Users::Listed(names) => names.get(user as usize).is_some_and(|listed| listed == name),
        }
    }
}

const OUTCOME: u8 = 0b0000_0011;
const UNCLEAR: u8 = 0b0000_0100;
const RESENT: u8 = 0b0000_1000;
const VISIBLE: u8 = 0b0001_0000;
/// Due times are kept in steps of 0.1 ms, so that four bytes last for 119 hours.
const DUE_STEP_US: u64 = 100;

/// The outcome of every event of one run, by the number of the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    run: String,
    names: Users,
    users: Vec<u32>,
    sequences: Vec<u32>,
    due: Vec<u32>,
    flags: Vec<u8>,
    next_sequence: Vec<u32>,
}

/// What the ledger says of a row that a reader saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Seen for the first time; it was due at `due_us`.
    First {
        /// Microseconds since the start of the run.
        due_us: u64,
    },
    /// Seen before.
    Again,
    /// No event of this ledger.
    Stranger,
}

/// Events by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Events that the ledger holds.
    pub offered: u64,
    /// Acknowledged.
    pub ok: u64,
    /// Refused with certainty.
    pub fail: u64,
    /// Sent, outcome not known.
    pub unknown: u64,
    /// Never sent.
    pub unsent: u64,
    /// Sent again after an unclear outcome.
    pub resent: u64,
    /// Seen in the lake while the run went on.
    pub visible: u64,
    /// Acknowledged, but not seen.
    pub ok_unseen: u64,
}

impl Ledger {
    /// An empty ledger for the run with this id.
    pub fn new(run: &str, names: Users) -> Self {
        Ledger {
            run: run.to_owned(),
            names,
            users: Vec::new(),
            sequences: Vec::new(),
            due: Vec::new(),
            flags: Vec::new(),
            next_sequence: Vec::new(),
        }
    }

    /// The id of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// How the users are called.
    pub fn names(&self) -> &Users {
        &self.names
    }

    /// Gives user `user` a name (only where users are listed); users are named in the order of their numbers.
    pub fn name_user(&mut self, name: String) {
        if let Users::Listed(names) = &mut self.names {
            names.push(name);
        }
    }

    /// How many events the ledger holds.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether no event was offered yet.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Enters an event that is due at `due_us` and returns its id.
    pub fn add(&mut self, user: u32, due_us: u64) -> EventId {
        let number = u32::try_from(self.users.len()).expect("plans are limited to 2^32 events");
        if self.next_sequence.len() <= user as usize {
            self.next_sequence.resize(user as usize + 1, 0);
        }
        let sequence = self.next_sequence[user as usize];
        self.next_sequence[user as usize] += 1;
        self.users.push(user);
        self.sequences.push(sequence);
        self.due.push(u32::try_from(due_us / DUE_STEP_US).unwrap_or(u32::MAX));
        self.flags.push(0);
        EventId { user, sequence, number }
    }

    /// Takes down the outcome of one attempt.
    pub fn record(&mut self, number: u32, outcome: Outcome) {
        let flags = &mut self.flags[number as usize];
        let outcome = match outcome {
            Outcome::Unknown => {
                *flags |= UNCLEAR;
                Outcome::Unknown
            }
            // An earlier attempt may still have gone through: a later refusal does not take that back.
            Outcome::Fail if *flags & UNCLEAR != 0 => Outcome::Unknown,
            certain => certain,
        };
        *flags = *flags & !OUTCOME | outcome as u8;
    }

    /// Takes down that the event is about to be sent again. Only after an unclear outcome does that excuse a duplicate.
    pub fn resend(&mut self, number: u32) {
        let flags = &mut self.flags[number as usize];
        if *flags & UNCLEAR != 0 {
            *flags |= RESENT;
        }
    }

    /// Takes down that a reader saw the event.
    pub fn see(&mut self, id: EventId) -> Sighting {
        if !self.holds(id) {
            return Sighting::Stranger;
        }
        let flags = &mut self.flags[id.number as usize];
        if *flags & VISIBLE != 0 {
            return Sighting::Again;
        }
        *flags |= VISIBLE;
        Sighting::First { due_us: self.due_us(id.number) }
    }

    /// Whether this very event was offered.
    pub fn holds(&self, id: EventId) -> bool {
        let number = id.number as usize;
        self.users.get(number) == Some(&id.user) && self.sequences[number] == id.sequence
    }

    /// The last certain outcome.
    pub fn outcome(&self, number: u32) -> Outcome {
        match self.flags[number as usize] & OUTCOME {
            0 => Outcome::Unsent,
            1 => Outcome::Ok,
            2 => Outcome::Fail,
            _ => Outcome::Unknown,
        }
    }

    /// Whether it was sent again after an unclear outcome.
    pub fn resent(&self, number: u32) -> bool {
        self.flags[number as usize] & RESENT != 0
    }

    /// Whether a reader saw it.
    pub fn visible(&self, number: u32) -> bool {
        self.flags[number as usize] & VISIBLE != 0
    }

    /// When it was due, in microseconds since the start, to 0.1 ms.
    pub fn due_us(&self, number: u32) -> u64 {
        u64::from(self.due[number as usize]) * DUE_STEP_US
    }

    /// The id of event `number`.
    pub fn id(&self, number: u32) -> EventId {
        EventId { user: self.users[number as usize], sequence: self.sequences[number as usize], number }
    }

    /// The numbers of all events.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.len()).expect("plans are limited to 2^32 events")
    }

    /// How many users have events.
    pub fn users(&self) -> usize {
        self.next_sequence.iter().filter(|next| **next > 0).count()
    }

    /// Counts events by outcome.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { offered: self.len() as u64, ..Tally::default() };
        for number in self.numbers() {
            match self.outcome(number) {
                Outcome::Ok => tally.ok += 1,
                Outcome::Fail => tally.fail += 1,
                Outcome::Unknown => tally.unknown += 1,
                Outcome::Unsent => tally.unsent += 1,
            }
            tally.resent += u64::from(self.resent(number));
            tally.visible += u64::from(self.visible(number));
            tally.ok_unseen += u64::from(self.outcome(number) == Outcome::Ok && !self.visible(number));
        }
        tally
    }
}

#[cfg(test)]
mod tests;
