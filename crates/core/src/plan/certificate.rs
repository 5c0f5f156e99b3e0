//! In:     -
//! Out:    certificates, and how a site uses them.
//! Actors: none.
//! Never:  is a key in a `Debug` text.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// A certificate, its key, and where they are from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Certificate {
    /// Where to look whether there is a newer one.
    pub source: CertificateSource,
    /// Itself, then those that sign it (DER, X.509); empty until they are read.
    pub chain: Vec<Vec<u8>>,
    /// Its key (DER, PKCS #8, SEC 1 or PKCS #1).
    pub key: Secret,
    /// What its authority says of it (DER, RFC 6960).
    pub ocsp: Option<Vec<u8>>,
}

/// Where a certificate is from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum CertificateSource {
    /// Files of the operator's (PEM; the last one DER).
    Files {
        /// The certificate and those that sign it.
        chain: PathBuf,
        /// Its key.
        key: PathBuf,
        /// What its authority says of it.
        ocsp: Option<PathBuf>,
    },
    /// hallway's own authority, for these names.
    Internal {
        /// Names and addresses.
        hosts: Vec<String>,
    },
}

/// Bytes that nobody is to see.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.write_str("(secret)")
    }
}

/// How a site is encrypted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SiteTls {
    /// Which certificate, of those in the plan.
    pub certificate: usize,
    /// Whose certificates clients have to show, where they do.
    pub clients: Option<ClientCertificates>,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub allows_tls12: bool,
    /// Whether requests that are not encrypted are sent to where they are.
    pub redirects: bool,
    /// What `Strict-Transport-Security` says (RFC 6797), where it is sent.
    pub strict: Option<String>,
}

/// Certificates of clients.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientCertificates {
    /// The authorities that sign them (DER, X.509).
    pub roots: Vec<Vec<u8>>,
    /// Whether clients without one are let in, too.
    pub optional: bool,
    /// The header in which servers of pools are told of them, where there is one.
    pub header: Option<String>,
}
