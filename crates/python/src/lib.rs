//! The Python package `inkling`: what the libraries do, on NumPy arrays. Functions here check and convert
//! what Python hands in, let go of the interpreter's lock while the libraries work, and hand arrays back.
//!
//! The package's own files are in `python/inkling`, its tests in `tests`.

mod alignment;
mod arrays;
mod augment;
mod batch;
mod blending;
mod buffers;
mod command_line;
mod errors;
mod fragment;
mod indexing;
mod json;
mod messages;
mod model;
mod phantom;
mod scoring;
mod settings;
mod sheet;
mod threads;
mod volume;
mod work;

use pyo3::prelude::*;

/// The compiled part of the package; `inkling` has all of it under its own name.
#[pymodule]
mod _inkling {
    #[pymodule_export]
    use crate::alignment::{Alignment, align, curves, warp};
    #[pymodule_export]
    use crate::augment::{Augment, Sample};
    #[pymodule_export]
    use crate::blending::{blend, spline_weights, tile_places};
    #[pymodule_export]
    use crate::command_line::run_command_line;
    #[pymodule_export]
    use crate::fragment::{Fragment, open};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::phantom::write_phantom;
    #[pymodule_export]
    use crate::scoring::{score, threshold};
    #[pymodule_export]
    use crate::sheet::Sheet;
    #[pymodule_export]
    use crate::threads::{num_threads, set_num_threads};

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("build", inkling::VERSION)
    }
}
