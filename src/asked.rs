//! In:     an order for a running instance.
//! Out:    its answer.
//! Actors: the control socket of the instance.
//! Never:  does it wait for ever for one that is stuck.

use crate::instance::Instance;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What a running instance is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// What it is doing.
    Status,
    /// To read its file again; and to replace the workers of all apps, of one, or of none.
    Reload(Rolls),
    /// To stop when all is answered.
    Stop,
}

/// Whose workers are replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rolls {
    All,
    None,
    App(String),
}

/// Longest order or answer.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// For the instance to answer: as long as an app may take to load, and more.
const PATIENCE: Duration = Duration::from_secs(300);

impl Ask {
    /// As it goes over the socket: one line.
    pub(crate) fn encode(&self) -> String {
        let value = match self {
            Ask::Status => json!({"ask": "status"}),
            Ask::Stop => json!({"ask": "stop"}),
            Ask::Reload(Rolls::All) => json!({"ask": "reload"}),
            Ask::Reload(Rolls::None) => json!({"ask": "reload", "rolls": false}),
            Ask::Reload(Rolls::App(app)) => json!({"ask": "reload", "app": app}),
        };
        format!("{value}\n")
    }

    /// From such a line; nothing if it is none.
    pub(crate) fn decode(line: &[u8]) -> Option<Ask> {
        let value: Value = serde_json::from_slice(line).ok()?;
        match (value["ask"].as_str()?, value["app"].as_str(), value["rolls"].as_bool()) {
            ("status", ..) => Some(Ask::Status),
            ("stop", ..) => Some(Ask::Stop),
            ("reload", Some(app), _) => Some(Ask::Reload(Rolls::App(app.into()))),
            ("reload", None, Some(false)) => Some(Ask::Reload(Rolls::None)),
            ("reload", None, _) => Some(Ask::Reload(Rolls::All)),
            _ => None,
        }
    }
}

/// Asks a running instance; its answer as JSON.
///
/// # Errors
/// There is none, or it says what is wrong.
pub(crate) fn ask(instance: &Instance, ask: &Ask) -> Result<Value, String> {
    let path = instance.socket();
    let shown = path.display();
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
            "no instance of this file is running ({shown}); start it with 'hallway serve', or name its file with -c"
        ),
        ErrorKind::PermissionDenied => {
            format!("the instance is another user's ({shown}); ask as that user, or as root")
        }
        _ => format!("{shown}: {error}"),
    })?;
    let failed = |error: std::io::Error| format!("the instance does not answer ({shown}): {error}");
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(ask.encode().as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(MESSAGE_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|_| format!("the instance went away ({shown})"))?;
    match answer["problem"].as_str() {
        Some(problem) => Err(problem.trim_end().to_owned()),
        None => Ok(answer),
    }
}

/// What an instance does, for a person.
pub(crate) fn show_status(status: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let mib = |value: &Value| format!("{} MiB", number(value) >> 20);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "hallway {}, pid {}, up {}",
        text(&status["version"]),
        number(&status["pid"]),
        shown_s(number(&status["up_s"]))
    )];
    lines.push(format!("  file    {}", text(&status["file"])));
    let listeners: Vec<String> = list(&status["listeners"]).iter().map(text).collect();
    lines.push(format!("  serves  {}", listeners.join(", ")));
    lines.push(format!("  edge    pid {}, {}", number(&status["edge"]["pid"]), mib(&status["edge"]["rss_bytes"])));
    for app in list(&status["apps"]) {
        lines.push(format!(
            "  app     {}: {} of {} workers ready",
            text(&app["name"]),
            number(&app["ready"]),
            number(&app["wanted"])
        ));
        for worker in list(&app["workers"]) {
            let state = text(&worker["state"]);
            lines.push(format!("            pid {}, {}, {state}", number(&worker["pid"]), mib(&worker["rss_bytes"])));
        }
    }
    lines.join("\n") + "\n"
}

fn shown_s(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
