//! In:     what is said of a pool's servers behind TLS.
//! Out:    how connections to them are encrypted.
//! Actors: the file system is asked once for the authorities of this machine.
//! Never:  is a server believed that shows nothing, unless the operator wrote so.

use super::provider::{authorities, provider};
use hallway_core::plan::{Pool, Protocol};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use std::io;
use std::sync::{Arc, OnceLock};

/// How connections to the servers of a pool are encrypted, where any of them is.
///
/// # Errors
/// Certificates and keys that cannot be used.
pub fn client_config(pool: &Pool) -> io::Result<Option<Arc<ClientConfig>>> {
    if !pool.servers.iter().any(|server| server.protocol.is_encrypted()) {
        return Ok(None);
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?;
    let authorities = match pool.tls.trusts_all {
        true => None,
        false => {
            let builder = WebPkiServerVerifier::builder_with_provider(roots(&pool.tls.roots)?, provider());
            Some(builder.build().map_err(io::Error::other)?)
        }
    };
    let verifier = Verifier { authorities, known: pool.tls.roots.clone(), provider: provider() };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &pool.tls.own {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            let key = PrivateKeyDer::try_from(key.0.clone()).map_err(io::Error::other)?;
            builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
    };
    let is_http2 = pool.servers.iter().any(|server| server.protocol == Protocol::H2);
    config.alpn_protocols = if is_http2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Some(Arc::new(config)))
}

fn roots(given: &[Vec<u8>]) -> io::Result<Arc<RootCertStore>> {
    /// Those of this machine, read when they are first needed.
    static OWN: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if given.is_empty() {
        let read = || {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(store)
        };
        return Ok(OWN.get_or_init(read).clone());
    }
    authorities(given).map(Arc::new).map_err(io::Error::other)
}

/// Believes whom an authority vouches for; and who shows one of the given certificates itself, as servers do that
/// signed their own: what `openssl req -x509` makes calls itself an authority, which no server may be (RFC 5280, 4.2.1.9).
#[derive(Debug)]
struct Verifier {
    /// Nothing where anybody is believed: `tls = { verify = false }`.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// DER.
    known: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(certificate, chain, name, ocsp, now) {
            // Found after its dates and before its name.
            Err(error) if is_authority(&error) && self.known.iter().any(|known| **known == **certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            found => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate was refused because it is that of an authority.
pub fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else { return false };
    matches!(other.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}
