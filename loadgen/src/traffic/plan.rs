//! Traffic on a schedule.
//!
//! Responsible for the offer of the `run` command: the seeded stream, cut into requests, each due with its first event.
//! Promises an open loop: what is due does not depend on what was answered. Leaves sending to the sender.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::payload::{self, Context};
use super::{Batching, Traffic, Visit};
use crate::arrival::{Clock, Schedule};
use crate::offer::{Batch, Item, Load, Next, Offer};

/// What is to be offered.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The id of the run.
    pub run: String,
    /// The seed of users, sessions and sizes.
    pub seed: u64,
    /// How many users there are.
    pub users: u32,
    /// The exponent of their popularity, 0 is even.
    pub zipf: f64,
    /// Events per request.
    pub batching: Batching,
    /// When events are due.
    pub schedule: Schedule,
}

/// A plan being carried out.
#[derive(Debug)]
pub struct Planned {
    traffic: Traffic,
    sizes: Xoshiro256PlusPlus,
    batching: Batching,
    schedule: Schedule,
    context: Context,
    offered: u64,
}

impl Planned {
    /// Starts at the clock's zero.
    pub fn new(plan: &Plan, clock: &Clock) -> Self {
        Planned {
            traffic: Traffic::new(plan.seed, plan.users, plan.zipf, plan.schedule.rate()),
            // Another seed than the traffic's: the size of a request must not change who comes next.
            sizes: Xoshiro256PlusPlus::seed_from_u64(!plan.seed),
            batching: plan.batching,
            schedule: plan.schedule,
            context: Context { run: plan.run.clone(), start_unix_us: clock.start_unix_us() },
            offered: 0,
        }
    }
}

impl Offer for Planned {
    type Event = Visit;

    fn next(&mut self, now_us: u64, _: Load) -> Next<Visit> {
        let left = self.schedule.events() - self.offered;
        if left == 0 {
            return Next::End;
        }
        let due_us = self.schedule.due_us(self.offered);
        if due_us > now_us {
            return Next::At(due_us);
        }
        let size = self.batching.draw(&mut self.sizes).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.offered += size as u64;
        Next::Batch(Batch { due_us, events: (0..size).map(|_| self.traffic.next_visit()).collect() })
    }

    fn write(&self, item: &Item<Visit>, out: &mut Vec<u8>) {
        payload::write(&self.context, item, out);
    }
}
