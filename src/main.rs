//! In:     a command line.
//! Out:    a running stack, or words that say why not and what to do.
//! Actors: none of its own: the master's loop and the edge's threads are started from here.
//! Never:  is anything decided here that `core` could decide.

mod allocator;
mod asked;
mod certificates;
mod cli;
mod environment;
mod exec;
mod explain;
mod given;
mod htpasswd;
mod inherited;
mod instance;
mod listen;
mod machine;
mod master;
mod paths;
mod port_holder;
mod ring;
mod signals;
mod stacks;
mod state;
mod users;
mod wire;
mod words;

use hallway_core::plan::Plan;
use inherited::Inherited;
use instance::Instance;
use machine::ThisMachine;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// Exit codes beside 0; 3 and 4 are a worker's, handed on by the master.
const ERROR: u8 = 1;
const USAGE: u8 = 2;
const INVALID: u8 = 78;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    // The master starts the edge by this word; nobody types it.
    if arguments.next_if(|word| word == hallway_workers::EDGE).is_some() {
        return wire::run_edge(arguments);
    }
    if arguments.next_if(|word| word == hallway_workers::WORKER).is_some() {
        return hallway_workers::launch_worker(arguments);
    }
    match cli::read(arguments, &|name| std::env::var(name).ok()) {
        Ok(cli::Asked::Text(text)) => print(&text),
        Ok(cli::Asked::Schema) => print(&format!("{:#}\n", hallway_config::schema())),
        Ok(cli::Asked::Ring(question)) => match ring::tell(&question) {
            Ok(text) => print(&text),
            Err(problem) => fail(problem, ERROR),
        },
        Ok(cli::Asked::Trust) => match certificates::trust() {
            Ok(text) => print(&text),
            Err(problem) => fail(problem, ERROR),
        },
        Ok(cli::Asked::File(errand, file, instance)) => with_file(errand, file, instance.as_deref()),
        Ok(cli::Asked::Run(raw)) => run(&raw),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(USAGE)
        }
    }
}

fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Where a configuration file is looked for when none is named.
const FILES: [&str; 2] = ["hallway.toml", "/etc/hallway/hallway.toml"];

fn with_file(errand: cli::Errand, file: Option<PathBuf>, instance: Option<&str>) -> ExitCode {
    let found = file.or_else(|| FILES.iter().map(PathBuf::from).find(|path| path.exists()));
    let Some(file) = found.or_else(|| instance.map(|_| PathBuf::new())) else {
        complain(&format!("there is no {}; name a file with -c", FILES.join(" and no ")));
        return ExitCode::from(INVALID);
    };
    if let cli::Errand::Ask(ask) = errand {
        return order(&file, instance, &ask);
    }
    let inherited = matches!(errand, cli::Errand::Serve { .. }).then(Inherited::of_process);
    // What is missing for one app is for `check` to say; whatever is done with the others goes on.
    let wanted = match errand {
        cli::Errand::Check => hallway_config::Wanted::Everything,
        _ => hallway_config::Wanted::WhatCanBeServed,
    };
    let load = || {
        hallway_config::load(&file, &ThisMachine, wanted).map(|(plan, warnings)| {
            let _ = std::io::stderr().write_all(warnings.as_bytes());
            plan
        })
    };
    let plan = match load() {
        Ok(plan) => plan,
        Err(problems) => {
            let _ = std::io::stderr().write_all(problems.as_bytes());
            return ExitCode::from(INVALID);
        }
    };
    match errand {
        cli::Errand::Check => {
            let file = file.display();
            let apps = match plan.apps.is_empty() {
                true => String::new(),
                false => format!("{file}: this check loads no app; whether one loads shows when it is served\n"),
            };
            let users: String = users::told_users(&plan).iter().map(|line| format!("{file}: {line}\n")).collect();
            print(&format!("{apps}{users}{file}: valid: {}\n", hallway_config::summary(&plan)))
        }
        cli::Errand::Routes => print(&hallway_config::routes(&plan)),
        cli::Errand::Config => print(&hallway_config::effective(&file, &ThisMachine, &plan)),
        cli::Errand::Exec(words) => fail(exec::exec(&plan, &words), USAGE),
        cli::Errand::Explain(question) => match explain::explain(&plan, &question) {
            Ok(text) => print(&text),
            Err(problem) => fail(problem, USAGE),
        },
        cli::Errand::Ask(_) => ExitCode::from(USAGE),
        cli::Errand::Serve { watch } => match Instance::new(&file, instance) {
            Ok(instance) => {
                let served = master::Served { file: &file, instance, reread: &load, watch };
                serve(plan, Some(served), inherited.unwrap_or_else(Inherited::of_process))
            }
            Err(problem) => fail(problem, ERROR),
        },
    }
}

/// Asks the running instance of a file.
fn order(file: &Path, instance: Option<&str>, ask: &asked::Ask) -> ExitCode {
    let asked = Instance::new(file, instance).map_err(asked::Refused::from);
    match asked.and_then(|instance| asked::ask(&instance, ask)) {
        Ok(status) if *ask == (asked::Ask::Status { json: true }) => print(&format!("{status:#}\n")),
        Ok(status) if *ask == (asked::Ask::Status { json: false }) => print(&asked::show_status(&status)),
        Ok(done) => print(&asked::show_done(&done)),
        Err(asked::Refused { problem, code }) => fail(problem, code),
    }
}

fn fail(problem: String, code: u8) -> ExitCode {
    complain(&problem);
    ExitCode::from(code)
}

/// Says what is wrong. Whether anybody hears it changes nothing.
fn complain(problem: &str) {
    let _ = writeln!(std::io::stderr(), "hallway: {problem}");
}

/// What who runs everything as root is told.
const AS_ROOT: &str = "everything runs as root, the app as well; start it as a user of its own (User= of systemd), or write \
                       a file for 'hallway serve', which gives edge and app users";

fn run(raw: &hallway_config::settings::Raw) -> ExitCode {
    let inherited = Inherited::of_process();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    cli::doubt_variables(names).iter().for_each(|doubt| complain(doubt));
    let plan = match hallway_config::settings::plan_of_run(raw, &ThisMachine) {
        Ok(plan) => plan,
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(USAGE);
        }
    };
    if rustix::process::geteuid().is_root() {
        hallway_edge::Voice::of_process().say(AS_ROOT);
    }
    serve(plan, None, inherited)
}

fn serve(plan: Plan, served: Option<master::Served<'_>>, inherited: Inherited) -> ExitCode {
    match master::run(plan, served, inherited) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(ERROR)),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(ERROR)
        }
    }
}
