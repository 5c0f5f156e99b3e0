//! In:     a certificate with its key, as the operator gave it.
//! Out:    whether clients would take it, as far as that can be known here.
//! Actors: the clock, for the dates in it.
//! Never:  is a plan made with a key that is another certificate's.

use super::provider::{authorities, provider};
use hallway_core::plan::{Certificate, Secret};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, Error, KeyUsage};

/// Looks whether a certificate can be used; what clients for these hosts would not like about it, where there is
/// something.
///
/// # Errors
/// Why it cannot be used at all, and the mend.
pub fn vet(certificate: &Certificate, hosts: &[String]) -> Result<Option<String>, String> {
    let chain: Vec<CertificateDer<'_>> =
        certificate.chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let Some(first) = chain.first() else { return Err("there is no certificate in it".into()) };
    let parsed = EndEntityCert::try_from(first).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    vet_pair(&certificate.chain, &certificate.key)?;
    if let Some(doubt) = dates(&parsed) {
        return Ok(Some(doubt.into()));
    }
    let covers = |host: &str| {
        ServerName::try_from(host).is_ok_and(|name| parsed.verify_is_valid_for_subject_name(&name).is_ok())
    };
    let plain: Vec<&str> = hosts.iter().map(String::as_str).filter(|host| !host.contains('*')).collect();
    match plain.iter().find(|host| !covers(host)) {
        Some(host) if !plain.iter().any(|host| covers(host)) => {
            Ok(Some(format!("the certificate is not for '{host}'; clients refuse it")))
        }
        _ => Ok(None),
    }
}

/// Whether a certificate (DER, with those that sign it) and a key belong together.
///
/// # Errors
/// They do not, or one of them cannot be used.
pub fn vet_pair(chain: &[Vec<u8>], key: &Secret) -> Result<(), String> {
    let key = PrivateKeyDer::try_from(key.0.clone()).map_err(|why| format!("the key: {why}"))?;
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    CertifiedKey::from_der(chain, key, &provider()).map(drop).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "the key is not that of the certificate; name its own".to_owned(),
        other => format!("certificate and key cannot be used: {other}"),
    })
}

/// Looks whether certificates can be those of authorities (DER).
///
/// # Errors
/// Why they cannot.
pub fn vet_authorities(roots: &[Vec<u8>]) -> Result<(), String> {
    authorities(roots).map(drop).map_err(|error| format!("this is no certificate of an authority: {error}"))
}

/// Without its authority only the dates and the form can be judged; they are looked at first.
fn dates(parsed: &EndEntityCert<'_>) -> Option<&'static str> {
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let judged = parsed.verify_for_usage(algorithms, &[], &[], UnixTime::now(), KeyUsage::server_auth(), None, None);
    match judged.err()? {
        Error::CertExpired { .. } => Some("the certificate has expired; get a new one"),
        Error::InvalidCertValidity => Some("the certificate ends before it begins; get a new one"),
        Error::CertNotValidYet { .. } => Some("the certificate is not valid yet; is the clock right?"),
        _ => None,
    }
}
