//! In:     an order for a running instance.
//! Out:    its answer.
//! Actors: the control socket of the instance.
//! Never:  does it wait for ever for one that is stuck.

use crate::ERROR;
use crate::instance::Instance;
use hallway_core::plan::POOLS_DEPTH_MAX;
use hallway_edge::plain;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What a running instance is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// What it is doing; as JSON, or for a person.
    Status {
        /// Whether as JSON.
        json: bool,
    },
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
/// For it to say what it is doing.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

impl Ask {
    /// As it goes over the socket: one line.
    pub(crate) fn encode(&self) -> String {
        let value = match self {
            Ask::Status { .. } => json!({"ask": "status"}),
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
            ("status", ..) => Some(Ask::Status { json: false }),
            ("stop", ..) => Some(Ask::Stop),
            ("reload", Some(app), _) => Some(Ask::Reload(Rolls::App(app.into()))),
            ("reload", None, Some(false)) => Some(Ask::Reload(Rolls::None)),
            ("reload", None, _) => Some(Ask::Reload(Rolls::All)),
            _ => None,
        }
    }
}

/// What was asked for was not done.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) problem: String,
    /// The exit code of who asked.
    pub(crate) code: u8,
}

impl From<String> for Refused {
    fn from(problem: String) -> Refused {
        Refused { problem, code: ERROR }
    }
}

/// 3 and 4 are those of workers that could not be started, of apps that could not be loaded.
fn code_of(answer: &Value) -> u8 {
    answer["code"].as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(ERROR)
}

/// Asks a running instance; its answer as JSON.
///
/// # Errors
/// There is none, or it says what is wrong.
pub(crate) fn ask(instance: &Instance, ask: &Ask) -> Result<Value, Refused> {
    let path = instance.socket();
    let shown = path.display();
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
            "no instance of this file is running ({shown}); start it with 'hallway serve', or name its file with -c"
        ),
        ErrorKind::PermissionDenied => {
            let own = crate::users::own_name();
            format!("the instance is another user's ({shown}), and this runs as '{own}'; ask as that user, or as root")
        }
        _ => format!("{shown}: {error}"),
    })?;
    let failed = |error: std::io::Error| format!("the instance does not answer ({shown}): {error}");
    let is_status = matches!(ask, Ask::Status { .. });
    let patience = if is_status { STATUS_PATIENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    stream.write_all(ask.encode().as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    match stream.take(MESSAGE_BYTES_MAX).read_to_end(&mut answer) {
        // The master has answered, an edge that is stuck has not: what is known is shown.
        Err(error) if answer.is_empty() || !is_status => return Err(failed(error).into()),
        _ => {}
    }
    let answer = read(&answer).ok_or_else(|| format!("the instance went away ({shown})"))?;
    match answer["problem"].as_str() {
        Some(problem) => Err(Refused { problem: plain(problem.trim_end()).into_owned(), code: code_of(&answer) }),
        None => Ok(answer),
    }
}

/// What the master says, and behind it the edge. Of what the master says the edge, which is not trusted, changes nothing.
fn read(bytes: &[u8]) -> Option<Value> {
    let mut parts = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let mut answer = parts.next()?.ok()?;
    if let (Value::Object(known), Some(Ok(Value::Object(more)))) = (&mut answer, parts.next()) {
        for (key, value) in more.into_iter().filter(|(key, _)| key != "problem") {
            known.entry(key).or_insert(value);
        }
    }
    Some(answer)
}

/// What was done, for a person: a reload says it, a stop is known by its process.
pub(crate) fn show_done(answer: &Value) -> String {
    match (answer["done"].as_str(), answer["pid"].as_u64()) {
        (Some(done), _) => plain(done).into_owned() + "\n",
        (None, Some(pid)) => format!("process {pid} has ended\n"),
        _ => String::new(),
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
    if let Some(spool) = status["spool"].as_object() {
        let (bytes, most, waiting) = (mib(&spool["bytes"]), mib(&spool["bytes_max"]), number(&spool["responses"]));
        let mut line = format!("  spool   {bytes} of {most}, {waiting} responses wait there");
        let (cut, refused) = (number(&spool["responses_cut"]), number(&spool["uploads_refused"]));
        if cut + refused > 0 {
            line += &format!("; it was full: {cut} responses were cut, {refused} uploads refused");
        }
        lines.push(line);
    }
    for app in list(&status["apps"]) {
        lines.push(format!(
            "  app     {}: {} of {} workers ready",
            text(&app["name"]),
            number(&app["ready"]),
            number(&app["wanted"])
        ));
        if let Some(why) = app["down"]["why"].as_str() {
            let (tries, next_s) = (number(&app["down"]["tries"]), number(&app["down"]["next_try_s"]));
            lines.push(format!("            answers 503: {why}; tried {tries} times, the next time in {next_s} s"));
        }
        for worker in list(&app["workers"]) {
            let state = text(&worker["state"]);
            lines.push(format!("            pid {}, {}, {state}", number(&worker["pid"]), mib(&worker["rss_bytes"])));
        }
    }
    match status["pools"].as_array() {
        Some(pools) => pools.iter().for_each(|pool| show_pool(pool, pools, &mut lines)),
        None => lines.push("  pools   the edge does not say how they are; it is starting, or stuck".into()),
    }
    plain(&lines.join("\n")).into_owned() + "\n"
}

/// How a server of a pool is; one that is a pool itself, by the servers below it.
fn state_of(server: &Value, pools: &[Value], depth: usize) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let below = text(&server["server"]).strip_prefix("pool:").map(str::to_owned);
    let Some(pool) = below.and_then(|name| pools.iter().find(|pool| pool["name"] == name)) else {
        return text(&server["state"]);
    };
    let servers = pool["servers"].as_array().map_or(&[][..], Vec::as_slice);
    let is_ready = |server: &Value| depth < POOLS_DEPTH_MAX && state_of(server, pools, depth + 1) == "ready";
    if servers.iter().any(is_ready) { "ready".into() } else { "down".into() }
}

fn show_pool(pool: &Value, pools: &[Value], lines: &mut Vec<String>) {
    let none = Vec::new();
    let servers = pool["servers"].as_array().unwrap_or(&none);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let ready = servers.iter().filter(|server| state_of(server, pools, 0) == "ready").count();
    let waiting = match number(&pool["waiting"]) {
        0 => String::new(),
        waiting => format!(", {waiting} requests waiting"),
    };
    let what = if servers.len() == 1 { "server" } else { "servers" };
    lines.push(format!("  pool    {}: {ready} of {} {what} ready{waiting}", text(&pool["name"]), servers.len()));
    let named = |server: &Value| match text(&server["host"]) {
        // An address stands for itself.
        host if host.is_empty() || text(&server["server"]).contains(&host) => text(&server["server"]),
        host => format!("{} ({host})", text(&server["server"])),
    };
    let width = servers.iter().map(|server| named(server).chars().count()).max().unwrap_or(0);
    for server in servers {
        let most = match number(&server["max_connections"]) {
            0 => String::new(),
            most => format!(" of {most}"),
        };
        let state = match (&*state_of(server, pools, 0), &*text(&server["why"])) {
            ("ready", _) => "ready".to_owned(),
            (_, "") => "down: no server of it is ready".to_owned(),
            ("on trial", why) => format!("to be tried again, out since {}: {why}", shown_s(number(&server["since_s"]))),
            (state, why) => format!("{state} since {}: {why}", shown_s(number(&server["since_s"]))),
        };
        let backup = if server["backup"] == true { ", backup" } else { "" };
        let (name, open) = (named(server), number(&server["open"]));
        lines.push(format!("            {name:width$}  {state}{backup}, {open}{most} open"));
    }
    for name in pool["unresolved"].as_array().unwrap_or(&none) {
        lines.push(format!("            {}  has no address", text(name)));
    }
}

fn shown_s(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_changes_nothing_of_what_the_master_says() {
        let said = br#"{"pid": 1, "apps": []} {"pid": 2, "apps": 3, "problem": "no", "code": 0, "pools": []}"#;
        assert_eq!(read(said), Some(json!({"pid": 1, "apps": [], "code": 0, "pools": []})));
        assert_eq!(read(br#"{"pid": 1} {"pid": "#), Some(json!({"pid": 1})));
        assert_eq!(read(b""), None);
    }

    #[test]
    fn words_of_others_do_nothing_to_a_terminal() {
        let why = "app:app does not load: \u{1b}]0;title\u{7} \u{9b}31m\rhidden";
        let status = json!({
            "apps": [{"name": "web", "down": {"why": why}}],
            "pools": [{"name": "p", "servers": [{"server": "a\u{1b}[2J", "state": "down", "why": "x\u{85}"}]}],
        });
        for text in [show_status(&status), show_done(&json!({ "done": why }))] {
            assert!(text.contains("does not load") || text.contains("title"), "{text}");
            assert!(!text.contains(|sign: char| sign.is_control() && sign != '\n'), "{text:?}");
        }
    }
}
