//! In:     what workers write to standard output and standard error.
//! Out:    the same lines, each behind the name of its app and its process, or as they are.
//! Actors: the master's loop, when there is something to read.
//! Never:  is a line of one worker cut by that of another, or a line kept for ever because it has no end.

use hallway_edge::Voice;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// A line that is longer is shown in several.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The same where lines are passed on as they are: a program reads them.
const RAW_BYTES_MAX: usize = 1024 * 1024;

/// What is remembered of the last line.
const LAST_CHARS_MAX: usize = 200;

/// The words of one worker, and of what it started.
pub(crate) struct Words {
    /// What stands before each line; nothing where they are passed on as they are.
    who: Option<String>,
    pid: u32,
    /// The last line that was told, or its beginning.
    last: String,
    pipe: OwnedFd,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    has_ended: bool,
}

impl Words {
    pub(crate) fn new(app: &str, pid: u32, pipe: OwnedFd) -> Words {
        let (last, begun) = (String::new(), Vec::new());
        Words { who: Some(format!("{app}[{pid}]: ")), pid, last, pipe, begun, has_ended: false }
    }

    /// The same for an app whose lines are passed on as they are.
    pub(crate) fn raw(app: &str, pid: u32, pipe: OwnedFd) -> Words {
        Words { who: None, ..Words::new(app, pid, pipe) }
    }

    /// Whether this is what that process says.
    pub(crate) fn is_of(&self, pid: u32) -> bool {
        self.pid == pid
    }

    /// The last line that was told, or its beginning.
    pub(crate) fn last(&self) -> String {
        self.last.strip_prefix("hallway: ").unwrap_or(&self.last).to_owned()
    }

    /// Whether nobody is left who could say something.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Tells what is there; of somebody who speaks without end, some of it. Whether there was anything.
    pub(crate) fn tell(&mut self) -> bool {
        let mut room = vec![0; READ_BYTES];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut room[..]));
        match read {
            Ok(0) => self.has_ended = true,
            Ok(bytes) => self.begun.extend_from_slice(&room[..bytes]),
            Err(rustix::io::Errno::AGAIN) => return false,
            Err(_) => self.has_ended = true,
        }
        let lines = self.take_lines(&Voice::time());
        if !lines.is_empty() {
            Voice::of_process().quote(lines);
        }
        !self.has_ended
    }

    /// Tells what is left when a worker has ended.
    pub(crate) fn tell_all(&mut self) {
        // What it wrote before its end is in the pipe, which holds a few reads at most; a process
        // that it left behind may go on writing.
        for _ in 0..32 {
            if !self.tell() {
                break;
            }
        }
    }

    /// Those that are whole, each behind the time and who says it, or as it is.
    fn take_lines(&mut self, time: &str) -> Vec<u8> {
        let most = if self.who.is_some() { LINE_BYTES_MAX } else { RAW_BYTES_MAX };
        let whole = match memchr::memrchr(b'\n', &self.begun) {
            Some(last) => last + 1,
            None if self.has_ended || self.begun.len() > most => self.begun.len(),
            None => 0,
        };
        let mut told = Vec::new();
        for line in self.begun[..whole].split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            if !text.trim().is_empty() {
                self.last = text.trim().chars().take(LAST_CHARS_MAX).collect();
            }
            match &self.who {
                // Writing into memory does not fail.
                Some(who) => drop(writeln!(told, "{time}{who}{}", text.trim_end_matches(['\n', '\r']))),
                None => told.extend_from_slice(line),
            }
        }
        self.begun.drain(..whole);
        told
    }
}

impl AsFd for Words {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_named() {
        let (pipe, writes) = rustix::pipe::pipe().unwrap();
        let mut words = Words::new("web", 7, pipe);
        words.begun.extend_from_slice(b"one\ntwo\r\nthr");
        assert_eq!(words.take_lines("now "), b"now web[7]: one\nnow web[7]: two\n");
        words.begun.extend_from_slice(b"ee\n\xff\n");
        assert_eq!(words.take_lines(""), "web[7]: three\nweb[7]: \u{fffd}\n".as_bytes());
        words.begun.resize(LINE_BYTES_MAX + 1, b'x');
        assert_eq!(words.take_lines("").len(), "web[7]: \n".len() + LINE_BYTES_MAX + 1);
        words.begun.extend_from_slice(b"last");
        assert_eq!(words.take_lines(""), b"");
        drop(writes);
        words.tell();
        assert!(words.has_ended() && words.begun.is_empty());
    }

    #[test]
    fn raw_lines_are_whole_and_as_they_are() {
        let (pipe, writes) = rustix::pipe::pipe().unwrap();
        let mut words = Words::raw("web", 7, pipe);
        words.begun.extend_from_slice(b"{\"a\": 1}\r\n\xff\n\n{\"b\"");
        assert_eq!(words.take_lines("now "), b"{\"a\": 1}\r\n\xff\n\n");
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        words.begun.extend_from_slice(&long);
        assert_eq!(words.take_lines("now "), b"", "a program reads it");
        words.begun.extend_from_slice(b"}\n");
        assert_eq!(words.take_lines("").len(), 4 + long.len() + 2);
        words.begun.extend_from_slice(b"no end");
        drop(writes);
        words.tell();
        assert!(words.has_ended() && words.begun.is_empty());
    }
}
