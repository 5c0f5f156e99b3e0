//! In:     where the certificates of a plan are from.
//! Out:    certificates with their keys, read; newer ones when there are.
//! Actors: the file system; the clock.
//! Never:  does an unreadable file take the place of a certificate that is in use.

mod internal;

use crate::users::told;
use hallway_core::plan::{Certificate, CertificateSource, Plan, Secret, User};
pub(crate) use internal::trust;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest file of certificates.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What tells one state of a certificate's files from another.
pub(crate) type Stamp = Vec<(u64, i64, i64, u64)>;

/// Reads a certificate from where it is.
///
/// # Errors
/// What is wrong with which file.
pub(crate) fn read(source: CertificateSource) -> Result<Certificate, String> {
    read_for(source, None)
}

/// The same; the state directory is this user's.
///
/// # Errors
/// The same.
pub(crate) fn read_for(source: CertificateSource, edge: Option<&User>) -> Result<Certificate, String> {
    match &source {
        CertificateSource::Files { chain, key, ocsp } => {
            let (chain, key) = (read_chain(chain)?, read_key(key)?);
            let ocsp = ocsp.as_deref().map(read_file).transpose()?;
            Ok(Certificate { source, chain, key, ocsp })
        }
        CertificateSource::Internal { hosts } => {
            let (chain, key) = internal::issue(hosts, edge)?;
            Ok(Certificate { source, chain, key: Secret(key), ocsp: None })
        }
    }
}

/// Reads a certificate and its key, which go together.
///
/// # Errors
/// What is wrong with which file.
pub(crate) fn read_pair(chain: &Path, key: &Path) -> Result<(Vec<Vec<u8>>, Secret), String> {
    Ok((read_chain(chain)?, read_key(key)?))
}

/// Reads certificates and secrets that are not read yet.
///
/// # Errors
/// What is wrong with which file.
pub(crate) fn read_missing(plan: &mut Plan) -> Result<(), String> {
    let edge = plan.user.clone();
    for certificate in plan.certificates.iter_mut().filter(|certificate| certificate.chain.is_empty()) {
        *certificate = read_for(certificate.source.clone(), edge.as_ref())?;
    }
    for pool in &mut plan.pools {
        let is_missing = pool.sticky.as_ref().is_some_and(|sticky| sticky.secret.0.is_empty());
        if let Some(sticky) = Arc::make_mut(pool).sticky.as_mut().filter(|_| is_missing) {
            sticky.secret = internal::secret("sticky", edge.as_ref())?;
        }
    }
    Ok(())
}

/// The state of a certificate's files.
pub(crate) fn stamp(source: &CertificateSource) -> Stamp {
    let files = match source {
        CertificateSource::Files { chain, key, ocsp } => {
            [chain, key].into_iter().chain(ocsp).map(|path| path.as_path().to_owned()).collect()
        }
        CertificateSource::Internal { hosts } => internal::files(hosts),
    };
    stamp_of(&files)
}

/// The state of some files.
pub(crate) fn stamp_of(files: &[PathBuf]) -> Stamp {
    let of = |meta: fs::Metadata| (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len());
    files.iter().map(|path| fs::metadata(path).map_or((0, 0, 0, 0), of)).collect()
}

/// Certificates of a file, at least one (PEM, RFC 7468).
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = read_file(path)?;
    let shown = path.display();
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&bytes).map(|der| der.map(|der| der.to_vec())).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("{shown} holds no certificate; it has lines '-----BEGIN CERTIFICATE-----' (PEM)")),
        Err(error) => Err(format!("{shown} cannot be read as PEM: {error}")),
    }
}

fn read_key(path: &Path) -> Result<Secret, String> {
    let bytes = read_file(path)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let sealed = memchr::memmem::find(&bytes, b"ENCRYPTED").is_some();
        let mend =
            if sealed { "its key has a password; store it without one" } else { "it holds no private key (PEM)" };
        format!("{}: {mend}", path.display())
    })?;
    Ok(Secret(key.secret_der().to_vec()))
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    crate::paths::read(path, FILE_BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {}", path.display(), told(&error)))
}
