//! In:     raw settings.
//! Out:    the plan of `hallway run`, or what is wrong with which setting and how to mend it.
//! Actors: the machine is asked whether what is named exists.
//! Never:  does a default hide a setting that could not be understood.

use super::address;
use super::callable::callable;
use super::interpreter::{Venvs, default_interpreter};
use super::log_format::log_format;
use super::raw::{Raw, Written};
use super::units::{LINES_MAX, duration_ms, head_bytes, size_bytes, unless_zero};
use crate::machine::Machine;
use hallway_core::control::EDGE_THREADS_MAX;
use hallway_core::network::Network;
use hallway_core::plan::{
    AccessLog, App, Files, Limits, Listen, Listener, LogFormat, Plan, Route, Site, Target, Trust, WATCHDOG_MS,
};
use hallway_core::route::Pattern;
use std::path::{Path, PathBuf};

/// The least `max_rss`: an interpreter with an empty app has some 20 MiB.
const MAX_RSS_BYTES_MIN: u64 = 32 << 20;

/// The port of `run` where none is named.
const USUAL_PORT: u16 = 8000;

/// The plan of `hallway run`.
pub fn plan_of_run(raw: &Raw, machine: &dyn Machine) -> Result<Plan, String> {
    let cores = machine.cores();
    let app = app(raw, machine)?;
    let limits = limits(raw)?;
    let threads = |text: &str| match count(text, cores.min(EDGE_THREADS_MAX)) {
        Ok(threads) if threads > EDGE_THREADS_MAX => Err(format!("write 1 to {EDGE_THREADS_MAX}, or 'auto'")),
        counted => counted,
    };
    let edge_threads = parsed(raw, "edge-threads", threads)?.unwrap_or(cores);
    let logs: Vec<AccessLog> = access_log(raw, machine)?.into_iter().collect();
    let log = (!logs.is_empty()).then_some(0);
    Ok(Plan {
        pools: Vec::new(),
        resolvers: Vec::new(),
        listeners: listeners(raw, machine)?.into_iter().map(Listener::from).collect(),
        edge_threads: edge_threads.clamp(1, EDGE_THREADS_MAX),
        apps: vec![app],
        certificates: Vec::new(),
        sites: vec![Site { log, ..site(raw, machine)? }],
        trust: trust(raw)?,
        user: None,
        user_origin: String::new(),
        forward_proxy: None,
        spool_bytes_max: None,
        stop_timeout_ms: None,
        watchdog_ms: WATCHDOG_MS,
        reloads: parsed(raw, "reload", switch)?.unwrap_or(false),
        by_flags: true,
        zones: Vec::new(),
        logs,
        log,
        limits,
    })
}

fn limits(raw: &Raw) -> Result<Limits, String> {
    let defaults = Limits::default();
    let size = |flag: &str, default: usize| {
        let read = |text: &str| size_bytes(text).and_then(|bytes| head_bytes(flag, bytes));
        parsed(raw, flag, read).map(|given| given.unwrap_or(default))
    };
    let lines = |text: &str| match number(text)? {
        count if (1..=LINES_MAX as usize).contains(&count) => Ok(count),
        _ => Err(format!("write 1 to {LINES_MAX}")),
    };
    Ok(Limits {
        head_bytes_max: size("head-max", defaults.head_bytes_max)?,
        target_bytes_max: size("target-max", defaults.target_bytes_max)?,
        line_bytes_max: size("head-line-max", defaults.line_bytes_max)?,
        lines_max: parsed(raw, "head-lines-max", lines)?.unwrap_or(defaults.lines_max),
        body_bytes_max: parsed(raw, "body-max", size_bytes)?.map_or(defaults.body_bytes_max, unless_zero),
        client_connections: parsed(raw, "client-connections", client_connections)?
            .unwrap_or(defaults.client_connections),
        ..defaults
    })
}

fn client_connections(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| "that is more than there can be; write 0 for any number".into())
}

fn app(raw: &Raw, machine: &dyn Machine) -> Result<App, String> {
    let cores = machine.cores();
    let chdir = match raw.last("chdir") {
        Some(written) => directory(written, machine)?,
        None => machine.current_directory().map_err(|error| format!("this directory cannot be used: {error}"))?,
    };
    let (python, python_origin) = match raw.last("python") {
        Some(written) => (interpreter(written, machine)?, written.origin.clone()),
        None => default_interpreter(machine, &chdir, Venvs::ActivatedFirst),
    };
    let is_raw = |text: &str| match text {
        "raw" => Ok(true),
        "prefixed" => Ok(false),
        _ => Err("write prefixed or raw".into()),
    };
    let max_rss = |text: &str| match size_bytes(text)? {
        bytes if bytes > 0 && bytes < MAX_RSS_BYTES_MIN => Err("Python alone takes more; write 32MiB or more".into()),
        bytes => Ok(bytes),
    };
    let workers = parsed(raw, "workers", |text| count(text, cores.max(2)))?;
    // Who works on an app wants to see the new code at once, and not that of other workers.
    let usual = if parsed(raw, "reload", switch)?.unwrap_or(false) { 1 } else { cores.max(2) };
    let workers = workers.unwrap_or(usual);
    let defaults = App::new("web", callable(&raw.target, true)?, u32::try_from(workers).unwrap_or(u32::MAX));
    let time = |flag, default: u64| parsed(raw, flag, duration_ms).map(|given| given.unwrap_or(default));
    Ok(App {
        factory: parsed(raw, "factory", switch)?.unwrap_or(defaults.factory),
        by_flags: true,
        chdir,
        python,
        python_origin,
        new_privileges: parsed(raw, "new-privileges", switch)?.unwrap_or(defaults.new_privileges),
        is_raw: parsed(raw, "output", is_raw)?.unwrap_or(defaults.is_raw),
        env: raw.all("env").iter().map(variable).collect::<Result<_, _>>()?,
        threads: parsed(raw, "threads", threads)?.unwrap_or(defaults.threads),
        timeout_ms: time("timeout", defaults.timeout_ms)?,
        graceful_timeout_ms: time("graceful-timeout", defaults.graceful_timeout_ms)?,
        max_requests: parsed(raw, "max-requests", number)?.unwrap_or(0) as u64,
        max_requests_jitter: parsed(raw, "max-requests-jitter", number)?.unwrap_or(0) as u64,
        max_rss_bytes: parsed(raw, "max-rss", max_rss)?.unwrap_or(defaults.max_rss_bytes),
        queue_size: parsed(raw, "queue-size", number)?.unwrap_or(defaults.queue_size),
        queue_max_wait_ms: time("queue-max-wait", defaults.queue_max_wait_ms)?,
        ..defaults
    })
}

/// The value of a flag through `parse`, with its origin before what is wrong with it.
fn parsed<T>(raw: &Raw, flag: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    raw.last(flag).map(|written| parse(&written.text).map_err(|problem| blame(written, &problem))).transpose()
}

fn blame(written: &Written, problem: &str) -> String {
    format!("{} {}: {problem}", written.origin, written.text)
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number".into())
}

/// What a flag without a value is, also as a variable: `HALLWAY_FACTORY=1`.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write 1 or 0".into()),
    }
}

fn threads(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| (1..=256).contains(count)).ok_or("write 1 to 256".into())
}

/// A number from 1, or `auto`.
fn count(text: &str, auto: usize) -> Result<usize, String> {
    match text {
        "auto" => Ok(auto),
        _ => number(text).ok().filter(|count| (1..=1024).contains(count)).ok_or("write 1 to 1024, or 'auto'".into()),
    }
}

fn variable(written: &Written) -> Result<(String, String), String> {
    match written.text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !written.text.contains('\0') => Ok((name.into(), value.into())),
        _ => Err(blame(written, "write NAME=VALUE")),
    }
}

fn directory(written: &Written, machine: &dyn Machine) -> Result<PathBuf, String> {
    absolute_directory(&written.text, machine).map_err(|why| blame(written, why))
}

/// The path as it is, only from the root: a link in it, as to the current release, is followed
/// each time that it is used.
fn absolute_directory(text: &str, machine: &dyn Machine) -> Result<PathBuf, &'static str> {
    match machine.absolute(Path::new(text)) {
        Ok(path) if machine.is_directory(&path) => Ok(path),
        Ok(path) if machine.exists(&path) => Err("this is no directory"),
        _ => Err("there is no such directory"),
    }
}

/// Made absolute without resolving symlinks: a virtual environment's interpreter is one.
fn interpreter(written: &Written, machine: &dyn Machine) -> Result<PathBuf, String> {
    if !written.text.contains('/') {
        return Ok(PathBuf::from(&written.text));
    }
    let path = machine.absolute(Path::new(&written.text)).map_err(|error| blame(written, &error.to_string()))?;
    if machine.is_file(&path) {
        return Ok(path);
    }
    let inside = ["bin/python", "python"].map(|name| Path::new(&written.text).join(name));
    let near = inside.iter().find(|path| machine.is_file(path));
    let mend = near.map_or_else(String::new, |near| format!("; did you mean {}?", near.display()));
    Err(blame(written, &format!("there is no interpreter{mend}")))
}

fn listeners(raw: &Raw, machine: &dyn Machine) -> Result<Vec<Listen>, String> {
    let given = raw.all("bind");
    // What systemd gives is beside them, and instead of the usual one.
    if given.is_empty() && machine.given().any {
        return Ok(Vec::new());
    }
    if given.is_empty() {
        return address::read("127.0.0.1", Some(USUAL_PORT), machine);
    }
    let mut listeners = Vec::new();
    for written in given {
        let read = address::read(&written.text, Some(USUAL_PORT), machine);
        for listen in read.map_err(|problem| blame(written, &problem))? {
            if listeners.contains(&listen) {
                return Err(blame(written, "this address is given twice"));
            }
            listeners.push(listen);
        }
    }
    Ok(listeners)
}

/// Proxies in front, whose word about clients is believed.
fn trust(raw: &Raw) -> Result<Trust, String> {
    let mut trust = Trust::default();
    for written in raw.all("trusted-proxy") {
        match &*written.text {
            "unix" => trust.unix = true,
            text => trust.networks.extend(Network::read(text).map_err(|mend| blame(written, &mend))?),
        }
    }
    Ok(trust)
}

/// One site for every host: the app, and before it the directories of files.
fn site(raw: &Raw, machine: &dyn Machine) -> Result<Site, String> {
    let prefix = parsed(raw, "script-name", script_name)?.unwrap_or_default();
    let strip = !prefix.is_empty();
    let mut routes = vec![Route::new(&format!("{prefix}/*"), Target::App { app: 0, strip })];
    for written in raw.all("static") {
        let Some((prefix, dir)) = written.text.split_once('=').filter(|(prefix, _)| prefix.starts_with('/')) else {
            return Err(blame(written, "write PREFIX=DIR, as in /static=./static"));
        };
        let path = format!("{}/*", prefix.trim_end_matches('/'));
        let directory = absolute_directory(dir, machine).map_err(|why| {
            let place = machine.absolute(Path::new(dir)).unwrap_or_else(|_| dir.into());
            blame(written, &format!("{why}: {} (not below --chdir)", place.display()))
        })?;
        if path == "/*" || routes[0].path == path {
            return Err(blame(written, "this prefix would leave nothing to the app; name a path below it"));
        }
        let pattern = Pattern::parse(&path).map_err(|why| blame(written, &why))?;
        if pattern.names().next().is_some() {
            return Err(blame(written, "a prefix has no captures"));
        }
        if routes.iter().any(|route| route.path == path) {
            return Err(blame(written, "this prefix is given twice"));
        }
        routes.push(Route::new(&path, Target::Files(Files::below(directory))));
    }
    Ok(Site {
        hosts: vec!["*".into()],
        routes,
        errors: Vec::new(),
        tls: None,
        merges_slashes: parsed(raw, "merge-slashes", switch)?.unwrap_or(true),
        maintenance: None,
        log: None,
    })
}

/// Where the app is mounted: what stands before its own paths.
fn script_name(text: &str) -> Result<String, String> {
    let prefix = text.trim_end_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    let pattern = Pattern::parse(&format!("{prefix}/*")).map_err(|_| "write a path, as in /shop".to_owned())?;
    if pattern.names().next().is_some() { Err("write a path, as in /shop".into()) } else { Ok(prefix.into()) }
}

fn access_log(raw: &Raw, machine: &dyn Machine) -> Result<Option<AccessLog>, String> {
    let format = parsed(raw, "access-log-format", |text| match text {
        "combined" => Ok(LogFormat::Combined),
        "json" => Ok(LogFormat::Json),
        own => log_format(own),
    })?;
    let path = match raw.last("access-log").map(|written| written.text.as_str()) {
        None | Some("off") => return Ok(None),
        Some("-") => None,
        Some(path) => {
            // Opened once here, so that a wrong path is told before anything starts.
            let opened = machine.try_log(Path::new(path));
            opened.map_err(|error| {
                format!("--access-log {path}: this file cannot be written: {}", machine.told(&error))
            })?;
            Some(machine.absolute(Path::new(path)).map_err(|error| format!("--access-log {path}: {error}"))?)
        }
    };
    Ok(Some(AccessLog { path, format: format.unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn machine() -> Model {
        let mut machine = Model::default().with("/srv/shop/static/a.css", "").with("/srv/shop/.venv/bin/python", "");
        machine.directory = "/srv/shop".into();
        machine
    }

    /// The plan of these flags, as `FLAG VALUE`.
    fn run(flags: &[(&'static str, &str)]) -> Result<Plan, String> {
        let mut raw = Raw::of("shop:app");
        for (flag, value) in flags {
            raw.put(flag, Written { text: (*value).into(), origin: format!("--{flag}") });
        }
        plan_of_run(&raw, &machine())
    }

    fn at(plan: &Plan) -> Vec<Listen> {
        plan.listeners.iter().map(|one| one.at.clone()).collect()
    }

    #[test]
    fn without_flags_there_is_one_app_at_port_8000() {
        let plan = run(&[]).unwrap();
        assert_eq!(at(&plan), [Listen::Tcp("127.0.0.1:8000".parse().unwrap())]);
        let app = &plan.apps[0];
        assert_eq!((&*app.callable, app.workers, app.threads), ("shop:app", 4, 1));
        assert_eq!((&*app.chdir, app.python.to_str()), (Path::new("/srv/shop"), Some("/srv/shop/.venv/bin/python")));
        assert_eq!((plan.edge_threads, plan.by_flags, plan.log), (4, true, None));
    }

    #[test]
    fn flags_say_what_else_counts() {
        let plan = run(&[
            ("bind", "0.0.0.0"),
            ("bind", "unix:run/web.sock"),
            ("workers", "auto"),
            ("reload", "1"),
            ("static", "/static=static"),
            ("script-name", "/shop/"),
            ("body-max", "0"),
            ("trusted-proxy", "unix"),
            ("access-log", "-"),
            ("env", "A=b=c"),
        ]);
        let plan = plan.unwrap();
        let tcp = Listen::Tcp("0.0.0.0:8000".parse().unwrap());
        assert_eq!(at(&plan), [tcp, Listen::Unix("/srv/shop/run/web.sock".into())]);
        let paths: Vec<&str> = plan.sites[0].routes.iter().map(|route| &*route.path).collect();
        assert_eq!(paths, ["/shop/*", "/static/*"]);
        assert_eq!((plan.limits.body_bytes_max, plan.trust.unix, plan.log), (u64::MAX, true, Some(0)));
        assert_eq!((plan.apps[0].workers, &*plan.apps[0].env), (4, &[("A".to_owned(), "b=c".to_owned())][..]));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_flag() {
        for (flag, value, expected) in [
            ("workers", "0", "write 1 to 1024, or 'auto'"),
            ("edge-threads", "1000", "write 1 to 64, or 'auto'"),
            ("threads", "257", "write 1 to 256"),
            ("timeout", "3x", "write a time, as in 500ms, 30s, 5m or 2h"),
            ("max-rss", "1MiB", "Python alone takes more; write 32MiB or more"),
            ("chdir", "/none", "there is no such directory"),
            ("chdir", "static/a.css", "this is no directory"),
            ("python", "./.venv", "there is no interpreter; did you mean ./.venv/bin/python?"),
            ("static", "static", "write PREFIX=DIR, as in /static=./static"),
            ("static", "/=static", "this prefix would leave nothing to the app; name a path below it"),
            ("static", "/{x}=static", "a prefix has no captures"),
            ("script-name", "/{x}", "write a path, as in /shop"),
            ("output", "loud", "write prefixed or raw"),
            ("env", "=1", "write NAME=VALUE"),
            ("head-max", "0", "write 1KiB to 1MiB"),
            ("factory", "perhaps", "write 1 or 0"),
        ] {
            assert_eq!(run(&[(flag, value)]).unwrap_err(), format!("--{flag} {value}: {expected}"));
        }
        let twice = run(&[("bind", "8000"), ("bind", "127.0.0.1")]).unwrap_err();
        assert_eq!(twice, "--bind 127.0.0.1: this address is given twice");
        assert!(
            run(&[("access-log", "/none/log")]).unwrap_err().starts_with("--access-log /none/log: this file cannot")
        );
    }
}
