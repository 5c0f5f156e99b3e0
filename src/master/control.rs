//! In:     connections to the control socket.
//! Out:    what they ask for; later, the answer.
//! Actors: the master's loop, which waits for them as for everything else.
//! Never:  does somebody who connects and says nothing hold anything up.

use crate::asked::{Ask, MESSAGE_BYTES_MAX};
use crate::instance::Instance;
use crate::users::told;
use rustix::fs::{Mode, OFlags, chmod};
use serde_json::Value;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Who may be asking at a time.
const TALKS_MAX: usize = 16;
/// For an order to arrive.
const PATIENCE_MS: u64 = 5_000;
/// For an answer to be taken.
const WRITE: Duration = Duration::from_secs(1);

/// The control socket and who is talking to it.
pub(super) struct Control {
    listener: UnixListener,
    instance: Instance,
    inode: u64,
    talks: Vec<Talk>,
}

/// Somebody who has connected.
struct Talk {
    stream: UnixStream,
    read: Vec<u8>,
    until_ms: u64,
}

impl Control {
    /// Listens where the instance is reached; its process id stands beside that.
    ///
    /// # Errors
    /// Another instance of the same file runs, or the system's.
    pub(super) fn listen(instance: Instance) -> Result<Control, String> {
        let path = instance.socket();
        let failed =
            |error: io::Error| format!("the control socket {} cannot be made: {}", path.display(), told(&error));
        if UnixStream::connect(&path).is_ok() {
            let pid = fs::read_to_string(instance.pid_file()).unwrap_or_default();
            let pid = pid.trim();
            return Err(format!(
                "this file is served already, by process {pid}; 'hallway reload' has it go by the file as it is now, \
                 'hallway stop' ends it"
            ));
        }
        let _ = fs::remove_file(&path);
        // Nobody else can have it open before its mode is set: the directory is this user's alone.
        let listener = UnixListener::bind(&path).map_err(failed)?;
        chmod(&path, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
        listener.set_nonblocking(true).map_err(failed)?;
        let inode = fs::symlink_metadata(&path).map_or(0, |meta| meta.ino());
        let mut options = fs::OpenOptions::new();
        options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
        let pid_file = options.write(true).create(true).truncate(true).mode(0o644).open(instance.pid_file());
        pid_file.and_then(|mut file| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Control { listener, instance, inode, talks: Vec::new() })
    }

    /// What to wait for.
    pub(super) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        // Who comes while there are enough waits in the kernel.
        let listener = (self.talks.len() < TALKS_MAX).then(|| self.listener.as_fd());
        listener.into_iter().chain(self.talks.iter().map(|talk| talk.stream.as_fd()))
    }

    /// When somebody has been silent for too long.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.talks.iter().map(|talk| talk.until_ms).min()
    }

    /// Takes what has come: orders that are whole, with those who gave them.
    pub(super) fn hear(&mut self, now_ms: u64) -> Vec<(UnixStream, Ask)> {
        while self.talks.len() < TALKS_MAX
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                self.talks.push(Talk { stream, read: Vec::new(), until_ms: now_ms + PATIENCE_MS });
            }
        }
        let mut asked = Vec::new();
        for mut talk in std::mem::take(&mut self.talks) {
            match talk.hear() {
                Heard::Order(ask) => asked.push((talk.stream, ask)),
                Heard::Nothing if talk.until_ms > now_ms => self.talks.push(talk),
                Heard::Nothing => {}
                Heard::Nonsense => drop(answer(talk.stream, &serde_json::json!({"problem": "this is no order"}))),
            }
        }
        asked
    }
}

enum Heard {
    Order(Ask),
    Nothing,
    Nonsense,
}

impl Talk {
    fn hear(&mut self) -> Heard {
        let (mut part, mut has_ended) = ([0; 4096], false);
        while !has_ended {
            match self.stream.read(&mut part) {
                Ok(0) => has_ended = true,
                Ok(bytes) => self.read.extend_from_slice(&part[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Heard::Nonsense,
            }
            if self.read.len() as u64 > MESSAGE_BYTES_MAX {
                return Heard::Nonsense;
            }
        }
        match self.read.strip_suffix(b"\n") {
            Some(line) => Ask::decode(line).map_or(Heard::Nonsense, Heard::Order),
            None if has_ended => Heard::Nonsense,
            None => Heard::Nothing,
        }
    }
}

/// Answers; the talk ends with the stream, where that was taken at all.
pub(super) fn answer(mut stream: UnixStream, value: &Value) -> Option<UnixStream> {
    // An answer is some kilobytes: the socket takes it at once, or its reader is stuck.
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_write_timeout(Some(WRITE));
    stream.write_all(value.to_string().as_bytes()).ok().map(|()| stream)
}

impl Drop for Control {
    fn drop(&mut self) {
        // A successor may have put its own there since.
        let path = self.instance.socket();
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(path);
            let _ = fs::remove_file(self.instance.pid_file());
        }
    }
}
