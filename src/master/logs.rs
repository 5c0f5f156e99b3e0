//! In:     the files of the access logs of a plan.
//! Out:    the same, open, for every edge that there will be.
//! Actors: the file system.
//! Never:  does the edge open one by its path: it writes what it was handed, also where it may not open anything.

use super::news::say;
use crate::paths;
use crate::users::told;
use hallway_core::control::{DESCRIPTORS_MAX, Order};
use hallway_core::plan::Plan;
use hallway_workers::Channel;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files of access logs, by their paths.
#[derive(Clone, Default)]
pub(super) struct Logs(BTreeMap<PathBuf, Rc<File>>);

impl Logs {
    /// Those of a plan; what is open already stays so.
    ///
    /// # Errors
    /// Which one cannot be written, and why.
    pub(super) fn of(&self, plan: &Plan) -> Result<Logs, String> {
        let mut files = BTreeMap::new();
        for path in plan.log_files() {
            let file = match self.0.get(path) {
                Some(file) => file.clone(),
                None => Rc::new(open(path)?),
            };
            files.insert(path.to_owned(), file);
        }
        Ok(Logs(files))
    }

    /// Opens all of them anew; those that cannot be opened stay what they were.
    pub(super) fn reopen(&mut self) {
        for (path, file) in &mut self.0 {
            match open(path) {
                Ok(new) => *file = Rc::new(new),
                Err(problem) => {
                    say(&format!("the access log could not be opened anew: {problem}; it goes on where it was"))
                }
            }
        }
    }

    /// Hands those of a plan to the edge, in the order of the plan.
    ///
    /// # Errors
    /// Those of the channel.
    pub(super) fn hand_over(&self, plan: &Plan, channel: &Channel) -> io::Result<()> {
        let files: Vec<BorrowedFd<'_>> =
            plan.log_files().into_iter().filter_map(|path| Some(self.0.get(path)?.as_fd())).collect();
        files.chunks(DESCRIPTORS_MAX).try_for_each(|some| channel.send(&Order::Logs.encode(), some))
    }
}

fn open(path: &Path) -> Result<File, String> {
    paths::open_log(path).map_err(|error| format!("{} cannot be written: {}", path.display(), told(&error)))
}
