//! In:     the certificates of a plan; a connection that wants to be encrypted.
//! Out:    the same, encrypted, with what was agreed on.
//! Actors: the task of the connection.
//! Never:  does a client get a certificate of another site than the one it asked for.

mod vet;

use crate::exchange::TlsFacts;
use crate::rules::Rules;
use crate::stream::Socket;
use hallway_core::plan::{Certificate, ClientCertificates, Plan, Site, SiteTls};
use hallway_core::route::Sites;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    Acceptor, NoServerSessionStorage, ProducesTickets, ResolvesServerCertUsingSni, WebPkiClientVerifier,
};
use rustls::{RootCertStore, ServerConfig, version};
use std::io;
use std::sync::{Arc, OnceLock};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
pub use vet::vet;

/// The protocols that are spoken inside, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Plaintext of one connection that waits to be sent.
const UNSENT_BYTES_MAX: usize = 32 * 1024;

/// How connections to each site are encrypted.
#[derive(Default)]
pub(crate) struct Tls {
    /// In the order of the plan.
    sites: Vec<Option<Arc<ServerConfig>>>,
    /// For names that no site has: the handshake ends with an alert.
    nobody: Option<Arc<ServerConfig>>,
}

impl Tls {
    /// What the sites of a plan need.
    ///
    /// # Errors
    /// What a validated plan does not have: certificates and keys that cannot be used.
    pub(crate) fn of(plan: &Plan) -> io::Result<Tls> {
        if plan.certificates.is_empty() {
            return Ok(Tls::default());
        }
        let of_site = |site: &Site| match &site.tls {
            Some(tls) => config(&plan.certificates[tls.certificate], tls).map(Some),
            None => Ok(None),
        };
        let sites = plan.sites.iter().map(of_site).collect::<Result<_, _>>().map_err(io::Error::other)?;
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]);
        let builder = builder.map_err(io::Error::other)?.with_no_client_auth();
        let nobody = builder.with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        Ok(Tls { sites, nobody: Some(Arc::new(nobody)) })
    }

    /// How a connection is encrypted whose client asked for this name; without a name, that of the first site
    /// that is encrypted.
    fn config(&self, sites: &Sites, name: Option<&str>) -> Option<&Arc<ServerConfig>> {
        let site = match name {
            Some(name) => sites.site(name.as_bytes()),
            None => self.sites.iter().position(Option::is_some),
        };
        site.and_then(|site| self.sites.get(site)?.as_ref()).or(self.nobody.as_ref())
    }
}

/// One for all plans: who comes back after a reload need not begin anew.
fn tickets() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETS: OnceLock<Option<Arc<dyn ProducesTickets>>> = OnceLock::new();
    TICKETS.get_or_init(|| Ticketer::new().ok()).clone()
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(default_provider())).clone()
}

fn config(certificate: &Certificate, tls: &SiteTls) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = if tls.allows_tls12 { &[&version::TLS13, &version::TLS12][..] } else { &[&version::TLS13] };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let builder = match &tls.clients {
        Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
        None => builder.with_no_client_auth(),
    };
    let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(certificate.key.0.clone()).map_err(|why| rustls::Error::General(why.into()))?;
    let ocsp = certificate.ocsp.clone().unwrap_or_default();
    let mut config = builder.with_single_cert_with_ocsp(chain, key, ocsp)?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A ticket says who the client is: where that matters, it is good for no other site.
    config.ticketer = match (&tls.clients, tickets()) {
        (None, Some(tickets)) => tickets,
        _ => Ticketer::new()?,
    };
    Ok(Arc::new(config))
}

fn verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for root in &clients.roots {
        roots.add(CertificateDer::from(root.clone()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    if clients.optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| rustls::Error::General(error.to_string()))
}

/// Agrees with a client on how to go on (RFC 8446, 4).
///
/// # Errors
/// What the client did wrong, or its end.
pub(crate) async fn accept(socket: Socket, rules: &Rules) -> io::Result<(TlsStream<Socket>, TlsFacts)> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
    let name = hello.client_hello().server_name().map(Box::from);
    let config = rules.tls.config(&rules.sites, name.as_deref()).cloned();
    let config = config.ok_or_else(|| io::Error::other("no site is encrypted"))?;
    let stream = hello.into_stream_with(config, |session| session.set_buffer_limit(Some(UNSENT_BYTES_MAX))).await?;
    let (_, session) = stream.get_ref();
    let facts = TlsFacts {
        server_name: name,
        is_http2: session.alpn_protocol() == Some(PROTOCOLS[0]),
        version: session.protocol_version().map_or("", |version| match version {
            rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLSv1.3",
        }),
        cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or(""),
        shows_certificate: session.peer_certificates().is_some(),
    };
    Ok((stream, facts))
}
