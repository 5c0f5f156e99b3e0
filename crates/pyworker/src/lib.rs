//! In:     requests on the inbound lane; the loaded application.
//! Out:    its answers on the outbound lanes.
//! Actors: Python's main thread, and one native thread that hears the master.
//! Never:  does a worker touch a client's socket, or outlive the master.

mod control;
mod descriptors;
mod lanes;
mod wsgi;

use control::Control;
use hallway_core::control::Report;
use hallway_core::lane::RequestFrame;
use lanes::{Inbound, Lanes};
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Takes requests until the master says that it is enough. To be called in the main thread, once.
///
/// `channel` is the number of the descriptor that leads to the master, `max_requests` after how
/// many requests it is told that this worker has served enough (0: never). Returns the exit code.
#[pyfunction]
fn serve(py: Python<'_>, app: Bound<'_, PyAny>, channel: i32, max_requests: u64) -> PyResult<i32> {
    let control = Control::start(descriptors::take(channel)?)?;
    let mut service = Service { caller: wsgi::Caller::new(py, app)?, served: 0, max_requests };
    control.report(Report::Ready)?;
    loop {
        let lanes = loop {
            match py.detach(|| control.await_lanes()) {
                control::Next::Lanes(lanes) => break lanes,
                control::Next::Finish => return Ok(0),
                control::Next::Nothing => py.check_signals()?,
            }
        };
        if let Some(code) = serve_lanes(py, &mut service, &control, &lanes)? {
            return Ok(code);
        }
    }
}

/// The application and what this worker has done with it.
struct Service {
    caller: wsgi::Caller,
    served: u64,
    max_requests: u64,
}

/// Takes requests until these lanes end. An exit code when the edge sent what is no request.
fn serve_lanes(py: Python<'_>, service: &mut Service, control: &Control, lanes: &Arc<Lanes>) -> PyResult<Option<i32>> {
    let mut inbound = Inbound::new(lanes);
    lanes.say_hello(py);
    while let Some(frame) = inbound.receive(py)? {
        let request = RequestFrame::decode(inbound.bytes(frame));
        let outbound = request.and_then(|request| lanes.outbound(request.thread));
        let (Some(request), Some(outbound)) = (request, outbound) else { return Ok(Some(1)) };
        let file = if request.body_in_file { lanes.receive_file(request.ticket) } else { None };
        let call = service.caller.prepare(py, &request, file, Arc::clone(outbound))?;
        inbound.release();
        let began = Instant::now();
        service.caller.call(py, call)?;
        if IS_FORK.load(Ordering::Relaxed) {
            // The application forked, and this is the child, come back as if it were the worker.
            control::end_process();
        }
        inbound.note_service(began.elapsed());
        service.served += 1;
        if service.served == service.max_requests {
            // It goes on until its replacement is ready.
            control.report(Report::Spent)?;
        }
    }
    lanes.say_leave(py);
    Ok(None)
}

/// Whether this process is a child that the application forked.
pub(crate) static IS_FORK: AtomicBool = AtomicBool::new(false);

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
