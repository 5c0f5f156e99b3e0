//! In:     work of many clients, in the order in which it comes.
//! Out:    the same, one of each client after the other.
//! Actors: none.
//! Never:  does what one client has waiting come before more than one piece of another client's, or take its place.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Work that waits, of clients that take turns.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Each client that has something waiting, once.
    turns: VecDeque<K>,
    count: usize,
    /// Most of one client, and of all.
    own_max: usize,
    count_max: usize,
}

/// What became of a piece of work.
#[derive(Debug, Eq, PartialEq)]
pub enum Queued<T> {
    /// It waits.
    Waits,
    /// It waits in the place of this one, the last of the client that had most.
    InPlaceOf(T),
    /// There is no room for more of this client.
    Full(T),
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// An empty queue for so many of one client, and of all.
    pub fn new(own_max: usize, count_max: usize) -> FairQueue<K, T> {
        FairQueue { waiting: HashMap::new(), turns: VecDeque::new(), count: 0, own_max, count_max }
    }

    /// Adds a piece of work of a client.
    pub fn push(&mut self, client: K, work: T) -> Queued<T> {
        let own = self.waiting.get(&client).map_or(0, VecDeque::len);
        if own >= self.own_max {
            return Queued::Full(work);
        }
        let mut displaced = None;
        if self.count >= self.count_max {
            let most = self.waiting.iter().max_by_key(|(_, queue)| queue.len());
            let Some(most) = most.filter(|(_, queue)| queue.len() > own + 1).map(|(client, _)| client.clone()) else {
                return Queued::Full(work);
            };
            displaced = self.waiting.get_mut(&most).and_then(VecDeque::pop_back);
            self.count -= 1;
        }
        if own == 0 {
            self.turns.push_back(client.clone());
        }
        self.waiting.entry(client).or_default().push_back(work);
        self.count += 1;
        displaced.map_or(Queued::Waits, Queued::InPlaceOf)
    }

    /// The next piece of work: the oldest of the client whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&client)?;
        let work = queue.pop_front();
        self.count -= 1;
        if queue.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_much_waiting_comes_before_nobody_twice() {
        let mut queue = FairQueue::new(100, 1000);
        for number in 0..100 {
            assert_eq!(queue.push("flood", number), Queued::Waits);
        }
        assert_eq!(queue.push("flood", 100), Queued::Full(100), "it has its share");
        assert_eq!((queue.push("a", 1000), queue.push("b", 2000)), (Queued::Waits, Queued::Waits));
        assert_eq!(queue.push("a", 1001), Queued::Waits);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order[..6], [0, 1000, 2000, 1, 1001, 2]);
        assert_eq!(order.len(), 103);
        assert!(queue.waiting.is_empty() && queue.turns.is_empty() && queue.count == 0, "nothing stays of them");
    }

    #[test]
    fn who_comes_to_a_full_queue_takes_the_place_of_who_has_most() {
        let mut queue = FairQueue::new(10, 10);
        for number in 0..8 {
            queue.push("flood", number);
        }
        queue.push("a", 100);
        queue.push("b", 200);
        assert_eq!(queue.push("c", 300), Queued::InPlaceOf(7));
        assert_eq!(queue.push("a", 101), Queued::InPlaceOf(6));
        let mut even = FairQueue::new(10, 3);
        for client in ["a", "b", "c"] {
            even.push(client, 0);
        }
        assert_eq!(even.push("d", 1), Queued::Full(1), "nobody has more than one");
        assert_eq!(queue.count, 10);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [0, 100, 200, 300, 1, 101, 2, 3, 4, 5]);
    }
}
