//! Settings, and checked values made of them.
//!
//! Responsible for defaults and for what makes no sense. Promises that what leaves this room can be carried out, as far
//! as that can be known without touching network or disk. Leaves where a setting was written to `operator::settings`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::exit::Failure;
use crate::replay::Pace;
use crate::report::Goals;
use crate::sender::{Settings as Sending, Target};
use crate::traffic::Batching;

/// The settings file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to, and how.
    pub send: Send,
    /// What must be reached.
    pub goals: GoalSettings,
    /// The open loop.
    pub run: Run,
    /// The access log.
    pub replay: Replay,
}

/// Section `send`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Send {
    /// The gateway's URL.
    pub target: String,
    /// The lake's URL or folder.
    pub lake: Option<String>,
    /// The folder for the report and the ledger.
    pub report: Option<PathBuf>,
    /// The id of the run.
    pub run_id: Option<String>,
    /// Requests that are open at a time.
    pub connections: usize,
    /// How long one answer may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long to go on after everything was due.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
}

impl Default for Send {
    fn default() -> Self {
        Send {
            target: "http://127.0.0.1:8080".to_owned(),
            lake: None,
            report: None,
            run_id: None,
            connections: 64,
            request_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
        }
    }
}

/// Section `goals`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GoalSettings {
    /// 99th percentile from due to acknowledged.
    #[serde(with = "humantime_serde")]
    pub slo_ack_p99: Option<Duration>,
    /// 99th percentile from due to visible.
    #[serde(with = "humantime_serde")]
    pub slo_visible_p99: Option<Duration>,
    /// 99th percentile from due to sent.
    #[serde(with = "humantime_serde")]
    pub send_delay_max: Duration,
}

impl Default for GoalSettings {
    fn default() -> Self {
        GoalSettings { slo_ack_p99: None, slo_visible_p99: None, send_delay_max: Duration::from_millis(100) }
    }
}

/// Section `run`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Events a second.
    pub rate: f64,
    /// How long to send.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    /// How many events to send, instead of a duration.
    pub events: Option<u64>,
    /// The seed of users, sessions and sizes.
    pub seed: u64,
    /// How many users there are.
    pub users: u32,
    /// The exponent of their popularity.
    pub zipf: f64,
    /// Events per request.
    pub batch: Batching,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            rate: 1_000.0,
            duration: Duration::from_secs(60),
            events: None,
            seed: 1,
            users: 10_000,
            zipf: 0.9,
            batch: Batching::Mix,
        }
    }
}

/// Section `replay`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// So many times as fast as in the log.
    pub speed: Option<f64>,
    /// What the paths of the log are put behind.
    pub site: String,
    /// Events per request, at most.
    pub batch: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Replay { speed: None, site: "https://www.example.com".to_owned(), batch: 100 }
    }
}

/// Events a run may have: their numbers have 32 bits.
const EVENTS_MAX: u64 = u32::MAX as u64;
/// How long a schedule may be: due times are kept for 119 hours.
const DURATION_MAX: Duration = Duration::from_secs(100 * 3_600);

impl Send {
    /// The checked target.
    pub fn target(&self) -> Result<Target, Failure> {
        Target::parse(&self.target).map_err(|error| Failure::config(format!("--target: {error}")))
    }

    /// The checked settings of the sender.
    pub fn sending(&self, seed: u64, coalesced_max: usize, closed_loop: bool) -> Result<Sending, Failure> {
        if self.connections == 0 {
            return Err(Failure::config("--connections is 0: at least one is needed to send anything"));
        }
        if self.request_timeout.is_zero() {
            return Err(Failure::config("--request-timeout is 0: no answer could ever be in time"));
        }
        let Send { connections, request_timeout, deadline, .. } = *self;
        Ok(Sending { connections, request_timeout, deadline, coalesced_max, closed_loop, seed })
    }

    /// The id of the run.
    pub fn run_id(&self) -> Result<String, Failure> {
        match &self.run_id {
            None => Ok(uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()),
            Some(id) if (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(id.clone())
            }
            Some(id) => Err(Failure::config(format!("--run-id {id:?}: give 1 to 32 letters and digits"))),
        }
    }
}

impl Settings {
    /// The goals; a closed loop has none for the send delay.
    pub fn goals(&self, closed_loop: bool) -> Result<Goals, Failure> {
        let GoalSettings { slo_ack_p99, slo_visible_p99, send_delay_max } = self.goals;
        if slo_visible_p99.is_some() && self.send.lake.is_none() {
            return Err(Failure::config("--slo-visible-p99 needs --lake: without it nothing can be seen"));
        }
        let send_delay_p99 = (!closed_loop).then_some(send_delay_max);
        Ok(Goals { ack_p99: slo_ack_p99, visible_p99: slo_visible_p99, send_delay_p99 })
    }
}

impl Run {
    /// How many events the schedule has.
    pub fn events(&self) -> Result<u64, Failure> {
        if !self.rate.is_finite() || self.rate <= 0.0 {
            return Err(Failure::config(format!("--rate {}: give events a second, above 0", self.rate)));
        }
        if !self.zipf.is_finite() || self.zipf < 0.0 {
            return Err(Failure::config(format!("--zipf {}: give 0 or more", self.zipf)));
        }
        if self.users == 0 {
            return Err(Failure::config("--users is 0: somebody has to do something"));
        }
        let events = self.events.unwrap_or((self.rate * self.duration.as_secs_f64()).round() as u64);
        if events == 0 || events > EVENTS_MAX {
            return Err(Failure::config(format!("{events} events: --rate and --duration must give 1 to {EVENTS_MAX}")));
        }
        if events as f64 / self.rate > DURATION_MAX.as_secs_f64() {
            return Err(Failure::config("the run would take longer than 100 hours: raise --rate or send less"));
        }
        Ok(events)
    }
}

impl Replay {
    /// The checked pace.
    pub fn pace(&self) -> Result<Pace, Failure> {
        if self.batch == 0 {
            return Err(Failure::config("--batch is 0: a request has at least one event"));
        }
        match self.speed {
            None => Ok(Pace::Answers),
            Some(speed) if speed.is_finite() && speed > 0.0 => Ok(Pace::Speed(speed)),
            Some(speed) => Err(Failure::config(format!("--speed {speed}: give a number above 0"))),
        }
    }

    /// The checked site.
    pub fn site(&self) -> Result<Url, Failure> {
        let wrong =
            |error| Failure::config(format!("--site {:?} is not a URL ({error}): give https://host", self.site));
        Url::parse(&self.site).map_err(wrong)
    }
}
