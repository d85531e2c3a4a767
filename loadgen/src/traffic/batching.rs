//! How many events a request carries.
//!
//! Responsible for reading `--batch` and drawing the size of the next request. Promises the same sizes for the same
//! seed. Leaves the events to `traffic`.

use std::str::FromStr;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// The largest request that is made, in events.
const BATCH_MAX: usize = 10_000;

/// Events per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// Always as many.
    Fixed(usize),
    /// As seen from browsers and servers together: 70 % single events, 20 % of 2 to 10, 10 % of 11 to 100.
    Mix,
}

impl Batching {
    /// The size of the next request.
    pub fn draw(self, rng: &mut Xoshiro256PlusPlus) -> usize {
        match self {
            Batching::Fixed(events) => events,
            Batching::Mix => match rng.random_range(0..10) {
                0..7 => 1,
                7..9 => rng.random_range(2..=10),
                _ => rng.random_range(11..=100),
            },
        }
    }
}

impl FromStr for Batching {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "mix" => Ok(Batching::Mix),
            Ok(events) if (1..=BATCH_MAX).contains(&events) => Ok(Batching::Fixed(events)),
            _ => Err(format!("a batch is a number of events from 1 to {BATCH_MAX}, or mix")),
        }
    }
}
