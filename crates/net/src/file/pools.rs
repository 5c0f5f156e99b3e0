//! In:     paths and open files; the kernel's table of mounts.
//! Out:    the threads that may wait for them: each mount has its own, and so has each application.
//! Actors: a thread that waits for changes of the table; threads of the pools, which read symbolic links.
//! Never:  does an event loop, or anything on another mount, wait for one that hangs.

use crate::file::mounts::{Mount, Mounts};
use crate::runtime::thread_pool::ThreadPool;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, StatxFlags, statx};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Threads that wait for one mount: for each event loop, and at most.
const THREADS_OF_LOOP: usize = 4;
const THREADS_MAX: usize = 32;
/// Mounts that have threads of their own; further ones share some.
const POOLS_MAX: usize = 256;
/// Directories that are remembered, at most.
const ROOTS_MAX: usize = 16 * 1024;
/// After a change of the table, for those that follow it.
const SETTLING: Duration = Duration::from_millis(100);

/// Where files are read. Shared by all event loops.
pub struct FilePools {
    threads_max: usize,
    mounts: RwLock<Arc<Mounts>>,
    /// For mounts that can have no threads of their own.
    common: ThreadPool,
    /// By the numbers of mounts.
    pools: Mutex<HashMap<u64, ThreadPool>>,
    roots: RwLock<HashMap<PathBuf, Arc<Root>>>,
}

/// A directory of files.
pub struct Root {
    pools: Arc<FilePools>,
    directory: PathBuf,
    found: Mutex<Found>,
}

/// What is known of where it is.
#[derive(Clone)]
enum Found {
    Nothing,
    /// A thread looks.
    Looking,
    At {
        path: PathBuf,
        mount: Option<Mount>,
    },
}

impl FilePools {
    /// For so many event loops.
    pub fn new(loops: usize) -> Arc<FilePools> {
        let threads_max = (THREADS_OF_LOOP * loops).min(THREADS_MAX);
        let mounts = RwLock::new(Arc::new(read_table()));
        let common = ThreadPool::new("files on further mounts".into(), 1, threads_max);
        let (pools, roots) = (Mutex::default(), RwLock::default());
        let pools = Arc::new(FilePools { threads_max, mounts, common, pools, roots });
        let watching = Arc::downgrade(&pools);
        let watch = move || {
            let Ok(table) = File::open("/proc/self/mountinfo") else { return };
            while poll(&mut [PollFd::new(&table, PollFlags::PRI)], None).is_ok() {
                std::thread::sleep(SETTLING);
                let Some(pools) = watching.upgrade() else { return };
                pools.renew();
            }
        };
        // Without it the mounts are those that there were at the start.
        let _ = std::thread::Builder::new().name("mounts".into()).stack_size(64 * 1024).spawn(watch);
        pools
    }

    /// A directory of files, which is looked for when it is first used.
    pub fn root(self: &Arc<Self>, directory: &Path) -> Arc<Root> {
        if let Some(root) = self.roots.read().unwrap_or_else(PoisonError::into_inner).get(directory) {
            return root.clone();
        }
        let root =
            Arc::new(Root { pools: self.clone(), directory: directory.to_owned(), found: Mutex::new(Found::Nothing) });
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        if roots.len() >= ROOTS_MAX {
            roots.clear();
        }
        roots.insert(directory.to_owned(), root.clone());
        root
    }

    /// The threads for an open file, and whether it is on a disk of this machine; without those of its mount, these.
    pub fn of_file(&self, file: impl AsFd, others: &ThreadPool) -> (ThreadPool, bool) {
        let mount = mount_of(file).and_then(|number| self.mounts().numbered(number).cloned());
        match mount {
            Some(mount) => (self.of_mount(&mount), mount.is_local),
            None => (others.clone(), false),
        }
    }

    /// Whether this mount is of a disk of this machine.
    pub fn is_local(&self, number: u64) -> bool {
        self.mounts().numbered(number).is_some_and(|mount| mount.is_local)
    }

    fn of_path(&self, path: &Path) -> ThreadPool {
        match self.mounts().of(path) {
            Some(mount) => self.of_mount(mount),
            None => self.of_mount(&Mount { number: 0, point: PathBuf::from("/"), is_local: false }),
        }
    }

    fn of_mount(&self, mount: &Mount) -> ThreadPool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let number = mount.number;
        if let Some(known) = pools.get(&number) {
            return known.clone();
        }
        let new = ThreadPool::new(format!("files on {}", mount.point.display()), 1, self.threads_max);
        // At a limit of the system, or of this one, those have to do that there are.
        if !new.has_threads() || pools.len() >= POOLS_MAX {
            return self.common.clone();
        }
        pools.insert(number, new.clone());
        new
    }

    fn mounts(&self) -> Arc<Mounts> {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The table has changed: directories may be elsewhere now.
    fn renew(&self) {
        let table = Arc::new(read_table());
        *self.mounts.write().unwrap_or_else(PoisonError::into_inner) = table.clone();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|number, _| table.numbered(*number).is_some());
        drop(pools);
        self.roots.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Root {
    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The mount that it is on, where that is known to be of a disk of this machine.
    pub fn local_mount(self: &Arc<Self>) -> Option<u64> {
        match &*self.found() {
            Found::At { mount: Some(mount), .. } if mount.is_local => return Some(mount.number),
            Found::At { .. } | Found::Looking => return None,
            Found::Nothing => {}
        }
        self.look();
        None
    }

    /// It is not where it was: a link leads elsewhere now.
    pub fn forget(&self) {
        *self.found() = Found::Nothing;
    }

    /// The threads that wait for what is at this path in it.
    pub fn threads(&self, path: &Path) -> ThreadPool {
        match &*self.found() {
            Found::At { path: found, .. } => self.pools.of_path(&found.join(path)),
            Found::Nothing | Found::Looking => self.pools.of_path(&self.directory.join(path)),
        }
    }

    /// The threads and the place of a file that was opened in it.
    pub fn of_file(&self, file: impl AsFd) -> (ThreadPool, bool) {
        self.pools.of_file(file, &self.threads(Path::new("")))
    }

    /// Has a thread look where it is.
    fn look(self: &Arc<Self>) {
        *self.found() = Found::Looking;
        let root = self.clone();
        self.pools.of_path(&self.directory).run_apart(move || {
            let mounts = root.pools.mounts();
            let path = mounts.resolve(&root.directory, |path| std::fs::read_link(path).ok());
            let mount = mounts.of(&path).cloned();
            *root.found() = Found::At { path, mount };
        });
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the mount that an open file is on: the kernel knows it, and its file system is not asked.
pub fn mount_of(file: impl AsFd) -> Option<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(file, "", flags, StatxFlags::MNT_ID).ok().map(|seen| seen.stx_mnt_id)
}

fn read_table() -> Mounts {
    Mounts::read(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
}
