//! In:     the plan's sites; a request.
//! Out:    the route that answers it, with what its pattern found.
//! Actors: none.
//! Never:  does a request for one site get an answer of another.

use super::hosts::Hosts;
use super::pattern::Pattern;
use super::routes::{Picked, Routes};
use super::tree::Found;
use crate::fault::Fault;
use crate::head::Head;
use crate::plan::{Plan, Route};
use std::net::IpAddr;

/// All sites, ready to be asked.
#[derive(Clone, Debug)]
pub struct Sites {
    hosts: Hosts,
    routes: Vec<Routes>,
    /// The number of each site's first route, of all routes there are.
    first: Vec<u32>,
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'p, 'h> {
    /// The route.
    pub route: &'p Route,
    /// Its number, of those of its site.
    pub index: usize,
    /// Its number, of all routes there are.
    pub number: u32,
    /// What its pattern found in the path.
    pub found: Found<'h>,
}

impl Sites {
    /// The sites of a plan.
    ///
    /// # Errors
    /// What a validated plan does not have: a pattern that cannot be read, two routes or sites that
    /// nothing tells apart.
    pub fn new(plan: &Plan) -> Result<Sites, String> {
        let mut sites = Sites { hosts: Hosts::default(), routes: Vec::new(), first: Vec::new() };
        let mut first = 0;
        for (number, site) in plan.sites.iter().enumerate() {
            for host in &site.hosts {
                sites.hosts.add(host, number).map_err(|_| format!("two sites are called {host}"))?;
            }
            let patterns: Result<Vec<_>, String> =
                site.routes.iter().map(|route| Pattern::parse(&route.path)).collect();
            let conditions = site.routes.iter().map(|route| route.conditions.clone());
            let routes = Routes::new(patterns?.into_iter().zip(conditions));
            sites.routes.push(routes.map_err(|_| format!("two routes of {} are alike", site.hosts.join(", ")))?);
            sites.first.push(first);
            first += site.routes.len() as u32;
        }
        Ok(sites)
    }

    /// The site of a host, of those in the plan.
    pub fn site(&self, host: &[u8]) -> Option<usize> {
        self.hosts.find(host)
    }

    /// The route of a site for this request.
    ///
    /// # Errors
    /// 404 where no route of the site has the path, 405 where one has it for other methods.
    pub fn pick<'p, 'h>(
        &self,
        plan: &'p Plan,
        site: usize,
        head: &'h Head,
        client: Option<IpAddr>,
    ) -> Result<Matched<'p, 'h>, Fault> {
        match self.routes[site].pick(head, client) {
            Picked::Route(route, found) => {
                let number = self.first[site] + route as u32;
                Ok(Matched { route: &plan.sites[site].routes[route], index: route, number, found })
            }
            Picked::OtherMethods(methods) => Err(Fault::MethodNotAllowed(methods)),
            Picked::Nothing => Err(Fault::NotFound),
        }
    }
}
