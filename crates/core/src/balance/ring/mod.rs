//! In:     nodes, each with so many partitions; the hash of a key.
//! Out:    the node that has the key, and those that would have it after that one.
//! Actors: none.
//! Never:  does the order in which nodes are named change who has a key.

mod hash;
mod table;

pub use hash::Hash;
pub use table::{Migration, Moved, Row, divided, moduloed};

/// A consistent-hashing ring (Karger et al., 1997): each node has many partitions, whose names are hashed onto the
/// space of hashes. A partition serves the hashes from its own up to that of the next one; the last serves those
/// before the first, too.
#[derive(Clone, Debug)]
pub struct Ring {
    hash: Hash,
    /// Hashes of partitions, in order.
    points: Vec<u64>,
    /// Of each point: its node, and which of the node's partitions it is.
    places: Vec<(u32, u32)>,
    /// For each part of the space, how many points lie before it.
    before: Vec<u32>,
    /// Bits of a hash behind those that say the part.
    shift: u32,
    nodes: usize,
}

impl Ring {
    /// A ring of these nodes, by name and number of partitions. Partition 3 of `a` is called `a-3`.
    pub fn new(hash: Hash, nodes: &[(String, u32)]) -> Ring {
        let mut all = Vec::with_capacity(nodes.iter().map(|(_, partitions)| *partitions as usize).sum());
        let mut name = Vec::new();
        for ((node, partitions), number) in nodes.iter().zip(0..) {
            name.clear();
            name.extend_from_slice(node.as_bytes());
            name.push(b'-');
            let stem = name.len();
            for partition in 0..*partitions {
                name.truncate(stem);
                name.extend_from_slice(crate::decimal::digits(u64::from(partition), &mut [0; 20]));
                all.push((hash.of(&name), (number, partition)));
            }
        }
        // Where two have one hash the last one serves it, by name: whichever was given first.
        all.sort_unstable_by(|(one, (node, partition)), (other, (other_node, other_partition))| {
            let names =
                || (&nodes[*node as usize].0, partition).cmp(&(&nodes[*other_node as usize].0, other_partition));
            one.cmp(other).then_with(names)
        });
        let parts_log2 = (all.len() / 2).max(2).next_power_of_two().trailing_zeros().min(hash.bits() - 1);
        let shift = hash.bits() - parts_log2;
        let mut before = Vec::with_capacity((1 << parts_log2) + 1);
        for (at, (point, _)) in (0..).zip(&all) {
            // Every part that begins behind the former point and not behind this one.
            before.resize(((point >> shift) + 1) as usize, at);
        }
        before.resize((1 << parts_log2) + 1, all.len() as u32);
        let (points, places) = all.into_iter().unzip();
        Ring { hash, points, places, before, shift, nodes: nodes.len() }
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        size_of_val(&*self.points) + size_of_val(&*self.places) + size_of_val(&*self.before)
    }

    /// Bits of its hashes.
    pub fn bits(&self) -> u32 {
        self.hash.bits()
    }

    /// The hash of a key.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hash.of(key)
    }

    /// The node that has a hash. The first one where there are no partitions.
    pub fn owner(&self, hash: u64) -> usize {
        self.point(hash).map_or(0, |at| self.places[at].0 as usize)
    }

    /// The last point that is not behind a hash; of those at one hash the last.
    fn point(&self, hash: u64) -> Option<usize> {
        let part = (hash >> self.shift) as usize;
        let mut at = *self.before.get(part + 1).unwrap_or(&(self.points.len() as u32)) as usize;
        while at > 0 && self.points[at - 1] > hash {
            at -= 1;
        }
        at.checked_sub(1).or(self.points.len().checked_sub(1))
    }

    /// The nodes that would have a hash, one after the other, if those before were gone.
    pub fn walk(&self, hash: u64) -> Walk<'_> {
        let at = self.point(hash).unwrap_or(0);
        Walk { ring: self, at, left: self.points.len(), first: None, seen: Vec::new(), found: 0 }
    }
}

/// Nodes in the order in which they would have a hash.
#[derive(Debug)]
pub struct Walk<'r> {
    ring: &'r Ring,
    at: usize,
    left: usize,
    first: Option<usize>,
    seen: Vec<bool>,
    found: usize,
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.left > 0 && self.found < self.ring.nodes {
            let node = self.ring.places[self.at].0 as usize;
            self.at = self.at.checked_sub(1).unwrap_or(self.ring.points.len() - 1);
            self.left -= 1;
            match self.first {
                // Most walks end with their first node: nothing is noted before there is a second one.
                None => self.first = Some(node),
                Some(first) => {
                    if self.seen.is_empty() {
                        self.seen.resize(self.ring.nodes, false);
                        self.seen[first] = true;
                    }
                    if std::mem::replace(&mut self.seen[node], true) {
                        continue;
                    }
                }
            }
            self.found += 1;
            return Some(node);
        }
        None
    }
}

#[cfg(test)]
mod tests;
