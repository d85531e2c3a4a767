//! What a person sees while a run goes on.
//!
//! Responsible for a bar on a terminal and for a plain line every few seconds elsewhere. Promises to write to stderr
//! only. Leaves the summary to `report`.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::tally::Snapshot;

/// Between two plain lines, in microseconds.
const LINE_EVERY_US: u64 = 5_000_000;

/// The display.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    next_line_us: u64,
}

impl Progress {
    /// Begins; `events` is what a full bar means, if that is known.
    pub fn start(events: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| match events {
            Some(events) => {
                ProgressBar::new(events).with_style(style("{bar:30} {percent:>3} % {elapsed_precise} {msg}"))
            }
            None => ProgressBar::new_spinner().with_style(style("{spinner} {elapsed_precise} {msg}")),
        });
        Progress { bar, next_line_us: LINE_EVERY_US }
    }

    /// Shows the counters.
    pub fn show(&mut self, now: &Snapshot, now_us: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(now.acked + now.refused);
            bar.set_message(line(now));
        } else if now_us >= self.next_line_us {
            self.next_line_us = now_us + LINE_EVERY_US;
            // A closed stderr is no reason to end a measurement.
            let _ = writeln!(std::io::stderr(), "{:>7.1} s  {}", now_us as f64 / 1e6, line(now));
        }
    }

    /// Clears the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}

fn line(now: &Snapshot) -> String {
    let Snapshot { offered, acked, visible, sent_again, refused, .. } = now;
    let mut line = format!("{offered} due, {acked} acknowledged, {visible} visible");
    for (count, what) in [(sent_again, "sent again"), (refused, "refused")] {
        if *count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    line
}
