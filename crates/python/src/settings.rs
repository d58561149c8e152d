//! Settings given as keyword arguments, read as a recipe's are: unknown keys and wrong values have the same
//! words.

use std::path::PathBuf;

use inkling_pipeline::Recipe;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::{exception, input};

/// `table.key=value` of each keyword; `None` leaves a key at its default.
pub fn overrides(table: &str, keywords: Option<&Bound<PyDict>>) -> PyResult<Vec<String>> {
    let mut entries = Vec::new();
    for (key, value) in keywords.into_iter().flat_map(|dict| dict.iter()) {
        if !value.is_none() {
            entries.push(format!("{table}.{key}={}", text(&value)?));
        }
    }
    Ok(entries)
}

/// `value` as TOML has it, whose numbers, texts, truth values and lists are written as those of JSON.
fn text(value: &Bound<PyAny>) -> PyResult<String> {
    let json = value.py().import("json")?;
    let plain = match value.hasattr("tolist")? {
        true => value.call_method0("tolist")?,
        false => value.clone(),
    };
    match json.call_method1("dumps", (&plain,)) {
        Ok(text) => text.extract(),
        Err(_) => Err(input(format!(
            "found a setting of type {}; expected a number, text, truth value or list of these",
            value.get_type().name()?
        ))),
    }
}

/// The recipes that `config` names: a path or several; none for `None`.
pub fn files(config: Option<&Bound<PyAny>>) -> PyResult<Vec<PathBuf>> {
    let Some(config) = config.filter(|config| !config.is_none()) else {
        return Ok(Vec::new());
    };
    let one = config.is_instance_of::<PyString>() || config.hasattr("__fspath__")?;
    match one {
        true => Ok(vec![config.extract()?]),
        false => config.extract().map_err(|_| {
            input("config: found neither a path nor a list of paths; expected recipes (TOML)")
        }),
    }
}

/// The recipe of `files` and `overrides`.
pub fn recipe(files: &[PathBuf], overrides: &[String]) -> PyResult<Recipe> {
    Recipe::read(files, overrides).map_err(|error| exception(&error))
}
