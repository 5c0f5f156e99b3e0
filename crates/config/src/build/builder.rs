//! In:     the values of a configuration file, the machine.
//! Out:    paths and secrets as they are written there; what is wrong with what they name.
//! Actors: the machine is asked for files.
//! Never:  is a path taken as relative to anything but the file that it is written in.

use crate::machine::Machine;
use crate::near::nearest;
use crate::node::{Node, Span, Table};
use crate::problem::{Problems, Sources};
use hallway_core::plan::{AccessLog, Certificate, Pool, Zone};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest secret in a file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What every part of a build needs.
pub(super) struct Builder<'a> {
    pub(super) machine: &'a dyn Machine,
    pub(super) sources: &'a Sources,
    pub(super) problems: &'a mut Problems,
    /// The whole file.
    pub(super) file: &'a Table,
    /// Whether there is any address for HTTPS.
    pub(super) has_https: bool,
    /// Those of the sites so far.
    pub(super) certificates: Vec<Certificate>,
    pub(super) logs: Vec<AccessLog>,
    pub(super) zones: Vec<Zone>,
    pub(super) pools: Vec<Arc<Pool>>,
}

impl Builder<'_> {
    /// A path as it was written, from the directory of its file.
    pub(super) fn path(&self, node: &Node) -> Option<PathBuf> {
        self.machine.absolute(&self.sources.directory(node.span.file).join(node.text()?)).ok()
    }

    /// A string as it stands, or what is in the file that it names.
    pub(super) fn secret(&mut self, node: &Node) -> Option<String> {
        let read = self.read_secret(node);
        read.unwrap_or_else(|problem| {
            self.problems.add(node.span, problem);
            None
        })
    }

    /// The same; the error says what is wrong with that file.
    pub(super) fn read_secret(&self, node: &Node) -> Result<Option<String>, String> {
        let Some(text) = node.text() else { return Ok(None) };
        let Some(file) = text.strip_prefix("file:") else { return Ok(Some(text.into())) };
        let path = self.sources.directory(node.span.file).join(file);
        self.machine
            .read_text(&path, SECRET_BYTES_MAX)
            .map(|content| Some(content.trim_end_matches(['\r', '\n']).into()))
            .map_err(|error| self.why_unreadable(&path, &error))
    }

    /// The same, for a directory that has to be there.
    pub(super) fn directory(&mut self, node: &Node) -> Option<PathBuf> {
        let path = self.path(node)?;
        if self.machine.is_directory(&path) {
            return Some(path);
        }
        let why = self.why_no_directory(&path);
        self.problems.add(node.span, why);
        None
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(&mut self, span: Span, path: &Path, error: &io::Error) {
        let why = self.why_unreadable(path, error);
        self.problems.add(span, why);
    }

    /// What is wrong with a path that is to be a directory.
    pub(super) fn why_no_directory(&self, path: &Path) -> String {
        let shown = path.display();
        if self.machine.exists(path) {
            format!("{shown} is no directory; write the directory that it is in")
        } else {
            format!("there is no such directory: {shown}; {}", self.mend_path(path, "make it: mkdir -p "))
        }
    }

    /// What is wrong with a file that cannot be read.
    pub(super) fn why_unreadable(&self, path: &Path, error: &io::Error) -> String {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => format!("there is no such file: {shown}; {}", self.mend_path(path, "")),
            io::ErrorKind::PermissionDenied => format!(
                "{shown} cannot be read by the user '{}', as which this runs; let that user read it",
                self.machine.own_name()
            ),
            _ => format!("{shown} cannot be read: {error}"),
        }
    }

    /// What to do about a path that is not there: take the one beside it that was most likely meant, or `make` it.
    fn mend_path(&self, path: &Path, make: &str) -> String {
        let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.parent().map(|parent| self.machine.names_in(parent)).unwrap_or_default();
        let names: Vec<String> = beside.into_iter().filter_map(|name| name.into_string().ok()).collect();
        if let Some(near) = nearest(&wanted, names.iter().map(String::as_str)) {
            return format!("did you mean '{near}'?");
        }
        let written = "a path is relative to the file that it is written in";
        match make {
            "" => format!("make it, or write another path: {written}"),
            make => format!("{make}{}, or write another path: {written}", path.display()),
        }
    }
}
