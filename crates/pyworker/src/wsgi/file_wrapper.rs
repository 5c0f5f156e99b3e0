//! In:     a file that the application opened and wants to be sent.
//! Out:    its descriptor and the part of it to send; for other objects, their bytes.
//! Actors: the thread that works on the request.
//! Never:  is the file behind an object sent that reads something else from it, as `gzip.GzipFile` does.

use crate::descriptors::duplicate;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use rustix::fs::{FileType, fstat, fstatfs};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// Types of file systems (statfs(2)): proc, sysfs, debugfs, tracefs, cgroup, cgroup2.
const MADE_WHEN_READ: [i64; 6] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x0027_e0eb, 0x6367_7270];

/// What the application finds as `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").
#[pyclass(frozen, subclass, name = "FileWrapper")]
pub(super) struct FileWrapper {
    /// Set by `__init__`: a subclass may have an own one, which takes what it likes.
    wrapped: OnceLock<Wrapped>,
}

struct Wrapped {
    file: Py<PyAny>,
    block_bytes: isize,
}

impl FileWrapper {
    fn wrapped(&self) -> PyResult<&Wrapped> {
        self.wrapped.get().ok_or_else(|| PyRuntimeError::new_err("FileWrapper.__init__ was not called"))
    }

    /// The file and the part of it from where it stands to its end: offset and length. Nothing for
    /// what is no plain file.
    pub(super) fn part(&self, py: Python<'_>) -> PyResult<Option<(OwnedFd, (u64, u64))>> {
        let file = self.wrapped()?.file.bind(py);
        let io = py.import("io")?;
        let is_a =
            |object: &Bound<'_, PyAny>, name: &str| -> PyResult<bool> { Ok(object.get_type().is(&io.getattr(name)?)) };
        let is_buffered = is_a(file, "BufferedReader")? || is_a(file, "BufferedRandom")?;
        if !is_a(if is_buffered { file.getattr("raw")? } else { file.clone() }.as_any(), "FileIO")? {
            return Ok(None);
        }
        let number: i32 = file.call_method0("fileno")?.extract()?;
        let file_descriptor = duplicate(number)?;
        let stat = fstat(&file_descriptor).map_err(std::io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !tells_its_length(&file_descriptor) {
            return Ok(None);
        }
        let offset: u64 = file.call_method0("tell")?.extract()?;
        let bytes = u64::try_from(stat.st_size).unwrap_or(0).saturating_sub(offset);
        Ok(Some((file_descriptor, (offset, bytes))))
    }
}

/// Whether the length that the kernel tells is that of what can be read: what is made while it is
/// read, as below /proc and /sys, has none or any.
fn tells_its_length(file: &OwnedFd) -> bool {
    fstatfs(file).is_ok_and(|system| !MADE_WHEN_READ.contains(&system.f_type))
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(_arguments: &Bound<'_, PyTuple>, _named: Option<&Bound<'_, PyDict>>) -> FileWrapper {
        FileWrapper { wrapped: OnceLock::new() }
    }

    /// With the names that `wsgiref.util.FileWrapper` has.
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn __init__(&self, filelike: Py<PyAny>, blksize: isize) -> PyResult<()> {
        let wrapped = Wrapped { file: filelike, block_bytes: blksize };
        self.wrapped.set(wrapped).map_err(|_| PyRuntimeError::new_err("this FileWrapper has a file already"))
    }

    #[getter]
    fn filelike(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.wrapped()?.file.clone_ref(py))
    }

    #[getter]
    fn blksize(&self) -> PyResult<isize> {
        Ok(self.wrapped()?.block_bytes)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.wrapped()?.file.bind(py).call_method1("read", (self.wrapped()?.block_bytes,))?;
        let is_end = block.cast::<PyBytes>().is_ok_and(|block| block.as_bytes().is_empty());
        Ok((!is_end).then_some(block))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(close) = self.wrapped()?.file.bind(py).getattr_opt("close")? {
            close.call0()?;
        }
        Ok(())
    }
}
