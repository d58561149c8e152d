//! Figures of the libraries as Python's dictionaries, by way of JSON.

use pyo3::prelude::*;
use serde_json::Value;

/// `value` as dictionaries, lists, numbers and text.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?
        .call_method1("loads", (value.to_string(),))
}
