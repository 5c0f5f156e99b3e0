//! In:     the lanes of one edge after another; the application.
//! Out:    every request begun, answered, counted.
//! Actors: Python's main thread; with `--threads` further ones, of which one at a time waits for a request.
//! Never:  does a thread hold what another needs while it works on a request.

use crate::control::{Control, end_process};
use crate::lanes::{Inbound, Lanes};
use crate::{IS_FORK, wsgi};
use hallway_core::control::Report;
use hallway_core::lane::RequestFrame;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyCFunction, PyDict};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The application and what this worker has done with it.
pub(crate) struct Service {
    caller: wsgi::Caller,
    control: Arc<Control>,
    served: AtomicU64,
    max_requests: u64,
    threads: usize,
}

/// What the threads that serve the same lanes share.
struct Shift {
    service: Arc<Service>,
    lanes: Arc<Lanes>,
    inbound: Mutex<Inbound>,
    /// Why the worker has to end; the first reason counts.
    end: Mutex<Option<PyErr>>,
}

impl Service {
    pub(crate) fn new(
        py: Python<'_>,
        app: Bound<'_, PyAny>,
        control: Arc<Control>,
        max_requests: u64,
        threads: usize,
    ) -> PyResult<Service> {
        let caller = wsgi::Caller::new(py, app, threads > 1)?;
        Ok(Service { caller, control, served: AtomicU64::new(0), max_requests, threads })
    }

    /// Takes requests until these lanes end.
    ///
    /// # Errors
    /// Whatever must end the worker: `SystemExit` and its like from the application.
    pub(crate) fn serve(self: &Arc<Self>, py: Python<'_>, lanes: &Arc<Lanes>) -> PyResult<()> {
        let inbound = Mutex::new(Inbound::new(lanes));
        let shift = Arc::new(Shift { service: self.clone(), lanes: lanes.clone(), inbound, end: Mutex::default() });
        let mut others = Vec::new();
        for number in 1..self.threads {
            others.push(shift.start_thread(py, number)?);
        }
        lanes.say_hello(py);
        shift.work(py);
        for thread in others {
            thread.call_method0("join")?;
        }
        lanes.say_leave(py);
        let end = shift.end.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        end.map_or(Ok(()), Err)
    }

    /// Counts a request; the master is told once it is enough. The worker goes on until its
    /// replacement is ready.
    fn count(&self) -> PyResult<()> {
        if self.served.fetch_add(1, Ordering::Relaxed) + 1 == self.max_requests {
            self.control.report(Report::Spent)?;
        }
        Ok(())
    }
}

impl Shift {
    fn start_thread<'py>(self: &Arc<Self>, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyAny>> {
        let shift = self.clone();
        let work = PyCFunction::new_closure(py, None, None, move |arguments, _| shift.work(arguments.py()))?;
        let settings = PyDict::new(py);
        settings.set_item("target", work)?;
        settings.set_item("name", format!("hallway-{number}"))?;
        // A thread that is stuck does not keep the process.
        settings.set_item("daemon", true)?;
        let thread = py.import("threading")?.getattr("Thread")?.call((), Some(&settings))?;
        thread.call_method0("start")?;
        Ok(thread)
    }

    /// One thread's work. What must end the worker ends the work of all threads.
    fn work(&self, py: Python<'_>) {
        loop {
            match self.serve_one(py) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let mut end = self.end.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
                    end.get_or_insert(error);
                    drop(end);
                    return self.lanes.finish();
                }
            }
        }
    }

    /// Takes one request and answers it; `false` when there will be none.
    fn serve_one(&self, py: Python<'_>) -> PyResult<bool> {
        let mut inbound = self.inbound.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let Some(frame) = inbound.receive(py)? else { return Ok(false) };
        let request = RequestFrame::decode(inbound.bytes(frame));
        let outbound = request.and_then(|request| self.lanes.outbound(request.thread));
        let (Some(request), Some(outbound)) = (request, outbound) else {
            return Err(PyRuntimeError::new_err("the edge sent what is no request"));
        };
        let file = if request.body_in_file { self.lanes.receive_file(request.ticket) } else { None };
        let call = self.service.caller.prepare(py, &request, file, (self.lanes.clone(), outbound.clone()))?;
        inbound.release();
        drop(inbound);
        let begun = Instant::now();
        self.service.caller.call(py, call)?;
        if IS_FORK.load(Ordering::Relaxed) {
            // The application forked, and this is the child, come back as if it were the worker.
            end_process();
        }
        self.lanes.note_service(begun.elapsed());
        self.service.count()?;
        Ok(true)
    }
}
