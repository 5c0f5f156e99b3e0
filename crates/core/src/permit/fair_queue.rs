//! In:     work of many clients, each piece about a name, in the order in which it comes.
//! Out:    the same: one piece of each client after the other, and of each client one about each name.
//! Actors: none.
//! Never:  does what one client has waiting come before more than one piece of another client's, or take its place; nor
//!         what is about one name before what is about another one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Work that waits, of clients that take turns.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    waiting: HashMap<K, Own<T>>,
    /// Each client that has something waiting, once.
    turns: VecDeque<K>,
    count: usize,
    /// Most of one client, and of all.
    own_max: usize,
    count_max: usize,
}

/// The work of one client.
#[derive(Debug)]
struct Own<T> {
    waiting: HashMap<String, VecDeque<T>>,
    /// Each name that something waits about, once.
    turns: VecDeque<String>,
    count: usize,
}

/// What became of a piece of work.
#[derive(Debug, Eq, PartialEq)]
pub enum Queued<T> {
    /// It waits.
    Waits,
    /// It waits in the place of this one: the last about the name, of the client, that had most.
    InPlaceOf(T),
    /// There is no room for more of this.
    Full(T),
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// An empty queue for so many of one client, and of all.
    pub fn new(own_max: usize, count_max: usize) -> FairQueue<K, T> {
        FairQueue { waiting: HashMap::new(), turns: VecDeque::new(), count: 0, own_max, count_max }
    }

    /// Adds a piece of work of a client, about a name.
    pub fn push(&mut self, client: K, name: &str, work: T) -> Queued<T> {
        let (own, about) = self.waiting.get(&client).map_or((0, 0), |own| (own.count, own.about(name)));
        let displaced = if own >= self.own_max {
            let displaced = self.waiting.get_mut(&client).and_then(|own| own.displace(about + 1));
            let Some(displaced) = displaced else { return Queued::Full(work) };
            Some(displaced)
        } else if self.count >= self.count_max {
            let most = self.waiting.values_mut().max_by_key(|own| own.count).filter(|most| most.count > own + 1);
            let Some(displaced) = most.and_then(|most| most.displace(0)) else { return Queued::Full(work) };
            Some(displaced)
        } else {
            None
        };
        self.count = self.count + 1 - usize::from(displaced.is_some());
        if own == 0 {
            self.turns.push_back(client.clone());
        }
        self.waiting.entry(client).or_default().push(name, work);
        displaced.map_or(Queued::Waits, Queued::InPlaceOf)
    }

    /// The next piece of work: the oldest of the client and about the name whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let own = self.waiting.get_mut(&client)?;
        let work = own.pop();
        self.count -= 1;
        if own.count == 0 {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        work
    }
}

impl<T> Default for Own<T> {
    fn default() -> Self {
        Own { waiting: HashMap::new(), turns: VecDeque::new(), count: 0 }
    }
}

impl<T> Own<T> {
    fn about(&self, name: &str) -> usize {
        self.waiting.get(name).map_or(0, VecDeque::len)
    }

    fn push(&mut self, name: &str, work: T) {
        if self.about(name) == 0 {
            self.turns.push_back(name.to_owned());
        }
        self.waiting.entry(name.to_owned()).or_default().push_back(work);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<T> {
        let name = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&name)?;
        let work = queue.pop_front();
        self.count -= 1;
        if queue.is_empty() {
            self.waiting.remove(&name);
        } else {
            self.turns.push_back(name);
        }
        work
    }

    /// Takes out the last piece about the name that has most, where that has more than `least`. One stays: the turn of a
    /// name, or of a client, is never left empty.
    fn displace(&mut self, least: usize) -> Option<T> {
        let most = self.waiting.values_mut().max_by_key(|queue| queue.len()).filter(|queue| queue.len() > least.max(1));
        if let Some(displaced) = most.and_then(VecDeque::pop_back) {
            self.count -= 1;
            return Some(displaced);
        }
        if least > 0 {
            return None;
        }
        // One about each of many names: the name that came last goes.
        let name = self.turns.pop_back()?;
        self.count -= 1;
        self.waiting.remove(&name)?.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<K: Clone + Eq + Hash>(queue: &mut FairQueue<K, i32>) -> Vec<i32> {
        let order = std::iter::from_fn(|| queue.pop()).collect();
        assert!(queue.waiting.is_empty() && queue.turns.is_empty() && queue.count == 0, "nothing stays of them");
        order
    }

    #[test]
    fn whoever_has_much_waiting_comes_before_nobody_twice() {
        let mut queue = FairQueue::new(100, 1000);
        for number in 0..100 {
            assert_eq!(queue.push("flood", "alice", number), Queued::Waits);
        }
        assert_eq!(queue.push("flood", "alice", 100), Queued::Full(100), "it has its share");
        assert_eq!((queue.push("a", "alice", 1000), queue.push("b", "alice", 2000)), (Queued::Waits, Queued::Waits));
        assert_eq!(queue.push("a", "alice", 1001), Queued::Waits);
        let order = all(&mut queue);
        assert_eq!(order[..6], [0, 1000, 2000, 1, 1001, 2]);
        assert_eq!(order.len(), 103);
    }

    #[test]
    fn many_names_are_no_way_to_more_turns() {
        let mut queue = FairQueue::new(100, 1000);
        for number in 0..50 {
            queue.push("flood", &format!("name{number}"), number);
        }
        queue.push("a", "alice", 1000);
        queue.push("a", "alice", 1001);
        assert_eq!(all(&mut queue)[..5], [0, 1000, 1, 1001, 2]);
    }

    /// Many come from one address, as from behind a router.
    #[test]
    fn a_flood_about_one_name_holds_up_no_other_name_of_its_address() {
        let mut queue = FairQueue::new(4, 1000);
        for number in 0..4 {
            queue.push("router", "alice", number);
        }
        assert_eq!(queue.push("router", "bob", 100), Queued::InPlaceOf(3));
        assert_eq!(queue.push("router", "carol", 200), Queued::InPlaceOf(2));
        assert_eq!(queue.push("router", "alice", 4), Queued::Full(4));
        assert_eq!(queue.push("router", "bob", 101), Queued::Full(101), "nobody has more than that");
        assert_eq!(all(&mut queue), [0, 100, 200, 1]);
    }

    #[test]
    fn who_comes_to_a_full_queue_takes_the_place_of_who_has_most() {
        let mut queue = FairQueue::new(10, 10);
        for number in 0..8 {
            queue.push("flood", "alice", number);
        }
        queue.push("a", "alice", 100);
        queue.push("b", "alice", 200);
        assert_eq!(queue.push("c", "alice", 300), Queued::InPlaceOf(7));
        assert_eq!(queue.push("a", "alice", 101), Queued::InPlaceOf(6));
        assert_eq!(queue.count, 10);
        assert_eq!(all(&mut queue), [0, 100, 200, 300, 1, 101, 2, 3, 4, 5]);
        let mut names = FairQueue::new(10, 4);
        for number in 0..4 {
            names.push("flood", &format!("name{number}"), number);
        }
        assert_eq!(names.push("a", "alice", 100), Queued::InPlaceOf(3));
        assert_eq!(all(&mut names), [0, 100, 1, 2]);
        let mut even = FairQueue::new(10, 3);
        for client in ["a", "b", "c"] {
            even.push(client, "alice", 0);
        }
        assert_eq!(even.push("d", "alice", 1), Queued::Full(1), "nobody has more than one");
    }

    /// Whatever comes in whatever order: the counts are true, and nothing is lost or served twice.
    #[test]
    fn nothing_is_lost_in_any_order() {
        let mut queue = FairQueue::new(5, 12);
        let (mut seed, mut waiting, mut out) = (1u64, 0usize, Vec::new());
        for number in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dice = seed >> 33;
            if dice % 3 == 0 {
                let popped = queue.pop();
                assert_eq!(popped.is_some(), waiting > 0);
                waiting -= usize::from(popped.is_some());
                out.extend(popped);
                continue;
            }
            match queue.push(dice / 3 % 7, ["x", "y", "z"][(dice / 21 % 3) as usize], number) {
                Queued::Waits => waiting += 1,
                Queued::InPlaceOf(other) | Queued::Full(other) => out.push(other),
            }
            assert!(queue.count == waiting && waiting <= 12);
            assert_eq!(queue.waiting.values().map(|own| own.count).sum::<usize>(), waiting);
            assert!(
                queue
                    .waiting
                    .values()
                    .all(|own| own.count > 0 && own.count <= 5 && own.turns.len() == own.waiting.len())
            );
            assert_eq!(queue.turns.len(), queue.waiting.len());
        }
        out.extend(all(&mut queue));
        let seen: std::collections::HashSet<i32> = out.iter().copied().collect();
        assert_eq!(seen.len(), out.len());
    }
}
