//! In:     the lanes of one edge after another; the application.
//! Out:    every request begun, answered, counted.
//! Actors: Python's main thread; with `--threads` others instead, of which one at a time waits for a request.
//! Never:  does a thread hold what another needs while it works on a request.

use crate::control::Control;
use crate::end::end_process;
use crate::lanes::{Inbound, Lanes};
use crate::{IS_FORK, wsgi};
use hallway_core::control::Report;
use hallway_core::lane::RequestFrame;
use hallway_ring::Bell;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyCFunction, PyDict};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// Threads that have not ended.
    working: AtomicUsize,
}

impl Service {
    pub(crate) fn new(
        py: Python<'_>,
        app: Bound<'_, PyAny>,
        control: Arc<Control>,
        max_requests: u64,
        (threads, has_siblings): (usize, bool),
    ) -> PyResult<Service> {
        let kind = wsgi::Multiples { threads: threads > 1, processes: has_siblings };
        let caller = wsgi::Caller::new(py, app, kind)?;
        Ok(Service { caller, control, served: AtomicU64::new(0), max_requests, threads })
    }

    /// Takes requests until these lanes end.
    ///
    /// # Errors
    /// Whatever must end the worker: `SystemExit` and its like from the application.
    pub(crate) fn serve(self: &Arc<Self>, py: Python<'_>, lanes: &Arc<Lanes>) -> PyResult<()> {
        let inbound = Mutex::new(Inbound::new(lanes));
        let working = AtomicUsize::new(self.threads);
        let shift =
            Arc::new(Shift { service: self.clone(), lanes: lanes.clone(), inbound, end: Mutex::default(), working });
        lanes.say_hello(py);
        if self.threads > 1 {
            shift.work_in_threads(py)?
        } else {
            shift.work(py, 0)
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

/// Ends a process that the application forked and let come back to us: as `sys.exit` would where it
/// called that, else at once.
fn end_fork(py: Python<'_>, called: PyResult<()>) {
    if let Err(error) = called {
        let code = match error.value(py).getattr("code") {
            Ok(code) if code.is_none() => 0,
            Ok(code) => code.extract().unwrap_or(1),
            Err(_) => 1,
        };
        // What the interpreter does at its end, without waiting for threads that are not here.
        let _ = py.import("atexit").and_then(|atexit| atexit.call_method0("_run_exitfuncs"));
        for stream in ["stdout", "stderr"] {
            let _ = py.import("sys").and_then(|sys| sys.getattr(stream)?.call_method0("flush"));
        }
        let _ = py.import("os").and_then(|os| os.call_method1("_exit", (code,)));
    }
    end_process();
}

impl Shift {
    fn start_thread<'py>(
        self: &Arc<Self>,
        py: Python<'py>,
        number: u16,
        done: &Arc<Bell>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (shift, done, stream) = (self.clone(), done.clone(), number - 1);
        let work = PyCFunction::new_closure(py, None, None, move |arguments, _| {
            shift.work(arguments.py(), stream);
            shift.working.fetch_sub(1, Ordering::AcqRel);
            let _ = done.ring();
        })?;
        let settings = PyDict::new(py);
        settings.set_item("target", work)?;
        settings.set_item("name", format!("hallway-{number}"))?;
        // A thread that is stuck does not keep the process.
        settings.set_item("daemon", true)?;
        let thread = py.import("threading")?.getattr("Thread")?.call((), Some(&settings))?;
        thread.call_method0("start")?;
        Ok(thread)
    }

    /// The work in threads, until all of them have ended. The main thread takes none of it: it alone can
    /// run the application's handlers of signals, and it has to be there when one comes.
    fn work_in_threads(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let done = Arc::new(Bell::create()?);
        let mut threads = Vec::new();
        for number in 1..=u16::try_from(self.service.threads).unwrap_or(u16::MAX) {
            threads.push(self.start_thread(py, number, &done)?);
        }
        while self.working.load(Ordering::Acquire) > 0 {
            let waited = py.detach(|| {
                let mut sources = [PollFd::new(&*done, PollFlags::IN)];
                poll(&mut sources, None).map(drop)
            });
            match waited {
                Err(Errno::INTR) => py.check_signals().inspect_err(|_| self.lanes.finish())?,
                _ => done.hush(),
            }
        }
        for thread in threads {
            thread.call_method0("join")?;
        }
        Ok(())
    }

    /// One thread's work, whose answers are this stream of the lanes, one after the other. What must end the worker ends the
    /// work of all threads.
    fn work(&self, py: Python<'_>, stream: u16) {
        loop {
            match self.serve_one(py, stream) {
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
    fn serve_one(&self, py: Python<'_>, stream: u16) -> PyResult<bool> {
        let mut inbound = self.inbound.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let Some(frame) = inbound.receive(py)? else { return Ok(false) };
        let request = RequestFrame::decode(inbound.bytes(frame));
        let outbound = request.and_then(|request| self.lanes.outbound(request.thread));
        let (Some(request), Some(outbound)) = (request, outbound) else {
            return Err(PyRuntimeError::new_err("the edge sent what is no request"));
        };
        let file = if request.body_in_file { self.lanes.receive_file(request.ticket) } else { None };
        let lanes = (self.lanes.clone(), outbound.clone());
        let call = self.service.caller.prepare(py, &request, file, (stream, lanes))?;
        inbound.release(py);
        drop(inbound);
        let begun = Instant::now();
        let called = self.service.caller.call(py, call);
        if IS_FORK.load(Ordering::Relaxed) {
            // The application forked, and this is the child, come back as if it were the worker.
            end_fork(py, called);
            return Ok(false);
        }
        called?;
        self.lanes.note_service(begun.elapsed());
        self.service.count()?;
        Ok(true)
    }
}
