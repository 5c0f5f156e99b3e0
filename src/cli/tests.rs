//! In:     command lines.
//! Out:    what must be understood of them, and what must be said.
//! Actors: none.
//! Never:  is the real environment read.

use super::*;

fn ask(line: &str, environment: &[(&str, &str)]) -> Result<Asked, String> {
    let variable =
        |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
    read(line.split_whitespace().map(OsString::from), &variable)
}

fn run(line: &str, environment: &[(&str, &str)]) -> Raw {
    match ask(line, environment) {
        Ok(Asked::Run(raw)) => raw,
        Ok(_) => panic!("this is no run: {line}"),
        Err(problem) => panic!("{problem}"),
    }
}

fn problem(line: &str) -> String {
    ask(line, &[]).err().unwrap()
}

#[test]
fn flags_win_over_the_environment() {
    let raw = run("run -w 3 a:b -b x:1 --bind y:2", &[("HALLWAY_WORKERS", "9"), ("HALLWAY_TIMEOUT", "5s")]);
    assert_eq!(raw.target, "a:b");
    assert_eq!(raw.last("workers").unwrap().text, "3");
    assert_eq!(raw.all("bind").len(), 2);
    assert_eq!((&*raw.last("timeout").unwrap().text, &*raw.last("timeout").unwrap().origin), ("5s", "HALLWAY_TIMEOUT"));
}

#[test]
fn help_of_a_command_is_asked_in_two_ways() {
    let text = |line: &str| match ask(line, &[]) {
        Ok(Asked::Text(text)) => text,
        _ => panic!("no text: {line}"),
    };
    for word in ["run", "serve", "check", "status", "reload", "exec", "ring", "trust", "config", "explain", "routes"] {
        assert_eq!(text(&format!("help {word}")), text(&format!("{word} --help")), "{word}");
        assert!(text(&format!("help {word}")).starts_with("Usage: hallway"), "{word}");
    }
    assert_eq!(text("help"), text("--help"));
    assert_eq!(text("help help"), text("--help"));
    assert_eq!(problem("help srve"), "there is no command 'srve'; did you mean 'serve'?");
}

#[test]
fn platforms_set_port_and_concurrency() {
    let raw = run("run a:b", &[("PORT", "5000"), ("WEB_CONCURRENCY", "2")]);
    assert_eq!(raw.last("bind").unwrap().text, "0.0.0.0:5000");
    assert_eq!(raw.last("workers").unwrap().text, "2");
    let raw = run("run a:b", &[("PORT", "5000"), ("HALLWAY_BIND", "unix:/x")]);
    assert_eq!(raw.last("bind").unwrap().text, "unix:/x");
}

#[test]
fn a_variable_that_means_nothing_is_doubted() {
    let names = ["HALLWAY_WROKERS", "HALLWAY_WORKERS", "PATH", "HALLWAY_X"].map(str::to_owned).into_iter();
    let expected = [
        "the variable HALLWAY_WROKERS means nothing here; did you mean HALLWAY_WORKERS?",
        "the variable HALLWAY_X means nothing here",
    ];
    assert_eq!(doubt_variables(names), expected);
}

#[test]
fn mistakes_are_answered_with_the_mend() {
    assert_eq!(problem("run --wrokers 3 a:b"), "there is no flag '--wrokers'; did you mean '--workers'?");
    assert_eq!(problem("rnu a:b"), "there is no command 'rnu'; did you mean 'run'?");
    assert_eq!(problem("shop:app"), "there is no command 'shop:app'; did you mean 'hallway run shop:app'?");
    assert_eq!(problem("run --zzzzzzzz a:b"), "there is no flag '--zzzzzzzz'; see 'hallway run --help'");
    assert_eq!(problem("run a:b c:d"), "'c:d' is one word too many; one app is run: a:b");
    assert_eq!(
        problem("run --access-logfile - a:b"),
        "there is no flag '--access-logfile'; write '--access-log -' or '--access-log FILE'"
    );
    for words in ["-k gevent", "--forwarded-allow-ips 10.0.0.1", "-c gunicorn.conf.py", "--umask 0", "-D"] {
        let told = problem(&format!("run {words} a:b"));
        assert!(!told.contains("see '") && !told.contains("did you mean"), "{words}: {told}");
    }
    assert_eq!(problem("routes --json"), "there is no flag '--json' here; it belongs to 'hallway status'");
    assert_eq!(problem("run --watch a:b"), "there is no flag '--watch'; write '--reload'");
    assert_eq!(problem("test"), "there is no command 'test'; write 'hallway check'");
    assert_eq!(problem("-t"), "there is no flag '-t'; a file is looked at by 'hallway check'");
    assert_eq!(problem("run --bind"), "--bind needs a value: ADDR");
}
