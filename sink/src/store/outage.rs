//! How long the store has taken no file.
//!
//! Responsible for two ages, computed when somebody asks. They are of the clock that cannot be set, so that a jump of the
//! time of day does not show an outage or hide one.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::time::{Duration, Instant};

/// See the module. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Outage(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    /// When the store last took a file, or the process began.
    taken: Instant,
    /// When a create failed that is still tried.
    failing: Option<Instant>,
}

impl Default for Outage {
    fn default() -> Outage {
        Outage(Arc::new(Mutex::new(Times { taken: Instant::now(), failing: None })))
    }
}

impl Outage {
    /// The store took a file.
    pub(crate) fn took_file(&self) {
        *self.0.lock() = Times { taken: Instant::now(), failing: None };
    }

    /// It said what lies at a key, which is as good an answer.
    pub(crate) fn answered(&self) {
        self.0.lock().failing = None;
    }

    /// A create failed and will be tried again.
    pub(crate) fn failing(&self) {
        self.0.lock().failing.get_or_insert_with(Instant::now);
    }

    fn ages(&self) -> (Duration, Duration) {
        let times = self.0.lock();
        (times.taken.elapsed(), times.failing.map(|since| since.elapsed()).unwrap_or_default())
    }
}

impl Collector for Outage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (taken, failing) = self.ages();
        let help = "Time since the store last took a file, or since the start";
        let descriptor = encoder.encode_descriptor("sink_store_file_age_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(taken.as_secs_f64()).encode(descriptor)?;
        let help = "Time for which creates have failed, 0 when the last one was answered";
        let descriptor = encoder.encode_descriptor("sink_store_failing_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(failing.as_secs_f64()).encode(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_begins_with_the_first_failure_and_ends_with_an_answer() {
        let outage = Outage::default();
        let check = |taken, failing| {
            assert_eq!(outage.ages(), (Duration::from_secs(taken), Duration::from_secs(failing)));
        };
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        pass(5).await;
        check(5, 0);
        outage.failing();
        pass(3).await;
        outage.failing();
        pass(1).await;
        check(9, 4);
        outage.answered();
        check(9, 0);
        outage.failing();
        pass(1).await;
        outage.took_file();
        check(0, 0);
    }
}
