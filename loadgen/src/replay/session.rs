//! Who a line belongs to.
//!
//! Responsible for users (client address and agent together) and their sessions (ended by 30 minutes of silence).
//! Promises stable names: the same address and agent have the same name in every replay. Leaves reading lines to
//! `parse`.

use std::collections::HashMap;

use super::parse::LogLine;

/// Silence that ends a session, in microseconds: what web analytics has always used.
const SILENCE_US: i64 = 30 * 60 * 1_000_000;

/// All users of a log so far.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    users: HashMap<u128, User>,
    new_names: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct User {
    number: u32,
    session: u32,
    last_us: i64,
}

/// The user and session of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) number: u32,
    pub(super) hash: u128,
    pub(super) session: u32,
}

impl Visitors {
    pub(super) fn visitor(&mut self, line: &LogLine<'_>) -> Visitor {
        let agent = line.user_agent.as_deref().unwrap_or("-");
        let hash = hash(&[line.client.as_bytes(), b"\n", agent.as_bytes()]);
        let next_number = u32::try_from(self.users.len()).expect("there are fewer users than events");
        let new_names = &mut self.new_names;
        let user = self.users.entry(hash).or_insert_with(|| {
            new_names.push(name(hash));
            User { number: next_number, session: 1, last_us: line.time_us }
        });
        if line.time_us - user.last_us > SILENCE_US {
            user.session += 1;
        }
        // Servers write a line when a request has ended, so times go back a little: silence counts from the latest.
        user.last_us = user.last_us.max(line.time_us);
        Visitor { number: user.number, hash, session: user.session }
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// Names of users that are new since the last call, by number.
    pub(super) fn take_new_names(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new_names)
    }
}

/// The name of a user: what the event carries as `anonymous_id`.
pub(super) fn name(hash: u128) -> String {
    format!("{hash:032x}")
}

/// FNV-1a with 128 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn hash(parts: &[&[u8]]) -> u128 {
    parts.iter().flat_map(|part| part.iter()).fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: &'static str, agent: Option<&'static str>, minutes: i64) -> LogLine<'static> {
        LogLine {
            client,
            time_us: minutes * 60_000_000,
            method: "GET".into(),
            target: "/".into(),
            status: 200,
            bytes: None,
            referrer: None,
            user_agent: agent.map(Into::into),
        }
    }

    #[test]
    fn address_and_agent_make_a_user_and_silence_ends_a_session() {
        let mut visitors = Visitors::default();
        let mut check = |client, agent, minutes, number, session| {
            let visitor = visitors.visitor(&line(client, agent, minutes));
            assert_eq!((visitor.number, visitor.session), (number, session), "{client} {agent:?} at {minutes}");
        };
        check("a", Some("x"), 0, 0, 1);
        check("a", Some("y"), 0, 1, 1);
        check("b", Some("x"), 0, 2, 1);
        check("a", None, 0, 3, 1);
        check("a", Some("x"), 30, 0, 1);
        check("a", Some("x"), 61, 0, 2);
        check("a", Some("x"), 40, 0, 2);
        check("a", Some("x"), 91, 0, 2);
        check("a", Some("x"), 122, 0, 3);
        assert_eq!(visitors.take_new_names().len(), 4);
        assert!(visitors.take_new_names().is_empty());
    }

    #[test]
    fn names_stay() {
        // Known values of the function itself, and one name.
        assert_eq!(hash(&[]), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(&[b"a"]), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(name(hash(&[b"a"])), "d228cb696f1a8caf78912b704e4a8964");
    }
}
