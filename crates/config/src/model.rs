//! A machine that is made of data: for tests, fuzz targets, and who looks at the configuration of another machine.
//!
//! In:     files, variables, users, as data.
//! Out:    answers to what a configuration asks.
//! Actors: none.
//! Never:  is this machine asked for anything.

use super::machine::{Access, Chain, Files, Found, Given, Machine, Passwords, Secrets, Unread, Users};
use hallway_core::plan::{App, Certificate, CertificateSource, Secret, User};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A machine that is made of data.
#[derive(Clone, Debug)]
pub struct Model {
    /// The directory in which this was started.
    pub directory: PathBuf,
    /// Files of text; the directories above them are there, too.
    pub files: BTreeMap<PathBuf, String>,
    /// Further directories.
    pub directories: BTreeSet<PathBuf>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// Everybody but root.
    pub users: Vec<User>,
    /// Whether this is root, which starts processes as others.
    pub is_root: bool,
    /// What users may not do.
    pub closed: Vec<(String, PathBuf, Access)>,
    /// How many cores there are.
    pub cores: usize,
    /// Sockets that were given.
    pub given: Given,
    /// Hosts that are known by name.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            directory: "/".into(),
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            variables: BTreeMap::new(),
            users: Vec::new(),
            is_root: false,
            closed: Vec::new(),
            cores: 4,
            given: Given::default(),
            hosts: [("localhost".to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])].into(),
        }
    }
}

/// What the system says of what is not there.
const NO_SUCH_FILE: i32 = 2;
/// What it says of names in what is no directory.
const IS_A_DIRECTORY: &str = "it is no regular file";

impl Model {
    /// One that has this file.
    pub fn with(mut self, path: &str, text: &str) -> Model {
        self.files.insert(path.into(), text.into());
        self
    }

    /// What stands there, from the root on.
    fn stands(&self, path: &Path) -> PathBuf {
        let path = self.absolute(path).unwrap_or_default();
        let mut whole = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => drop(whole.pop()),
                part => whole.push(part),
            }
        }
        whole
    }

    fn text(&self, path: &Path) -> io::Result<&str> {
        let path = self.stands(path);
        match self.files.get(&path) {
            Some(text) => Ok(text),
            None if self.found(&path) == Found::Nothing => Err(io::Error::from_raw_os_error(NO_SUCH_FILE)),
            None => Err(io::Error::other(IS_A_DIRECTORY)),
        }
    }

    /// What is read of a certificate: the text of its file.
    fn chain(&self, path: &Path) -> Result<Chain, String> {
        let text = self.text(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        if text.is_empty() {
            return Err(format!("{} holds no certificate", path.display()));
        }
        Ok(vec![text.as_bytes().to_vec()])
    }

    fn secret(&self, path: &Path) -> Result<Secret, String> {
        self.chain(path).map(|chain| Secret(chain.concat()))
    }
}

impl Files for Model {
    fn current_directory(&self) -> io::Result<PathBuf> {
        Ok(self.directory.clone())
    }

    fn found(&self, path: &Path) -> Found {
        let path = self.stands(path);
        let mut known = self.files.keys().chain(&self.directories);
        match () {
            () if self.files.contains_key(&path) => Found::File,
            () if known.any(|known| known.starts_with(&path)) => Found::Directory,
            () => Found::Nothing,
        }
    }

    fn is_link(&self, _: &Path) -> bool {
        false
    }

    fn names_in(&self, directory: &Path) -> Vec<OsString> {
        let directory = self.stands(directory);
        let known = self.files.keys().chain(&self.directories);
        let below = known.filter_map(|known| known.strip_prefix(&directory).ok()?.iter().next());
        let names: BTreeSet<OsString> = below.map(OsStr::to_owned).collect();
        names.into_iter().collect()
    }

    fn read_text(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        let text = self.text(path)?;
        if text.len() as u64 > bytes_max {
            return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
        }
        Ok(text.to_owned())
    }

    fn try_log(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        match (self.found(path), self.found(parent)) {
            (Found::Directory, _) => Err(io::Error::other("it is no file; what is not one may hold up the server")),
            (Found::Nothing, Found::Nothing) => Err(io::Error::from_raw_os_error(NO_SUCH_FILE)),
            _ => Ok(()),
        }
    }
}

impl Users for Model {
    fn own_name(&self) -> String {
        if self.is_root { "root".into() } else { "somebody".into() }
    }

    fn name_of(&self, uid: u32) -> String {
        let known = self.users.iter().find(|user| user.uid == uid);
        known.map_or_else(|| uid.to_string(), |user| user.name.clone())
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn find(&self, name: &str) -> Result<User, String> {
        let known = self.users.iter().find(|user| user.name == name).filter(|_| self.is_root);
        known.cloned().ok_or_else(|| format!("there is no user '{name}' that something could be started as"))
    }

    fn choose(&self, edge: &mut Option<User>, apps: &mut [App]) -> String {
        let first = self.users.first().filter(|_| self.is_root);
        let origin = |is_written: bool| if is_written { "it is written" } else { "it is the first" };
        let is_written = edge.is_some();
        *edge = edge.take().or(first.cloned());
        for app in apps {
            app.user_origin = origin(app.user.is_some()).into();
            app.user = app.user.take().or(first.cloned());
        }
        origin(is_written).into()
    }

    fn may(&self, user: &User, path: &Path, access: Access) -> bool {
        !self.closed.iter().any(|(name, closed, kind)| *name == user.name && closed == path && *kind == access)
    }

    fn told(&self, error: &io::Error) -> String {
        error.to_string()
    }
}

impl Secrets for Model {
    fn certificate(&self, source: CertificateSource, _: &[String]) -> Result<(Certificate, Option<String>), String> {
        let (chain, key, ocsp) = match &source {
            CertificateSource::Files { chain, key, ocsp } => {
                let ocsp = ocsp.as_deref().map(|path| self.secret(path)).transpose()?;
                (self.chain(chain)?, self.secret(key)?, ocsp.map(|ocsp| ocsp.0))
            }
            CertificateSource::Internal { .. } => (Chain::new(), Secret::default(), None),
        };
        Ok((Certificate { source, chain, key, ocsp }, None))
    }

    fn authorities(&self, path: &Path) -> Result<Chain, String> {
        self.chain(path)
    }

    fn pair(&self, chain: &Path, key: &Path) -> Result<(Chain, Secret), String> {
        Ok((self.chain(chain)?, self.secret(key)?))
    }

    fn vet_password(&self, hash: &str) -> Result<(), String> {
        let is_hash = hash.starts_with('$') || hash.starts_with("{SHA}");
        is_hash.then_some(()).ok_or_else(|| "this is no hash".into())
    }

    fn passwords(&self, path: &Path) -> Result<Passwords, Unread> {
        let text = self.text(path).map_err(Unread::Failed)?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Ok(lines.map(|(name, hash)| (name.to_owned(), hash.to_owned())).collect())
    }
}

impl Machine for Model {
    fn variable_os(&self, name: &OsStr) -> Option<OsString> {
        self.variables.get(name.to_str()?).map(OsString::from)
    }

    fn cores(&self) -> usize {
        self.cores
    }

    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let named = self.hosts.get(host).cloned();
        let known = named.or_else(|| host.parse().ok().map(|ip| vec![ip]));
        let known = known.ok_or_else(|| io::Error::other("no such name"))?;
        Ok(known.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    fn given(&self) -> Given {
        self.given
    }

    fn doubt_spool(&self) -> Option<String> {
        None
    }
}
