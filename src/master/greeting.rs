//! In:     a plan whose addresses are bound.
//! Out:    where it is served, for a person: addresses that can be opened as they stand.
//! Actors: none.
//! Never:  is an address told as that of a site that answers 421 there.

use hallway_core::plan::{Listen, Listener, Plan, Site};
use std::net::{IpAddr, SocketAddr};

/// Sites that are told one by one.
const SITES_MAX: usize = 12;

/// What is served, and where.
pub(super) fn served(plan: &Plan) -> String {
    let is_for_any = |site: &Site| site.hosts.iter().any(|host| host == "*");
    let any = plan.sites.iter().any(is_for_any);
    let what = match (&plan.apps[..], &plan.sites[..]) {
        ([app], [site]) if is_for_any(site) => app.callable.clone(),
        _ => {
            let mut names: Vec<String> = plan.sites.iter().take(SITES_MAX).map(|site| url(plan, site)).collect();
            let more = plan.sites.len().saturating_sub(SITES_MAX);
            names.extend((more > 0).then(|| format!("{more} more sites")));
            names.join(", ")
        }
    };
    // Where there is a site for any host, each address is one that can be opened.
    let place = |listener: &Listener| if any { shown(listener) } else { bare(listener) };
    let places: Vec<String> = plan.listeners.iter().map(place).collect();
    format!("{what} at {}", places.join(", "))
}

/// The address of a site by its name; encrypted, where it is so.
fn url(plan: &Plan, site: &Site) -> String {
    let Some(host) = site.hosts.iter().find(|host| *host != "*") else { return "any host".into() };
    // Who is named by an address is found there only.
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let leads_there = |at: &SocketAddr| {
        let is_any = |ip: IpAddr| at.ip().is_unspecified() && (at.is_ipv6() || ip.is_ipv4());
        ip.is_none_or(|ip| at.ip() == ip || is_any(ip))
    };
    let port = |tls: bool| {
        let of_kind = plan.listeners.iter().filter(|listener| listener.tls == tls && !listener.forward);
        of_kind.filter_map(Listener::address).find(leads_there).map(|address: SocketAddr| address.port())
    };
    let port_of = |scheme, usual, port: Option<u16>| port.map(|port| (scheme, (port != usual).then_some(port)));
    let encrypted = if site.tls.is_some() { port_of("https", 443, port(true)) } else { None };
    match encrypted.or_else(|| port_of("http", 80, port(false))).filter(|_| !host.starts_with('*')) {
        Some((scheme, Some(port))) => format!("{scheme}://{host}:{port}"),
        Some((scheme, None)) => format!("{scheme}://{host}"),
        None => host.clone(),
    }
}

/// An address that can be opened.
pub(super) fn shown(listener: &Listener) -> String {
    match &listener.at {
        Listen::Tcp(address) if !listener.forward => {
            format!("{}://{address}", if listener.tls { "https" } else { "http" })
        }
        _ => bare(listener),
    }
}

/// An address as it is.
fn bare(listener: &Listener) -> String {
    let text = match (&listener.at, listener.local) {
        (Listen::Tcp(address), _) => address.to_string(),
        (Listen::Unix(path), _) => format!("unix:{}", path.display()),
        (Listen::Inherited(number), Some(address)) => format!("fd://{number} ({address})"),
        (Listen::Inherited(number), None) => format!("fd://{number}"),
    };
    if listener.forward { format!("proxy {text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sites: &[(&[&str], bool)], listeners: &[(&str, bool)]) -> String {
        let certificates = |tls: bool| if tls { "tls = \"internal\"\n" } else { "" };
        let mut text = String::from("[server]\n");
        for (key, tls) in [("http", false), ("https", true)] {
            let of_kind = listeners.iter().filter(|(_, of)| *of == tls);
            let all: Vec<String> = of_kind.map(|(at, _)| format!("\"{at}\"")).collect();
            if !all.is_empty() {
                text += &format!("{key} = [{}]\n", all.join(", "));
            }
        }
        for (hosts, tls) in sites {
            let aliases: Vec<String> = hosts[1..].iter().map(|host| format!("\"{host}\"")).collect();
            let aliases =
                if aliases.is_empty() { String::new() } else { format!("aliases = [{}]\n", aliases.join(", ")) };
            let routes = "routes = [{ path = \"/*\", respond = {} }]\n";
            text += &format!("[site.\"{}\"]\n{aliases}{}{routes}", hosts[0], certificates(*tls));
        }
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hallway-greeting-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        let loaded = hallway_config::load(&path, &crate::machine::ThisMachine, hallway_config::Wanted::Everything);
        std::fs::remove_file(&path).unwrap();
        served(&loaded.unwrap_or_else(|said| panic!("{said}")).0)
    }

    #[test]
    fn every_address_can_be_opened() {
        let one = [("127.0.0.1:8080", false)];
        assert_eq!(told(&[(&["site.localhost"], false)], &one), "http://site.localhost:8080 at 127.0.0.1:8080");
        assert_eq!(told(&[(&["*"], false)], &one), "any host at http://127.0.0.1:8080");
        assert_eq!(told(&[(&["::1"], false)], &[("[::1]:80", false)]), "http://[::1] at [::1]:80");
        let by_address = [(&["::1"][..], false), (&["127.0.0.1"][..], false)];
        assert_eq!(told(&by_address, &one), "[::1], http://127.0.0.1:8080 at 127.0.0.1:8080");
        let any = [("0.0.0.0:80", false), ("[::]:81", false)];
        assert_eq!(told(&by_address, &any), "http://[::1]:81, http://127.0.0.1 at 0.0.0.0:80, [::]:81");
        assert_eq!(
            told(&[(&["a.example", "*"], false), (&["*.b.example"], false)], &one),
            "http://a.example:8080, *.b.example at http://127.0.0.1:8080"
        );
        let both = [("0.0.0.0:80", false), ("0.0.0.0:443", true)];
        assert_eq!(
            told(&[(&["a.example"], true), (&["b.example"], false)], &both),
            "https://a.example, http://b.example at 0.0.0.0:80, 0.0.0.0:443"
        );
        let many: Vec<String> = (0..20).map(|number| format!("s{number}.example")).collect();
        let many: Vec<([&str; 1], bool)> = many.iter().map(|name| ([&**name], false)).collect();
        let many: Vec<(&[&str], bool)> = many.iter().map(|(names, tls)| (&names[..], *tls)).collect();
        assert!(told(&many, &one).contains("http://s11.example:8080, 8 more sites at 127.0.0.1:8080"));
    }
}
