//! This machine, as a configuration asks about it.
//!
//! In:     questions of `config`.
//! Out:    what the system says.
//! Actors: the file system, the database of users, the resolver, the environment.
//! Never:  is anything decided here: each answer is that of the module whose subject it is.

use crate::{certificates, given, htpasswd, paths, users};
use hallway_config::machine::{Access, Chain, Files, Found, Given, Machine, Passwords, Secrets, Unread, Users};
use hallway_core::plan::{App, Certificate, CertificateSource, Secret, User};
use rustix::fs::{AtFlags, CWD, accessat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The machine that this runs on.
pub(crate) struct ThisMachine;

impl Files for ThisMachine {
    fn current_directory(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn found(&self, path: &Path) -> Found {
        match fs::metadata(path) {
            Err(_) => Found::Nothing,
            Ok(meta) if meta.is_file() => Found::File,
            Ok(meta) if meta.is_dir() => Found::Directory,
            Ok(_) => Found::Other,
        }
    }

    fn is_link(&self, path: &Path) -> bool {
        path.is_symlink()
    }

    fn names_in(&self, directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
    }

    fn read_text(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        paths::read_text(path, bytes_max)
    }

    fn try_log(&self, path: &Path) -> io::Result<()> {
        paths::open_log(path).map(drop)
    }
}

impl Users for ThisMachine {
    fn own_name(&self) -> String {
        users::own_name()
    }

    fn name_of(&self, uid: u32) -> String {
        users::name_of(uid)
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn find(&self, name: &str) -> Result<User, String> {
        users::find(name)
    }

    fn choose(&self, edge: &mut Option<User>, apps: &mut [App]) -> String {
        users::choose(edge, apps)
    }

    fn may(&self, user: &User, path: &Path, access: Access) -> bool {
        let access = match access {
            Access::Pass => rustix::fs::Access::EXEC_OK,
            Access::List => rustix::fs::Access::EXEC_OK | rustix::fs::Access::READ_OK,
            Access::Write => rustix::fs::Access::WRITE_OK,
        };
        let asked = paths::as_user(user, || accessat(CWD, path, access, AtFlags::EACCESS));
        !matches!(asked, Ok(Err(Errno::ACCESS | Errno::PERM)))
    }

    fn told(&self, error: &io::Error) -> String {
        users::told(error)
    }
}

impl Secrets for ThisMachine {
    fn certificate(
        &self,
        source: CertificateSource,
        hosts: &[String],
    ) -> Result<(Certificate, Option<String>), String> {
        let certificate = certificates::read(source)?;
        hallway_edge::vet(&certificate, hosts).map(|doubt| (certificate, doubt))
    }

    fn authorities(&self, path: &Path) -> Result<Chain, String> {
        let roots = certificates::read_chain(path)?;
        hallway_edge::vet_authorities(&roots).map(|()| roots)
    }

    fn pair(&self, chain: &Path, key: &Path) -> Result<(Chain, Secret), String> {
        let (chain, key) = certificates::read_pair(chain, key)?;
        hallway_edge::vet_pair(&chain, &key).map(|()| (chain, key))
    }

    fn vet_password(&self, hash: &str) -> Result<(), String> {
        hallway_edge::vet_password(hash)
    }

    fn passwords(&self, path: &Path) -> Result<Passwords, Unread> {
        htpasswd::read(path)
    }
}

impl Machine for ThisMachine {
    fn variable_os(&self, name: &OsStr) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }

    fn given(&self) -> Given {
        Given { any: !given::names().is_empty(), encrypted: given::has_encrypted() }
    }

    fn doubt_spool(&self) -> Option<String> {
        hallway_edge::doubt_spool_directories()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_config::{Wanted, load};

    /// The cases of `config`, which judges them on a machine that is made of data.
    const BROKEN: &str = "crates/config/cases/broken.txt";

    #[test]
    fn each_broken_file_is_answered_alike_on_this_machine() {
        let cases = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(BROKEN)).unwrap();
        let dir = std::env::temp_dir().join(format!("hallway-broken-{}", std::process::id()));
        fs::create_dir_all(dir.join("assets")).unwrap();
        let (file, mut count) = (dir.join("hallway.toml"), 0);
        for case in cases.split("### ").skip(1) {
            let (name, rest) = case.split_once('\n').unwrap();
            let (text, expected) = rest.split_once(">>>\n").unwrap();
            fs::write(&file, text).unwrap();
            let said = load(&file, &ThisMachine, Wanted::Everything).err().unwrap_or_default();
            let said = said.replace(&format!("{}/", dir.display()), "").replace(&dir.display().to_string(), "DIR");
            assert_eq!(said, expected, "{name}");
            count += 1;
        }
        assert!(count >= 30);
        fs::remove_dir_all(dir).unwrap();
    }
}
