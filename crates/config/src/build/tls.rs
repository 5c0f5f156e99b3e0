//! In:     a site's `tls`, `https_redirect` and `hsts`.
//! Out:    its certificate among those of the plan, and how the site uses it.
//! Actors: the file system is asked for certificates and keys.
//! Never:  is a certificate taken that clients would refuse.

use super::builder::Builder;
use super::values::{switch, time_ms};
use crate::node::{Entry, Node, Table};
use hallway_core::plan::{Certificate, CertificateSource, ClientCertificates, Secret, SiteTls};
use std::io;

/// A year, in seconds.
const STRICT_S: u64 = 31_536_000;

impl Builder<'_> {
    pub(super) fn tls(&mut self, entry: &Entry, site: &Table, hosts: &[String]) -> Option<SiteTls> {
        let node = site.get("tls").filter(|node| node.text() != Some("off"));
        let Some(node) = node else {
            for key in ["https_redirect", "hsts"] {
                if let Some(node) = site.get(key).filter(|_| !self.problems.means(site, &["tls"])) {
                    self.problems.add(node.span, format!("'{key}' is for sites with tls; write tls = …, too"));
                }
            }
            return None;
        };
        let server = self.file.get("server").and_then(Node::table);
        let is_misspelt = server.is_some_and(|server| self.problems.means(server, &["https"]));
        if !self.has_https && !is_misspelt && !self.problems.means(self.file, &["server"]) {
            let mend = "write [server] https = [\"0.0.0.0:443\"]";
            self.problems.add(node.span, format!("nobody would reach '{}' encrypted; {mend}", entry.key));
        }
        let certificate = match node.table() {
            Some(table) => self.certificate(node, table, hosts)?,
            None => {
                let source = CertificateSource::Internal { hosts: hosts.to_vec() };
                Certificate { source, chain: Vec::new(), key: Secret::default(), ocsp: None }
            }
        };
        let number = self.certificates.iter().position(|known| *known == certificate).unwrap_or_else(|| {
            self.certificates.push(certificate);
            self.certificates.len() - 1
        });
        let clients = node.table().and_then(|table| self.clients(table));
        let redirects = site.get("https_redirect").and_then(switch).unwrap_or(true);
        if clients.as_ref().is_some_and(|clients| !clients.optional) && !redirects {
            let text = "who comes unencrypted cannot show a certificate; take 'https_redirect' out";
            self.problems.add(site.get("https_redirect").map_or(node.span, |node| node.span), text);
        }
        Some(SiteTls {
            certificate: number,
            clients,
            allows_tls12: node.table().and_then(|table| table.text("min")) != Some("1.3"),
            redirects,
            strict: site.get("hsts").and_then(strict),
        })
    }

    fn certificate(&mut self, node: &Node, table: &Table, hosts: &[String]) -> Option<Certificate> {
        let (Some(chain), Some(key)) = (table.get("cert"), table.get("key")) else {
            let text = "write both: cert = \"….pem\" and key = \"….pem\"";
            self.problems.add_missing(node.span, (table, &["cert", "key"]), text);
            return None;
        };
        let ocsp = table.get("ocsp").and_then(|node| self.path(node));
        let missing: Vec<_> = [Some(chain), Some(key), table.get("ocsp")]
            .into_iter()
            .flatten()
            .filter_map(|node| Some((node.span, self.path(node).filter(|path| !self.machine.exists(path))?)))
            .collect();
        if !missing.is_empty() {
            missing.into_iter().for_each(|(span, path)| self.unreadable(span, &path, &io::ErrorKind::NotFound.into()));
            return None;
        }
        let source = CertificateSource::Files { chain: self.path(chain)?, key: self.path(key)?, ocsp };
        match self.machine.certificate(source, hosts) {
            Ok((certificate, doubt)) => {
                // It is no reason not to serve the other sites.
                doubt.into_iter().for_each(|doubt| self.problems.warn(chain.span, doubt));
                Some(certificate)
            }
            Err(problem) => {
                self.problems.add(chain.span, problem);
                None
            }
        }
    }

    fn clients(&mut self, table: &Table) -> Option<ClientCertificates> {
        let node = table.get("clients")?;
        let Some(ca) = node.table().map_or(Some(node), |table| table.get("ca")) else {
            let table = node.table().unwrap_or(self.file);
            self.problems.add_missing(node.span, (table, &["ca"]), "whose certificates? write ca = \"….pem\"");
            return None;
        };
        let optional = node.table().and_then(|table| table.get("optional")).and_then(switch).unwrap_or(false);
        let header = match node.table().and_then(|table| table.get("header")) {
            None => Some("X-Forwarded-Client-Cert".into()),
            Some(node) if node.text() == Some("off") => None,
            Some(node) => {
                self.check_sendable(node.text()?, node.span);
                node.text().map(str::to_owned)
            }
        };
        match self.machine.authorities(&self.path(ca)?) {
            Ok(roots) => Some(ClientCertificates { roots, optional, header }),
            Err(problem) => {
                self.problems.add(ca.span, problem);
                None
            }
        }
    }
}

/// The value of `Strict-Transport-Security` (RFC 6797, 6.1).
fn strict(node: &Node) -> Option<String> {
    let Some(table) = node.table() else {
        return switch(node)?.then(|| format!("max-age={STRICT_S}"));
    };
    let seconds = table.get("max_age").and_then(time_ms).map_or(STRICT_S, |time_ms| time_ms / 1000);
    let mut value = format!("max-age={seconds}");
    for (key, directive) in [("subdomains", "; includeSubDomains"), ("preload", "; preload")] {
        if table.get(key).and_then(switch) == Some(true) {
            value += directive;
        }
    }
    Some(value)
}
