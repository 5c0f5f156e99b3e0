//! In:     a configuration file, or a name.
//! Out:    where the running instance of it is reached: its control socket, its pid file.
//! Actors: the file system.
//! Never:  does either lie in the working directory, or can another user reach it.

use crate::paths;
use crate::users::{name_of, told};
use std::fs::DirBuilder;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A running instance, or one to be.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    directory: PathBuf,
    name: String,
}

impl Instance {
    /// The instance of a configuration file, or the one with this name.
    ///
    /// # Errors
    /// A directory that cannot be had, or is another user's.
    pub(crate) fn new(file: &Path, name: Option<&str>) -> Result<Instance, String> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let whole = std::fs::canonicalize(file).or_else(|_| std::path::absolute(file));
                let whole = whole.unwrap_or_else(|_| file.to_owned());
                let stem = whole.file_stem().map_or("hallway".into(), |stem| stem.to_string_lossy().into_owned());
                format!("{stem}-{:016x}", hash(&whole))
            }
        };
        Ok(Instance { directory: directory()?, name })
    }

    /// Where it listens for orders.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(format!("{}.sock", self.name))
    }

    /// Where its process id stands.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.join(format!("{}.pid", self.name))
    }
}

/// FNV-1a: the same in every version of this program.
fn hash(path: &Path) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    path.as_os_str().hash(&mut hasher);
    hasher.finish()
}

/// That of systemd's unit, root's, the user's own; made where it is missing.
fn directory() -> Result<PathBuf, String> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = rustix::process::geteuid();
    let path = match (variable("RUNTIME_DIRECTORY"), variable("XDG_RUNTIME_DIR")) {
        (Some(given), _) => paths::first_of(given),
        (None, _) if user.is_root() => PathBuf::from("/run/hallway"),
        (None, Some(own)) => own.join("hallway"),
        (None, None) => std::env::temp_dir().join(format!("hallway-{}", user.as_raw())),
    };
    let shown = path.display();
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| {
        format!("the runtime directory {shown} cannot be made: {}; set RUNTIME_DIRECTORY", told(&error))
    })?;
    vet(&path)?;
    Ok(path)
}

/// Whoever can write to the directory, or put another one in its place, could have orders come to them, or give some.
fn vet(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("the runtime directory {shown}: {}", told(&error));
    let refused = |why: String| format!("the runtime directory {shown} is not used: {why}");
    if let Some((directory, uid)) = paths::stranger_on_the_way(path).map_err(failed)? {
        let (owner, directory) = (name_of(uid), directory.display());
        // A unit with another User has made it for its own.
        let mend = format!("to ask what runs as '{owner}', write: sudo -u {owner} hallway …");
        return Err(refused(format!(
            "{directory} is another user's ('{owner}'); set RUNTIME_DIRECTORY to one of your own; {mend}"
        )));
    }
    let meta = std::fs::symlink_metadata(path).map_err(failed)?;
    if !meta.is_dir() {
        return Err(refused("it is a link; set RUNTIME_DIRECTORY to the directory itself".into()));
    }
    let (own, owner) = (rustix::process::geteuid().as_raw(), meta.uid());
    if owner != own {
        let owner = name_of(owner);
        return Err(refused(format!(
            "it is another user's ('{owner}'); set RUNTIME_DIRECTORY to one of your own; to ask what runs as '{owner}', \
             write: sudo -u {owner} hallway …"
        )));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(refused(format!("others may write to it; write: chmod 700 {shown}")));
    }
    Ok(())
}
