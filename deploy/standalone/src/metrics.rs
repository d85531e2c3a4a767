//! Responsible for the journal's metrics: its counters, read at each scrape. Leaves those of gateway and sink to them.

use std::fmt;

use journal::Journal;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Every metric of the journal.
#[derive(Debug)]
pub(crate) struct JournalMetrics(pub(crate) Journal);

impl Collector for JournalMetrics {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        counter(&mut out, "journal_requests", "Requests that became durable", stats.appends)?;
        counter(&mut out, "journal_records", "Records that became durable", stats.records)?;
        counter(&mut out, "journal_bytes", "Bytes of those records, before compression", stats.bytes)?;
        counter(&mut out, "journal_fsyncs", "Calls of fdatasync, each for all requests that waited", stats.fsyncs)?;
        gauge(&mut out, "journal_queue_bytes", "Bytes of requests that wait for the disk", stats.queue_bytes)?;
        let help = "1 after a failed write or fsync: nothing is accepted until a restart";
        gauge(&mut out, "journal_failed", help, u64::from(stats.failed))?;
        match self.0.disk_bytes() {
            Ok(bytes) => gauge(&mut out, "journal_disk_bytes", "Bytes that the journal takes on disk", bytes),
            // Absent, rather than a number that is wrong.
            Err(_) => Ok(()),
        }
    }
}

fn counter(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let counter = ConstCounter::new(value);
    counter.encode(out.encode_descriptor(name, help, None, counter.metric_type())?)
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(out.encode_descriptor(name, help, None, gauge.metric_type())?)
}
