//! The failed suffix: what else has failed when one record of a user has.
//!
//! Responsible for the rule that keeps a user's order when a client sends again: if event k of a user failed and event
//! k + 1 counted as delivered, the resent k would stand behind k + 1. Promises that after a failed event of a user
//! none of that user's later events of the request is reported as delivered. Pure.

use super::Failure;
use crate::{batch::Batch, rejection::Code};

/// One record: its place in the request and whose it is. A hash stands for the user, so that nothing borrows from the
/// request while it waits; where two users share a hash, one of them sends an event again that need not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) index: u32,
    key_hash: u32,
}

/// The records of a batch, in order.
pub(super) fn users(batch: &Batch) -> Vec<User> {
    batch.records().map(|record| User { index: record.index, key_hash: hash(record.key) }).collect()
}

/// Adds to `failures` every later record of a user who has one in it, and puts them into the order of the request.
pub(super) fn fail_suffixes(users: &[User], failures: &mut Vec<Failure>) {
    if failures.is_empty() {
        return;
    }
    failures.sort_unstable_by_key(|failure| failure.index);
    let mut known = failures.iter().copied().peekable();
    let mut failed_keys = std::collections::HashSet::new();
    let mut all = Vec::with_capacity(failures.len());
    for user in users {
        if let Some(failure) = known.next_if(|failure| failure.index == user.index) {
            // An event that can never be taken is not sent again, so nothing can overtake it.
            if failure.code.facts().retriable {
                failed_keys.insert(user.key_hash);
            }
            all.push(failure);
        } else if failed_keys.contains(&user.key_hash) {
            all.push(Failure { index: user.index, code: Code::DeliveryUnknown });
        }
    }
    *failures = all;
}

fn hash(key: &[u8]) -> u32 {
    // FNV-1a, 32 bits: a few nanoseconds for the short keys there are.
    key.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: &str, failed: &[(u32, Code)], expected: &[(u32, Code)]) {
        let users: Vec<User> =
            keys.bytes().zip(0..).map(|(key, index)| User { index, key_hash: hash(&[key]) }).collect();
        let failures = |list: &[(u32, Code)]| -> Vec<Failure> {
            list.iter().map(|&(index, code)| Failure { index, code }).collect()
        };
        let mut found = failures(failed);
        fail_suffixes(&users, &mut found);
        assert_eq!(found, failures(expected));
    }

    #[test]
    fn what_follows_a_failed_event_of_a_user_has_failed_too() {
        use Code::{DeliveryUnknown as Unknown, EventTooLarge, Overloaded};
        check("aba", &[], &[]);
        check("ababab", &[(2, Unknown)], &[(2, Unknown), (4, Unknown)]);
        check("ababab", &[(4, Unknown), (1, Unknown)], &[(1, Unknown), (3, Unknown), (4, Unknown), (5, Unknown)]);
        check("aab", &[(0, Overloaded)], &[(0, Overloaded), (1, Unknown)]);
        check("aab", &[(0, EventTooLarge)], &[(0, EventTooLarge)]);
        check("aaa", &[(2, Unknown)], &[(2, Unknown)]);
    }
}
