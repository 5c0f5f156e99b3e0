//! In:     rings.
//! Out:    who serves which hashes, how many; how many move from whom to whom when nodes come and go.
//! Actors: none.
//! Never:  is it estimated: every count is of the whole space of hashes.

use super::Ring;
use std::collections::BTreeMap;

/// Hashes that are served together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// The lowest of them.
    pub min_hash: u64,
    /// The node.
    pub node: usize,
    /// Which of its partitions; the first where rows were joined.
    pub partition: u32,
    /// How many: up to the next row. The last row ends with the highest hash, which is not counted.
    pub served: u64,
}

/// From one node to another, by their names: so many hashes.
pub type Migration = BTreeMap<(String, String), u64>;

impl Ring {
    /// Every partition in the order of its hashes; the first row is what comes before all of them.
    pub fn table(&self) -> Vec<Row> {
        let row =
            |min_hash: u64, (node, partition): (u32, u32)| Row { min_hash, node: node as usize, partition, served: 0 };
        let first = self.points.first().filter(|point| **point > 0).and_then(|_| self.places.last());
        let mut rows: Vec<Row> = first.map(|place| row(0, *place)).into_iter().collect();
        rows.extend(self.points.iter().zip(&self.places).map(|(point, place)| row(*point, *place)));
        let ends: Vec<u64> = rows.iter().skip(1).map(|row| row.min_hash).chain([self.hash.max()]).collect();
        rows.iter_mut().zip(ends).for_each(|(row, end)| row.served = end - row.min_hash);
        rows
    }

    /// The same with the rows of one node that follow each other as one.
    pub fn simplified(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for row in self.table() {
            match rows.last_mut().filter(|last| last.node == row.node) {
                Some(last) => last.served += row.served,
                None => rows.push(row),
            }
        }
        rows
    }

    /// How many hashes each node serves.
    pub fn served(&self) -> Vec<u64> {
        let mut served = vec![0; self.nodes];
        self.table().iter().for_each(|row| served[row.node] += row.served);
        served
    }

    /// What moves when another ring takes the place of this one; nodes are the same by their names.
    pub fn migration(&self, names: &[&str], other: &Ring, other_names: &[&str]) -> Migration {
        let (from, to) = (self.simplified(), other.simplified());
        let mut moved = Migration::new();
        let (mut here, mut there, mut at) = (0, 0, 0);
        while let (Some(one), Some(two)) = (from.get(here), to.get(there)) {
            let ends =
                [from.get(here + 1), to.get(there + 1)].map(|next| next.map_or(self.hash.max(), |row| row.min_hash));
            let end = ends[0].min(ends[1]);
            let (old, new) = (names[one.node], other_names[two.node]);
            if old != new && end > at {
                *moved.entry((old.into(), new.into())).or_default() += end - at;
            }
            at = end;
            if at == self.hash.max() {
                break;
            }
            (here, there) = (here + usize::from(ends[0] == end), there + usize::from(ends[1] == end));
        }
        moved
    }
}

/// A share of all hashes, as a fraction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moved {
    /// So many parts.
    pub parts: u64,
    /// Of so many.
    pub of: u64,
}

impl Moved {
    /// In percent.
    pub fn percent(self) -> f64 {
        100.0 * self.parts as f64 / (self.of as f64).max(1.0)
    }
}

/// What would move if the space were cut into as many equal parts as there are nodes (integer division).
pub fn divided(from: &[&str], to: &[&str]) -> Moved {
    let (old, new) = (from.len() as u64, to.len() as u64);
    let of = old * new;
    // In units of which each old part has `new`, and each new one `old`.
    let parts = (0..of).filter(|unit| from[(unit / new.max(1)) as usize] != to[(unit / old.max(1)) as usize]).count();
    Moved { parts: parts as u64, of }
}

/// What would move if each key went to the node with the number of the rest of its hash (modulo).
pub fn moduloed(from: &[&str], to: &[&str]) -> Moved {
    let of = (from.len() * to.len()) as u64;
    let parts = (0..of as usize).filter(|key| from[key % from.len()] != to[key % to.len()]).count();
    Moved { parts: parts as u64, of }
}
