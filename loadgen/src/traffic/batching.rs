//! How many events a request carries.
//!
//! Responsible for reading `--batch` and drawing the size of the next request. Promises the same sizes for the same
//! seed. Leaves the events to `traffic`.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

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

/// From `100`, `"100"` or `"mix"`.
impl<'de> Deserialize<'de> for Batching {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrMix)
    }
}

struct NumberOrMix;

impl Visitor<'_> for NumberOrMix {
    type Value = Batching;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of events or \"mix\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Batching, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, events: u64) -> Result<Batching, E> {
        self.visit_str(&events.to_string())
    }

    fn visit_i64<E: Error>(self, events: i64) -> Result<Batching, E> {
        self.visit_str(&events.to_string())
    }
}
