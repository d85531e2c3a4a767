//! A log on its way.
//!
//! Responsible for the offer of the `replay` command: which lines go into the next request, and when. Promises the order
//! of the file, a bounded number of lines in memory, and to end at the first error of reading, loudly. Leaves sending to
//! the sender.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use super::input::Input;
use super::parse::{LineError, parse};
use super::payload;
use super::session::Visitors;
use crate::offer::{Batch, Item, Load, Next, Offer};

/// Events that may wait before no more lines are read.
const WAITING_MAX: usize = 10_000;

/// When lines are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as answers come.
    Answers,
    /// So many times as fast as in the log.
    Speed(f64),
}

/// What was read so far; shared, because the offer is owned by the sender.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Lines of the file.
    pub lines: u64,
    /// Users among them.
    pub users: u64,
    /// Lines that are none of an access log.
    pub unparsed: Vec<Unparsed>,
    /// How many there are of each reason.
    pub unparsed_reasons: BTreeMap<LineError, u64>,
    /// Why reading ended before the file did.
    pub broken: Option<String>,
}

/// A line that is none of an access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unparsed {
    /// Its number, from 1.
    pub number: u64,
    /// Why not.
    pub reason: LineError,
}

/// A log being replayed.
#[derive(Debug)]
pub struct Played {
    input: Input,
    run: String,
    site: Url,
    pace: Pace,
    batch: usize,
    visitors: Visitors,
    reading: Arc<Mutex<Reading>>,
    line: Vec<u8>,
    pending: Option<Line>,
    first_us: Option<i64>,
    latest_us: i64,
    ended: bool,
}

#[derive(Debug)]
struct Line {
    user: u32,
    due_us: u64,
    body: Box<[u8]>,
}

impl Played {
    /// Replays `input` as the run `run`, `batch` events to a request at most.
    pub fn new(input: Input, run: &str, site: Url, pace: Pace, batch: usize) -> Self {
        Played {
            input,
            run: run.to_owned(),
            site,
            pace,
            batch,
            visitors: Visitors::default(),
            reading: Arc::default(),
            line: Vec::new(),
            pending: None,
            first_us: None,
            latest_us: i64::MIN,
            ended: false,
        }
    }

    /// What has been read, while and after it is sent.
    pub fn reading(&self) -> Arc<Mutex<Reading>> {
        Arc::clone(&self.reading)
    }

    /// The next line that parses; counts and reports those that do not.
    fn read(&mut self) -> Option<Line> {
        while !self.ended {
            let number = match self.input.next_line(&mut self.line) {
                Ok(Some(number)) => number,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.reading.lock().broken = Some(error.to_string());
                    self.ended = true;
                    break;
                }
            };
            let mut reading = self.reading.lock();
            reading.lines = number;
            match parse(&self.line) {
                Ok(line) => {
                    let visitor = self.visitors.visitor(&line);
                    reading.users = self.visitors.users() as u64;
                    drop(reading);
                    let body = payload::body(&line, &visitor, number, &self.site);
                    let time_us = line.time_us;
                    return Some(Line { user: visitor.number, due_us: self.due_us(time_us), body });
                }
                Err(reason) => {
                    reading.unparsed.push(Unparsed { number, reason });
                    *reading.unparsed_reasons.entry(reason).or_default() += 1;
                }
            }
        }
        None
    }

    fn due_us(&mut self, time_us: i64) -> u64 {
        let first_us = *self.first_us.get_or_insert(time_us);
        // A line that is older than the one before is due with it: the order of the file is what counts.
        self.latest_us = self.latest_us.max(time_us);
        match self.pace {
            Pace::Answers => 0,
            Pace::Speed(speed) => ((self.latest_us - first_us) as f64 / speed) as u64,
        }
    }
}

impl Offer for Played {
    type Event = Box<[u8]>;

    fn next(&mut self, now_us: u64, load: Load) -> Next<Box<[u8]>> {
        if load.waiting > WAITING_MAX || self.pace == Pace::Answers && load.free == 0 {
            return Next::Later;
        }
        let mut events = Vec::new();
        let mut due_us = 0;
        while events.len() < self.batch {
            let Some(line) = self.pending.take().or_else(|| self.read()) else { break };
            if line.due_us > now_us {
                self.pending = Some(line);
                break;
            }
            due_us = line.due_us;
            events.push((line.user, line.body));
        }
        match (&self.pending, events.is_empty()) {
            (None, true) => Next::End,
            (Some(line), true) => Next::At(line.due_us),
            // As fast as it goes, an event is due when there is room for it.
            (_, false) if self.pace == Pace::Answers => Next::Batch(Batch { due_us: now_us, events }),
            (_, false) => Next::Batch(Batch { due_us, events }),
        }
    }

    fn write(&self, item: &Item<Box<[u8]>>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"event_id\":\"");
        item.id.write(&self.run, out);
        out.push(b'"');
        out.extend_from_slice(&item.event);
    }

    fn new_users(&mut self) -> Vec<String> {
        self.visitors.take_new_names()
    }
}

#[cfg(test)]
mod tests;
