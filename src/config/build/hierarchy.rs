//! In:     pools, which may stand in pools.
//! Out:    what is below each of them.
//! Actors: none.
//! Never:  is a pool gone through twice, however they stand in each other.

use hallway_core::plan::{Place, Pool, Protocol};

/// What is below a pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Below {
    /// Itself.
    pub(super) leads_to_itself: bool,
    /// So many pools, one in the other.
    pub(super) depth: usize,
    /// Here or there a server that is told the length of a body first.
    pub(super) has_gateway: bool,
}

/// Looks below each of these pools.
pub(super) fn survey<'p>(pools: impl Iterator<Item = &'p Pool>) -> Vec<Below> {
    let pools: Vec<&Pool> = pools.collect();
    let mut known = vec![None; pools.len()];
    for at in 0..pools.len() {
        look(&pools, at, &mut known, &mut Vec::new());
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

fn look(pools: &[&Pool], at: usize, known: &mut Vec<Option<Below>>, way: &mut Vec<usize>) -> Below {
    if let Some(known) = known[at] {
        return known;
    }
    if let Some(begin) = way.iter().position(|on_way| *on_way == at) {
        // All from there on lead to themselves.
        let below = Below { leads_to_itself: true, ..Below::default() };
        way[begin..].iter().for_each(|on_way| known[*on_way] = Some(below));
        return below;
    }
    way.push(at);
    let mut below = Below::default();
    for server in &pools[at].servers {
        match server.at {
            Place::Pool(number) => {
                let under = look(pools, number, known, way);
                below.depth = below.depth.max(under.depth + 1);
                below.has_gateway |= under.has_gateway;
            }
            _ => below.has_gateway |= matches!(server.protocol, Protocol::FastCgi | Protocol::Uwsgi),
        }
    }
    way.pop();
    *known[at].get_or_insert(below)
}
