//! In:     the tables `[site.…]`, the names of the apps.
//! Out:    the sites of the plan.
//! Actors: none.
//! Never:  have two sites one name, or two routes of a site nothing that tells them apart.

use super::builder::Builder;
use super::modifiers::networks;
use super::values::{named, switch, texts};
use crate::node::{Data, Entry, Node, Span, Table};
use hallway_core::plan::{Maintenance, Route, Site};
use hallway_core::route::{Clash, Pattern, Routes};
use std::collections::HashMap;

/// Longest page for an error.
const PAGE_BYTES_MAX: u64 = 256 * 1024;

impl Builder<'_> {
    pub(super) fn sites(&mut self, table: &Table, apps: &[String], log: Option<usize>) -> Vec<Site> {
        let mut known: HashMap<String, Span> = HashMap::new();
        let mut sites = Vec::new();
        for (entry, site) in named(table, "site") {
            let hosts = self.hosts(entry, site, &mut known);
            let errors = self.errors(site);
            let tls = self.tls(entry, site, &hosts);
            sites.push(Site {
                hosts,
                routes: self.routes(entry, site, apps),
                errors,
                tls,
                merges_slashes: site.get("merge_slashes").and_then(switch).unwrap_or(true),
                maintenance: self.maintenance(site),
                log: site.get("log").map_or(log, |node| self.log(node)),
            });
        }
        let https = table.get("server").and_then(Node::table).and_then(|server| server.get("https"));
        if let Some(https) = https.filter(|_| {
            !sites.is_empty()
                && named(table, "site").all(|(_, site)| site.get("tls").is_none_or(|tls| tls.text() == Some("off")))
        }) {
            let mend = "write tls = \"internal\" or tls = { cert = \"…\", key = \"…\" } in a site";
            if !named(table, "site").any(|(_, site)| self.problems.means(site, &["tls"])) {
                self.problems.add(https.span, format!("no site has a certificate; {mend}"));
            }
        }
        if sites.is_empty() && table.entry("site").is_none_or(|entry| entry.value.table().is_some()) {
            let span = table.entries.first().map_or(Span::default(), |entry| entry.key_span);
            let text = "there is no site; write [site.\"*\"] with its routes for any host";
            self.problems.add_missing(span, (table, &["site"]), text);
        }
        sites
    }

    fn maintenance(&mut self, site: &Table) -> Option<Maintenance> {
        let node = site.get("maintenance")?;
        let table = node.table()?;
        let Some(file) = table.get("file") else {
            let text = "closed while which file is there? write file = \"…\"";
            self.problems.add_missing(node.span, (table, &["file"]), text);
            return None;
        };
        let page = match table.get("page") {
            Some(node) => self.page(node).unwrap_or_default(),
            None => String::new(),
        };
        Some(Maintenance { file: self.path(file)?, page, allow: networks(table.get("allow")) })
    }

    /// What stands in a file that is a page.
    fn page(&mut self, node: &Node) -> Option<String> {
        let path = self.path(node)?;
        match self.machine.read_text(&path, PAGE_BYTES_MAX) {
            Ok(page) => Some(page),
            Err(error) => {
                self.unreadable(node.span, &path, &error);
                None
            }
        }
    }

    /// The pages of a site, read once.
    fn errors(&mut self, site: &Table) -> Vec<(u16, String)> {
        let mut pages = Vec::new();
        for entry in site.get("errors").and_then(Node::table).map_or(&[][..], |errors| &errors.entries) {
            if let (Some(page), Ok(status)) = (self.page(&entry.value), entry.key.parse()) {
                pages.push((status, page));
            }
        }
        pages
    }

    fn hosts(&mut self, entry: &Entry, site: &Table, known: &mut HashMap<String, Span>) -> Vec<String> {
        let written = [(&*entry.key, entry.key_span)].into_iter().chain(texts(site.get("aliases")));
        let mut hosts = Vec::new();
        for (text, span) in written {
            match host(text) {
                Err(mend) => self.problems.add(span, mend),
                Ok(host) => match known.get(&host) {
                    Some(other) => {
                        let text = format!("'{host}' is the name of two sites; take one of them out");
                        self.problems.add_with(span, text, (*other, "the other one"));
                    }
                    None => {
                        known.insert(host.clone(), span);
                        hosts.push(host);
                    }
                },
            }
        }
        hosts
    }

    fn routes(&mut self, entry: &Entry, site: &Table, apps: &[String]) -> Vec<Route> {
        let written: Vec<(Span, &Table)> = match site.get("routes").map(|node| &node.data) {
            Some(Data::List(members)) => members.iter().filter_map(|node| Some((node.span, node.table()?))).collect(),
            _ => Vec::new(),
        };
        if written.is_empty() && site.get("routes").is_none_or(|node| matches!(node.data, Data::List(_))) {
            let mend = "write routes = [{ path = \"/*\", … }]";
            let text = format!("the site '{}' has no routes; {mend}", entry.key);
            self.problems.add_missing(entry.key_span, (site, &["routes"]), text);
        }
        let outer = self.modifiers(site, &entry.key);
        let mut routes: Vec<Route> = Vec::new();
        let mut patterns = Vec::new();
        let mut spans = Vec::new();
        for (span, table) in written {
            let Some(route) = self.route((span, table), apps, (&entry.key, &outer)) else { continue };
            let Ok(pattern) = Pattern::parse(&route.path) else { continue };
            patterns.push((pattern, route.conditions.clone()));
            spans.push(table.get("path").map_or(span, |node: &Node| node.span));
            routes.push(route);
        }
        for Clash(one, other) in Routes::new(patterns).err().unwrap_or_default() {
            let text = format!(
                "nothing tells this route and another one apart: both are '{}'; give one a condition (method, header, \
                 query, client), or take it out",
                routes[other].path
            );
            self.problems.add_with(spans[other], text, (spans[one], "the other one"));
        }
        routes
    }
}

/// A host name as it is compared: in lower case, without a dot at its end.
fn host(text: &str) -> Result<String, String> {
    // An address of IPv6 stands in brackets in a Host; here it may stand without them, and in any of its spellings.
    if let Ok(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse() {
        let address: std::net::IpAddr = address;
        return Ok(if address.is_ipv6() { format!("[{address}]") } else { address.to_string() });
    }
    let name = ascii(text.trim_end_matches('.'))?;
    let rest = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_inside)
    };
    if name == "*" || (name.len() <= 253 && rest.split('.').all(is_label)) {
        return Ok(name);
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!(
            "'{text}' is an address; the name of a site is its host: '{}'",
            rest.trim_end_matches('/')
        ));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!("'{text}' has a port; a site is known by its host alone: '{host}'"));
    }
    if name.contains('*') {
        return Err(format!(
            "'{text}': '*' stands for whole labels at the beginning, as in '*.example.com', or for any host"
        ));
    }
    Err(format!("'{text}' is no host name; write one as 'example.com', '*.example.com' or '*'"))
}

/// A name as browsers send it: in lower case, with what is not ASCII in its other form (RFC 5890, UTS 46).
pub(super) fn ascii(text: &str) -> Result<String, String> {
    if text.is_ascii() {
        return Ok(text.to_ascii_lowercase());
    }
    let (star, rest) = text.strip_prefix("*.").map_or(("", text), |rest| ("*.", rest));
    let name = idna::domain_to_ascii(rest).map_err(|_| format!("'{text}' is no host name (UTS 46)"))?;
    Ok(format!("{star}{name}"))
}
