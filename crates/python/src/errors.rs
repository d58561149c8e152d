//! Errors of the libraries as Python's exceptions, with the words of the command line.

use std::error::Error;

use pyo3::PyErr;

pyo3::import_exception!(inkling._errors, InklingError);
pyo3::import_exception!(inkling._errors, InputError);
pyo3::import_exception!(inkling._errors, FileError);

/// What was handed in is not what is expected.
pub fn input(text: impl Into<String>) -> PyErr {
    InputError::new_err(text.into())
}

/// An error of the libraries: of files, of what was handed in, or of neither.
pub fn exception(error: &anyhow::Error) -> PyErr {
    let text = inkling::lines(error).join("\n");
    let is_settings = inkling::exit_code(error) == 2;
    match is_settings || error.chain().any(is_input) {
        true => InputError::new_err(text),
        false if error.chain().any(is_file) => FileError::new_err(text),
        false => InklingError::new_err(text),
    }
}

/// Whether an error is about arrays and numbers that were handed in.
fn is_input(cause: &(dyn Error + 'static)) -> bool {
    use inkling_align::Error::{Flat, MapSize, MapValue, MapsMiss, NoPapyrus, Setting};
    use inkling_augment::Error::Fragment;
    use inkling_fragment::Error::OutOfBounds;
    use inkling_predict::Error as Predict;
    let of_region = matches!(cause.downcast_ref(), Some(OutOfBounds { .. }));
    let of_fit = matches!(
        cause.downcast_ref(),
        Some(
            Flat { .. }
                | MapSize { .. }
                | MapValue { .. }
                | MapsMiss { .. }
                | NoPapyrus { .. }
                | Setting { .. }
        )
    );
    let of_prediction = matches!(
        cause.downcast_ref(),
        Some(
            Predict::NoInk
                | Predict::NoPapyrus
                | Predict::NotBare { .. }
                | Predict::Setting { .. }
                | Predict::Size { .. }
                | Predict::Shallow { .. }
        )
    );
    let of_sample = cause
        .downcast_ref()
        .is_some_and(|error| !matches!(error, Fragment(_)));
    of_region || of_fit || of_prediction || of_sample
}

/// Whether an error is about a file: of a fragment or of weights.
fn is_file(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<inkling_fragment::Error>() || cause.is::<inkling_model::Error>()
}
