//! In:     the words behind `hallway ring`.
//! Out:    what is asked of a ring, unread but for its numbers.
//! Actors: none.
//! Never:  is a node named twice.

use super::{Asked, nearest, word};
use crate::ring::{Node, Question};
use hallway_core::balance::ring::Hash;
use lexopt::{Arg, Parser};

/// Most partitions of a node, times its weight.
const PARTITIONS_MAX: u32 = 1_000_000;
const FLAGS: [&str; 9] = ["node", "partitions", "hash", "add", "remove", "key", "keys", "simplified", "json"];

pub(super) const HELP: &str = "Usage: hallway ring --node NAME[=WEIGHT] --node NAME … [flags]\n\n\
    Shows a consistent-hashing ring: which node serves which hashes, and what moves when nodes come and go.\n\n  \
    --node NAME[=WEIGHT]   a node; one of weight 2 has twice as many partitions. Servers of a pool have the name\n                         \
    ADDRESS:PORT, as 'hallway status' shows them\n  \
    --partitions N         partitions of a node (default 500, as pools have it)\n  \
    --hash xxh3|sha1-28    64 bits of XXH3 (default), or the first seven hexadecimal digits of SHA-1\n  \
    --add NAME[=WEIGHT]    and what moves when this node comes\n  \
    --remove NAME          and what moves when this node goes\n  \
    --key KEY              and which partition has this key\n  \
    --keys FILE            and how these keys (one on a line) are shared and moved, beside division of their\n                         \
    hashes, the rest of it (modulo), and ranges of the sorted keys\n  \
    --simplified           not the full table, only rows of nodes\n  \
    --json                 as JSON\n\n\
    Example:\n  hallway ring --hash sha1-28 --partitions 5 --node server-a --node server-b --add server-c\n";

/// Reads the words behind `hallway ring`.
pub(super) fn read(mut parser: Parser) -> Result<Asked, String> {
    let mut question = Question::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Text(HELP.into())),
            Arg::Long("node") => question.nodes.push(node(&word(&mut parser, "--node needs NAME or NAME=WEIGHT")?)?),
            Arg::Long("add") => question.added.push(node(&word(&mut parser, "--add needs NAME or NAME=WEIGHT")?)?),
            Arg::Long("remove") => question.removed.push(word(&mut parser, "--remove needs the name of a node")?),
            Arg::Long("key") => question.keys.push(word(&mut parser, "--key needs a key")?),
            Arg::Long("keys") => question.key_file = Some(word(&mut parser, "--keys needs a file")?.into()),
            Arg::Long("partitions") => {
                let text = word(&mut parser, "--partitions needs a number")?;
                let count = text.parse().ok().filter(|count| (1..=PARTITIONS_MAX).contains(count));
                question.partitions = count.ok_or(format!("--partitions {text}: write 1 to {PARTITIONS_MAX}"))?;
            }
            Arg::Long("hash") => {
                let text = word(&mut parser, "--hash needs xxh3 or sha1-28")?;
                let found = Hash::NAMES.iter().find(|(name, _)| *name == text);
                question.hash = found.ok_or(format!("--hash {text}: write xxh3 or sha1-28"))?.1;
            }
            Arg::Long("simplified") => question.is_simplified = true,
            Arg::Long("json") => question.is_json = true,
            Arg::Long(long) => {
                let near = nearest(long, FLAGS.into_iter()).map(|near| format!("; did you mean '--{near}'?"));
                let see = near.unwrap_or_else(|| "; see 'hallway ring --help'".into());
                return Err(format!("there is no flag '--{long}'{see}"));
            }
            Arg::Short(short) => return Err(format!("there is no flag '-{short}'; see 'hallway ring --help'")),
            Arg::Value(value) => {
                let value = value.display();
                return Err(format!("'{value}' is one word too many; a node is named by --node {value}"));
            }
        }
    }
    check(&question)?;
    Ok(Asked::Ring(question))
}

fn node(text: &str) -> Result<Node, String> {
    let (name, weight) = match text.rsplit_once('=') {
        None => (text, 1),
        Some((name, weight)) => {
            let read = weight.parse().ok().filter(|weight| (1..=10_000).contains(weight));
            (name, read.ok_or(format!("'{text}': a weight is a number from 1 to 10000"))?)
        }
    };
    if name.is_empty() {
        Err(format!("'{text}': write NAME or NAME=WEIGHT"))
    } else {
        Ok(Node { name: name.into(), weight })
    }
}

fn check(question: &Question) -> Result<(), String> {
    if question.nodes.is_empty() {
        return Err("a ring of which nodes? write --node NAME for each; see 'hallway ring --help'".into());
    }
    let all: Vec<&Node> = question.nodes.iter().chain(&question.added).collect();
    for (at, node) in all.iter().enumerate() {
        if all[..at].iter().any(|other| other.name == node.name) {
            return Err(format!("the node '{}' is named twice", node.name));
        }
        if u64::from(node.weight) * u64::from(question.partitions) > u64::from(PARTITIONS_MAX) {
            return Err(format!("the node '{}' would have more than {PARTITIONS_MAX} partitions", node.name));
        }
    }
    for name in &question.removed {
        if !all.iter().any(|node| node.name == *name) {
            let near = nearest(name, all.iter().map(|node| node.name.as_str()));
            let mend = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
            return Err(format!("--remove {name}: there is no such node{mend}"));
        }
    }
    if question.after().is_empty() {
        return Err("no node would be left".into());
    }
    Ok(())
}
