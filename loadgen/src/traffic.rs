//! Who does what, and in which order.
//!
//! Responsible for a seeded stream of page views and clicks: users by Zipf's law, each in sessions, with time to think
//! between two actions deciding who comes next. Promises that the same seed gives the same stream on every machine, down
//! to the bytes. Leaves to others when events are sent (`arrival`) and how (`sender`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

mod batching;
mod payload;
mod plan;

pub use batching::Batching;
pub use plan::{Plan, Planned};

/// Pages of the site that is visited.
pub(crate) const PAGES: u32 = 1_000;
/// Mean time between two actions of a session, in microseconds: read a page, then click.
const THINK_MEAN_US: f64 = 2_500_000.0;
/// Sessions that run side by side at most; above it the stream only gets less interleaved.
const SESSIONS_MAX: usize = 200_000;
/// Chance that a page view is followed by a click on the same page.
const CLICK_AFTER_PAGE: f64 = 0.6;
/// Chance that a click leads to another page, and not to another click.
const PAGE_AFTER_CLICK: f64 = 0.7;
/// Chance that a session goes on after an action.
const GO_ON: f64 = 0.88;

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Looks at a page.
    PageView,
    /// Clicks on a link of the page.
    Click,
}

/// One action of one user: what an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The number of the session, over all users.
    pub session: u32,
    /// What is done.
    pub action: Action,
    /// The page it is done on.
    pub page: u16,
    /// The page from which the user came, or to which the clicked link leads.
    pub other: u16,
}

/// The stream; it never ends.
#[derive(Debug)]
pub struct Traffic {
    rng: Xoshiro256PlusPlus,
    zipf: Zipf<f64>,
    sessions: Vec<Session>,
    /// Whose turn it is: (virtual time, session).
    turns: BinaryHeap<Reverse<(u64, u32)>>,
    opened: u32,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    user: u32,
    number: u32,
    page: u16,
    from: u16,
    next: Action,
}

impl Traffic {
    /// `users` users of whom user number k has weight 1/(k+1)^`zipf`; `rate` (events a second) decides how many sessions
    /// run side by side, so that the time to think is as long as it is in life.
    pub fn new(seed: u64, users: u32, zipf: f64, rate: f64) -> Self {
        let mut traffic = Traffic {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            zipf: Zipf::new(f64::from(users.max(1)), zipf).expect("plans have a user and an exponent of at least 0"),
            sessions: Vec::new(),
            turns: BinaryHeap::new(),
            opened: 0,
        };
        let side_by_side = ((rate * THINK_MEAN_US / 1e6) as usize).clamp(1, SESSIONS_MAX);
        for slot in 0..side_by_side {
            let session = traffic.open();
            traffic.sessions.push(session);
            let at = traffic.think(0);
            traffic.turns.push(Reverse((at, slot as u32)));
        }
        traffic
    }

    /// The user number and what this user does.
    pub fn next_visit(&mut self) -> (u32, Visit) {
        let Reverse((now, slot)) = self.turns.pop().expect("a session that ends is replaced by another");
        let session = self.sessions[slot as usize];
        let (visit, after) = self.act(session);
        self.sessions[slot as usize] = if self.rng.random_bool(GO_ON) { after } else { self.open() };
        let at = self.think(now);
        self.turns.push(Reverse((at, slot)));
        (session.user, visit)
    }

    fn act(&mut self, session: Session) -> (Visit, Session) {
        let Session { number, page, from, next: action, .. } = session;
        match action {
            Action::PageView => {
                let visit = Visit { session: number, action, page, other: from };
                if self.rng.random_bool(CLICK_AFTER_PAGE) {
                    (visit, Session { next: Action::Click, ..session })
                } else {
                    (visit, Session { page: self.any_page(), from: page, ..session })
                }
            }
            Action::Click => {
                let to = self.any_page();
                let visit = Visit { session: number, action, page, other: to };
                if self.rng.random_bool(PAGE_AFTER_CLICK) {
                    (visit, Session { page: to, from: page, next: Action::PageView, ..session })
                } else {
                    (visit, session)
                }
            }
        }
    }

    fn open(&mut self) -> Session {
        let user = self.zipf.sample(&mut self.rng) as u32 - 1;
        self.opened += 1;
        let page = self.any_page();
        Session { user, number: self.opened, page, from: page, next: Action::PageView }
    }

    fn any_page(&mut self) -> u16 {
        // The square makes some pages popular, as on any site.
        let position: f64 = self.rng.random();
        (position * position * f64::from(PAGES)) as u16
    }

    fn think(&mut self, now: u64) -> u64 {
        let position: f64 = self.rng.random();
        now + (-(1.0 - position).ln() * THINK_MEAN_US) as u64
    }
}

#[cfg(test)]
mod tests;
