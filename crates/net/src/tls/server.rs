//! In:     the certificates of a plan; a connection that wants to be encrypted.
//! Out:    the same, encrypted, with what was agreed on.
//! Actors: the task of the connection.
//! Never:  does a client get a certificate of another site than the one it asked for.

use super::facts::TlsFacts;
use super::provider::{authorities, provider};
use crate::socket::stream::Socket;
use aws_lc_rs::digest::{SHA256, digest};
use hallway_core::plan::{Certificate, ClientCertificates, Plan, Site, SiteTls};
use hallway_core::route::Sites;
use hallway_core::semantics::ClientCertificate;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCertUsingSni, WebPkiClientVerifier,
};
use rustls::{CipherSuite, ServerConfig, version};
use std::fmt::Write;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The protocols that are spoken inside, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Plaintext of one connection that waits to be sent.
const UNSENT_BYTES_MAX: usize = 32 * 1024;

/// How connections to each site are encrypted.
pub struct Tls {
    names: Arc<Sites>,
    /// In the order of the plan.
    sites: Vec<Option<Config>>,
    /// For names that no site has: the handshake ends with an alert.
    nobody: Option<Config>,
}

/// How connections to one site are encrypted.
#[derive(Clone)]
struct Config {
    /// As the client likes it best.
    by_client: Arc<ServerConfig>,
    /// As it costs least.
    by_cost: Arc<ServerConfig>,
}

impl Config {
    fn new(by_client: ServerConfig) -> Config {
        let mut by_cost = by_client.clone();
        by_cost.ignore_client_order = true;
        Config { by_client: Arc::new(by_client), by_cost: Arc::new(by_cost) }
    }

    /// AES with 128 bits and SHA-256 is as safe as any, and costs least where the processor helps. A client that
    /// wants ChaCha20 first has one that does not.
    fn of(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        const CHACHA: [CipherSuite; 3] = [
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ];
        let first = hello.cipher_suites().iter().find(|suite| suite.as_str().is_some());
        if first.is_some_and(|first| CHACHA.contains(first)) { self.by_client.clone() } else { self.by_cost.clone() }
    }
}

impl Tls {
    /// What the sites of a plan need.
    ///
    /// # Errors
    /// What a validated plan does not have: certificates and keys that cannot be used.
    pub fn of(plan: &Plan, names: Arc<Sites>) -> io::Result<Tls> {
        if plan.certificates.is_empty() {
            return Ok(Tls { names, sites: Vec::new(), nobody: None });
        }
        let of_site = |site: &Site| match &site.tls {
            Some(tls) => config(&plan.certificates[tls.certificate], tls).map(Some),
            None => Ok(None),
        };
        let sites = plan.sites.iter().map(of_site).collect::<Result<_, _>>().map_err(io::Error::other)?;
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]);
        let builder = builder.map_err(io::Error::other)?.with_no_client_auth();
        let nobody = builder.with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        Ok(Tls { names, sites, nobody: Some(Config::new(nobody)) })
    }

    /// The site of clients that name none: the first that is encrypted.
    pub fn unnamed(&self) -> Option<usize> {
        self.sites.iter().position(Option::is_some)
    }

    /// How a connection is encrypted whose client asked for this name; without a name, that of the first site
    /// that is encrypted.
    fn config(&self, name: Option<&str>) -> Option<&Config> {
        let site = match name {
            Some(name) => self.names.site(name.as_bytes()),
            None => self.unnamed(),
        };
        site.and_then(|site| self.sites.get(site)?.as_ref()).or(self.nobody.as_ref())
    }
}

/// One for all plans: who comes back after a reload need not begin anew.
fn tickets() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETS: OnceLock<Option<Arc<dyn ProducesTickets>>> = OnceLock::new();
    TICKETS.get_or_init(|| Ticketer::new().ok()).clone()
}

fn config(certificate: &Certificate, tls: &SiteTls) -> Result<Config, rustls::Error> {
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
    Ok(Config::new(config))
}

fn verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    let roots = authorities(&clients.roots)?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    if clients.optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| rustls::Error::General(error.to_string()))
}

/// What is said of a client's certificate; once for each connection.
fn read(der: &CertificateDer<'_>) -> ClientCertificate {
    let mut text = String::new();
    for byte in digest(&SHA256, der).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    ClientCertificate::read(der, &text)
}

/// Agrees with a client on how to go on (RFC 8446, 4).
///
/// # Errors
/// The connection, where the client was told what it did wrong; nothing where there is none any more.
pub async fn accept(socket: Socket, tls: &Tls) -> Result<(TlsStream<Socket>, TlsFacts), Option<Socket>> {
    // Those are the client's faults, each of which has its alert (RFC 8446, 6.2).
    let was_told = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), socket);
    let hello = match (&mut acceptor).await {
        Ok(hello) => hello,
        Err(error) => return Err(acceptor.take_io().filter(|_| was_told(&error))),
    };
    let name = hello.client_hello().server_name().map(Box::from);
    let config = tls.config(name.as_deref()).map(|config| config.of(&hello.client_hello()));
    // Without one, no site is encrypted.
    let config = config.ok_or(None)?;
    let agreeing = hello.into_stream_with(config, |session| session.set_buffer_limit(Some(UNSENT_BYTES_MAX)));
    let agreed = agreeing.into_fallible().await;
    let stream = agreed.map_err(|(error, socket)| was_told(&error).then_some(socket))?;
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
        certificate: session.peer_certificates().and_then(<[_]>::first).map(|der| Rc::new(read(der))),
    };
    Ok((stream, facts))
}
