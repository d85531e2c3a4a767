//! What a sender is given to send.
//!
//! Responsible for the seam between those who know the events (`traffic`, `replay`) and the one who sends them
//! (`sender`). Promises that events come in the order in which each user's must arrive. Leaves retries, connections and
//! outcomes to the sender.

use crate::ledger::EventId;

/// One event on its way: which one it is, when it was due, and what it says.
#[derive(Clone, Debug)]
pub struct Item<E> {
    /// Which event of the run.
    pub id: EventId,
    /// When it should have been sent, in microseconds since the start.
    pub due_us: u64,
    /// What it says; short, the payload is written when it is sent.
    pub event: E,
}

/// The events of one request, before they have ids.
#[derive(Clone, Debug)]
pub struct Batch<E> {
    /// When the request is due, in microseconds since the start.
    pub due_us: u64,
    /// User number and content, in order.
    pub events: Vec<(u32, E)>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Next<E> {
    /// This request is due.
    Batch(Batch<E>),
    /// Nothing before this time, in microseconds since the start.
    At(u64),
    /// Nothing until the sender has less to do.
    Later,
    /// Nothing any more.
    End,
}

/// What a sender has on its hands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Connections for which there is no request yet.
    pub free: usize,
    /// Events that wait for anything else: their user, a connection, a retry.
    pub waiting: usize,
}

/// A source of events.
pub trait Offer {
    /// The content of an event, short enough to keep many.
    type Event;

    /// The next request, as seen at `now_us`.
    fn next(&mut self, now_us: u64, load: Load) -> Next<Self::Event>;

    /// Appends the event as one JSON object. The same item always gives the same bytes.
    fn write(&self, item: &Item<Self::Event>, out: &mut Vec<u8>);

    /// New users since the last call, by name, in the order of their numbers; only where users are listed.
    fn new_users(&mut self) -> Vec<String> {
        Vec::new()
    }
}
