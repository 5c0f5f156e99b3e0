//! In:     a command line that says what to send and what must come back.
//! Out:    one JSON object with counts and latencies; exit code 1 when one answer was missing or wrong.
//! Actors: an HTTP/1.1 server.
//! Never:  is an answer counted that was not read to its end and verified.

#![allow(clippy::disallowed_macros)] // A tool: its report is what it prints, and its driver reads it.

mod answer;
mod check;
mod connection;
mod drive;
mod histogram;
mod plan;
mod request;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("hallway-load: {text}\n\n{}", plan::USAGE);
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let plan = plan::read(std::env::args().skip(1))?;
    let wire = plan.request.wire()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| format!("no runtime: {fault}"))?;
    let tally = runtime.block_on(drive::drive(plan, wire, Instant::now()));
    println!("{}", tally.report());
    Ok(tally.is_clean())
}
