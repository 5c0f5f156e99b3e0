//! Starts an app's interpreter, in a process of its own: the master starts this program for each worker as whom it is
//! itself, and only then, in memory that holds nothing of the master, it becomes the app's user.
//!
//! In:     the command line of a launcher; the environment of the app, in a file in memory.
//! Out:    the interpreter, in the place of this program; or why it could not be started, by the worker's channel.
//! Actors: the operating system.
//! Never:  is a file of the app opened, or its environment in force, while this process is still the master's user.

use crate::channel::Channel;
use crate::confine::{become_user, give_up_capabilities, hide, user_of};
use crate::inherit::take_inherited;
use hallway_core::control::{Report, Step};
use hallway_core::plan::User;
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The first argument of this program where it is to start a worker.
pub const WORKER: &str = "hallway: worker";

/// The exit code of a worker that could not be started.
const UNSTARTED: u8 = 3;

/// Variables of an environment.
pub type Environment = Vec<(OsString, OsString)>;

/// An environment as bytes: each name and each value ends with a zero byte, which neither can have.
pub(crate) fn encode(environment: &[(OsString, OsString)]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in environment.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(part.as_bytes());
        out.push(0);
    }
    out
}

fn decode(bytes: &[u8]) -> Environment {
    let mut parts = bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec()));
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        pairs.push((name, value));
    }
    pairs
}

/// What the command line of a launcher says, behind its first word.
struct Launch {
    user: Option<User>,
    keeps_privileges: bool,
    directory: OsString,
    channel: Channel,
    environment: OwnedFd,
    program: OsString,
    arguments: Vec<OsString>,
}

/// The main function of a launcher. It does not return when all goes well.
pub fn launch_worker(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = hide();
    let Some(launch) = read(arguments.collect()) else { return ExitCode::from(UNSTARTED) };
    let (step, error) = start(&launch);
    let errno = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
    // A master that does not hear has ended.
    let _ = launch.channel.send(&Report::Unstarted { step, errno: errno.unsigned_abs() }.encode(), &[]);
    ExitCode::from(UNSTARTED)
}

/// Numbers of descriptors end the command line: the channel, the extension, the environment. The interpreter gets the
/// first two.
fn read(mut words: Vec<OsString>) -> Option<Launch> {
    let environment = take_inherited(words.pop()?.to_str()?.parse().ok()?).ok()?;
    let channel = words.get(words.len().checked_sub(2)?)?.to_str()?.to_owned();
    let mut front = words.into_iter();
    let user = user_of(front.next()?.to_str()?).ok()?;
    let keeps_privileges = front.next()? == "keep";
    let (directory, program) = (front.next()?, front.next()?);
    let channel = Channel::inherited(&channel).ok()?;
    Some(Launch { user, keeps_privileges, directory, channel, environment, program, arguments: front.collect() })
}

/// Becomes the interpreter. What is returned is what could not be done, and why.
fn start(launch: &Launch) -> (Step, io::Error) {
    let mut bytes = Vec::new();
    let read = launch.environment.try_clone().and_then(|file| File::from(file).read_to_end(&mut bytes));
    let dropped = read.and_then(|_| match &launch.user {
        Some(user) => become_user(user),
        None if launch.keeps_privileges || rustix::process::geteuid().is_root() => Ok(()),
        None => give_up_capabilities(),
    });
    if let Err(error) = dropped {
        return (Step::User, error);
    }
    if let Err(error) = std::env::set_current_dir(&launch.directory) {
        return (Step::Directory, error);
    }
    // It is the interpreter's now.
    if let Err(error) = launch.channel.keep() {
        return (Step::User, error);
    }
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).env_clear().envs(decode(&bytes));
    (Step::Interpreter, command.exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_the_same_behind_the_file() {
        let pair = |name: &str, value: &[u8]| (OsString::from(name), OsString::from_vec(value.to_vec()));
        for environment in [vec![], vec![pair("A", b"1"), pair("EMPTY", b""), pair("B", b"x=y\n\xff")]] {
            assert_eq!(decode(&encode(&environment)), environment);
        }
    }
}
