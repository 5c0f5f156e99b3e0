//! Makes the environment of an app's processes.
//!
//! In:     an app, the environment of this process.
//! Out:    every variable that its workers have, and its commands.
//! Actors: none.
//! Never:  is an app of a file given a variable of this process that nobody named for it.

use hallway_config::{is_among, is_own};
use hallway_core::plan::App;
use hallway_workers::Environment;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where programs are looked for, where this process does not know either.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every app has of this process, besides what `pass_env` names.
const PASSED: &[&str] = &["PATH", "LANG", "LC_*", "TZ"];
/// The same, where it runs as who this is.
const OF_USER: &[&str] = &["HOME", "USER", "LOGNAME"];

/// The whole environment of an app; `given` is that of this process. Of `run`, which has one app, it is all of that, as
/// with Gunicorn; of a file it is what the list above has. The app's own variables go before both.
pub(crate) fn of_app(app: &App, given: impl Iterator<Item = (OsString, OsString)>) -> Environment {
    let is_passed = |name: &OsStr| {
        let named = app.pass_env.iter().any(|passed| name == passed.as_str());
        named || is_among(name, PASSED) || (app.user.is_none() && is_among(name, OF_USER))
    };
    let mut environment: Environment = given
        .filter(|(name, value)| is_variable(name, value))
        .filter(|(name, _)| !is_own(name) && (app.by_flags || is_passed(name)))
        .collect();
    if !app.by_flags && !environment.iter().any(|(name, _)| name == "PATH") {
        environment.push(("PATH".into(), USUAL_PATH.into()));
    }
    if let Some(user) = &app.user {
        put(&mut environment, "HOME".into(), user.home.clone().into_os_string());
        put(&mut environment, "USER".into(), user.name.clone().into());
        put(&mut environment, "LOGNAME".into(), user.name.clone().into());
    }
    for (name, value) in &app.env {
        put(&mut environment, name.into(), value.into());
    }
    environment
}

fn put(environment: &mut Environment, name: OsString, value: OsString) {
    environment.retain(|(known, _)| *known != name);
    environment.push((name, value));
}

/// Whether the system passes it on as it stands.
fn is_variable(name: &OsStr, value: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.as_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_core::plan::User;

    const GIVEN: &[(&str, &str)] = &[
        ("PATH", "/bin"),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("LANG", "C.UTF-8"),
        ("LC_TIME", "de_DE"),
        ("LCX", "no"),
        ("TZ", "Europe/Berlin"),
        ("B_TOKEN", "secret"),
        ("NAMED", "yes"),
        ("HALLWAY_WORKERS", "3"),
        ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ("LISTEN_FDS", "1"),
        ("WATCHDOG_USEC", "1"),
        ("JOURNAL_STREAM", "1:2"),
        ("STATE_DIRECTORY", "/var/lib/shop"),
    ];

    fn names(app: &App, given: &[(&str, &str)]) -> Vec<String> {
        let given = given.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let pairs = of_app(app, given).into_iter();
        pairs.map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
    }

    fn app() -> App {
        let mut app = App::new("shop", "shop:app".into(), 1);
        app.env = vec![("OWN".into(), "x=y".into()), ("TZ".into(), "UTC".into())];
        app.pass_env = vec!["NAMED".into(), "ABSENT".into()];
        app
    }

    #[test]
    fn an_app_of_a_file_has_what_is_named_for_it() {
        let user = User { name: "shop".into(), home: "/srv/shop".into(), uid: 7, gid: 7, groups: vec![7] };
        let of_user = App { user: Some(user), ..app() };
        let mut expected = ["PATH=/bin", "LANG=C.UTF-8", "LC_TIME=de_DE", "NAMED=yes"].map(str::to_owned).to_vec();
        expected.extend(["HOME=/srv/shop", "USER=shop", "LOGNAME=shop", "OWN=x=y", "TZ=UTC"].map(str::to_owned));
        assert_eq!(names(&of_user, GIVEN), expected);
        let same = names(&app(), GIVEN);
        assert!(same.contains(&"HOME=/root".into()) && same.contains(&"USER=root".into()), "{same:?}");
        assert_eq!(names(&app(), &[])[0], format!("PATH={USUAL_PATH}"));
    }

    #[test]
    fn the_one_app_of_a_run_has_all_but_what_is_said_to_hallway() {
        let app = App { by_flags: true, ..app() };
        let has = names(&app, GIVEN);
        for name in ["B_TOKEN=secret", "STATE_DIRECTORY=/var/lib/shop", "HOME=/root", "TZ=UTC", "OWN=x=y"] {
            assert!(has.contains(&name.into()), "{name}: {has:?}");
        }
        for name in ["HALLWAY_", "NOTIFY_", "LISTEN_", "WATCHDOG_", "JOURNAL_", "TZ=Europe"] {
            assert!(!has.iter().any(|variable| variable.starts_with(name)), "{name}: {has:?}");
        }
        // What is written for it counts, whatever its name.
        let told = App { env: vec![("HALLWAY_SOURCES".into(), "/tmp/x".into())], ..app };
        assert!(names(&told, GIVEN).contains(&"HALLWAY_SOURCES=/tmp/x".into()));
    }

    #[test]
    fn what_is_no_variable_is_left_out() {
        let app = App { by_flags: true, env: Vec::new(), ..app() };
        assert_eq!(names(&app, &[("", "x"), ("A", "1")]), ["A=1"]);
        assert_eq!(names(&app, &[("A=B", "x"), ("C", "a\0b")]), [""; 0]);
    }
}
