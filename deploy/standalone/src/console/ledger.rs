//! Responsible for what came in and what became of it, read from the metrics as a scraper would read them, so that the
//! page and a dashboard can never disagree. Leaves counting to the parts.

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use serde::Serialize;

/// The code of an answer to a request that was taken.
const TAKEN: &str = "ok";

/// Counts since the process started.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Ledger {
    received: u64,
    accepted: u64,
    in_flight: u64,
    /// Rejected events by code, most frequent first; codes that never happened are left out.
    rejected: Vec<Count>,
    /// Requests that were not taken, by code.
    refused: Vec<Count>,
    rows: u64,
    duplicates: u64,
    /// Records that are no rows, by reason.
    dead_letters: Vec<Count>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    reason: String,
    count: u64,
}

impl Ledger {
    pub(super) fn read(registry: &Registry) -> Ledger {
        let mut exposition = String::new();
        text::encode(&mut exposition, registry).expect("writing to a string does not fail");
        Ledger::parse(&exposition)
    }

    fn parse(exposition: &str) -> Ledger {
        let mut ledger = Ledger::default();
        for line in exposition.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(count) = value.parse::<u64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "footfall_gateway_events_received_total" => ledger.received = count,
                "footfall_gateway_events_accepted_total" => ledger.accepted = count,
                "footfall_gateway_events_in_flight" => ledger.in_flight = count,
                "footfall_gateway_events_rejected_total" => ledger.rejected.extend(counted(labels, count)),
                "footfall_gateway_requests_answered_total" => ledger.refused.extend(counted(labels, count)),
                "footfall_sink_rows_total" => ledger.rows = count,
                "footfall_sink_duplicates_total" => ledger.duplicates += count,
                "footfall_sink_dead_letters_total" => ledger.dead_letters.extend(counted(labels, count)),
                _ => {}
            }
        }
        ledger.refused.retain(|answer| answer.reason != TAKEN);
        for counts in [&mut ledger.rejected, &mut ledger.refused, &mut ledger.dead_letters] {
            counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
        }
        ledger
    }
}

/// The one label of a series that has happened; label values come from closed lists without quotes in them.
fn counted(labels: &str, count: u64) -> Option<Count> {
    let reason = labels.split('"').nth(1)?.to_owned();
    (count > 0).then_some(Count { reason, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_what_the_parts_registered() {
        // The parts' own metrics: a name that changes there breaks here.
        let mut registry = operator::process::registry("test");
        let _gateway = gateway::Metrics::register(&mut registry);
        let _sink = sink::Metrics::register(&mut registry);
        let mut exposition = String::new();
        text::encode(&mut exposition, &registry).expect("writing to a string does not fail");
        for line in [
            "footfall_gateway_events_received_total 0",
            "footfall_gateway_events_accepted_total 0",
            "footfall_gateway_events_in_flight 0",
            "footfall_gateway_events_rejected_total{code=\"",
            "footfall_gateway_requests_answered_total{code=\"ok\"} 0",
            "footfall_sink_rows_total 0",
            "footfall_sink_duplicates_total{reason=\"",
            "footfall_sink_dead_letters_total{reason=\"",
        ] {
            assert!(exposition.lines().any(|metric| metric.starts_with(line)), "{line} is not in {exposition}");
        }
        assert_eq!(Ledger::read(&registry), Ledger::default());
    }

    #[test]
    fn counts_are_sorted_and_zeros_left_out() {
        let ledger = Ledger::parse(
            "# HELP footfall_gateway_events_rejected Events not accepted\n\
             footfall_gateway_events_received_total 12\n\
             footfall_gateway_events_rejected_total{code=\"a\"} 1\n\
             footfall_gateway_events_rejected_total{code=\"b\"} 0\n\
             footfall_gateway_events_rejected_total{code=\"c\"} 4\n\
             footfall_gateway_requests_answered_total{code=\"ok\"} 9\n\
             footfall_gateway_requests_answered_total{code=\"c\"} 2\n\
             # EOF\n",
        );
        let count = |reason: &str, count| Count { reason: reason.to_owned(), count };
        assert_eq!((ledger.received, ledger.rejected), (12, vec![count("c", 4), count("a", 1)]));
        assert_eq!(ledger.refused, [count("c", 2)]);
    }
}
