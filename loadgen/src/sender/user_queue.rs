//! Which user has an open request, and what waits behind it.
//!
//! Responsible for the order of each user on the client's side. Promises that a user is in at most one request at a time
//! and that this user's events leave in the order in which they came. Leaves requests and retries to the sender.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::offer::Item;

/// The occupied users; an entry without events is a user with a request and nothing behind it.
#[derive(Debug)]
pub(super) struct UserQueue<E> {
    occupied: HashMap<u32, VecDeque<Item<E>>>,
    waiting: usize,
    coalesced_max: usize,
}

impl<E> UserQueue<E> {
    pub(super) fn new(coalesced_max: usize) -> Self {
        UserQueue { occupied: HashMap::new(), waiting: 0, coalesced_max: coalesced_max.max(1) }
    }

    /// How many events wait for their user.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Keeps the events of occupied users; returns the others, and occupies their users.
    pub(super) fn admit(&mut self, items: Vec<Item<E>>) -> Vec<Item<E>> {
        let mut free = Vec::with_capacity(items.len());
        for item in items {
            match self.occupied.get_mut(&item.id.user) {
                Some(queue) => {
                    queue.push_back(item);
                    self.waiting += 1;
                }
                None => free.push(item),
            }
        }
        for item in &free {
            self.occupied.entry(item.id.user).or_default();
        }
        free
    }

    /// Frees users whose request has ended (named as often as they like). What waited for them is returned as requests,
    /// and those users are occupied again. Waiting events go together, as the queue of a real client does: one at a
    /// time, a user could never do more than one thing per round trip.
    pub(super) fn release(&mut self, users: Vec<u32>) -> Vec<Vec<Item<E>>> {
        let mut requests: Vec<Vec<Item<E>>> = Vec::new();
        let mut done: Vec<u32> = users;
        done.sort_unstable();
        done.dedup();
        for user in done {
            let Entry::Occupied(mut entry) = self.occupied.entry(user) else { continue };
            let queue = entry.get_mut();
            if queue.is_empty() {
                entry.remove();
                continue;
            }
            let count = queue.len().min(self.coalesced_max);
            self.waiting -= count;
            // A user's events must not be spread over two requests, so a full request is closed before this user.
            match requests.last_mut().filter(|request| request.len() + count <= self.coalesced_max) {
                Some(request) => request.extend(queue.drain(..count)),
                None => requests.push(queue.drain(..count).collect()),
            }
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::EventId;

    fn item(user: u32, sequence: u32) -> Item<()> {
        Item { id: EventId { user, sequence, number: 0 }, due_us: 0, event: () }
    }

    fn ids(items: &[Item<()>]) -> Vec<(u32, u32)> {
        items.iter().map(|item| (item.id.user, item.id.sequence)).collect()
    }

    #[test]
    fn events_of_an_occupied_user_wait_and_leave_in_order() {
        let mut queue = UserQueue::new(100);
        assert_eq!(ids(&queue.admit(vec![item(1, 0), item(1, 1), item(2, 0)])), [(1, 0), (1, 1), (2, 0)]);
        assert_eq!(ids(&queue.admit(vec![item(1, 2), item(3, 0), item(1, 3)])), [(3, 0)]);
        assert_eq!(queue.waiting(), 2);
        assert!(queue.release(vec![2, 2, 3]).is_empty());
        assert_eq!(ids(&queue.release(vec![1, 1])[0]), [(1, 2), (1, 3)]);
        assert!(queue.admit(vec![item(1, 4)]).is_empty(), "user 1 is occupied again");
        assert_eq!(ids(&queue.admit(vec![item(2, 1)])), [(2, 1)], "user 2 is free");
    }

    #[test]
    fn a_user_is_never_in_two_requests() {
        let mut queue = UserQueue::new(3);
        queue.admit((0..4).map(|user| item(user, 0)).collect());
        queue.admit((0..4).flat_map(|user| [item(user, 1), item(user, 2)]).collect());
        queue.admit((3..8).map(|sequence| item(3, sequence)).collect());
        let requests = queue.release(vec![0, 1, 2, 3]);
        let users: Vec<Vec<u32>> = requests.iter().map(|r| r.iter().map(|item| item.id.user).collect()).collect();
        assert_eq!(users, [vec![0, 0], vec![1, 1], vec![2, 2], vec![3, 3, 3]]);
        assert_eq!(queue.waiting(), 4);
        assert_eq!(ids(&queue.release(vec![3])[0]), [(3, 4), (3, 5), (3, 6)]);
    }
}
