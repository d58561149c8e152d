//! The command line, for the script `inkling` that the wheel installs.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what a command line asks for, whose first word is the program's name, and gives its exit code. To be
/// called once in a process that does nothing else.
#[pyfunction]
pub fn run_command_line(py: Python, arguments: Vec<OsString>) -> u8 {
    py.detach(|| inkling::run_command_line(arguments))
}
