//! In:     names of sites with `tls = "internal"`.
//! Out:    their certificates, signed by an authority of this machine's own.
//! Actors: the state directory, where authority and certificates are kept; the clock.
//! Never:  is a key readable for others, or an authority made anew while there is one.

use crate::state::{self, State};
use crate::users::told;
use hallway_core::plan::{Secret, User};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// How long a certificate is good, and from which age on it is made anew.
const LIFE: Duration = Duration::from_secs(90 * DAY);
const RENEWED_AFTER: Duration = Duration::from_secs(60 * DAY);
/// How long the authority is good: whoever trusts it does so once.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * DAY);
/// Clocks of clients may be behind.
const SLACK: Duration = Duration::from_secs(DAY);
const DAY: u64 = 86_400;

/// A certificate for these hosts, with its key; the one from before where it is still good.
///
/// # Errors
/// Those of the state directory.
pub(super) fn issue(hosts: &[String], edge: Option<&User>) -> Result<(Vec<Vec<u8>>, Vec<u8>), String> {
    let (state, leaf) = (State::open(edge)?, leaf_name(hosts));
    if state.age(&leaf).is_some_and(|age| age < RENEWED_AFTER)
        && let Ok(text) = state.read(&leaf)
        && let (Some(Ok(der)), Ok(key)) =
            (CertificateDer::pem_slice_iter(text.as_bytes()).next(), PrivateKeyDer::from_pem_slice(text.as_bytes()))
    {
        return Ok((vec![der.to_vec()], key.secret_der().to_vec()));
    }
    let failed = |error: rcgen::Error| format!("a certificate for {} cannot be made: {error}", hosts.join(", "));
    let authority = authority(&state)?;
    let mut names: Vec<String> = hosts.iter().filter(|host| *host != "*").cloned().collect();
    if names.len() < hosts.len() {
        names.extend(["localhost", "*.localhost", "127.0.0.1", "::1"].map(String::from));
    }
    names.iter_mut().for_each(|name| *name = name.trim_matches(['[', ']']).to_owned());
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, hosts.first().map_or("localhost", String::as_str));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = lasting(LIFE);
    let key = KeyPair::generate().map_err(failed)?;
    let made = params.signed_by(&key, &authority).map_err(failed)?;
    state.write(&leaf, &format!("{}{}", made.pem(), key.serialize_pem()))?;
    Ok((vec![made.der().to_vec()], key.serialize_der()))
}

/// What `issue` would use again.
pub(super) fn files(hosts: &[String]) -> Vec<PathBuf> {
    let path = state::place().join(leaf_name(hosts));
    let age = fs::metadata(&path).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
    // One that is too old is as good as none.
    if age.is_some_and(|age| age < RENEWED_AFTER) { vec![path] } else { Vec::new() }
}

/// The certificate of the authority, which clients have to trust.
const AUTHORITY: &str = "authority.pem";

/// How to have this machine and its browsers trust the authority.
///
/// # Errors
/// There is none yet.
pub(crate) fn trust() -> Result<String, String> {
    let path = state::place().join(AUTHORITY);
    if !path.exists() {
        let by_root = Path::new("/var/lib/hallway/internal/authority.pem");
        let place = if by_root.exists() { format!("; that of root is {}", by_root.display()) } else { String::new() };
        return Err(format!(
            "there is no local authority at {} yet: it is made when a site with tls = \"internal\" is first served by this \
             user (STATE_DIRECTORY says where){place}",
            path.display()
        ));
    }
    let path = path.display();
    Ok(format!(
        "The local authority of tls = \"internal\" is in {path}\n\n\
         Debian, Ubuntu   sudo cp {path} /usr/local/share/ca-certificates/hallway.crt && sudo update-ca-certificates\n\
         Fedora, RHEL     sudo trust anchor {path}\n\
         macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}\n\
         Windows          certutil -addstore -f ROOT {path}\n\
         Firefox          Settings, Certificates, View Certificates, Authorities, Import: {path}\n\
         curl             curl --cacert {path} https://…\n\
         Python           SSL_CERT_FILE={path}\n\n\
         Whoever has its key, beside it, can make certificates that you then trust: it never leaves this machine.\n"
    ))
}

fn authority(state: &State) -> Result<Issuer<'static, KeyPair>, String> {
    let failed = |error: rcgen::Error| format!("the local authority cannot be made: {error}");
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "hallway local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = lasting(AUTHORITY_LIFE);
    const KEY: &str = "authority.key";
    let key = match state.read(KEY) {
        Ok(text) => KeyPair::from_pem(&text).map_err(|error| format!("{}: {error}", state.path(KEY).display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(failed)?;
            state.write(KEY, &key.serialize_pem())?;
            key
        }
        Err(error) => return Err(format!("{} cannot be read: {}", state.path(KEY).display(), told(&error))),
    };
    if state.age(AUTHORITY).is_none() {
        state.write(AUTHORITY, &params.self_signed(&key).map_err(failed)?.pem())?;
    }
    Ok(Issuer::new(params, key))
}

/// A secret of this machine, made when it is first needed.
///
/// # Errors
/// That it can be neither read nor written.
pub(super) fn secret(name: &str, edge: Option<&User>) -> Result<Secret, String> {
    let (state, file) = (State::open(edge)?, format!("{name}.key"));
    match state.read(&file) {
        Ok(text) => return Ok(Secret(text.trim().into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{} cannot be read: {}", state.path(&file).display(), told(&error))),
    }
    let mut chance = [0; 32];
    let rolled = rustix::rand::getrandom(&mut chance[..], rustix::rand::GetRandomFlags::empty());
    rolled.map_err(|error| format!("the system gives no randomness: {error}"))?;
    let text: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    state.write(&file, &text)?;
    Ok(Secret(text.into_bytes()))
}

fn lasting(life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = SystemTime::now();
    (OffsetDateTime::from(now - SLACK), OffsetDateTime::from(now + life))
}

fn leaf_name(hosts: &[String]) -> String {
    // Names have no slash. Two sites cannot have the same, so what is left out cannot be mistaken.
    let name: String = hosts.join(",").replace('*', "any").chars().take(200).collect();
    format!("{name}.pem")
}
