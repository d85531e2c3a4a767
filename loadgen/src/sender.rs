//! Sends what is offered, until it is acknowledged or the deadline has passed.
//!
//! Responsible for the way of every event: due -> its user free -> a connection free -> sent -> answered -> sent again
//! where that may help. Promises that a user has at most one open request, so that nothing is reordered on this side;
//! that requests of different users never wait for each other; that what is sent again has the same ids in the same
//! order; and that a server which refuses, resets, hangs or lies only ever costs time. Leaves to others what the events
//! are (`offer`) and what the answers prove (`verify`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::arrival::Clock;
use crate::latency::Latency;
use crate::ledger::{Ledger, Outcome};
use crate::offer::{Batch, Item, Load, Next, Offer};
use crate::tally::Tallies;

mod backoff;
mod connection;
mod reply;
mod request;
mod user_queue;

pub use connection::{Attempt, Target, TargetError};
pub use reply::{Refusals, Seen};

use connection::Pool;
use request::{Answered, Request};
use user_queue::UserQueue;

/// How to send.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests that are open at a time, at most: each has a connection of its own.
    pub connections: usize,
    /// How long an answer may take before the attempt is given up.
    pub request_timeout: Duration,
    /// How long after the last event was due attempts go on; for an offer that waits for answers, how long after the
    /// last progress.
    pub deadline: Duration,
    /// Events of one request at most, where events had to wait for their user and are sent together.
    pub coalesced_max: usize,
    /// Whether the offer waits for answers, as a replay does: then a gateway that takes nothing would keep it for ever.
    pub closed_loop: bool,
    /// The seed of the jitter between attempts.
    pub seed: u64,
}

/// What a sender found.
#[derive(Debug, Default)]
pub struct Sent {
    /// From due to acknowledged, per event.
    pub ack: Latency,
    /// From due to sent, per event of requests that only the generator itself could have held up.
    pub send_delay: Latency,
    /// Events that had to wait for an answer to their own user's earlier request.
    pub held_by_order: u64,
    /// Events that had to wait because all connections were in use.
    pub held_by_connections: u64,
    /// Attempts, by how they ended.
    pub attempts: BTreeMap<Cow<'static, str>, u64>,
    /// Events that were refused for good, by code.
    pub refused: Refusals,
    /// When the last event was sent for the first time, in microseconds since the start.
    pub last_sent_us: u64,
    /// When the last acknowledgement came.
    pub last_ack_us: u64,
    /// Why the offer was not sent to its end, if it was not.
    pub gave_up: Option<String>,
}

/// Sends one offer.
#[derive(Debug)]
pub struct Sender<O: Offer> {
    offer: O,
    settings: Settings,
    clock: Clock,
    ledger: Arc<Mutex<Ledger>>,
    tallies: Arc<Tallies>,
    pool: Arc<Pool>,
    users: UserQueue<O::Event>,
    ready: VecDeque<Request<O::Event>>,
    resting: BinaryHeap<request::Resting<O::Event>>,
    resting_events: usize,
    open: usize,
    abandon: CancellationToken,
    answers: mpsc::Receiver<Answered<O::Event>>,
    answers_to: mpsc::Sender<Answered<O::Event>>,
    rng: Xoshiro256PlusPlus,
    offer_ended: bool,
    offer_wakes_us: Option<u64>,
    last_due_us: u64,
    last_progress_us: u64,
    sent: Sent,
}

impl<O> Sender<O>
where
    O: Offer,
    O::Event: Send + 'static,
{
    /// A sender that is ready to run.
    pub fn new(
        offer: O,
        target: Target,
        settings: Settings,
        clock: Clock,
        ledger: Arc<Mutex<Ledger>>,
        tallies: Arc<Tallies>,
    ) -> Self {
        let (answers_to, answers) = mpsc::channel(settings.connections.max(1));
        Sender {
            offer,
            clock,
            ledger,
            tallies,
            pool: Arc::new(Pool::new(target)),
            users: UserQueue::new(settings.coalesced_max),
            ready: VecDeque::new(),
            resting: BinaryHeap::new(),
            resting_events: 0,
            open: 0,
            abandon: CancellationToken::new(),
            answers,
            answers_to,
            rng: Xoshiro256PlusPlus::seed_from_u64(settings.seed),
            offer_ended: false,
            offer_wakes_us: None,
            last_due_us: 0,
            last_progress_us: 0,
            sent: Sent::default(),
            settings,
        }
    }

    /// Sends everything. `stop` ends the offer early; what was offered until then is still brought to an end.
    pub async fn run(mut self, stop: CancellationToken) -> Sent {
        loop {
            let now_us = self.clock.now_us();
            if stop.is_cancelled() && !self.offer_ended {
                self.end_offer("it was interrupted");
            }
            self.admit(now_us);
            self.wake(now_us);
            self.start();
            if self.is_finished() {
                break;
            }
            if self.gives_up_us().is_some_and(|at_us| now_us >= at_us) {
                self.give_up().await;
                break;
            }
            self.wait(&stop).await;
        }
        self.sent
    }

    /// Takes from the offer whatever is due.
    fn admit(&mut self, now_us: u64) {
        self.offer_wakes_us = None;
        while !self.offer_ended {
            let load = self.load();
            match self.offer.next(now_us, load) {
                Next::Batch(batch) => {
                    self.last_due_us = self.last_due_us.max(batch.due_us);
                    let items = self.enter(batch);
                    let offered = items.len();
                    let request = self.users.admit(items);
                    self.sent.held_by_order += (offered - request.len()) as u64;
                    self.line_up(request);
                }
                Next::At(at_us) => {
                    self.offer_wakes_us = Some(at_us);
                    break;
                }
                Next::Later => break,
                Next::End => self.offer_ended = true,
            }
        }
    }

    fn line_up(&mut self, items: Vec<Item<O::Event>>) {
        if items.is_empty() {
            return;
        }
        let on_schedule = self.open + self.ready.len() < self.settings.connections;
        if !on_schedule {
            self.sent.held_by_connections += items.len() as u64;
        }
        self.ready.push_back(Request { items, attempts: 0, on_schedule });
    }

    fn enter(&mut self, batch: Batch<O::Event>) -> Vec<Item<O::Event>> {
        let due_us = batch.due_us;
        self.tallies.offered(batch.events.len());
        let mut ledger = self.ledger.lock();
        for name in self.offer.new_users() {
            ledger.name_user(name);
        }
        batch.events.into_iter().map(|(user, event)| Item { id: ledger.add(user, due_us), due_us, event }).collect()
    }

    /// Moves requests whose rest is over back in line.
    fn wake(&mut self, now_us: u64) {
        while self.resting.peek().is_some_and(|resting| resting.until_us <= now_us) {
            let request = self.resting.pop().expect("it was just seen").request;
            self.resting_events -= request.items.len();
            self.ready.push_back(request);
        }
    }

    /// Opens as many requests as there are free connections.
    fn start(&mut self) {
        while self.open < self.settings.connections
            && let Some(request) = self.ready.pop_front()
        {
            self.send(request);
        }
    }

    fn send(&mut self, mut request: Request<O::Event>) {
        if request.attempts == 0 {
            self.tallies.sent(request.items.len());
        } else {
            self.tallies.sent_again(request.items.len());
            let mut ledger = self.ledger.lock();
            request.items.iter().for_each(|item| ledger.resend(item.id.number));
        }
        request.attempts += 1;
        self.open += 1;
        let body = request::body(&self.offer, &request.items);
        let (pool, answers, abandon) = (Arc::clone(&self.pool), self.answers_to.clone(), self.abandon.clone());
        let (clock, timeout) = (self.clock, self.settings.request_timeout);
        tokio::spawn(async move {
            let began_us = clock.now_us();
            let attempt = tokio::select! {
                attempt = pool.attempt(body, timeout) => attempt,
                () = abandon.cancelled() => Attempt::Lost { why: "open at the deadline".into() },
            };
            // The receiver lives until every open request has been settled.
            let _ = answers.send(Answered { request, attempt, began_us }).await;
        });
    }

    /// Sleeps until something can be done.
    async fn wait(&mut self, stop: &CancellationToken) {
        let wakes_us = [self.offer_wakes_us, self.resting.peek().map(|resting| resting.until_us), self.gives_up_us()];
        let wakes_us = wakes_us.into_iter().flatten().min();
        let wake = async {
            match wakes_us {
                Some(at_us) => tokio::time::sleep_until(self.clock.instant(at_us).into()).await,
                None => std::future::pending().await,
            }
        };
        let first = tokio::select! {
            answered = self.answers.recv() => answered,
            () = wake => None,
            () = stop.cancelled(), if !self.offer_ended => None,
        };
        let Some(first) = first else { return };
        self.settle(first);
        while let Ok(next) = self.answers.try_recv() {
            self.settle(next);
        }
    }

    /// Takes down what an answer says of each event, and plans what has to be sent again.
    fn settle(&mut self, answered: Answered<O::Event>) {
        let now_us = self.clock.now_us();
        let Answered { request, attempt, began_us } = answered;
        self.open -= 1;
        self.count_send(&request, began_us);
        let answer = reply::read(&attempt, request.items.len());
        *self.sent.attempts.entry(answer.how.clone()).or_default() += 1;
        let attempts = request.attempts;
        let (mut again, mut users) = (Vec::new(), Vec::with_capacity(request.items.len()));
        let mut ledger = self.ledger.lock();
        for (index, item) in request.items.into_iter().enumerate() {
            let verdict = answer.verdict(index);
            ledger.record(item.id.number, verdict.outcome);
            users.push(item.id.user);
            if verdict.again {
                again.push(item);
                continue;
            }
            self.last_progress_us = now_us;
            if verdict.outcome == Outcome::Ok {
                self.sent.ack.record(item.due_us, now_us);
                self.sent.last_ack_us = now_us;
                self.tallies.acked(1);
            } else {
                self.tallies.refused(1);
                let event_id = item.id.text(ledger.run());
                self.sent.refused.add(&verdict.code, Seen { event_id, message: verdict.message.clone() });
            }
        }
        drop(ledger);
        self.rest(again, attempts, answer.retry_after, now_us, &mut users);
        for items in self.users.release(users) {
            self.ready.push_back(Request { items, attempts: 0, on_schedule: false });
        }
    }

    fn count_send(&mut self, request: &Request<O::Event>, began_us: u64) {
        if request.attempts > 1 {
            return;
        }
        self.sent.last_sent_us = self.sent.last_sent_us.max(began_us);
        if request.on_schedule {
            request.items.iter().for_each(|item| self.sent.send_delay.record(item.due_us, began_us));
        }
    }

    /// Puts what has to be sent again aside for a while; its users stay occupied.
    fn rest(
        &mut self,
        again: Vec<Item<O::Event>>,
        attempts: u32,
        retry_after: Option<Duration>,
        now_us: u64,
        users: &mut Vec<u32>,
    ) {
        if again.is_empty() {
            return;
        }
        let kept: HashSet<u32> = again.iter().map(|item| item.id.user).collect();
        users.retain(|user| !kept.contains(user));
        let rest = backoff::rest(attempts, retry_after, self.rng.random());
        self.resting_events += again.len();
        let request = Request { items: again, attempts, on_schedule: false };
        self.resting.push(request::Resting { until_us: now_us + rest.as_micros() as u64, request });
    }

    fn load(&self) -> Load {
        let free = self.settings.connections.saturating_sub(self.open + self.ready.len());
        Load { free, waiting: self.users.waiting() + self.resting_events }
    }

    fn is_finished(&self) -> bool {
        self.offer_ended && self.open == 0 && self.ready.is_empty() && self.resting.is_empty()
    }

    /// When attempts end, in microseconds since the start.
    fn gives_up_us(&self) -> Option<u64> {
        let deadline_us = self.settings.deadline.as_micros() as u64;
        let is_busy = self.open > 0 || !self.ready.is_empty() || !self.resting.is_empty();
        match self.settings.closed_loop {
            true if is_busy => Some(self.last_progress_us.max(self.last_due_us) + deadline_us),
            false if self.offer_ended => Some(self.last_due_us + deadline_us),
            _ => None,
        }
    }

    fn end_offer(&mut self, why: &str) {
        self.offer_ended = true;
        self.sent.gave_up.get_or_insert_with(|| why.to_owned());
    }

    /// Ends with events that are not acknowledged; those that are open now may still arrive, so they are unknown.
    async fn give_up(&mut self) {
        self.end_offer(&format!(
            "no acknowledgement within the deadline of {:?}, the rest was given up",
            self.settings.deadline
        ));
        self.abandon.cancel();
        while self.open > 0
            && let Some(answered) = self.answers.recv().await
        {
            self.settle(answered);
        }
    }
}

#[cfg(test)]
mod tests;
