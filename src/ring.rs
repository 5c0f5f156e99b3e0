//! In:     nodes, and what is asked of their ring.
//! Out:    the same told: tables, shares, what moves, where keys are.
//! Actors: the file system is asked for a list of keys.
//! Never:  is a number told that was estimated.

use hallway_config::show::counted;
use hallway_core::balance::ring::{Hash, Migration, Moved, Ring, Row, divided, moduloed};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// More rows are not shown unasked.
const ROWS_MAX: usize = 200;

/// A node as it was named.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) weight: u32,
}

/// What is asked of a ring.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) nodes: Vec<Node>,
    pub(crate) added: Vec<Node>,
    pub(crate) removed: Vec<String>,
    pub(crate) partitions: u32,
    pub(crate) hash: Hash,
    pub(crate) keys: Vec<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) is_simplified: bool,
    pub(crate) is_json: bool,
}

impl Default for Question {
    fn default() -> Question {
        Question {
            nodes: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            partitions: 500,
            hash: Hash::default(),
            keys: Vec::new(),
            key_file: None,
            is_simplified: false,
            is_json: false,
        }
    }
}

impl Question {
    /// The nodes once those came and went that are to.
    pub(crate) fn after(&self) -> Vec<Node> {
        let all = self.nodes.iter().chain(&self.added);
        all.filter(|node| !self.removed.contains(&node.name)).cloned().collect()
    }

    fn changes(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}

/// A ring, the names of its nodes and their weights.
struct Named {
    names: Vec<String>,
    weights: Vec<u32>,
    ring: Ring,
}

impl Named {
    fn new(question: &Question, nodes: &[Node]) -> Named {
        let sized: Vec<(String, u32)> =
            nodes.iter().map(|node| (node.name.clone(), node.weight * question.partitions)).collect();
        let ring = Ring::new(question.hash, &sized);
        let weights = nodes.iter().map(|node| node.weight).collect();
        Named { names: sized.into_iter().map(|(name, _)| name).collect(), weights, ring }
    }

    fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The row that has a hash.
    fn row(&self, hash: u64) -> Option<Row> {
        let rows = self.ring.table();
        rows.into_iter().rev().find(|row| row.min_hash <= hash)
    }
}

/// Tells what was asked.
///
/// # Errors
/// Those of reading a file.
pub(crate) fn tell(question: &Question) -> Result<String, String> {
    let before = Named::new(question, &question.nodes);
    let after = question.changes().then(|| Named::new(question, &question.after()));
    let listed = question.key_file.as_ref().map(read_keys).transpose()?;
    if question.is_json {
        return Ok(format!("{:#}\n", to_json(question, &before, after.as_ref(), listed.as_deref())));
    }
    let shown = after.as_ref().unwrap_or(&before);
    let mut text = String::new();
    let hash = Hash::NAMES.iter().find(|(_, hash)| *hash == question.hash).map_or("", |(name, _)| name);
    let _ = writeln!(
        text,
        "{}, {} partitions for each weight of 1, hash {hash}",
        counted(shown.names.len(), "node"),
        question.partitions
    );
    put_tables(&mut text, question, shown);
    put_nodes(&mut text, question, shown);
    for key in &question.keys {
        let hash = shown.ring.hash(key.as_bytes());
        if let Some(row) = shown.row(hash) {
            let node = &shown.names[row.node];
            let _ = writeln!(text, "\nThe key '{key}' has hash {hash}: {node}, partition {node}-{}", row.partition);
        }
    }
    if let Some(after) = &after {
        put_migration(&mut text, question, &before, after);
    }
    if let Some(keys) = &listed {
        put_keys(&mut text, keys, &before, after.as_ref());
    }
    Ok(text)
}

fn read_keys(path: &PathBuf) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {}", path.display(), crate::users::told(&error)))?;
    let keys: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(Into::into).collect();
    if keys.is_empty() { Err(format!("{} has no keys; write one on each line", path.display())) } else { Ok(keys) }
}

fn put_tables(text: &mut String, question: &Question, named: &Named) {
    let width = named.names.iter().map(|name| name.len()).max().unwrap_or(0) + 8;
    let digits = question.hash.max().to_string().len();
    let mut put = |title: &str, rows: &[Row], label: &dyn Fn(&Row) -> String| {
        if rows.len() > ROWS_MAX {
            let _ = writeln!(text, "\n{title}: {} rows, too many to show; --json has them all", rows.len());
            return;
        }
        let _ = writeln!(text, "\n{title}\n{:>digits$}  {:width$} {:>digits$}", "from hash", "served by", "hashes");
        for row in rows {
            let _ = writeln!(text, "{:>digits$}  {:width$} {:>digits$}", row.min_hash, label(row), row.served);
        }
    };
    if !question.is_simplified {
        put("Full table", &named.ring.table(), &|row| format!("{}-{}", named.names[row.node], row.partition));
    }
    put("Simplified table", &named.ring.simplified(), &|row| named.names[row.node].clone());
}

fn put_nodes(text: &mut String, question: &Question, named: &Named) {
    let served = named.ring.served();
    let total = question.hash.max() as f64;
    let width = named.names.iter().map(|name| name.len()).max().unwrap_or(0).max(4);
    let digits = question.hash.max().to_string().len();
    let unit = total / f64::from(named.weights.iter().sum::<u32>());
    let _ = writeln!(text, "\n{:width$}  {:>digits$}  {:>8}  {:>12}", "node", "hashes", "share", "of its due");
    for ((name, weight), served) in named.names.iter().zip(&named.weights).zip(&served) {
        let (share, of_due) = (100.0 * *served as f64 / total, *served as f64 / (unit * f64::from(*weight)));
        let _ = writeln!(text, "{name:width$}  {served:>digits$}  {share:>6.2} %  {of_due:>12.3}");
    }
    let (least, most) = (served.iter().min().unwrap_or(&0), served.iter().max().unwrap_or(&0));
    let ratio = 100.0 * *least as f64 / (*most as f64).max(1.0);
    let _ = writeln!(text, "The least has {ratio:.1} % of what the most has.");
}

fn put_migration(text: &mut String, question: &Question, before: &Named, after: &Named) {
    let moved = migration(before, after);
    let total = question.hash.max();
    let percent = |hashes: u64| 100.0 * hashes as f64 / total as f64;
    let _ = writeln!(text, "\nWhat moves from {} to {} nodes", before.names.len(), after.names.len());
    for ((from, to), hashes) in &moved {
        let _ = writeln!(text, "  {from} -> {to}: {hashes} hashes, {:.2} %", percent(*hashes));
    }
    let sum: u64 = moved.values().sum();
    let _ = writeln!(text, "  together {sum} of {total}, {:.2} %", percent(sum));
    let (old, new) = (before.names(), after.names());
    for (how, Moved { parts, of }) in
        [("equal parts (division)", divided(&old, &new)), ("rests (modulo)", moduloed(&old, &new))]
    {
        let percent = Moved { parts, of }.percent();
        let _ = writeln!(text, "  by {how} it would be {parts}/{of}, {percent:.2} %");
    }
}

fn migration(before: &Named, after: &Named) -> Migration {
    before.ring.migration(&before.names(), &after.ring, &after.names())
}

/// How a list of keys is shared, in four ways.
struct Ways {
    keys: Vec<String>,
}

impl Ways {
    const NAMES: [&'static str; 4] = ["ring", "division", "modulo", "range"];

    fn new(keys: &[String]) -> Ways {
        let mut keys = keys.to_vec();
        keys.sort();
        keys.dedup();
        Ways { keys }
    }

    /// The node of each key: by the ring, by division and rest of its hash, by its place among all keys.
    fn owners(&self, named: &Named) -> [Vec<usize>; 4] {
        let count = named.names.len();
        let max = u128::from(u64::MAX >> (64 - named.ring.bits()));
        let hashes: Vec<u64> = self.keys.iter().map(|key| named.ring.hash(key.as_bytes())).collect();
        [
            hashes.iter().map(|hash| named.ring.owner(*hash)).collect(),
            hashes.iter().map(|hash| (u128::from(*hash) * count as u128 / (max + 1)) as usize).collect(),
            hashes.iter().map(|hash| (hash % count as u64) as usize).collect(),
            (0..self.keys.len()).map(|place| place * count / self.keys.len()).collect(),
        ]
    }
}

fn put_keys(text: &mut String, keys: &[String], before: &Named, after: Option<&Named>) {
    let ways = Ways::new(keys);
    let shown = after.unwrap_or(before);
    let owners = ways.owners(shown);
    let width = shown.names.iter().map(|name| name.len()).max().unwrap_or(0).max(6);
    let _ = write!(text, "\n{} keys\n{:width$}", ways.keys.len(), "node");
    for name in Ways::NAMES {
        let _ = write!(text, "  {name:>9}");
    }
    for (node, name) in shown.names.iter().enumerate() {
        let _ = write!(text, "\n{name:width$}");
        for way in &owners {
            let _ = write!(text, "  {:>9}", way.iter().filter(|owner| **owner == node).count());
        }
    }
    if let Some(after) = after {
        let _ = write!(text, "\n{:width$}", "moved");
        for (old, new) in ways.owners(before).iter().zip(&owners) {
            let moved = old.iter().zip(new).filter(|(old, new)| before.names[**old] != after.names[**new]).count();
            let _ = write!(text, "  {moved:>9}");
        }
    }
    // The keys from one to the other that follow each other, as a query for a range of them has them.
    let _ = write!(text, "\n{:width$}", "nodes asked for a tenth of the keys in order");
    for way in &owners {
        let mut asked = way[..ways.keys.len().div_ceil(10)].to_vec();
        asked.sort_unstable();
        asked.dedup();
        let _ = write!(text, "  {}", asked.len());
    }
    text.push('\n');
}

fn to_json(question: &Question, before: &Named, after: Option<&Named>, listed: Option<&[String]>) -> Value {
    let shown = after.unwrap_or(before);
    let row = |row: &Row, is_full: bool| {
        let node = &shown.names[row.node];
        let mut one = json!({ "min_hash": row.min_hash, "node": node, "served": row.served });
        if is_full {
            one["partition"] = format!("{node}-{}", row.partition).into();
        }
        one
    };
    let served: serde_json::Map<String, Value> =
        shown.names.iter().cloned().zip(shown.ring.served().into_iter().map(Value::from)).collect();
    let mut told = json!({
        "nodes": shown.names,
        "partitions_per_node": question.partitions,
        "hash": Hash::NAMES.iter().find(|(_, hash)| *hash == question.hash).map(|(name, _)| name),
        "simplified": shown.ring.simplified().iter().map(|one| row(one, false)).collect::<Vec<_>>(),
        "served_by_node": served,
        "total": question.hash.max(),
    });
    if !question.is_simplified {
        told["full"] = shown.ring.table().iter().map(|one| row(one, true)).collect();
    }
    if !question.keys.is_empty() {
        let place = |key: &String| {
            let hash = shown.ring.hash(key.as_bytes());
            let node = &shown.names[shown.ring.owner(hash)];
            let partition = shown.row(hash).map(|row| format!("{node}-{}", row.partition));
            json!({ "key": key, "hash": hash, "node": node, "partition": partition })
        };
        told["keys"] = question.keys.iter().map(place).collect();
    }
    if let Some(after) = after {
        let moved = migration(before, after);
        let sum: u64 = moved.values().sum();
        let pairs = moved.into_iter().map(|((from, to), hashes)| json!({ "from": from, "to": to, "hashes": hashes }));
        told["migration"] = pairs.collect();
        let (old, new) = (before.names(), after.names());
        let fraction = |moved: Moved| format!("{}/{}", moved.parts, moved.of);
        told["moved"] = json!({
            "hashes": sum,
            "fraction": sum as f64 / question.hash.max() as f64,
            "by_division": fraction(divided(&old, &new)),
            "by_modulo": fraction(moduloed(&old, &new)),
        });
    }
    if let Some(keys) = listed {
        let ways = Ways::new(keys);
        let owners = ways.owners(shown);
        let mut told_ways = serde_json::Map::new();
        for (at, name) in Ways::NAMES.iter().enumerate() {
            let count = |node: usize| owners[at].iter().filter(|owner| **owner == node).count();
            let counts: serde_json::Map<String, Value> =
                shown.names.iter().enumerate().map(|(node, name)| (name.clone(), count(node).into())).collect();
            told_ways.insert((*name).into(), counts.into());
        }
        told["listed"] = told_ways.into();
    }
    told
}
