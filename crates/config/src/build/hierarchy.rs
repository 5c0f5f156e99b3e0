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

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_core::plan::Server;

    fn pool(below: &[usize], protocol: Protocol) -> Pool {
        let at = below.iter().map(|number| Place::Pool(*number)).chain([Place::Unix("/run/app".into())]);
        let server = |at| Server { at, protocol, weight: 1, is_backup: false, connections_max: 0 };
        Pool::new("any", at.map(server).collect())
    }

    #[test]
    fn circles_depths_and_gateways() {
        let pools = [
            pool(&[1, 2], Protocol::Http),
            pool(&[3], Protocol::Http),
            pool(&[2], Protocol::Http),
            pool(&[], Protocol::FastCgi),
        ];
        let below = survey(pools.iter());
        assert_eq!(below.iter().map(|one| one.leads_to_itself).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!((below[1].depth, below[3].depth), (1, 0));
        assert!(below[0].has_gateway && below[1].has_gateway && below[3].has_gateway);
    }

    #[test]
    fn many_ways_down_are_gone_once() {
        // Layers of two, of which each has both of the next below it.
        let of_layer = |at: usize| if at < 198 { vec![at / 2 * 2 + 2, at / 2 * 2 + 3] } else { Vec::new() };
        let pools: Vec<Pool> = (0..200).map(|at| pool(&of_layer(at), Protocol::Http)).collect();
        let below = survey(pools.iter());
        assert_eq!((below[0].depth, below[0].leads_to_itself), (99, false));
    }
}
