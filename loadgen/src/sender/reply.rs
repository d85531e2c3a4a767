//! What an answer says about each event.
//!
//! Responsible for the three outcomes: ok, fail, unknown, and for whether sending again may help. Promises that only a
//! `200` which accounts for every event counts as an acknowledgement, and that whatever is not certain is unknown.
//! Leaves when to send again to the sender.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Attempt;
use crate::ledger::Outcome;

/// Refusals of single events that may pass: the gateway, not the event, was at fault.
const RETRIABLE: [&str; 6] =
    ["overloaded", "draining", "log_unavailable", "delivery_failed", "delivery_unknown", "rate_limited"];
/// Refusals of whole requests with 503 before anything was handed to the log.
const CERTAIN_503: [&str; 3] = ["overloaded", "draining", "log_unavailable"];
/// The one refusal of an event after which the event may still arrive.
const UNCLEAR: &str = "delivery_unknown";

/// What is known of one event after one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) again: bool,
    pub(super) code: String,
    pub(super) message: String,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// In a few words, for counting.
    pub(super) how: Cow<'static, str>,
    /// After which time the server wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    most: Verdict,
    /// Events with a verdict of their own, by index.
    others: BTreeMap<usize, Verdict>,
}

impl Answer {
    /// The verdict on the event at `index` of the request.
    pub(super) fn verdict(&self, index: usize) -> &Verdict {
        self.others.get(&index).unwrap_or(&self.most)
    }

    fn whole(how: impl Into<Cow<'static, str>>, outcome: Outcome, again: bool) -> Self {
        let most = Verdict { outcome, again, code: String::new(), message: String::new() };
        Answer { how: how.into(), retry_after: None, most, others: BTreeMap::new() }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    accepted: Option<u64>,
    rejected: Vec<Rejected>,
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads what came of sending `events` events.
pub(super) fn read(attempt: &Attempt, events: usize) -> Answer {
    let (status, retry_after, body) = match attempt {
        Attempt::NotSent { why } => return Answer::whole(format!("not sent: {why}"), Outcome::Fail, true),
        Attempt::Lost { why } => return Answer::whole(format!("no answer: {why}"), Outcome::Unknown, true),
        Attempt::Answered { status, retry_after, body } => (*status, *retry_after, body),
    };
    let body = serde_json::from_slice::<Body>(body);
    let mut answer = match (status, body) {
        (200, Ok(body)) => accepted(body, events),
        (200, Err(_)) => Answer::whole("200 without a readable reply", Outcome::Unknown, true),
        (status, body) => refused(status, body.unwrap_or_default()),
    };
    answer.retry_after = retry_after.map(Duration::from_secs);
    answer
}

fn accepted(body: Body, events: usize) -> Answer {
    let sum = body.accepted.and_then(|accepted| accepted.checked_add(body.rejected.len() as u64));
    let others: BTreeMap<usize, Verdict> = body.rejected.into_iter().map(own_verdict).collect();
    let distinct = others.keys().all(|index| *index < events);
    if sum != Some(events as u64) || !distinct || body.accepted != Some((events - others.len()) as u64) {
        return Answer::whole("200 that does not add up", Outcome::Unknown, true);
    }
    let how = if others.is_empty() { "200" } else { "200 with rejections" };
    Answer { others, ..Answer::whole(how, Outcome::Ok, false) }
}

fn own_verdict(rejected: Rejected) -> (usize, Verdict) {
    let Rejected { index, code, message } = rejected;
    let outcome = if code == UNCLEAR { Outcome::Unknown } else { Outcome::Fail };
    (index, Verdict { outcome, again: RETRIABLE.contains(&code.as_str()), code, message })
}

fn refused(status: u16, body: Body) -> Answer {
    let Body { code, message, rejected, .. } = body;
    let (outcome, again) = match status {
        408 | 429 => (Outcome::Fail, true),
        400..=499 => (Outcome::Fail, false),
        503 if CERTAIN_503.contains(&code.as_str()) => (Outcome::Fail, true),
        _ => (Outcome::Unknown, true),
    };
    let how = if code.is_empty() { format!("{status}") } else { format!("{status} {code}") };
    let code = if code.is_empty() { format!("http_{status}") } else { code };
    // Where each event was refused for a reason of its own, that reason is the one worth reporting.
    let others = match (outcome, again) {
        (Outcome::Fail, false) => {
            rejected.into_iter().map(own_verdict).map(|(i, v)| (i, Verdict { again, ..v })).collect()
        }
        _ => BTreeMap::new(),
    };
    let most = Verdict { outcome, again, code, message };
    Answer { how: how.into(), retry_after: None, most, others }
}

/// How many examples of each refusal are kept.
const EXAMPLES_MAX: usize = 3;

/// Events that were refused for good, by code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Refusals(BTreeMap<String, Refusal>);

/// One kind of refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// How many events.
    pub events: u64,
    /// The first of them.
    pub examples: Vec<Seen>,
}

/// One refused event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its id.
    pub event_id: String,
    /// What the gateway said.
    pub message: String,
}

impl Refusals {
    /// Counts one event.
    pub fn add(&mut self, code: &str, seen: Seen) {
        if !self.0.contains_key(code) {
            self.0.insert(code.to_owned(), Refusal::default());
        }
        let refusal = self.0.get_mut(code).expect("it was just put there");
        refusal.events += 1;
        if refusal.examples.len() < EXAMPLES_MAX {
            refusal.examples.push(seen);
        }
    }

    /// Code, count and examples, by code.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Refusal)> {
        self.0.iter().map(|(code, refusal)| (code.as_str(), refusal))
    }

    /// How many events were refused in all.
    pub fn events(&self) -> u64 {
        self.0.values().map(|refusal| refusal.events).sum()
    }
}

#[cfg(test)]
mod tests;
