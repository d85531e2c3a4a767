//! The id that an event carries through the pipeline.
//!
//! Responsible for writing and reading `<run>-<user>-<sequence>-<number>`. Promises that the id of an event is the same
//! however often it is sent, and that a row says by its id alone which event it is. Leaves the run id to the ledger.

/// Which event of a run: everything that a reader needs to judge a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The number of the user.
    pub user: u32,
    /// The how-manieth event of this user, from 0.
    pub sequence: u32,
    /// The how-manieth event of the run, from 0.
    pub number: u32,
}

impl EventId {
    /// Appends the text form.
    pub fn write(&self, run: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(run.as_bytes());
        for part in [self.user, self.sequence, self.number] {
            out.push(b'-');
            crate::json::push_number(u64::from(part), out);
        }
    }

    /// The text form.
    pub fn text(&self, run: &str) -> String {
        format!("{run}-{}-{}-{}", self.user, self.sequence, self.number)
    }

    /// Reads the text form; `None` if it is not an event of this run.
    pub fn parse(run: &str, text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(run)?.strip_prefix('-')?.split('-');
        let mut next = || parts.next()?.parse().ok();
        let id = EventId { user: next()?, sequence: next()?, number: next()? };
        parts.next().is_none().then_some(id)
    }
}
