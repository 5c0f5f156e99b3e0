//! What a configuration asks of the machine that it is for.
//!
//! In:     -
//! Out:    questions as traits: files, users, certificates and passwords, and the rest.
//! Actors: none; the program answers them by the system, tests and fuzz targets by a `Model`.
//! Never:  does anything here change the machine, but that the file of a log is made where there is none.

use hallway_core::plan::{App, Certificate, CertificateSource, Secret, User};
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What stands at a path; links are followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Nothing that can be seen.
    Nothing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket, a device, a pipe.
    Other,
}

/// Files, as who reads the configuration sees them.
pub trait Files {
    /// The directory in which this was started.
    ///
    /// # Errors
    /// The system's.
    fn current_directory(&self) -> io::Result<PathBuf>;

    /// What stands at a path.
    fn found(&self, path: &Path) -> Found;

    /// Whether a link stands at a path, wherever it leads to.
    fn is_link(&self, path: &Path) -> bool;

    /// The names in a directory, in any order; none where it cannot be read.
    fn names_in(&self, directory: &Path) -> Vec<OsString>;

    /// Reads a file of text that is not longer than this.
    ///
    /// # Errors
    /// The system's; what is no file, too long, or not UTF-8.
    fn read_text(&self, path: &Path, bytes_max: u64) -> io::Result<String>;

    /// Opens the file of a log once, so that a wrong path is told before anything starts.
    ///
    /// # Errors
    /// The system's; what is no file and no device.
    fn try_log(&self, path: &Path) -> io::Result<()>;

    /// A path from the root on. Links in it are not resolved.
    ///
    /// # Errors
    /// Those of the directory in which this was started; an empty path.
    #[allow(clippy::disallowed_methods)] // Of a path from the root on it asks nobody.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        if path.is_absolute() || path.as_os_str().is_empty() {
            return std::path::absolute(path);
        }
        std::path::absolute(self.current_directory()?.join(path))
    }

    /// Whether anything stands there.
    fn exists(&self, path: &Path) -> bool {
        self.found(path) != Found::Nothing
    }

    /// Whether a regular file stands there.
    fn is_file(&self, path: &Path) -> bool {
        self.found(path) == Found::File
    }

    /// Whether a directory stands there.
    fn is_directory(&self, path: &Path) -> bool {
        self.found(path) == Found::Directory
    }
}

/// What a process needs to do with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Look for names in a directory, or run a file.
    Pass,
    /// Look for names in a directory, and list them.
    List,
    /// Write.
    Write,
}

/// Users of the machine.
pub trait Users {
    /// The name of who runs this.
    fn own_name(&self) -> String;

    /// The name of a user; the number where there is no name.
    fn name_of(&self, uid: u32) -> String;

    /// Whether this is root.
    fn is_root(&self) -> bool;

    /// A user that is written by its name.
    ///
    /// # Errors
    /// Why nothing can be started as that user, and the mend.
    fn find(&self, name: &str) -> Result<User, String>;

    /// Chooses who the edge and the apps run as where nobody is written; why the edge is whom it is.
    fn choose(&self, edge: &mut Option<User>, apps: &mut [App]) -> String;

    /// Whether a user may do this with a path. Where that cannot be asked, it is seen when it is served.
    fn may(&self, user: &User, path: &Path, access: Access) -> bool;

    /// What is wrong, and for whom where a permission is missing.
    fn told(&self, error: &io::Error) -> String;
}

/// Names, and what their passwords hash to.
pub type Passwords = Vec<(String, String)>;

/// Certificates in DER.
pub type Chain = Vec<Vec<u8>>;

/// Why a file of passwords says nothing.
#[derive(Debug)]
pub enum Unread {
    /// It could not be read.
    Failed(io::Error),
    /// What is wrong with it, each with its mend.
    Wrong(Vec<String>),
}

/// Certificates and passwords, as those who use them judge them.
pub trait Secrets {
    /// A certificate with its key, and a doubt that is no reason not to serve with it.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn certificate(&self, source: CertificateSource, hosts: &[String])
    -> Result<(Certificate, Option<String>), String>;

    /// The certificates of authorities.
    ///
    /// # Errors
    /// Why they cannot be used.
    fn authorities(&self, path: &Path) -> Result<Chain, String>;

    /// A certificate that is shown to servers, and its key.
    ///
    /// # Errors
    /// Why they cannot be used.
    fn pair(&self, chain: &Path, key: &Path) -> Result<(Chain, Secret), String>;

    /// Whether a password can be compared with this hash.
    ///
    /// # Errors
    /// The mend.
    fn vet_password(&self, hash: &str) -> Result<(), String>;

    /// Who is in a file of passwords.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn passwords(&self, path: &Path) -> Result<Passwords, Unread>;
}

/// Sockets that this process was given by who started it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Given {
    /// Whether there are any.
    pub any: bool,
    /// Whether one is for encrypted connections.
    pub encrypted: bool,
}

/// The whole machine.
pub trait Machine: Files + Users + Secrets {
    /// A variable of the environment.
    fn variable_os(&self, name: &OsStr) -> Option<OsString>;

    /// How many cores there are.
    fn cores(&self) -> usize;

    /// The addresses of a host.
    ///
    /// # Errors
    /// The resolver's.
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// Sockets that this process was given.
    fn given(&self) -> Given;

    /// What speaks against the places where spool files would be.
    fn doubt_spool(&self) -> Option<String>;

    /// A variable that is text.
    fn variable(&self, name: &str) -> Option<String> {
        self.variable_os(OsStr::new(name))?.into_string().ok()
    }
}
