//! In:     requests on the inbound lane; the loaded application.
//! Out:    its answers on the outbound lanes.
//! Actors: Python's main thread, with `--threads` others of Python's, and one native thread that hears the master.
//! Never:  does a worker touch a client's socket, or outlive the master.

mod control;
mod descriptors;
mod end;
mod lanes;
mod service;
mod wsgi;

use control::Control;
use hallway_core::control::Report;
use pyo3::prelude::*;
use service::Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes requests until the master says that it is enough. To be called in the main thread, once.
///
/// `channel` are the numbers of the descriptors that lead from and to the master, `max_requests` after how
/// many requests it is told that this worker has served enough (0: never), `multiples` how many requests are worked on
/// at a time, and whether there is to be more than one worker. Returns the exit code.
#[pyfunction]
fn serve(
    py: Python<'_>,
    app: Bound<'_, PyAny>,
    channel: (i32, i32),
    max_requests: u64,
    multiples: (usize, bool),
) -> PyResult<i32> {
    let control = Arc::new(Control::start(descriptors::take(channel.0)?, descriptors::take(channel.1)?)?);
    let service = Arc::new(Service::new(py, app, control.clone(), max_requests, multiples)?);
    control.report(Report::Ready)?;
    loop {
        let lanes = loop {
            match py.detach(|| control.await_lanes()) {
                control::Next::Lanes(lanes) => break lanes,
                control::Next::Finish => return Ok(0),
                control::Next::Nothing => py.check_signals()?,
            }
        };
        if let Err(error) = service.serve(py, &lanes) {
            // The interpreter may have much to do before it ends: another worker takes the place meanwhile.
            control.report(Report::Left)?;
            return Err(error);
        }
    }
}

/// Whether this process is a child that the application forked.
static IS_FORK: AtomicBool = AtomicBool::new(false);

/// To be called by Python in every forked child.
#[pyfunction]
fn note_fork() {
    IS_FORK.store(true, Ordering::Relaxed);
}

/// The native half of the package `hallway`.
#[pymodule]
fn hallway_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(note_fork, module)?)?;
    Ok(())
}
