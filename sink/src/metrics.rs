//! Every metric of the sink.
//!
//! Responsible for names, help texts and label values, which dashboards rely on. Names get the registry's prefix
//! `footfall_`. Labels come from closed lists and start at 0; per-partition series are there while this process writes
//! the partition.

mod duplicates;

use std::{fmt, sync::OnceLock, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use registry::Answer;

pub(crate) use self::duplicates::DuplicateMetrics;
use crate::{
    budget::Holder,
    decode::DeadReason,
    footer::Footer,
    journey::{Journey, Stage},
    lag::{Lag, LagReading},
    roll::CutReason,
    store::{Outage, StoreErrorKind},
};

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitOutcome {
    Created,
    Adopted,
    Lost,
}

/// What the consumer group did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebalance {
    Assigned,
    Revoked,
    Lost,
}

impl CommitOutcome {
    const ALL: [(CommitOutcome, &str); 3] =
        [(CommitOutcome::Created, "created"), (CommitOutcome::Adopted, "adopted"), (CommitOutcome::Lost, "lost")];
}

impl Rebalance {
    const ALL: [(Rebalance, &str); 3] =
        [(Rebalance::Assigned, "assigned"), (Rebalance::Revoked, "revoked"), (Rebalance::Lost, "lost")];
}

const SCHEMA_ANSWERS: [&str; 4] = ["ours", "other", "missing", "unanswered"];

fn schema_answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Ours(_) => SCHEMA_ANSWERS[0],
        Answer::Other(_) => SCHEMA_ANSWERS[1],
        Answer::Missing => SCHEMA_ANSWERS[2],
        Answer::None => SCHEMA_ANSWERS[3],
    }
}

/// One label called `outcome`, `kind` or `reason`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HeldBy {
    holder: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Partition {
    partition: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Column {
    column: String,
}

/// The sink's metrics.
#[derive(Debug)]
pub struct Metrics {
    records: Counter,
    log_bytes: Counter,
    rows: Counter,
    file_bytes: Counter,
    duplicates: DuplicateMetrics,
    gap_records: Counter,
    dead_letters: Family<Reason, Counter>,
    column_mismatches: Family<Column, Counter>,
    /// Of each promoted column, in their order.
    mismatches: OnceLock<Vec<Counter>>,
    schema_lookups: Family<Reason, Counter>,
    resolved: Counter,
    rolls: Family<Reason, Counter>,
    commits: Family<Reason, Counter>,
    store_errors: Family<Reason, Counter>,
    rebalances: Family<Reason, Counter>,
    rebalance_seconds: Timed,
    stage_seconds: Timed,
    put_seconds: Histogram,
    seal_seconds: Histogram,
    memory_bytes: Family<HeldBy, Gauge>,
    memory: [Gauge; Holder::ALL.len()],
    memory_bytes_max: Gauge,
    memory_full: Gauge,
    memory_pauses: Counter,
    committed_offset: Family<Partition, Gauge>,
    outage: Outage,
    lag: Lag,
}

impl Metrics {
    /// Registers all metrics.
    pub fn register(registry: &mut Registry) -> Metrics {
        let memory_bytes: Family<HeldBy, Gauge> = Family::default();
        let metrics = Metrics {
            records: Counter::default(),
            log_bytes: Counter::default(),
            rows: Counter::default(),
            file_bytes: Counter::default(),
            duplicates: DuplicateMetrics::register(registry),
            gap_records: Counter::default(),
            dead_letters: zeroed(DeadReason::LABELS.into_iter().chain(event::DecodeError::LABELS)),
            column_mismatches: Family::default(),
            mismatches: OnceLock::new(),
            schema_lookups: zeroed(SCHEMA_ANSWERS.into_iter()),
            resolved: Counter::default(),
            rolls: zeroed(CutReason::ALL.into_iter().map(CutReason::label)),
            commits: zeroed(CommitOutcome::ALL.into_iter().map(|(_, label)| label)),
            store_errors: zeroed(StoreErrorKind::ALL.into_iter().map(|(_, label)| label)),
            rebalances: zeroed(Rebalance::ALL.into_iter().map(|(_, label)| label)),
            rebalance_seconds: timed(Rebalance::ALL.into_iter().map(|(_, label)| label)),
            stage_seconds: timed(Stage::ALL.into_iter().map(|(_, label)| label)),
            put_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            seal_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            memory: Holder::ALL.map(|(_, holder)| memory_bytes.get_or_create_owned(&HeldBy { holder })),
            memory_bytes,
            memory_bytes_max: Gauge::default(),
            memory_full: Gauge::default(),
            memory_pauses: Counter::default(),
            committed_offset: Family::default(),
            outage: Outage::default(),
            lag: Lag::default(),
        };
        let m = &metrics;
        registry.register("sink_records", "Records read from the log", m.records.clone());
        registry.register("sink_log_bytes", "Bytes of keys and values read from the log", m.log_bytes.clone());
        registry.register("sink_rows", "Rows in committed files", m.rows.clone());
        registry.register("sink_file_bytes", "Bytes of committed files", m.file_bytes.clone());
        registry.register("sink_gap_records", "Offsets that the log lost and that were marked", m.gap_records.clone());
        registry.register("sink_dead_letters", "Records that are no rows, by reason", m.dead_letters.clone());
        let help = "Values that were not of their promoted column's type";
        registry.register("sink_column_mismatches", help, m.column_mismatches.clone());
        let help = "Times that a file waited for the meaning of a schema id, by the answer";
        registry.register("sink_schema_lookups", help, m.schema_lookups.clone());
        registry.register("sink_resolved", "Records of other schemas that were read as ours", m.resolved.clone());
        registry.register("sink_rolls", "Files closed, by reason of the cut", m.rolls.clone());
        registry.register("sink_commits", "Files brought into the lake, by outcome", m.commits.clone());
        registry.register("sink_store_errors", "Creates and looks that failed, by kind", m.store_errors.clone());
        registry.register("sink_rebalances", "Partitions given to and taken from us", m.rebalances.clone());
        let help = "Time that a change of partitions took";
        registry.register("sink_rebalance_seconds", help, m.rebalance_seconds.clone());
        let help = "Time that a file's first record spent in each stage";
        registry.register("sink_stage_seconds", help, m.stage_seconds.clone());
        registry.register("sink_put_seconds", "Time of a successful create", m.put_seconds.clone());
        registry.register("sink_seal_seconds", "Time to judge, sort and encode a file", m.seal_seconds.clone());
        registry.register(
            "sink_memory_bytes",
            "Bytes of records and files in memory, by holder",
            m.memory_bytes.clone(),
        );
        registry.register("sink_memory_bytes_max", "The memory budget", m.memory_bytes_max.clone());
        let help = "1 while reading waits for room in memory";
        registry.register("sink_memory_full", help, m.memory_full.clone());
        let help = "Times that reading waited for room in memory";
        registry.register("sink_memory_pauses", help, m.memory_pauses.clone());
        registry.register(
            "sink_kafka_committed_offset",
            "Advisory offset that the broker holds for the group",
            m.committed_offset.clone(),
        );
        registry.register_collector(Box::new(m.outage.clone()));
        registry.register_collector(Box::new(LagCollector(m.lag.clone())));
        metrics
    }

    /// How far the lake is behind.
    pub fn lag(&self) -> &Lag {
        &self.lag
    }

    pub(crate) fn duplicates(&self) -> &DuplicateMetrics {
        &self.duplicates
    }

    pub(crate) fn read(&self, records: u32, log_bytes: usize) {
        self.records.inc_by(records.into());
        self.log_bytes.inc_by(log_bytes as u64);
    }

    pub(crate) fn memory_max(&self, bytes: usize) {
        self.memory_bytes_max.set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// A holder had so many bytes, and now has so many.
    pub(crate) fn memory(&self, holder: Holder, from: usize, to: usize) {
        let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.memory[holder as usize].inc_by(signed(to) - signed(from));
    }

    pub(crate) fn memory_full(&self, is_full: bool) {
        self.memory_full.set(is_full.into());
        if is_full {
            self.memory_pauses.inc();
        }
    }

    pub(crate) fn sealed(&self, elapsed: Duration) {
        self.seal_seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn committed(&self, file: &Footer, file_bytes: usize, cut: CutReason, dead: &[&'static str]) {
        self.rows.inc_by(file.rows);
        self.file_bytes.inc_by(file_bytes as u64);
        self.duplicates.dropped(file);
        self.rolls.get_or_create(&Reason { reason: cut.label() }).inc();
        if cut == CutReason::Gap {
            self.gap_records.inc_by(file.next_offset - file.start_offset);
        }
        for reason in dead {
            self.dead_letters.get_or_create(&Reason { reason }).inc();
        }
    }

    /// Sets the counters of the promoted columns to 0.
    pub(crate) fn promoted<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let of = |name: &str| self.column_mismatches.get_or_create_owned(&Column { column: name.to_owned() });
        let _ = self.mismatches.set(names.map(of).collect());
    }

    /// Values of another type in a committed file, for each promoted column.
    pub(crate) fn mismatched(&self, values: &[u64]) {
        for (counter, values) in self.mismatches.get().into_iter().flatten().zip(values) {
            counter.inc_by(*values);
        }
    }

    pub(crate) fn schema_asked(&self, answer: &Answer) {
        self.schema_lookups.get_or_create(&Reason { reason: schema_answer(answer) }).inc();
    }

    pub(crate) fn resolved(&self, records: usize) {
        self.resolved.inc_by(records as u64);
    }

    pub(crate) fn commit(&self, outcome: CommitOutcome) {
        self.commits.get_or_create(&Reason { reason: label(&CommitOutcome::ALL, outcome) }).inc();
    }

    pub(crate) fn put_seconds(&self, elapsed: Duration) {
        self.put_seconds.observe(elapsed.as_secs_f64());
        self.outage.took_file();
    }

    /// Whether the store answers.
    pub(crate) fn outage(&self) -> &Outage {
        &self.outage
    }

    pub(crate) fn store_error(&self, kind: StoreErrorKind) {
        self.store_errors.get_or_create(&Reason { reason: label(&StoreErrorKind::ALL, kind) }).inc();
    }

    /// A committed file whose first record has this timestamp.
    pub(crate) fn arrived(&self, journey: &Journey, timestamp_us: i64) {
        for (stage, time) in journey.stages(timestamp_us) {
            let reason = label(&Stage::ALL, stage);
            self.stage_seconds.get_or_create(&Reason { reason }).observe(time.as_secs_f64());
        }
    }

    pub(crate) fn rebalance(&self, kind: Rebalance, partitions: usize, elapsed: Duration) {
        let reason = Reason { reason: label(&Rebalance::ALL, kind) };
        self.rebalances.get_or_create(&reason).inc_by(partitions as u64);
        self.rebalance_seconds.get_or_create(&reason).observe(elapsed.as_secs_f64());
    }

    pub(crate) fn kafka_committed(&self, partition: u32, offset: i64) {
        self.committed_offset.get_or_create(&Partition { partition }).set(offset);
    }

    pub(crate) fn kafka_revoked(&self, partition: u32) {
        self.committed_offset.remove(&Partition { partition });
    }
}

fn zeroed(labels: impl Iterator<Item = &'static str>) -> Family<Reason, Counter> {
    let family = Family::default();
    labels.for_each(|reason| drop(family.get_or_create(&Reason { reason })));
    family
}

/// Histograms of times from a millisecond to half an hour.
type Timed = Family<Reason, Histogram, fn() -> Histogram>;

fn timed(labels: impl Iterator<Item = &'static str>) -> Timed {
    let new: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 22));
    let family = Family::new_with_constructor(new);
    labels.for_each(|reason| drop(family.get_or_create(&Reason { reason })));
    family
}

fn label<T: PartialEq>(all: &[(T, &'static str)], wanted: T) -> &'static str {
    all.iter().find(|(value, _)| *value == wanted).expect("every value has a label").1
}

/// Lag at the moment of the scrape.
#[derive(Debug)]
struct LagCollector(Lag);

impl Collector for LagCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let readings = self.0.read();
        let help = "Age of the oldest record that is not in the lake, 0 when there is none";
        gauges(&mut encoder, "sink_lag_seconds", help, &readings, |reading| reading.seconds)?;
        let help = "Records of the log that are not in the lake";
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        gauges(&mut encoder, "sink_lag_messages", help, &readings, |reading| reading.messages as f64)
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    readings: &[LagReading],
    value: impl Fn(&LagReading) -> f64,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for reading in readings {
        let labels = Partition { partition: reading.partition };
        ConstGauge::new(value(reading)).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
