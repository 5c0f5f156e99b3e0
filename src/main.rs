//! In:     a command line.
//! Out:    a running stack, or words that say why not and what to do.
//! Actors: none of its own: the master's loop and the edge's threads are started from here.
//! Never:  is anything decided here that `core` could decide.

mod cli;
mod listen;
mod master;
mod port_holder;
mod settings;
mod signals;
mod wire;
mod words;

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes beside 0; 3 and 4 are a worker's, handed on by the master.
const ERROR: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // The master starts the edge under this name; nobody types it.
    if arguments.next().is_some_and(|name| name == "hallway: edge") {
        return wire::run_edge(arguments);
    }
    match cli::read(arguments, &|name| std::env::var(name).ok()) {
        Ok(cli::Asked::Text(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(cli::Asked::Run(raw)) => run(&raw),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(USAGE)
        }
    }
}

/// Says what is wrong. Whether anybody hears it changes nothing.
fn complain(problem: &str) {
    let _ = writeln!(std::io::stderr(), "hallway: {problem}");
}

fn run(raw: &cli::Raw) -> ExitCode {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    cli::doubt_variables(names).iter().for_each(|doubt| complain(doubt));
    let plan = match settings::plan_of_run(raw) {
        Ok(plan) => plan,
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(USAGE);
        }
    };
    match master::run(plan) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(ERROR)),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(ERROR)
        }
    }
}
