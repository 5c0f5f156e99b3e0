//! In:     the words of the command line, the environment.
//! Out:    raw settings with their origin; or a text to print.
//! Actors: none.
//! Never:  does raw input get past `settings`; here nothing is understood, only sorted.

mod flags;
mod ring;

#[cfg(test)]
mod tests;

use crate::asked::{Ask, Rolls};
use crate::explain;
use crate::ring::Question;
use flags::{FLAGS, Flag};
use hallway_config::nearest;
use hallway_config::settings::{Raw, Written};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

/// What the command line asks for.
pub(crate) enum Asked {
    /// Print this and end well.
    Text(String),
    /// `hallway run`.
    Run(Raw),
    /// Something with a configuration file, of which several may run, told apart by names.
    File(Errand, Option<PathBuf>, Option<String>),
    /// `hallway config --schema`.
    Schema,
    /// `hallway trust`.
    Trust,
    /// `hallway ring`.
    Ring(Question),
}

/// What is to be done with a configuration file.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Serve what it says; with `watch`, also what it will say.
    Serve {
        /// Whether it is read anew whenever it changes.
        watch: bool,
    },
    /// Say whether it is valid.
    Check,
    /// Show its routes.
    Routes,
    /// Say what would answer a request.
    Explain(explain::Question),
    /// Ask the instance that serves it.
    Ask(Ask),
    /// Show what it comes to, every default included.
    Config,
    /// Run a command as an app of it would run.
    Exec(Vec<OsString>),
}

/// Every command.
const COMMANDS: [&str; 14] = [
    "run", "serve", "check", "config", "routes", "explain", "status", "reload", "stop", "exec", "trust", "ring",
    "help", "version",
];

/// Reads the command line, without the program's name.
pub(crate) fn read(
    arguments: impl Iterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked, String> {
    let mut parser = Parser::from_args(arguments);
    match parser.next().map_err(|error| error.to_string())? {
        None | Some(Arg::Long("help") | Arg::Short('h')) => Ok(Asked::Text(overview())),
        Some(Arg::Long("version") | Arg::Short('V')) => Ok(Asked::Text(version())),
        Some(Arg::Value(word)) => match word.to_string_lossy().as_ref() {
            "run" => read_run(parser, environment),
            "explain" => read_file_command(parser, Errand::Explain(explain::Question::default())),
            "serve" => read_file_command(parser, Errand::Serve { watch: false }),
            "check" => read_file_command(parser, Errand::Check),
            "routes" => read_file_command(parser, Errand::Routes),
            "status" => read_file_command(parser, Errand::Ask(Ask::Status { json: false })),
            "reload" => read_file_command(parser, Errand::Ask(Ask::Reload(Rolls::All))),
            "stop" => read_file_command(parser, Errand::Ask(Ask::Stop)),
            "exec" => read_file_command(parser, Errand::Exec(Vec::new())),
            "config" => {
                let words: Vec<OsString> = parser.raw_args().map_err(|error| error.to_string())?.collect();
                read_config(Parser::from_args(words.clone()), &words)
            }
            "trust" => match parser.next().map_err(|error| error.to_string())? {
                None => Ok(Asked::Trust),
                Some(Arg::Long("help") | Arg::Short('h')) => Ok(Asked::Text(
                    "Usage: hallway trust\n\nSays how to have this machine and its browsers trust the local authority of \
                     tls = \"internal\".\n"
                        .into(),
                )),
                Some(_) => Err("'hallway trust' takes nothing more".into()),
            },
            "ring" => ring::read(parser),
            "help" => match parser.next().map_err(|error| error.to_string())? {
                // 'help run' is 'run --help'.
                Some(Arg::Value(word)) if word != "help" => {
                    read([word, OsString::from("--help")].into_iter(), environment)
                }
                _ => Ok(Asked::Text(overview())),
            },
            "version" => Ok(Asked::Text(version())),
            later @ ("import" | "jobs" | "upgrade" | "top" | "deploy" | "trace" | "cache" | "certs") => {
                Err(format!("'hallway {later}' is not built yet; see 'hallway --help' for what is"))
            }
            other if other.contains(':') => {
                Err(format!("there is no command '{other}'; did you mean 'hallway run {other}'?"))
            }
            other => Err(unknown(("command", ""), other, COMMANDS.into_iter(), "hallway --help")),
        },
        Some(Arg::Long(flag)) => Err(format!("--{flag} must stand behind a command; see 'hallway --help'")),
        Some(Arg::Short('t')) => Err("there is no flag '-t'; a file is looked at by 'hallway check'".into()),
        Some(Arg::Short(flag)) => Err(format!("-{flag} must stand behind a command; see 'hallway --help'")),
    }
}

/// The commands that read a configuration file, which `-c` names.
fn read_file_command(mut parser: Parser, mut errand: Errand) -> Result<Asked, String> {
    let (mut file, mut instance) = (None, None);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Text(file_help(&errand))),
            Arg::Long("config") if matches!(errand, Errand::Ask(Ask::Reload(_))) => {
                errand = Errand::Ask(Ask::Reload(Rolls::None));
            }
            Arg::Long("json") if matches!(errand, Errand::Ask(Ask::Status { .. })) => {
                errand = Errand::Ask(Ask::Status { json: true });
            }
            Arg::Long("watch") if matches!(errand, Errand::Serve { .. }) => errand = Errand::Serve { watch: true },
            Arg::Long("instance") => instance = Some(word(&mut parser, "--instance needs a name")?),
            Arg::Long("config") | Arg::Short('c') => {
                file = Some(PathBuf::from(parser.value().map_err(|_| "-c needs a value: the configuration file")?));
            }
            Arg::Short('X') => question(&mut errand, "-X")?.method = Some(word(&mut parser, "-X needs a method")?),
            Arg::Short('H') => question(&mut errand, "-H")?.headers.push(word(&mut parser, "-H needs 'Name: value'")?),
            Arg::Long("client") => {
                let text = word(&mut parser, "--client needs an address")?;
                let client = text.parse().map_err(|_| format!("--client {text}: write an address, as in 192.0.2.7"))?;
                question(&mut errand, "--client")?.client = Some(client);
            }
            Arg::Long(long) => {
                return Err(unknown(
                    ("flag", "--"),
                    long,
                    ["config", "help", "client", "instance", "watch", "json"].into_iter(),
                    "hallway --help",
                ));
            }
            Arg::Short(short) => return Err(format!("there is no flag '-{short}'; see 'hallway --help'")),
            Arg::Value(word) => match &mut errand {
                Errand::Explain(question) if question.url.is_empty() => question.url = word.to_string_lossy().into(),
                Errand::Ask(Ask::Reload(rolls)) if *rolls == Rolls::All => {
                    *rolls = Rolls::App(word.to_string_lossy().into());
                }
                Errand::Exec(words) => {
                    words.push(word);
                    words.extend(parser.raw_args().map_err(|error| error.to_string())?);
                    words.retain(|word| word != "--");
                }
                _ => {
                    return Err(format!("'{0}' is one word too many; a file is named with -c: -c {0}", word.display()));
                }
            },
        }
    }
    if matches!(&errand, Errand::Explain(question) if question.url.is_empty()) {
        return Err("which request? write 'hallway explain http://HOST/PATH'".into());
    }
    Ok(Asked::File(errand, file, instance))
}

/// The question of `explain`, which alone has such a flag.
fn question<'e>(errand: &'e mut Errand, flag: &str) -> Result<&'e mut explain::Question, String> {
    match errand {
        Errand::Explain(question) => Ok(question),
        _ => Err(format!("there is no flag '{flag}' here; it belongs to 'hallway explain'")),
    }
}

fn word(parser: &mut Parser, needs: &str) -> Result<String, String> {
    Ok(parser.value().map_err(|_| needs.to_owned())?.to_string_lossy().into_owned())
}

fn read_config(parser: Parser, words: &[OsString]) -> Result<Asked, String> {
    match words {
        [only] if only == "--schema" => Ok(Asked::Schema),
        _ => read_file_command(parser, Errand::Config),
    }
}

fn file_help(errand: &Errand) -> String {
    let (word, what) = match errand {
        Errand::Explain(_) => (
            "explain",
            "Says which site and route would answer a request: hallway explain [-X METHOD] [-H 'Name: value']\n\
             [--client ADDRESS] http://HOST/PATH",
        ),
        Errand::Serve { .. } => ("serve", "Serves the sites and apps of a configuration file."),
        Errand::Check => ("check", "Says every problem of a configuration file; exit code 78 where there is one."),
        Errand::Routes => ("routes", "Shows the routes of each site in the order in which they are tried."),
        Errand::Config => ("config", "Shows what the file comes to; --schema: the JSON Schema of such files."),
        Errand::Ask(Ask::Status { .. }) => {
            ("status", "Shows what the instance that serves the file is doing; --json: the same for programs.")
        }
        Errand::Ask(Ask::Stop) => ("stop", "Has the instance stop when all requests are answered."),
        Errand::Ask(Ask::Reload(_)) => (
            "reload",
            "Has the instance go by the file as it is now, and replaces every worker, one by one:\n\
             hallway reload --config goes by the file only; hallway reload APP replaces the workers of that app only.\n\
             Exit codes: 3 a worker could not be started, 4 an app could not be loaded.",
        ),
        Errand::Exec(_) => (
            "exec",
            "Runs a command in the directory, environment and interpreter of an app: hallway exec APP -- COMMAND,\n\
             as in hallway exec shop -- python manage.py migrate",
        ),
    };
    let more = match errand {
        Errand::Explain(_) => " [-X METHOD] [-H 'Name: value'] [--client ADDRESS] URL",
        Errand::Exec(_) => " APP -- COMMAND",
        Errand::Ask(Ask::Reload(_)) => " [--config | APP]",
        Errand::Config => " [--schema]",
        Errand::Ask(Ask::Status { .. }) => " [--json]",
        _ => "",
    };
    let is_asked = matches!(errand, Errand::Ask(_) | Errand::Serve { .. });
    let instance = if is_asked { "  --instance NAME     of several that serve one file\n" } else { "" };
    let signals = match errand {
        Errand::Serve { .. } => {
            "  --watch             go by the file whenever it changes, and replace the workers of an app when one\n                      of its files does (development)\n\n\
             Signals: TERM or Ctrl-C stops when all is answered, a second one at once; HUP goes by the file as it is now and\n\
             replaces every worker; USR1 opens the logs anew; TTIN and TTOU: one worker more or less for every app.\n\
             An app that cannot be started is answered for with 503 and tried again; 'hallway status' says why.\n\
             Exit codes: 0 ended as asked, 1 cannot listen or start, 2 a wrong command line, 78 the file is not valid.\n"
        }
        _ => "",
    };
    format!(
        "Usage: hallway {word} [-c FILE]{more}\n\n{what}\n\n  -c FILE             default ./hallway.toml, then \
         /etc/hallway/hallway.toml; conf.d/*.toml beside it\n                      is read with it\n{instance}{signals}"
    )
}

fn read_run(mut parser: Parser, environment: &dyn Fn(&str) -> Option<String>) -> Result<Asked, String> {
    let mut raw = Raw::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let flag = match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Text(run_help())),
            Arg::Value(word) if raw.target.is_empty() => {
                raw.target = word.into_string().map_err(|word| format!("{} is not UTF-8", word.display()))?;
                continue;
            }
            Arg::Value(word) => {
                return Err(format!("'{}' is one word too many; one app is run: {}", word.display(), raw.target));
            }
            Arg::Long(long) => FLAGS.iter().find(|flag| flag.long == long).ok_or_else(|| {
                let known = FLAGS.iter().map(|flag| flag.long);
                unknown(("flag", "--"), long, known, "hallway run --help")
            })?,
            Arg::Short(short) => FLAGS
                .iter()
                .find(|flag| flag.short == Some(short))
                .ok_or_else(|| unknown(("flag", "-"), &short.to_string(), std::iter::empty(), "hallway run --help"))?,
        };
        if flag.value.is_empty() {
            if parser.optional_value().is_some() {
                return Err(format!("--{} takes no value", flag.long));
            }
            raw.put(flag.long, Written { text: "true".into(), origin: flag.long.into() });
            continue;
        }
        let value = parser.value().map_err(|_| format!("--{} needs a value: {}", flag.long, flag.value))?;
        let text = value.into_string().map_err(|value| format!("{} is not UTF-8", value.display()))?;
        raw.put(flag.long, Written { text, origin: format!("--{}", flag.long) });
    }
    add_environment(&mut raw, environment);
    Ok(Asked::Run(raw))
}

/// Flags win over the environment. `PORT` and `WEB_CONCURRENCY` are what platforms set.
fn add_environment(raw: &mut Raw, environment: &dyn Fn(&str) -> Option<String>) {
    for flag in FLAGS {
        let own = variable_of(flag);
        let foreign = match flag.long {
            "workers" => Some("WEB_CONCURRENCY"),
            "bind" => Some("PORT"),
            "script-name" => Some("SCRIPT_NAME"),
            _ => None,
        };
        let found = environment(&own).map(|text| Written { text, origin: own }).or_else(|| {
            let name = foreign?;
            let text = environment(name)?;
            // A platform that sets a port reaches it from outside.
            let is_port = name == "PORT" && text.parse::<u16>().is_ok();
            Some(Written { text: if is_port { format!("0.0.0.0:{text}") } else { text }, origin: name.into() })
        });
        if let (Some(written), None) = (found, raw.last(flag.long)) {
            raw.put(flag.long, written);
        }
    }
}

fn unknown((kind, prefix): (&str, &str), word: &str, known: impl Iterator<Item = &'static str>, help: &str) -> String {
    // What other servers call it.
    match (kind, word) {
        ("flag", "port" | "host" | "listen" | "p") => {
            return format!("there is no flag '{prefix}{word}'; write '--bind HOST:PORT'");
        }
        ("flag", "watch") if help.contains(" run ") => return "there is no flag '--watch'; write '--reload'".into(),
        ("flag", "watch") => return "there is no flag '--watch' here; it belongs to 'hallway serve'".into(),
        ("flag", "json") => return "there is no flag '--json' here; it belongs to 'hallway status'".into(),
        ("flag", "preload") => return "--preload is not built yet; take it out".into(),
        _ => {}
    }
    let theirs = match word {
        "start" | "up" => Some("hallway serve"),
        "down" | "quit" => Some("hallway stop"),
        "restart" => Some("hallway reload"),
        "configtest" | "lint" | "test" | "validate" => Some("hallway check"),
        "info" | "ps" => Some("hallway status"),
        _ => None,
    };
    if let Some(ours) = theirs.filter(|_| kind == "command") {
        return format!("there is no command '{word}'; write '{ours}'");
    }
    if let Some((_, mend)) = flags::FOREIGN.iter().find(|(flag, _)| kind == "flag" && *flag == word) {
        return format!("there is no flag '{prefix}{word}'; {mend}");
    }
    match nearest(word, known) {
        Some(near) => format!("there is no {kind} '{prefix}{word}'; did you mean '{prefix}{near}'?"),
        None => format!("there is no {kind} '{prefix}{word}'; see '{help}'"),
    }
}

/// The variable of a flag.
fn variable_of(flag: &Flag) -> String {
    format!("HALLWAY_{}", flag.long.to_uppercase().replace('-', "_"))
}

/// What to say of variables that look like hallway's own and are not.
pub(crate) fn doubt_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = FLAGS.iter().map(variable_of).collect();
    let doubtful = names.filter(|name| name.starts_with("HALLWAY_") && !known.contains(name));
    let say = |name: String| {
        let flags = FLAGS.iter().map(|flag| flag.long);
        let near = nearest(&name["HALLWAY_".len()..].to_lowercase().replace('_', "-"), flags);
        let meant = FLAGS.iter().find(|flag| Some(flag.long) == near).map(variable_of);
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        format!("the variable {name} means nothing here{hint}")
    };
    doubtful.map(say).collect()
}

fn version() -> String {
    format!("hallway {}\n", env!("CARGO_PKG_VERSION"))
}

fn overview() -> String {
    format!(
        "hallway {}: the whole production web stack in one program\n\n\
         Usage:\n  hallway run [flags] MODULE:APP    serve one Python app, without a file\n  \
         hallway help COMMAND              all of a command, as in hallway help run\n  \
         hallway serve [-c FILE]           serve the sites and apps of a file (default ./hallway.toml)\n  \
         hallway check [-c FILE]           say every problem of the file\n  \
         hallway routes [-c FILE]          show its routes in the order in which they are tried\n  \
         hallway explain [-c FILE] URL     say which site and route would answer a request\n  \
         hallway config [-c FILE]          what the file comes to; --schema: its JSON Schema, for editors\n  \
         hallway status [-c FILE]          what the instance that serves the file is doing; --json: for programs\n  \
         hallway reload [-c FILE]          have it go by the file as it is now, and replace every worker\n  \
         hallway stop [-c FILE]            have it stop when all requests are answered\n  \
         hallway exec APP -- COMMAND       run a command as the app would run\n  \
         hallway ring --node NAME …        which node of a consistent-hashing ring has what, and what moves\n  \
         hallway trust                     how to trust the local authority of tls = \"internal\"\n  hallway --version\n\n\
         Example:\n  hallway run --workers 4 shop.wsgi:application\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn run_help() -> String {
    let mut text = String::from(
        "Usage: hallway run [flags] MODULE:APP\n\n\
         Serves the WSGI application APP of the Python module MODULE; MODULE alone is MODULE:application.\n\nFlags:\n",
    );
    for flag in FLAGS {
        let short = flag.short.map_or_else(|| "    ".into(), |short| format!("-{short}, "));
        let left = format!("  {short}--{} {}", flag.long, flag.value);
        let mut lines = flag.help.lines();
        let first = lines.next().unwrap_or_default();
        if left.len() < 34 {
            let _ = writeln!(text, "{left:<34}{first}");
        } else {
            let _ = writeln!(text, "{left}\n{:34}{first}", "");
        }
        for line in lines {
            let _ = writeln!(text, "{:34}{line}", "");
        }
    }
    text.push_str(
        "  -h, --help                      show this\n\n\
         Every flag may also be set by a variable: HALLWAY_WORKERS=4; a flag wins over its variable.\n\
         WEB_CONCURRENCY is taken for the workers, PORT for 0.0.0.0:PORT, SCRIPT_NAME as it is. Paths are relative to this\n\
         directory, but for ./.venv, which is looked for in --chdir. Times are written 500ms, 30s, 5m, 2h\n\
         (a plain number is seconds), sizes 64KiB, 10MiB.\n\n\
         Signals: TERM or Ctrl-C stops when all is answered, a second one at once; HUP replaces every\n\
         worker with the app as it is now; TTIN and TTOU: one worker more or less; USR1 opens the log anew.\n\
         Exit codes: 0 ended as asked, 1 cannot listen or start, 2 a wrong command line, 3 a worker could\n\
         not be started, 4 the app could not be loaded.\n",
    );
    text
}
