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
    let mut places = vec![None; pools.len()];
    for at in 0..pools.len() {
        look(&pools, at, &mut known, &mut places);
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

/// A pool on the way down, whose servers are looked at one after the other.
struct Step {
    at: usize,
    /// Which server is next.
    next: usize,
    /// What is below it so far.
    below: Below,
}

/// Looks below one pool. A list in the place of the stack: a file may have any number of pools, each below the one before.
fn look(pools: &[&Pool], first: usize, known: &mut [Option<Below>], places: &mut [Option<usize>]) {
    if known[first].is_some() {
        return;
    }
    let mut way = vec![Step { at: first, next: 0, below: Below::default() }];
    places[first] = Some(0);
    while let Some(step) = way.last_mut() {
        let Some(server) = pools[step.at].servers.get(step.next) else {
            let Step { at, below, .. } = *step;
            way.pop();
            places[at] = None;
            let below = *known[at].get_or_insert(below);
            if let Some(above) = way.last_mut() {
                above.below.put(below);
            }
            continue;
        };
        step.next += 1;
        let Place::Pool(number) = server.at else {
            step.below.has_gateway |= matches!(server.protocol, Protocol::FastCgi | Protocol::Uwsgi);
            continue;
        };
        match (known[number], places[number]) {
            (Some(below), _) => step.below.put(below),
            (None, Some(begin)) => {
                // All from there on lead to themselves.
                let below = Below { leads_to_itself: true, ..Below::default() };
                step.below.put(below);
                way[begin..].iter().for_each(|on_way| known[on_way.at] = Some(below));
            }
            (None, None) => {
                places[number] = Some(way.len());
                way.push(Step { at: number, next: 0, below: Below::default() });
            }
        }
    }
}

impl Below {
    /// A pool below this one.
    fn put(&mut self, under: Below) {
        self.depth = self.depth.max(under.depth + 1);
        self.has_gateway |= under.has_gateway;
    }
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

    #[test]
    fn no_depth_is_too_deep_to_look() {
        const MANY: usize = 200_000;
        let of = |last: usize| {
            let pools: Vec<Pool> = (0..MANY)
                .map(|at| pool(&[if at + 1 < MANY { at + 1 } else { last }], Protocol::Http))
                .chain([pool(&[], Protocol::Uwsgi)])
                .collect();
            survey(pools.iter())
        };
        let chain = of(MANY);
        assert_eq!((chain[0].depth, chain[MANY].depth), (MANY, 0));
        assert!(chain.iter().all(|one| one.has_gateway && !one.leads_to_itself));
        assert!(of(0)[..MANY].iter().all(|one| one.leads_to_itself));
    }
}
